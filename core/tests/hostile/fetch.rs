//! Rows 38-42: fetches that ask for everything, for ever, or as somebody else.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rinka_net::wire::fetch::{FetchRequest, FetchResponse};
use rinka_net::wire::produce::{PartitionProduceData, ProduceResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Records};
use rinka_storage::record_batch::RecordBatchBuilder;

use crate::support::admin::create_topic;
use crate::well_behaved::{TOPIC, fetch_request, now_ms, produce_request};
use crate::{Row, Stage, row};

/// `fetch.max.bytes`.
const RESPONSE_BYTES_MAX: usize = 55 << 20;

pub(crate) const ROWS: &[Row] = &[
    row(
        38,
        "max_bytes of 2^31-1 for ten thousand partitions",
        |stage| {
            let partitions = 100;
            large_topic(&stage.bootstrap, "large", partitions);
            let mut peer = stage.connect();
            let mut request = everything("large", partitions);
            let mut response = FetchResponse::default();
            let memory = stage.peak_mib(|| response = peer.ask(ApiKey::Fetch, 11, &request));
            memory.assert_grew_less_than(128);
            let bytes = record_bytes(&response);
            // The batch that crosses the line is the last one.
            assert!(bytes <= RESPONSE_BYTES_MAX + (1 << 20), "{bytes} bytes");
            assert!(bytes > 30 << 20, "only {bytes} bytes of 100 MB");
            // Most of them do not exist, and each says so.
            let one = request.topics[0].partitions[0].clone();
            request.topics[0].partitions = (1_000..11_000)
                .map(|partition| {
                    let mut one = one.clone();
                    one.partition = partition;
                    one
                })
                .collect();
            let response: FetchResponse = peer.ask(ApiKey::Fetch, 11, &request);
            let partitions = &response.responses[0].partitions;
            assert_eq!(partitions.len(), 10_000);
            let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            assert!(
                partitions
                    .iter()
                    .all(|partition| partition.error_code == unknown)
            );
        },
    ),
    row(39, "min_bytes of 2^31-1 and a wait of 24 days", |stage| {
        let request = FetchRequest {
            min_bytes: i32::MAX,
            max_wait_ms: i32::MAX,
            ..fetch_request(TOPIC, &[(0, 0)])
        };
        // Ten peers wait, and then do not: what they held is free, since the next rows go on.
        for _ in 0..10 {
            let mut peer = stage.connect();
            peer.send_request(ApiKey::Fetch, 11, &request);
            peer.expect_silence(Duration::from_millis(100));
        }
        let mut peer = stage.connect();
        let began = Instant::now();
        let response: FetchResponse = peer.ask(ApiKey::Fetch, 11, &request);
        assert_eq!(
            response.responses[0].partitions[0].error_code,
            ErrorCode::NONE
        );
        let waited = began.elapsed();
        assert!(
            waited > Duration::from_secs(25),
            "nobody had 2 GiB: {waited:?}"
        );
        assert!(
            waited < Duration::from_secs(40),
            "a wait of 30 s is the longest: {waited:?}"
        );
    }),
    row(40, "a fetch as a replica", |stage| {
        for (version, replica_id) in [(11, 0), (11, 1), (14, 7), (15, 2)] {
            let mut request = fetch_request(TOPIC, &[(0, 0)]);
            if version < 15 {
                request.replica_id = replica_id;
            } else {
                request.replica_state.replica_id = replica_id;
            }
            if version > 12 {
                request.topics[0].topic_id = topic_id(stage);
            }
            let response: FetchResponse = stage.connect().ask(ApiKey::Fetch, version, &request);
            let partition = &response.responses[0].partitions[0];
            assert_eq!(partition.error_code, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
            assert!(partition.records.is_empty());
        }
    }),
    row(
        41,
        "offsets before the first and behind the last",
        |stage| {
            for offset in [-5, -1, i64::MIN, 1_000_000, i64::MAX] {
                let request = fetch_request(TOPIC, &[(0, offset)]);
                let response: FetchResponse = stage.connect().ask(ApiKey::Fetch, 11, &request);
                let code = response.responses[0].partitions[0].error_code;
                assert_eq!(code, ErrorCode::OFFSET_OUT_OF_RANGE, "offset {offset}");
            }
        },
    ),
    row(
        42,
        "sessions that nobody began, epochs out of order, more sessions than there may be",
        |stage| {
            let mut peer = stage.connect();
            let mut ask = |session_id, session_epoch| -> FetchResponse {
                let request = FetchRequest {
                    session_id,
                    session_epoch,
                    max_wait_ms: 0,
                    ..fetch_request(TOPIC, &[(0, 0)])
                };
                peer.ask(ApiKey::Fetch, 11, &request)
            };
            let unknown = ask(4_242, 1);
            assert_eq!(unknown.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
            let mine = ask(0, 0).session_id;
            assert_ne!(mine, 0, "a session began");
            let skipped = ask(mine, 7);
            assert_eq!(skipped.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
            // The default of max.incremental.fetch.session.cache.slots; all on one connection, and so on one shard.
            let granted = (0..1_200).filter(|_| ask(0, 0).session_id != 0).count();
            assert!((900..=1_000).contains(&granted), "{granted} sessions");
        },
    ),
];

/// A topic of that many batches of a megabyte, one in each partition.
pub(crate) fn large_topic(bootstrap: &str, topic: &str, partitions: i32) {
    create_topic(bootstrap, topic, partitions, &[]);
    let mut batch = RecordBatchBuilder::new();
    batch.append(now_ms(), None, Some(&vec![7; 1_000_000]));
    let batch = batch.build();
    let mut peer = crate::peer::Peer::connect(bootstrap);
    let all: Vec<i32> = (0..partitions).collect();
    for some in all.chunks(10) {
        let mut request = produce_request(topic, 0, None, -1);
        request.topic_data[0].partition_data = some
            .iter()
            .map(|&index| PartitionProduceData {
                index,
                records: Records(Some(vec![Bytes::clone(&batch)])),
            })
            .collect();
        let response: ProduceResponse = peer.ask(ApiKey::Produce, 9, &request);
        let partitions = &response.responses[0].partition_responses;
        assert!(
            partitions
                .iter()
                .all(|partition| partition.error_code == ErrorCode::NONE)
        );
    }
}

/// Of all partitions, without any limit.
pub(crate) fn everything(topic: &str, partitions: i32) -> FetchRequest {
    let places: Vec<(i32, i64)> = (0..partitions).map(|partition| (partition, 0)).collect();
    let mut request = FetchRequest {
        max_bytes: i32::MAX,
        ..fetch_request(topic, &places)
    };
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = i32::MAX;
    }
    request
}

pub(crate) fn record_bytes(response: &FetchResponse) -> usize {
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.records.len()).sum()
}

fn topic_id(stage: &Stage) -> uuid::Uuid {
    use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(TOPIC.into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let response: MetadataResponse = stage.connect().ask(ApiKey::Metadata, 12, &request);
    response.topics[0].topic_id
}
