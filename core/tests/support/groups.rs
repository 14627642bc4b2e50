//! Requests about groups that several suites make: a coordinator that answers, commits, fetches.
//!
//! Asks through one connection, so with a broker that is the coordinator.

use std::time::{Duration, Instant};

use rinka_net::wire::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use rinka_net::wire::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use rinka_net::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use rinka_net::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};

use super::wire::Connection;

/// Who commits: a member, or somebody from outside with -1 and no id.
pub(crate) type Committer<'a> = (i32, &'a str);

pub(crate) const NOBODY: Committer<'static> = (-1, "");

pub(crate) fn find_coordinator(
    connection: &mut Connection,
    group: &str,
) -> FindCoordinatorResponse {
    let request = FindCoordinatorRequest {
        key: Text::from(group.to_owned()),
        ..Default::default()
    };
    connection.call(ApiKey::FindCoordinator, 3, &request)
}

/// Waits until the group has a coordinator that answers, here. As clients do it: a broker does not tell when it has loaded a group.
pub(crate) fn wait_for_coordinator(connection: &mut Connection, group: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = find_coordinator(connection, group).error_code;
        let fetched = fetch_offsets(connection, group, "any", &[]).error_code;
        if !found.is_error() && !fetched.is_error() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "no coordinator: {found}, {fetched}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Commits the same offset for each partition that is named.
pub(crate) fn commit_offsets(
    connection: &mut Connection,
    group: &str,
    (generation, member_id): Committer<'_>,
    topics: &[(&str, &[i32])],
    (offset, metadata): (i64, &str),
) -> OffsetCommitResponse {
    let topics = topics.iter().map(|(name, partitions)| {
        let partitions = partitions.iter();
        OffsetCommitRequestTopic {
            name: Text::from((*name).to_owned()),
            partitions: partitions
                .map(|&partition_index| OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: offset,
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
    connection.call(ApiKey::OffsetCommit, 9, &request)
}

/// Commits one offset of nobody's, and what came of it.
pub(crate) fn commit_offset(
    connection: &mut Connection,
    group: &str,
    (topic, partition): (&str, i32),
    offset: i64,
) -> ErrorCode {
    let topics: &[(&str, &[i32])] = &[(topic, &[partition])];
    let committed = commit_offsets(connection, group, NOBODY, topics, (offset, ""));
    committed.topics[0].partitions[0].error_code
}

pub(crate) fn fetch_offsets(
    connection: &mut Connection,
    group: &str,
    topic: &str,
    partitions: &[i32],
) -> OffsetFetchResponse {
    let request = OffsetFetchRequest {
        group_id: Text::from(group.to_owned()),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: Text::from(topic.to_owned()),
            partition_indexes: partitions.to_vec(),
            ..Default::default()
        }]),
        ..Default::default()
    };
    connection.call(ApiKey::OffsetFetch, 7, &request)
}

/// The first heartbeat of a member of the consumer protocol.
pub(crate) fn joining(group: &str, member: &str, topic: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: Text::from(group.to_owned()),
        member_id: Text::from(member.to_owned()),
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec![Text::from(topic.to_owned())]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// Any later one.
pub(crate) fn beating(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: Text::from(group.to_owned()),
        member_id: Text::from(member.to_owned()),
        member_epoch: epoch,
        ..Default::default()
    }
}
