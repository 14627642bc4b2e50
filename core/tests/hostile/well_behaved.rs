//! A client that does everything right, on a connection of its own: whatever strangers do, it must not notice.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rinka_net::wire::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use rinka_net::wire::{ApiKey, ErrorCode, Records};
use rinka_storage::record_batch::{RecordBatchBuilder, verify_crc};

use crate::peer::Peer;
use crate::support::admin::create_topic;

pub(crate) const TOPIC: &str = "well-behaved";
/// Both shards own some of them.
const PARTITIONS: i32 = 4;

pub(crate) struct WellBehaved {
    peer: Peer,
    partition: i32,
    /// This one and no other.
    only: Option<i32>,
}

impl WellBehaved {
    /// With its topic.
    pub(crate) fn new(bootstrap: &str) -> Self {
        create_topic(bootstrap, TOPIC, PARTITIONS, &[]);
        Self::connect(bootstrap)
    }

    pub(crate) fn connect(bootstrap: &str) -> Self {
        Self {
            peer: Peer::connect(bootstrap),
            partition: 0,
            only: None,
        }
    }

    /// Keeps to one partition.
    pub(crate) fn only(mut self, partition: i32) -> Self {
        self.only = Some(partition);
        self
    }

    /// Asks for metadata, produces a record with acks=all, and fetches it.
    pub(crate) fn round_trip(&mut self) {
        self.metadata();
        for _ in 0..PARTITIONS {
            let offset = self.produce();
            let value = self.fetch(offset);
            assert_eq!(verify_crc(&value).expect("a batch").base_offset.0, offset);
        }
    }

    /// How long one metadata request and one produce take.
    pub(crate) fn timed(&mut self) -> Duration {
        let began = Instant::now();
        self.metadata();
        self.produce();
        began.elapsed()
    }

    fn metadata(&mut self) {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(TOPIC.into()),
                ..Default::default()
            }]),
            ..Default::default()
        };
        let response: MetadataResponse = self.peer.ask(ApiKey::Metadata, 12, &request);
        assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
        assert_eq!(response.topics[0].partitions.len(), PARTITIONS as usize);
    }

    fn produce(&mut self) -> i64 {
        self.partition = self.only.unwrap_or((self.partition + 1) % PARTITIONS);
        let mut batch = RecordBatchBuilder::new();
        batch.append(now_ms(), Some(b"key"), Some(b"value"));
        let request = produce_request(TOPIC, self.partition, Some(batch.build()), -1);
        let response: ProduceResponse = self.peer.ask(ApiKey::Produce, 9, &request);
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::NONE);
        partition.base_offset
    }

    fn fetch(&mut self, offset: i64) -> Bytes {
        let request = fetch_request(TOPIC, &[(self.partition, offset)]);
        let mut response: FetchResponse = self.peer.ask(ApiKey::Fetch, 11, &request);
        let partition = &mut response.responses[0].partitions[0];
        assert_eq!(partition.error_code, ErrorCode::NONE);
        let records = partition.records.0.take().expect("records");
        Bytes::from(records.concat())
    }
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("a date")
}

pub(crate) fn produce_request(
    topic: &str,
    index: i32,
    records: Option<Bytes>,
    acks: i16,
) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.to_owned().into(),
            partition_data: vec![PartitionProduceData {
                index,
                records: Records(records.map(|batch| vec![batch])),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Of these partitions from these offsets on.
pub(crate) fn fetch_request(topic: &str, places: &[(i32, i64)]) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 1_000,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.to_owned().into(),
            partitions: places
                .iter()
                .map(|&(partition, fetch_offset)| FetchPartition {
                    partition,
                    fetch_offset,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
