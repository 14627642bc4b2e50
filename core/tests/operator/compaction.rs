//! Compacted topics: each key's last value stays, at its offset; tombstones go when their time is over; a kill -9 changes nothing of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rinka_storage::record::Records;
use rinka_storage::record_batch::{RecordBatchBuilder, RecordBatchHeader, unpack, verify_crc};

use crate::metrics::{get, value};
use crate::support::admin::create_topic;
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::wire::Connection;
use crate::{eventually, settings};

const TOPIC: &str = "table";
const KEYS: usize = 40;

/// A second for tombstones, and segments as small as Kafka allows.
const CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "1000"),
];

fn quick() -> BrokerSettings {
    settings()
        .with("log.cleaner.backoff.ms", "50")
        .with("log.segment.delete.delay.ms", "0")
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("for a while yet")
}

/// What a reader of the topic should know: key, offset, and the value's first bytes (none: a tombstone).
type Table = BTreeMap<String, (i64, Option<String>)>;

struct Writer {
    connection: Connection,
    producer: i64,
    sequence: i32,
    rounds: usize,
    sent: Table,
    end: i64,
}

impl Writer {
    fn new(broker: &Broker) -> Self {
        let mut connection = Connection::open(broker.bootstrap());
        let producer = connection.producer_id();
        Self {
            connection,
            producer,
            sequence: 0,
            rounds: 0,
            sent: Table::new(),
            end: 0,
        }
    }

    fn send(&mut self, records: &[(String, Option<String>)]) {
        let mut builder = RecordBatchBuilder::new().producer(self.producer, 0, self.sequence);
        for (number, (key, value)) in records.iter().enumerate() {
            // Three kilobytes that no codec was asked to make smaller.
            let value = value
                .as_ref()
                .map(|value| format!("{value}{}", "x".repeat(3000)));
            builder.append(
                now(),
                Some(key.as_bytes()),
                value.as_ref().map(String::as_bytes),
            );
            let offset = self.end + number as i64;
            self.sent
                .insert(key.clone(), (offset, records[number].1.clone()));
        }
        let base = self.connection.produce(TOPIC, 0, builder.build());
        assert_eq!(
            base, self.end,
            "offsets follow each other whatever compaction does"
        );
        self.end += records.len() as i64;
        self.sequence += i32::try_from(records.len()).expect("few records");
    }

    /// Every key again, and so about a third of a segment.
    fn round(&mut self) {
        self.rounds += 1;
        for chunk in (0..KEYS).collect::<Vec<_>>().chunks(8) {
            let record = |key: &usize| (format!("key-{key}"), Some(format!("{}:", self.rounds)));
            let records: Vec<_> = chunk.iter().map(record).collect();
            self.send(&records);
        }
    }
}

/// Reads the topic from its beginning: what a reader knows at the end, all offsets, and the number of batches without a record.
fn read(broker: &Broker, end: i64) -> (Table, BTreeSet<i64>, usize) {
    let mut connection = Connection::open(broker.bootstrap());
    let mut table = Table::new();
    let mut offsets = BTreeSet::new();
    let mut empty = 0;
    let mut next = 0;
    while next < end {
        let batches: Bytes = connection.fetch(TOPIC, 0, next);
        let mut rest = &batches[..];
        assert!(!rest.is_empty(), "nothing at {next} of {end}");
        while let Ok(header) = RecordBatchHeader::parse(rest)
            && header.size_in_bytes() <= rest.len()
        {
            let (batch, behind) = rest.split_at(header.size_in_bytes());
            rest = behind;
            verify_crc(batch).expect("a sum that holds");
            assert!(header.end_offset().0 > next, "batches come in order");
            next = header.end_offset().0;
            empty += usize::from(header.record_count == 0);
            let body = unpack(batch, &header).expect("unpacked");
            for record in Records::new(&body, header.record_count) {
                let record = record.expect("whole");
                let offset = header.base_offset.0 + i64::from(record.offset_delta);
                assert!(offsets.insert(offset), "offset {offset} twice");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let value = record
                    .value
                    .map(|value| text(value).trim_end_matches('x').to_owned());
                table.insert(text(record.key.expect("a key")), (offset, value));
            }
        }
    }
    (table, offsets, empty)
}

fn counter(broker: &Broker, name: &str) -> f64 {
    value(&get(broker, "/metrics").1, name, &[])
}

/// Waits until compaction has gone over the topic once more, from its beginning.
fn wait_for_compaction(broker: &Broker, writer: &mut Writer) {
    let before = counter(broker, "rinka_compacted_logs_total");
    // Something new must be in a segment that is closed.
    for _ in 0..12 {
        writer.round();
    }
    eventually("compaction has done another run", || {
        counter(broker, "rinka_compacted_logs_total") > before
    });
    // A run that began before the last of them may have been the one.
    eventually("nothing that could be compacted is dirty", || {
        counter(broker, "kafka_log_logcleanermanager_max_dirty_percent") == 0.0
    });
}

fn check(broker: &Broker, writer: &Writer, gone: &[&str]) -> BTreeSet<i64> {
    let (table, offsets, _) = read(broker, writer.end);
    let mut expected = writer.sent.clone();
    for key in gone {
        let (_, value) = expected.remove(*key).expect("it was sent");
        assert_eq!(value, None, "only a tombstone may go");
        assert!(
            !table.contains_key(*key),
            "{key} is back: {:?}",
            table[*key]
        );
    }
    let mut found = table;
    found.retain(|key, _| expected.contains_key(key));
    assert_eq!(found, expected, "the last value of each key, at its offset");
    offsets
}

#[test]
fn the_last_value_of_each_key_stays_and_tombstones_go_in_time() {
    let mut broker = Broker::start(quick());
    create_topic(broker.bootstrap(), TOPIC, 1, CONFIGS);
    let mut writer = Writer::new(&broker);
    writer.send(&[("once".to_owned(), Some("stays".to_owned()))]);
    writer.send(&[("deleted".to_owned(), Some("old".to_owned()))]);
    writer.send(&[("deleted".to_owned(), None)]);
    wait_for_compaction(&broker, &mut writer);
    let offsets = check(&broker, &writer, &[]);
    assert!(offsets.contains(&0), "a key that is alone keeps its record");
    assert!(!offsets.contains(&1), "what a tombstone replaced is gone");
    assert!(
        (offsets.len() as i64) < writer.end / 2,
        "old values are gone"
    );
    let saved = counter(&broker, "rinka_compaction_replaced_bytes_total")
        - counter(&broker, "rinka_compaction_kept_bytes_total");
    assert!(saved > 5e5, "{saved} bytes saved");
    let uncleanable = "kafka_log_logcleanermanager_uncleanable_partitions_count";
    assert_eq!(counter(&broker, uncleanable), 0.0);
    // Its time counts from the run that first saw it.
    eventually("the tombstone is gone", || {
        wait_for_compaction(&broker, &mut writer);
        !read(&broker, writer.end).0.contains_key("deleted")
    });
    let offsets = check(&broker, &writer, &["deleted"]);
    // The same, when the process is killed: nothing that was deleted is back, whatever the journal holds.
    broker.kill9();
    broker.start_again();
    let after = check(&broker, &writer, &["deleted"]);
    assert!(
        after.is_subset(&offsets),
        "compaction goes on, and brings nothing back"
    );
    writer.connection = Connection::open(broker.bootstrap());
    wait_for_compaction(&broker, &mut writer);
    check(&broker, &writer, &["deleted"]);
    broker.terminate();
    broker.start_again();
    check(&broker, &writer, &["deleted"]);
    eventually("the old files are gone", || {
        let files = broker
            .directories_of(TOPIC)
            .into_iter()
            .flat_map(|directory| {
                let entries = std::fs::read_dir(directory).into_iter().flatten();
                entries
                    .flatten()
                    .filter_map(|file| Some(file.metadata().ok()?.len()))
            });
        files.sum::<u64>() < 4 << 20
    });
    let found = std::process::Command::new(env!("CARGO_BIN_EXE_rinka"));
    doctor_finds_nothing(found, &mut broker);
}

/// `rinka doctor` walks over compacted segments too.
fn doctor_finds_nothing(mut doctor: std::process::Command, broker: &mut Broker) {
    broker.kill9();
    doctor.args(["doctor", "--data"]).arg(broker.directory());
    let output = doctor.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}

#[test]
fn retention_works_on_top_and_a_deleted_topic_goes_while_it_is_compacted() {
    let broker = Broker::start(
        quick()
            .with("log.retention.check.interval.ms", "100")
            .with("log.cleaner.io.max.bytes.per.second", "20000000"),
    );
    let configs: Vec<_> = CONFIGS
        .iter()
        .map(|&(key, value)| match key {
            "cleanup.policy" => (key, "compact,delete"),
            _ => (key, value),
        })
        .chain([("retention.bytes", "3000000")])
        .collect();
    create_topic(broker.bootstrap(), TOPIC, 1, &configs);
    let mut writer = Writer::new(&broker);
    // Keys that never come again: compaction keeps all of them, and retention does not.
    for round in 0..190 {
        let record = |number| {
            let key = format!("unique-{round}-{number}");
            (key, Some("value".to_owned()))
        };
        writer.send(&(0..8).map(record).collect::<Vec<_>>());
    }
    let size = || {
        let name = "kafka_log_log_size";
        value(&get(&broker, "/metrics").1, name, &["topic=\"table\""])
    };
    eventually("retention has taken the oldest", || size() < 4.2e6);
    let end = writer.end;
    let tail = writer.connection.fetch(TOPIC, 0, end - 1);
    assert!(!tail.is_empty(), "the newest is there");
    writer.connection.delete_topic(TOPIC);
    eventually("the directory is gone", || {
        broker.directories_of(TOPIC).is_empty()
    });
    create_topic(broker.bootstrap(), TOPIC, 1, &configs);
    let mut again = Writer::new(&broker);
    wait_for_compaction(&broker, &mut again);
    check(&broker, &again, &[]);
}
