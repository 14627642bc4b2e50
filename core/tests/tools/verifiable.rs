//! Kafka's verifiable producer and consumers, a JVM each: what the producer was acknowledged is what the members of a group have read
//! and committed, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::jvm::{Jvm, Program};
use crate::support::admin::create_topic;
use crate::support::toolchain::{self, Absent};
use crate::{Bench, squeezed};

const PARTITIONS: i32 = 4;
const MESSAGES: usize = 2_000;
const MEMBERS: [&str; 2] = ["the first consumer", "the second consumer"];

/// What has not come to pass in this time never will.
const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn verifiable_consumers_of_a_classic_group_read_what_was_acknowledged() {
    read_what_was_acknowledged("classic");
}

#[test]
fn verifiable_consumers_of_a_consumer_group_read_what_was_acknowledged() {
    read_what_was_acknowledged("consumer");
}

fn read_what_was_acknowledged(protocol: &str) {
    if let Err(absent) = try_to_read_what_was_acknowledged(protocol) {
        toolchain::skip(&absent);
    }
}

fn try_to_read_what_was_acknowledged(protocol: &str) -> Result<(), Absent> {
    let bench = Bench::new();
    let topic = &*bench.name;
    create_topic(bench.broker.bootstrap(), topic, PARTITIONS, &[]);
    let mut run = Run::new();
    let group = format!("{topic}-{protocol}");
    let mut consumers = Vec::new();
    for name in MEMBERS {
        let of_group = ["--group-id", &group, "--group-protocol", protocol];
        let arguments = [&["--topic", topic, "--verbose"], &of_group[..]].concat();
        let class = "VerifiableConsumer";
        consumers.push(run.start(&bench, name, class, &arguments)?);
    }
    // Only then does nobody take over what another has read and not yet committed.
    run.wait("two members share the partitions", |run| {
        let owned = |name| run.owned.get(name).map_or(0, BTreeSet::len);
        MEMBERS.map(owned) == [2, 2]
    });

    let messages = MESSAGES.to_string();
    let arguments = ["--topic", topic, "--max-messages", &messages, "--acks"];
    let arguments = [&arguments[..], &["-1"]].concat();
    let mut producer = run.start(&bench, "the producer", "VerifiableProducer", &arguments)?;
    run.wait("the producer says what it did", |run| run.sent.is_some());
    assert!(producer.wait_for_its_end(WITHIN).success());
    assert_eq!(run.sent, Some((MESSAGES, MESSAGES)), "sent and acked");
    assert_eq!(run.acknowledged.len(), MESSAGES);
    run.wait("every acknowledged value is read and committed", |run| {
        run.read.len() == MESSAGES && run.committed == run.ends()
    });
    assert_eq!(run.read, run.acknowledged);

    for consumer in &consumers {
        consumer.terminate();
    }
    run.wait("the members leave", |run| run.shut_down == MEMBERS.len());
    let describe = ["--describe", "--group", &group];
    let printed = bench.run("consumer.group.ConsumerGroupCommand", &describe);
    let described = squeezed(&printed.expect("there is a Java").text);
    for (partition, end) in run.ends() {
        let line = format!("{group} {topic} {partition} {end} {end} 0");
        assert!(described.contains(&line), "no {line:?} in {described}");
    }
    Ok(())
}

/// What the programs have said so far.
struct Run {
    sender: Sender<(String, String)>,
    told: Receiver<(String, String)>,
    /// By member.
    owned: BTreeMap<String, BTreeSet<i64>>,
    /// By value: partition and offset.
    acknowledged: BTreeMap<String, (i64, i64)>,
    read: BTreeMap<String, (i64, i64)>,
    /// By partition: the next offset.
    committed: BTreeMap<i64, i64>,
    /// By the producer in the end: how many it sent, and how many of them were acknowledged.
    sent: Option<(usize, usize)>,
    shut_down: usize,
}

impl Run {
    fn new() -> Self {
        let (sender, told) = channel();
        Self {
            sender,
            told,
            owned: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            read: BTreeMap::new(),
            committed: BTreeMap::new(),
            sent: None,
            shut_down: 0,
        }
    }

    fn start(
        &self,
        bench: &Bench,
        name: &str,
        class: &str,
        arguments: &[&str],
    ) -> Result<Jvm, Absent> {
        let server = ["--bootstrap-server", bench.broker.bootstrap()];
        let arguments = [&server[..], arguments].concat();
        let class = format!("org.apache.kafka.tools.{class}");
        let program = Program {
            suite: "Kafka's verifiable clients",
            name,
            heap: "128m",
            class: &class,
            input: "",
        };
        Jvm::start(&program, &arguments, Some(&self.sender))
    }

    /// By partition: the end of what was acknowledged.
    fn ends(&self) -> BTreeMap<i64, i64> {
        let mut ends = BTreeMap::new();
        for &(partition, offset) in self.acknowledged.values() {
            let end = ends.entry(partition).or_default();
            *end = (offset + 1).max(*end);
        }
        ends
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !done(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((name, line)) = self.told.recv_timeout(left) else {
                panic!(
                    "never came to pass: {what}\nowned {:?}, acknowledged {}, read {}, committed {:?}",
                    self.owned,
                    self.acknowledged.len(),
                    self.read.len(),
                    self.committed
                );
            };
            // Between its events a program may log.
            if let Ok(event) = serde_json::from_str(&line) {
                self.on_event(&name, &event);
            }
        }
    }

    fn on_event(&mut self, name: &str, event: &Value) {
        let number = |key: &str| event[key].as_i64().expect("a number");
        let count = |key: &str| usize::try_from(number(key)).expect("a count");
        let placed = || {
            let value = event["value"].as_str().expect("a text").to_owned();
            (value, (number("partition"), number("offset")))
        };
        let partitions = || {
            let partitions = event["partitions"].as_array().expect("a list").iter();
            partitions.map(|one| one["partition"].as_i64().expect("a number"))
        };
        match event["name"].as_str().expect("every event has one") {
            "partitions_assigned" => {
                let owned = self.owned.entry(name.to_owned()).or_default();
                owned.extend(partitions());
            }
            "partitions_revoked" => {
                let owned = self.owned.entry(name.to_owned()).or_default();
                partitions().for_each(|partition| {
                    owned.remove(&partition);
                });
            }
            "producer_send_success" => {
                let (value, place) = placed();
                let before = self.acknowledged.insert(value, place);
                assert_eq!(before, None, "acknowledged twice: {event}");
            }
            "producer_send_error" => panic!("{name}: {event}"),
            "record_data" => {
                let (value, place) = placed();
                let before = self.read.insert(value, place);
                assert_eq!(before, None, "read twice: {event}");
            }
            "offsets_committed" => {
                assert_eq!(event["success"], true, "{name}: {event}");
                for one in event["offsets"].as_array().expect("a list") {
                    let number = |key: &str| one[key].as_i64().expect("a number");
                    self.committed.insert(number("partition"), number("offset"));
                }
            }
            "tool_data" => self.sent = Some((count("sent"), count("acked"))),
            // The producer says so too, and then what it did.
            "shutdown_complete" if MEMBERS.contains(&name) => self.shut_down += 1,
            _ => {}
        }
    }
}
