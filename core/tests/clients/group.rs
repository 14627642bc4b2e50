//! Groups of real members: they share the partitions, take over from one another, and go on where the group has committed, also when
//! the broker is killed under them. Never tests how a client assigns.
//!
//! A driver is run as `DRIVER group BOOTSTRAP TOPIC GROUP PROTOCOL`: one member, which commits each record it has read, says
//! `owns=0,1`, `read=PARTITION:OFFSET` and `committed=PARTITION:NEXT` on lines of its standard output, and leaves the group when its
//! standard input ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rinka_net::wire::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use rinka_net::wire::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use rinka_net::wire::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use rinka_net::wire::list_groups::{ListGroupsRequest, ListGroupsResponse};
use rinka_net::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use rinka_storage::record_batch::RecordBatchBuilder;

use crate::driver::{Driver, bounded};
use crate::kcat;
use crate::support::admin::create_topic;
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::toolchain::{Absent, skip};
use crate::support::wire::Connection;

pub(crate) const PARTITIONS: i32 = 4;

/// A group that has not come to what it must in this time never will.
const WITHIN: Duration = Duration::from_secs(60);

/// When the members have said nothing for so long, the broker is asked what is committed.
const QUIET: Duration = Duration::from_millis(500);

/// How often the broker is killed under a group.
const KILLS: usize = 3;

/// How to come by a client that can be a member.
type Make = fn() -> Result<Driver, Absent>;

/// Two members share, one leaves, the other takes over, and a third goes on where they stopped.
pub(crate) fn share(routing: &str, protocol: &str, make: Make) {
    let driver = match make() {
        Ok(driver) => driver,
        Err(absent) => return skip(&absent),
    };
    let Some(broker) = start(routing) else { return };
    let mut group = Group::new(&driver, &broker, protocol);
    group.produce(2);
    let first = group.join();
    group.wait(
        "the first member has read and committed everything",
        |group| group.owns(first).len() == all().len() && group.has_committed_all(),
    );
    let second = group.join();
    group.wait("two members share", Group::is_shared);
    assert!(!group.owns(first).is_empty() && !group.owns(second).is_empty());
    group.produce(2);
    group.wait(
        "two members have read and committed",
        Group::has_committed_all,
    );
    group.check_description(2);

    group.leave(first);
    group.wait("the second member has taken over", |group| {
        group.owns(second).len() == all().len()
    });
    group.produce(2);
    group.wait(
        "the second member has read and committed",
        Group::has_committed_all,
    );
    group.leave(second);
    group.check_offsets();

    // Whoever reads what was committed already fails the test.
    group.produce(1);
    group.join();
    group.wait("a third member goes on", Group::has_committed_all);
    group.leave_all();
    group.check_deletion();
}

/// The broker is killed again and again while members come and go: no committed offset goes back, and the group comes to rest.
pub(crate) fn survive_kills(routing: &str, protocol: &str, make: Make) {
    let driver = match make() {
        Ok(driver) => driver,
        Err(absent) => return skip(&absent),
    };
    let Some(mut broker) = start(routing).filter(Broker::can_be_killed) else {
        return;
    };
    let mut group = Group::new(&driver, &broker, protocol);
    group.join();
    for kill in 0..KILLS {
        // In the middle of a rebalance, and of the commits of what was just written.
        group.produce(20);
        let joining = group.join();
        let before = group.commits;
        group.wait("somebody commits", |group| group.commits > before);
        broker.kill9();
        broker.start_again();
        group.wait(
            "the group shares, and has read and committed everything",
            |group| group.is_shared() && group.has_committed_all(),
        );
        if kill % 2 == 1 {
            group.leave(joining);
        }
    }
    group.check_offsets();
    group.leave_all();
}

/// What a group has committed, by partition of its one topic.
pub(crate) fn committed(connection: &mut Connection, group: &str) -> BTreeMap<i32, i64> {
    try_committed(connection, group).expect("the coordinator knows it")
}

/// The same, or why the coordinator cannot say it now.
fn try_committed(
    connection: &mut Connection,
    group: &str,
) -> Result<BTreeMap<i32, i64>, ErrorCode> {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: Text::from(group.to_owned()),
            topics: None,
            member_epoch: -1,
            ..Default::default()
        }],
        require_stable: true,
        ..Default::default()
    };
    let response: OffsetFetchResponse = connection.call(ApiKey::OffsetFetch, 9, &request);
    let group = &response.groups[0];
    if group.error_code != ErrorCode::NONE {
        return Err(group.error_code);
    }
    let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
    Ok(partitions
        .map(|partition| (partition.partition_index, partition.committed_offset))
        .collect())
}

pub(crate) fn start(routing: &str) -> Option<Broker> {
    let settings = BrokerSettings::new(routing)
        .with("group.initial.rebalance.delay.ms", "0")
        .with("group.consumer.min.heartbeat.interval.ms", "200")
        .with("group.consumer.heartbeat.interval.ms", "200")
        .with("group.consumer.min.session.timeout.ms", "6000")
        .with("group.consumer.session.timeout.ms", "6000");
    let broker = Broker::start(settings);
    (routing != "core" || broker.is_rinka()).then_some(broker)
}

fn all() -> BTreeSet<i32> {
    (0..PARTITIONS).collect()
}

#[derive(Debug)]
enum Event {
    Owns(BTreeSet<i32>),
    Read(i32, i64),
    Committed(i32, i64),
    Ended,
}

struct Member {
    child: Child,
    /// Its end tells the member to leave.
    input: Option<ChildStdin>,
    owns: BTreeSet<i32>,
    ended: bool,
    errors: Arc<Mutex<String>>,
}

struct Group<'a> {
    driver: &'a Driver,
    bootstrap: String,
    protocol: &'a str,
    topic: String,
    name: String,
    members: Vec<Member>,
    sender: Sender<(usize, Event)>,
    events: Receiver<(usize, Event)>,
    /// By partition: the end of what was written, and of what was committed, as the members say.
    written: BTreeMap<i32, i64>,
    committed: BTreeMap<i32, i64>,
    /// The latter as the broker says: the answer to a commit may be lost with the broker, and then no member says anything of it.
    stored: BTreeMap<i32, i64>,
    commits: usize,
}

impl<'a> Group<'a> {
    fn new(driver: &'a Driver, broker: &Broker, protocol: &'a str) -> Self {
        let name = format!(
            "group-{}-{protocol}-{}-{}",
            driver.name.replace(' ', "-"),
            std::process::id(),
            kcat::wall_clock()
        );
        create_topic(broker.bootstrap(), &name, PARTITIONS, &[]);
        let (sender, events) = channel();
        Self {
            driver,
            bootstrap: broker.bootstrap().to_owned(),
            protocol,
            topic: name.clone(),
            name,
            members: Vec::new(),
            sender,
            events,
            written: all().into_iter().map(|partition| (partition, 0)).collect(),
            committed: all().into_iter().map(|partition| (partition, 0)).collect(),
            stored: BTreeMap::new(),
            commits: 0,
        }
    }

    /// So many records to each partition.
    fn produce(&mut self, count: usize) {
        let mut connection = Connection::open(&self.bootstrap);
        for (&partition, end) in &mut self.written {
            let mut batch = RecordBatchBuilder::new();
            for _ in 0..count {
                batch.append(kcat::wall_clock(), None, Some(b"value"));
            }
            let base = connection.produce(&self.topic, partition, batch.build());
            *end = base + i64::try_from(count).expect("few");
        }
    }

    fn join(&mut self) -> usize {
        let number = self.members.len();
        let mut child = bounded(&self.driver.command[0])
            .args(&self.driver.command[1..])
            .args(["group", &self.bootstrap, &self.topic, &self.name])
            .arg(self.protocol)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was just built");
        let output = child.stdout.take().expect("standard output is piped");
        let mut told = child.stderr.take().expect("standard error is piped");
        let sender = self.sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event = parse(&line).unwrap_or_else(|| panic!("a member says {line:?}"));
                if sender.send((number, event)).is_err() {
                    return;
                }
            }
            let _ = sender.send((number, Event::Ended));
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&errors);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = told.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                collected
                    .lock()
                    .expect("no panic while held")
                    .push_str(&text);
            }
        });
        self.members.push(Member {
            input: child.stdin.take(),
            child,
            owns: BTreeSet::new(),
            ended: false,
            errors,
        });
        number
    }

    /// Tells a member to leave and waits for its end.
    fn leave(&mut self, number: usize) {
        self.members[number].input = None;
        self.wait("a member leaves", |group| group.members[number].ended);
        let member = &mut self.members[number];
        member.owns.clear();
        let status = member.child.wait().expect("a child of ours");
        assert!(status.success(), "{status}\n{}", self.state());
    }

    fn leave_all(&mut self) {
        for number in 0..self.members.len() {
            if !self.members[number].ended {
                self.leave(number);
            }
        }
    }

    fn owns(&self, number: usize) -> &BTreeSet<i32> {
        &self.members[number].owns
    }

    /// Every partition is with exactly one member, and every member has one.
    fn is_shared(&self) -> bool {
        let here = || self.members.iter().filter(|member| !member.ended);
        let owned: Vec<i32> = here().flat_map(|member| member.owns.clone()).collect();
        let distinct: BTreeSet<i32> = owned.iter().copied().collect();
        distinct.len() == owned.len()
            && distinct == all()
            && here().all(|member| !member.owns.is_empty())
    }

    fn has_committed_all(&self) -> bool {
        self.committed == self.written || self.stored == self.written
    }

    /// Waits until it is so; panics with what the members said when that takes too long.
    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "never came to pass: {what}\n{}",
                self.state()
            );
            if let Ok((number, event)) = self.events.recv_timeout(QUIET) {
                self.on_event(number, event);
                continue;
            }
            let mut connection = Connection::open(&self.bootstrap);
            if let Ok(stored) = try_committed(&mut connection, &self.name) {
                self.stored = stored;
            }
        }
    }

    fn on_event(&mut self, number: usize, event: Event) {
        match event {
            Event::Owns(owns) => self.members[number].owns = owns,
            Event::Read(partition, offset) => {
                let committed = self.committed[&partition];
                assert!(
                    offset >= committed,
                    "member {number} reads offset {offset} of partition {partition}, of which {committed} is committed\n{}",
                    self.state()
                );
            }
            Event::Committed(partition, next) => {
                let committed = self.committed.get_mut(&partition);
                let committed = committed.expect("a partition of the topic");
                *committed = (*committed).max(next);
                self.commits += 1;
            }
            Event::Ended => {
                let member = &mut self.members[number];
                member.ended = true;
                assert!(
                    member.input.is_none(),
                    "member {number} ended by itself\n{}",
                    self.state()
                );
            }
        }
    }

    fn state(&self) -> String {
        let mut text = format!(
            "{} with protocol {}: written {:?}, committed {:?}, stored {:?}\n",
            self.driver.name, self.protocol, self.written, self.committed, self.stored
        );
        for (number, member) in self.members.iter().enumerate() {
            let errors = member.errors.lock().expect("no panic while held");
            let from = errors.len().saturating_sub(4_000);
            let from = (from..).find(|&at| errors.is_char_boundary(at));
            text.push_str(&format!(
                "member {number} owns {:?}, ended: {}; it said:\n{}\n",
                member.owns,
                member.ended,
                &errors[from.unwrap_or(0)..]
            ));
        }
        text
    }

    fn id(&self) -> Text {
        Text::from(self.name.clone())
    }

    /// ListGroups and the description for its kind of group show what there is.
    fn check_description(&self, members: usize) {
        let mut connection = Connection::open(&self.bootstrap);
        let listed: ListGroupsResponse =
            connection.call(ApiKey::ListGroups, 5, &ListGroupsRequest::default());
        // Under core routing another shard may have been asked, which has other groups.
        if let Some(listed) = listed
            .groups
            .iter()
            .find(|group| group.group_id == self.id())
        {
            assert_eq!(&*listed.group_type, self.protocol);
            assert_eq!(&*listed.protocol_type, "consumer");
            assert_eq!(&*listed.group_state, "Stable");
        }
        if self.protocol == "consumer" {
            let request = ConsumerGroupDescribeRequest {
                group_ids: vec![self.id()],
                ..Default::default()
            };
            let described: ConsumerGroupDescribeResponse =
                connection.call(ApiKey::ConsumerGroupDescribe, 1, &request);
            let group = &described.groups[0];
            assert_eq!(group.error_code, ErrorCode::NONE);
            assert_eq!(&*group.group_state, "Stable");
            assert_eq!(group.members.len(), members);
        } else {
            let request = DescribeGroupsRequest {
                groups: vec![self.id()],
                ..Default::default()
            };
            let described: DescribeGroupsResponse =
                connection.call(ApiKey::DescribeGroups, 5, &request);
            let group = &described.groups[0];
            assert_eq!(group.error_code, ErrorCode::NONE);
            assert_eq!(&*group.group_state, "Stable");
            assert_eq!(group.members.len(), members);
        }
        let refused = self.delete(&mut connection);
        assert_eq!(refused, ErrorCode::NON_EMPTY_GROUP);
    }

    fn fetch(&self, connection: &mut Connection) -> BTreeMap<i32, i64> {
        committed(connection, &self.name)
    }

    /// The broker has everything as committed, once it was.
    fn check_offsets(&self) {
        let mut connection = Connection::open(&self.bootstrap);
        assert_eq!(self.fetch(&mut connection), self.written);
    }

    /// A group without members can be deleted, and its offsets go with it.
    fn check_deletion(&self) {
        let mut connection = Connection::open(&self.bootstrap);
        assert_eq!(self.delete(&mut connection), ErrorCode::NONE);
        assert_eq!(self.fetch(&mut connection), BTreeMap::new());
        let again = self.delete(&mut connection);
        assert_eq!(again, ErrorCode::GROUP_ID_NOT_FOUND);
    }

    fn delete(&self, connection: &mut Connection) -> ErrorCode {
        let request = DeleteGroupsRequest {
            groups_names: vec![self.id()],
        };
        let response: DeleteGroupsResponse = connection.call(ApiKey::DeleteGroups, 2, &request);
        response.results[0].error_code
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

fn parse(line: &str) -> Option<Event> {
    let (what, value) = line.split_once('=')?;
    let pair = || {
        let (partition, offset) = value.split_once(':')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    };
    match what {
        "owns" => {
            let partitions = value.split(',').filter(|text| !text.is_empty());
            let partitions: Result<_, _> = partitions.map(str::parse).collect();
            Some(Event::Owns(partitions.ok()?))
        }
        "read" => pair().map(|(partition, offset)| Event::Read(partition, offset)),
        "committed" => pair().map(|(partition, next)| Event::Committed(partition, next)),
        _ => None,
    }
}
