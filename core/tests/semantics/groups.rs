//! Items 49 and 55-59: groups and their offsets, and who may write to the topic they are kept in.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use rinka_net::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use rinka_net::wire::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rinka_net::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use rinka_net::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
};

use super::*;

const OFFSETS: &str = "__consumer_offsets";

/// Waits until the group has a coordinator that answers.
fn with_coordinator(bench: &mut Bench, group: &str) {
    let request = FindCoordinatorRequest {
        key: Text::from(group.to_owned()),
        ..Default::default()
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let found: FindCoordinatorResponse =
            bench.connection.call(ApiKey::FindCoordinator, 3, &request);
        let fetched = fetch(bench, group, &[]).error_code;
        if !found.error_code.is_error() && !fetched.is_error() {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "no coordinator: {}, {fetched}",
            found.error_code
        );
    }
}

/// One offset for each partition that is named.
fn commit(
    bench: &mut Bench,
    group: &str,
    (generation, member_id): (i32, &str),
    topics: &[(&str, &[i32])],
    metadata: &str,
) -> Vec<ErrorCode> {
    let topics = topics.iter().map(|(name, partitions)| {
        let partitions = partitions.iter();
        OffsetCommitRequestTopic {
            name: Text::from((*name).to_owned()),
            partitions: partitions
                .map(|&partition_index| OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: 7,
                    committed_metadata: Some(Text::from(metadata.to_owned())),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }
    });
    let request = OffsetCommitRequest {
        group_id: Text::from(group.to_owned()),
        generation_id_or_member_epoch: generation,
        member_id: Text::from(member_id.to_owned()),
        topics: topics.collect(),
        ..Default::default()
    };
    let response: OffsetCommitResponse = bench.connection.call(ApiKey::OffsetCommit, 8, &request);
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error_code).collect()
}

fn fetch(bench: &mut Bench, group: &str, partitions: &[i32]) -> OffsetFetchResponse {
    let request = OffsetFetchRequest {
        group_id: Text::from(group.to_owned()),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: Text::from(bench.topic.clone()),
            partition_indexes: partitions.to_vec(),
            ..Default::default()
        }]),
        ..Default::default()
    };
    bench.connection.call(ApiKey::OffsetFetch, 7, &request)
}

#[test]
fn items_55_and_56_offsets_of_nobody_come_back_with_their_metadata() {
    let mut bench = Bench::new(&[]);
    let (group, topic) = (fresh_name("group"), bench.topic.clone());
    with_coordinator(&mut bench, &group);
    let nobody = (-1, "");
    let topics: &[(&str, &[i32])] = &[(&topic, &[0, 9]), ("absent", &[0])];
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(
        commit(&mut bench, &group, nobody, topics, "a note"),
        [ErrorCode::NONE, unknown, unknown]
    );
    let long = "m".repeat(4097);
    assert_eq!(
        commit(&mut bench, &group, nobody, &[(&topic, &[0])], &long),
        [ErrorCode::OFFSET_METADATA_TOO_LARGE]
    );
    // Of a group that has nobody, somebody is not taken for a member.
    assert_eq!(
        commit(&mut bench, &group, (3, "member"), &[(&topic, &[0])], ""),
        [ErrorCode::UNKNOWN_MEMBER_ID]
    );
    let fetched = fetch(&mut bench, &group, &[0, 1]);
    let partitions = &fetched.topics[0].partitions;
    let shown: Vec<_> = partitions
        .iter()
        .map(|p| (p.committed_offset, p.metadata.as_deref(), p.error_code))
        .collect();
    assert_eq!(
        shown,
        [
            (7, Some("a note"), ErrorCode::NONE),
            (-1, Some(""), ErrorCode::NONE)
        ]
    );
}

#[test]
fn item_49_a_member_without_an_id_is_told_one() {
    let mut bench = Bench::new(&[]);
    let group = fresh_name("group");
    with_coordinator(&mut bench, &group);
    let request = JoinGroupRequest {
        group_id: Text::from(group),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: Text::from("consumer"),
        protocols: vec![JoinGroupRequestProtocol {
            name: Text::from("range"),
            metadata: Bytes::from_static(b"\0\0\0\0\0\0\xFF\xFF\xFF\xFF"),
        }],
        ..Default::default()
    };
    let told: JoinGroupResponse = bench.connection.call(ApiKey::JoinGroup, 5, &request);
    assert_eq!(told.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(
        told.member_id.starts_with("rinka-tests-"),
        "{}",
        told.member_id
    );
    let request = JoinGroupRequest {
        member_id: told.member_id,
        ..request
    };
    // After group.initial.rebalance.delay.ms.
    let joined: JoinGroupResponse = bench.connection.call(ApiKey::JoinGroup, 5, &request);
    assert_eq!(
        (joined.error_code, joined.generation_id),
        (ErrorCode::NONE, 1)
    );
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.members.len(), 1);
    let impatient = JoinGroupRequest {
        session_timeout_ms: 1,
        ..request
    };
    let refused: JoinGroupResponse = bench.connection.call(ApiKey::JoinGroup, 5, &impatient);
    assert_eq!(refused.error_code, ErrorCode::INVALID_SESSION_TIMEOUT);
}

#[test]
fn item_59_a_member_of_the_newer_protocol_is_assigned_by_the_broker() {
    let mut bench = Bench::new(&[]);
    let group = fresh_name("group");
    with_coordinator(&mut bench, &group);
    let request = ConsumerGroupHeartbeatRequest {
        group_id: Text::from(group),
        member_id: Text::from("member"),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec![Text::from(bench.topic.clone())]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let beat = |bench: &mut Bench, request: &ConsumerGroupHeartbeatRequest| {
        let api = ApiKey::ConsumerGroupHeartbeat;
        let response: ConsumerGroupHeartbeatResponse = bench.connection.call(api, 1, request);
        response
    };
    let joined = beat(&mut bench, &request);
    assert_eq!(joined.error_code, ErrorCode::NONE);
    assert!(joined.member_epoch > 0 && joined.heartbeat_interval_ms > 0);
    let assignment = joined.assignment.expect("a member that joins is told");
    assert_eq!(assignment.topic_partitions[0].partitions, [0]);
    let idle = ConsumerGroupHeartbeatRequest {
        member_epoch: joined.member_epoch,
        rebalance_timeout_ms: -1,
        subscribed_topic_names: None,
        topic_partitions: None,
        ..request.clone()
    };
    let beaten = beat(&mut bench, &idle);
    assert_eq!(
        (beaten.error_code, beaten.assignment),
        (ErrorCode::NONE, None)
    );
    let ahead = ConsumerGroupHeartbeatRequest {
        member_epoch: joined.member_epoch + 1,
        ..idle
    };
    assert_eq!(
        beat(&mut bench, &ahead).error_code,
        ErrorCode::FENCED_MEMBER_EPOCH
    );
    let empty = ConsumerGroupHeartbeatRequest {
        group_id: Text::default(),
        ..request
    };
    assert_eq!(
        beat(&mut bench, &empty).error_code,
        ErrorCode::INVALID_REQUEST
    );
}

#[test]
fn item_58_the_topic_of_offsets_is_internal_and_takes_no_records_of_clients() {
    let mut bench = Bench::new(&[]);
    with_coordinator(&mut bench, "any");
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(Text::from(OFFSETS)),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let metadata: MetadataResponse = bench.connection.call(ApiKey::Metadata, 9, &request);
    let topic = &metadata.topics[0];
    assert!(topic.is_internal);
    assert_eq!(topic.partitions.len(), 50);
    bench.topic = OFFSETS.to_owned();
    let refused = bench.produce(batch(1));
    assert_eq!(refused.error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
}
