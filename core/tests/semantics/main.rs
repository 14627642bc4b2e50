//! Kafka's semantics, one test an item of the list of fine print that the broker is held to (the number in a test's name).
//!
//! - `cargo test -p rinka-core --test semantics`
//! - The control: `RINKA_TEST_BOOTSTRAP=host:port cargo test -p rinka-core --test semantics` holds a broker that runs already to the
//!   same. Apache Kafka 4.3.0, started by `perf/kafka/start --data DIR --port PORT`, passes all of it (item 28 is skipped there, since it
//!   restarts the broker).

mod acls;
mod configs;
mod fetch;
mod groups;
mod offsets;
mod partitions;
mod produce;
mod quorum;
mod quotas;
#[path = "../support/mod.rs"]
mod support;
mod topics;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rinka_net::wire::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use rinka_net::wire::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use rinka_net::wire::{ApiKey, Records, Text};
use rinka_storage::compression::Codec;
use rinka_storage::record_batch::RecordBatchBuilder;
use support::admin::create_topic;
use support::broker::{Broker, BrokerSettings};
use support::wire::Connection;

/// A broker, a connection to it, and a topic with one partition.
struct Bench {
    broker: Broker,
    connection: Connection,
    topic: String,
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("for a while yet")
}

/// A name that no test and no earlier run has used.
fn fresh_name(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{kind}-{}-{}", now(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Bench {
    fn new(configs: &[(&str, &str)]) -> Self {
        let broker = Broker::start(BrokerSettings::new("node"));
        let topic = fresh_name("semantics");
        create_topic(broker.bootstrap(), &topic, 1, configs);
        let connection = Connection::open(broker.bootstrap());
        let mut bench = Self {
            broker,
            connection,
            topic,
        };
        // Kafka answers the creation before its partition has a leader everywhere.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while bench.fetch_at(0, 1 << 20).error_code.is_error() {
            assert!(std::time::Instant::now() < deadline, "no leader in time");
        }
        bench
    }

    fn produce_request(&self, acks: i16, records: Option<Bytes>) -> ProduceRequest {
        ProduceRequest {
            acks,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: Text::from(self.topic.clone()),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Records(records.map(|bytes| vec![bytes])),
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn produce_with(
        &mut self,
        version: i16,
        acks: i16,
        records: Bytes,
    ) -> PartitionProduceResponse {
        let request = self.produce_request(acks, Some(records));
        let mut response: ProduceResponse =
            self.connection.call(ApiKey::Produce, version, &request);
        response.responses.remove(0).partition_responses.remove(0)
    }

    fn produce(&mut self, records: Bytes) -> PartitionProduceResponse {
        self.produce_with(9, -1, records)
    }

    fn fetch_request(&self, offset: i64, bytes_max: i32) -> FetchRequest {
        FetchRequest {
            max_bytes: bytes_max,
            topics: vec![FetchTopic {
                topic: Text::from(self.topic.clone()),
                partitions: vec![FetchPartition {
                    fetch_offset: offset,
                    partition_max_bytes: bytes_max,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn fetch(&mut self, request: &FetchRequest) -> FetchResponse {
        self.connection.call(ApiKey::Fetch, 12, request)
    }

    fn fetch_at(&mut self, offset: i64, bytes_max: i32) -> PartitionData {
        let request = self.fetch_request(offset, bytes_max);
        let mut response = self.fetch(&request);
        response.responses.remove(0).partitions.remove(0)
    }
}

/// Asks until the answer is as wanted: Kafka answers a change before every part of it knows, and tells nobody when they do.
fn eventually<T>(mut ask: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let answer = ask();
        if wanted(&answer) || std::time::Instant::now() > deadline {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn records_of(data: &PartitionData) -> Bytes {
    Bytes::from(data.records.0.clone().unwrap_or_default().concat())
}

/// A batch of records with these timestamps, packed so.
fn batch_at(codec: Codec, timestamps: &[i64]) -> Bytes {
    let mut builder = RecordBatchBuilder::new().codec(codec);
    for timestamp in timestamps {
        builder.append(*timestamp, Some(b"key"), Some(b"value"));
    }
    builder.build()
}

fn batch(records: usize) -> Bytes {
    batch_at(Codec::None, &vec![now(); records])
}

/// Changes bytes of a batch and makes its sum hold again.
fn changed(batch: &[u8], at: usize, bytes: &[u8]) -> Bytes {
    let mut batch = batch.to_vec();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let sum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
    Bytes::from(batch)
}
