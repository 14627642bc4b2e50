//! kcat as a member of a group (`-G`): two share a topic, one is killed, the other goes on where the group has committed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rinka_storage::record_batch::RecordBatchBuilder;

use super::{client, wall_clock};
use crate::group::{self, PARTITIONS};
use crate::support::admin::create_topic;
use crate::support::toolchain::skip;
use crate::support::wire::Connection;

/// A killed member is missed after six seconds.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn goes_on_without_a_killed_member(routing: &str) {
    if let Err(absent) = client() {
        return skip(&absent);
    }
    let Some(broker) = group::start(routing) else {
        return;
    };
    let mut group = Group::new(broker.bootstrap());
    group.produce(5);
    let first = group.join();
    group.wait("the first member has read everything", |group| {
        group.owns(first).len() == all().len() && group.has_read_all()
    });
    let second = group.join();
    group.wait("two members share", |group| {
        let (mine, yours) = (group.owns(first), group.owns(second));
        mine.len() == 2 && yours.len() == 2 && mine.union(yours).count() == all().len()
    });
    group.produce(5);
    group.wait("two members have read everything", Group::has_read_all);
    group.wait_until_committed();

    group.kill9(first);
    group.produce(5);
    group.wait("the other member has taken over", |group| {
        group.owns(second).len() == all().len() && group.has_read_all()
    });
    group.leave(second);
    group.wait_until_committed();

    // Whoever reads what was committed already fails the test.
    group.produce(1);
    let third = group.join();
    group.wait("a third member goes on", Group::has_read_all);
    group.leave(third);
    group.wait_until_committed();
}

fn all() -> BTreeSet<i32> {
    (0..PARTITIONS).collect()
}

#[derive(Debug)]
enum Event {
    Owns(BTreeSet<i32>),
    Read(i32, i64),
    Ended,
}

struct Member {
    child: Child,
    owns: BTreeSet<i32>,
    ended: bool,
}

struct Group {
    bootstrap: String,
    /// Of the topic and of the group.
    name: String,
    members: Vec<Member>,
    sender: Sender<(usize, Event)>,
    events: Receiver<(usize, Event)>,
    /// By partition: the end of what was written, and of what was read.
    written: BTreeMap<i32, i64>,
    read: BTreeMap<i32, i64>,
}

impl Group {
    fn new(bootstrap: &str) -> Self {
        let name = format!("group-kcat-{}-{}", std::process::id(), wall_clock());
        create_topic(bootstrap, &name, PARTITIONS, &[]);
        let (sender, events) = channel();
        let none = || all().into_iter().map(|partition| (partition, 0)).collect();
        Self {
            bootstrap: bootstrap.to_owned(),
            name,
            members: Vec::new(),
            sender,
            events,
            written: none(),
            read: none(),
        }
    }

    /// So many records to each partition.
    fn produce(&mut self, count: usize) {
        let mut connection = Connection::open(&self.bootstrap);
        for (&partition, end) in &mut self.written {
            let mut batch = RecordBatchBuilder::new();
            for _ in 0..count {
                batch.append(wall_clock(), None, Some(b"value"));
            }
            let base = connection.produce(&self.name, partition, batch.build());
            *end = base + i64::try_from(count).expect("few");
        }
    }

    fn join(&mut self) -> usize {
        let number = self.members.len();
        let properties = [
            "auto.offset.reset=earliest",
            "session.timeout.ms=6000",
            "heartbeat.interval.ms=500",
            "auto.commit.interval.ms=200",
        ];
        // Not behind `timeout`: it is kcat itself that is killed.
        let mut child = Command::new("kcat")
            .args(["-b", &self.bootstrap, "-u", "-f", "%p %o\n"])
            .args(properties.iter().flat_map(|property| ["-X", property]))
            .args(["-G", &self.name, &self.name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kcat is on PATH");
        self.follow(number, child.stdout.take().expect("piped"), read);
        self.follow(number, child.stderr.take().expect("piped"), rebalanced);
        self.members.push(Member {
            child,
            owns: BTreeSet::new(),
            ended: false,
        });
        number
    }

    fn follow(
        &self,
        number: usize,
        stream: impl Read + Send + 'static,
        parse: fn(&str) -> Option<Event>,
    ) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(event) = parse(&line) {
                    // Nobody may listen any more.
                    let _ = sender.send((number, event));
                }
            }
            let _ = sender.send((number, Event::Ended));
        });
    }

    fn kill9(&mut self, number: usize) {
        let member = &mut self.members[number];
        member.child.kill().expect("a child of ours");
        self.take_out(number);
    }

    /// SIGTERM: it commits and leaves.
    fn leave(&mut self, number: usize) {
        let id = self.members[number].child.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {id}")])
            .status()
            .expect("there is a sh");
        assert!(sent.success(), "a member ended by itself");
        self.take_out(number);
    }

    fn take_out(&mut self, number: usize) {
        self.wait("a member ends", |group| group.members[number].ended);
        let member = &mut self.members[number];
        member.child.wait().expect("a child of ours");
        member.owns.clear();
    }

    fn owns(&self, number: usize) -> &BTreeSet<i32> {
        &self.members[number].owns
    }

    fn has_read_all(&self) -> bool {
        self.read == self.written
    }

    /// What kcat commits by itself, now and then, the broker tells.
    fn wait_until_committed(&self) {
        let mut connection = Connection::open(&self.bootstrap);
        let deadline = Instant::now() + WITHIN;
        loop {
            let committed = group::committed(&mut connection, &self.name);
            if committed == self.written {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "committed {committed:?} of {:?}",
                self.written
            );
            // It answers questions, and tells nothing by itself.
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !done(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((number, event)) = self.events.recv_timeout(left) else {
                let owned: Vec<_> = self.members.iter().map(|member| &member.owns).collect();
                panic!(
                    "never came to pass: {what}\nowned {owned:?}, read {:?} of {:?}",
                    self.read, self.written
                );
            };
            let member = &mut self.members[number];
            match event {
                Event::Owns(owns) => member.owns = owns,
                Event::Read(partition, offset) => {
                    let next = self.read.get_mut(&partition).expect("of this topic");
                    assert_eq!(offset, *next, "partition {partition}: lost, or read again");
                    *next += 1;
                }
                Event::Ended => member.ended = true,
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

fn read(line: &str) -> Option<Event> {
    let (partition, offset) = line.split_once(' ')?;
    Some(Event::Read(partition.parse().ok()?, offset.parse().ok()?))
}

/// `% Group NAME rebalanced (memberid ID): assigned: TOPIC [0], TOPIC [1]`, or `revoked`.
fn rebalanced(line: &str) -> Option<Event> {
    if line.contains("revoked: ") {
        return Some(Event::Owns(BTreeSet::new()));
    }
    let (_, partitions) = line.split_once("assigned: ")?;
    let partitions = partitions.split(", ").filter_map(|one| {
        let (_, number) = one.rsplit_once(" [")?;
        number.trim_end().strip_suffix(']')?.parse().ok()
    });
    Some(Event::Owns(partitions.collect()))
}
