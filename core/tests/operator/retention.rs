//! Retention, DeleteRecords and deleted topics: what goes, what stays, and that a kill -9 at any moment brings nothing back.

use rinka_net::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use rinka_storage::record_batch::RecordBatchHeader;

use crate::support::admin::create_topic;
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::wire::Connection;
use crate::{batch, eventually, settings};

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

fn quick() -> BrokerSettings {
    settings()
        .with("log.retention.check.interval.ms", "200")
        .with("log.segment.delete.delay.ms", "0")
}

fn offset(connection: &mut Connection, topic: &str, timestamp: i64) -> i64 {
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: Text::from(topic.to_owned()),
            partitions: vec![ListOffsetsPartition {
                current_leader_epoch: -1,
                timestamp,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let response: ListOffsetsResponse = connection.call(ApiKey::ListOffsets, 5, &request);
    let answer = &response.topics[0].partitions[0];
    assert_eq!(answer.error_code, ErrorCode::NONE, "{topic}");
    answer.offset
}

/// Reads all there is and says how many records that were; their offsets have no gap.
fn read_all(connection: &mut Connection, topic: &str) -> i64 {
    let start = offset(connection, topic, EARLIEST);
    let end = offset(connection, topic, LATEST);
    let mut next = start;
    while next < end {
        let batches = connection.fetch(topic, 0, next);
        let mut rest = &batches[..];
        assert!(!rest.is_empty(), "nothing at {next} of {end}");
        while let Ok(header) = RecordBatchHeader::parse(rest)
            && header.size_in_bytes() <= rest.len()
        {
            assert!(header.base_offset.0 <= next && next < header.end_offset().0);
            next = header.end_offset().0;
            rest = &rest[header.size_in_bytes()..];
        }
    }
    end - start
}

/// Bytes of the topic's files, those that wait for their end included.
fn bytes_on_disk(broker: &Broker, topic: &str) -> u64 {
    let files = broker
        .directories_of(topic)
        .into_iter()
        .flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten());
    files
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

#[test]
fn old_segments_go_and_the_rest_is_read() {
    let mut broker = Broker::start(quick());
    let megabyte = &[("segment.bytes", "1048576"), ("retention.bytes", "3000000")];
    create_topic(broker.bootstrap(), "short", 1, megabyte);
    let mut connection = Connection::open(broker.bootstrap());
    for round in 0..200 {
        // Small batches by the journal, large ones past it.
        let records = if round % 10 == 0 { 20 } else { 5 };
        connection.produce("short", 0, batch(records, &[b'x'; 10_000]));
    }
    let end = offset(&mut connection, "short", LATEST);
    eventually("retention moved the start", || {
        offset(&mut connection, "short", EARLIEST) > end / 2
    });
    eventually("the space came back", || {
        bytes_on_disk(&broker, "short") < 5_000_000
    });
    let start = offset(&mut connection, "short", EARLIEST);
    assert_eq!(read_all(&mut connection, "short"), end - start);
    // The journal still holds batches of segments that are gone.
    broker.kill9();
    broker.start_again();
    let mut connection = Connection::open(broker.bootstrap());
    assert!(offset(&mut connection, "short", EARLIEST) >= start);
    assert_eq!(offset(&mut connection, "short", LATEST), end);
    assert_eq!(connection.produce("short", 0, batch(1, b"more")), end);
    assert!(read_all(&mut connection, "short") > 0);
    broker.terminate();
    broker.start_again();
    let mut connection = Connection::open(broker.bootstrap());
    assert!(offset(&mut connection, "short", EARLIEST) >= start);
    assert_eq!(offset(&mut connection, "short", LATEST), end + 1);
}

#[test]
fn records_that_are_too_old_go_all_of_them() {
    let broker = Broker::start(quick());
    let brief = &[("retention.ms", "1000")];
    create_topic(broker.bootstrap(), "brief", 1, brief);
    create_topic(
        broker.bootstrap(),
        "kept",
        1,
        &[("cleanup.policy", "compact"), brief[0]],
    );
    let mut connection = Connection::open(broker.bootstrap());
    connection.produce("brief", 0, batch(10, b"value"));
    let mut keyed = rinka_storage::record_batch::RecordBatchBuilder::new();
    keyed.append(1000, Some(b"key"), Some(b"value"));
    connection.produce("kept", 0, keyed.build());
    eventually("all of it is too old", || {
        offset(&mut connection, "brief", EARLIEST) == 10
    });
    // A compacted topic keeps what is old.
    assert_eq!(offset(&mut connection, "kept", EARLIEST), 0);
    assert_eq!(connection.produce("brief", 0, batch(1, b"value")), 10);
}

#[test]
fn deleted_records_stay_deleted_after_a_kill() {
    let mut broker = Broker::start(quick());
    create_topic(broker.bootstrap(), "cut", 1, &[]);
    let mut connection = Connection::open(broker.bootstrap());
    for round in 1..=20 {
        connection.produce("cut", 0, batch(10, b"value"));
        connection.delete_records("cut", 0, round * 5);
        broker.kill9();
        broker.start_again();
        connection = Connection::open(broker.bootstrap());
        assert_eq!(offset(&mut connection, "cut", EARLIEST), round * 5);
        assert_eq!(read_all(&mut connection, "cut"), round * 5);
    }
    // -1: all that is committed.
    connection.delete_records("cut", 0, -1);
    assert_eq!(offset(&mut connection, "cut", EARLIEST), 200);
}

#[test]
fn a_deleted_topic_gives_its_space_back_after_the_delay() {
    let broker = Broker::start(settings());
    let delay = &[("file.delete.delay.ms", "1500")];
    create_topic(broker.bootstrap(), "gone", 1, delay);
    let mut connection = Connection::open(broker.bootstrap());
    connection.produce("gone", 0, batch(20, &[b'x'; 10_000]));
    eventually("it has a file", || bytes_on_disk(&broker, "gone") > 200_000);
    let before: Vec<_> = broker.directories_of("gone");
    assert_eq!(before.len(), 1);
    let deleted = std::time::Instant::now();
    connection.delete_topic("gone");
    // Out of the way at once, under another name, and gone later.
    eventually("it is out of the way", || {
        broker.directories_of("gone").is_empty()
    });
    let moved = || {
        let entries = std::fs::read_dir(broker.directory())
            .expect("it is there")
            .flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().ends_with("-delete"))
            .count()
    };
    assert!(moved() == 1 || deleted.elapsed().as_millis() >= 1500);
    eventually("it is gone", || moved() == 0);
    assert!(
        deleted.elapsed().as_millis() >= 1500,
        "file.delete.delay.ms was not waited for"
    );
}
