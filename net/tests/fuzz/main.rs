//! Any bytes as a request, for a bounded time on stable Rust: see `mutation`.

mod decode_request;
#[path = "../../../core/tests/support/mutation.rs"]
mod mutation;

use bytes::Bytes;
use rinka_net::wire::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use rinka_net::wire::consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use rinka_net::wire::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use rinka_net::wire::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic};
use rinka_net::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use rinka_net::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};
use rinka_net::wire::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use rinka_net::wire::{ApiKey, Field, Records, encode_request};

/// A header of each API at each version with a body of zeros, which many take, and some requests as clients send them.
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
    groups(&mut good);
    administration(&mut good);
    good
}

fn groups(good: &mut Vec<Vec<u8>>) {
    let join_group = JoinGroupRequest {
        group_id: "group".into(),
        session_timeout_ms: 45_000,
        group_instance_id: Some("instance".into()),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(&[7; 20]),
        }],
        ..Default::default()
    };
    all_versions(good, ApiKey::JoinGroup, &join_group);
    let offset_commit = OffsetCommitRequest {
        group_id: "group".into(),
        topics: vec![OffsetCommitRequestTopic {
            name: "topic".into(),
            partitions: vec![OffsetCommitRequestPartition::default(); 3],
            ..Default::default()
        }],
        ..Default::default()
    };
    all_versions(good, ApiKey::OffsetCommit, &offset_commit);
    let topics = Some(vec![OffsetFetchRequestTopic {
        name: "topic".into(),
        partition_indexes: vec![0, 1],
        ..Default::default()
    }]);
    let offset_fetch = OffsetFetchRequest {
        group_id: "group".into(),
        topics: topics.clone(),
        groups: vec![OffsetFetchRequestGroup {
            group_id: "group".into(),
            topics,
            ..Default::default()
        }],
        ..Default::default()
    };
    all_versions(good, ApiKey::OffsetFetch, &offset_fetch);
    let heartbeat = ConsumerGroupHeartbeatRequest {
        group_id: "group".into(),
        subscribed_topic_names: Some(vec!["topic".into()]),
        topic_partitions: Some(vec![TopicPartitions {
            partitions: vec![0, 1],
            ..Default::default()
        }]),
        ..Default::default()
    };
    all_versions(good, ApiKey::ConsumerGroupHeartbeat, &heartbeat);
}

fn administration(good: &mut Vec<Vec<u8>>) {
    let describe = DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest {
            name: "topic".into(),
        }],
        cursor: Some(Cursor {
            topic_name: "topic".into(),
            partition_index: 1,
        }),
        ..Default::default()
    };
    all_versions(good, ApiKey::DescribeTopicPartitions, &describe);
    let quotas = AlterClientQuotasRequest {
        entries: vec![EntryData {
            entity: vec![EntityData {
                entity_type: "user".into(),
                entity_name: None,
            }],
            ops: vec![OpData {
                key: "producer_byte_rate".into(),
                value: 1e6,
                remove: false,
            }],
        }],
        ..Default::default()
    };
    all_versions(good, ApiKey::AlterClientQuotas, &quotas);
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
