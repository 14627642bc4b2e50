//! Any bytes as a request, for a bounded time on stable Rust: see `mutation`.

mod decode_request;
#[path = "../../../core/tests/support/mutation.rs"]
mod mutation;

use bytes::Bytes;
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic};
use rinka_net::wire::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use rinka_net::wire::{ApiKey, Field, Records, encode_request};

/// A header of each API at each version with a body of zeros, which many take, and three requests as clients send them.
fn good() -> Vec<Vec<u8>> {
    let mut good = Vec::new();
    for &api in ApiKey::ALL {
        for version in api.versions().min..=api.versions().max {
            let mut request = Vec::new();
            request.extend(api.number().to_be_bytes());
            request.extend(version.to_be_bytes());
            request.extend([0, 0, 0, 7, 0, 1, b'c', 0]);
            request.extend([0; 40]);
            good.push(request);
        }
    }
    let produce = ProduceRequest {
        acks: -1,
        topic_data: vec![TopicProduceData {
            name: "topic".into(),
            partition_data: vec![PartitionProduceData {
                index: 1,
                records: Records(Some(vec![Bytes::from_static(&[7; 61])])),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    all_versions(&mut good, ApiKey::Produce, &produce);
    let fetch = FetchRequest {
        topics: vec![FetchTopic {
            topic: "topic".into(),
            partitions: vec![FetchPartition::default(); 3],
            ..Default::default()
        }],
        forgotten_topics_data: vec![ForgottenTopic {
            topic: "forgotten".into(),
            partitions: vec![1, 2],
            ..Default::default()
        }],
        ..Default::default()
    };
    all_versions(&mut good, ApiKey::Fetch, &fetch);
    let metadata = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("topic".into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    all_versions(&mut good, ApiKey::Metadata, &metadata);
    good
}

fn all_versions(good: &mut Vec<Vec<u8>>, api: ApiKey, request: &impl Field) {
    for version in api.versions().min..=api.versions().max {
        let frame = encode_request(api, version, 7, Some(&"client".into()), request).concat();
        // Without its length: so it reaches the decoder.
        good.push(frame[4..].to_vec());
    }
}

#[test]
fn decode_request() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    mutation::fuzz("decode_request", folder, &good(), decode_request::check);
}
