//! Items 49-59: groups of both protocols and their offsets, and who may write to the topic they are kept in.

use std::collections::BTreeMap;

use rinka_net::wire::ErrorCode;
use rinka_net::wire::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use rinka_net::wire::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use rinka_net::wire::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use rinka_net::wire::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};
use rinka_net::wire::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use rinka_net::wire::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use rinka_net::wire::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use rinka_net::wire::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use rinka_net::wire::list_groups::{ListGroupsRequest, ListGroupsResponse};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rinka_net::wire::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use rinka_net::wire::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use super::support::groups::{
    Committer, NOBODY, beating, commit_offset, commit_offsets, fetch_offsets, joining,
    wait_for_coordinator,
};
use super::*;

const OFFSETS: &str = "__consumer_offsets";

/// A subscription to one topic, as version 0 has it.
fn subscription(topic: &str) -> Bytes {
    let mut bytes = b"\0\0\0\0\0\x01".to_vec();
    bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&[0xFF; 4]);
    Bytes::from(bytes)
}

/// By topic and partition: in which order an answer has them is nobody's business.
fn commit(
    bench: &mut Bench,
    group: &str,
    committer: Committer<'_>,
    topics: &[(&str, &[i32])],
    metadata: &str,
) -> BTreeMap<(String, i32), ErrorCode> {
    let connection = &mut bench.connection;
    let response = commit_offsets(connection, group, committer, topics, (7, metadata));
    let mut codes = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            let at = (topic.name.to_string(), partition.partition_index);
            codes.insert(at, partition.error_code);
        }
    }
    codes
}

/// What came of the commit of one partition of the bench's topic.
fn commit_one(bench: &mut Bench, group: &str, committer: Committer<'_>) -> ErrorCode {
    let topic = bench.topic.clone();
    let codes = commit(bench, group, committer, &[(&topic, &[0])], "");
    codes[&(topic, 0)]
}

#[test]
fn items_55_and_56_offsets_of_nobody_come_back_with_their_metadata() {
    let mut bench = Bench::new(&[]);
    let (group, topic) = (fresh_name("group"), bench.topic.clone());
    wait_for_coordinator(&mut bench.connection, &group);
    let topics: &[(&str, &[i32])] = &[(&topic, &[0, 9]), ("absent", &[0])];
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let expected = BTreeMap::from([
        ((topic.clone(), 0), ErrorCode::NONE),
        ((topic.clone(), 9), unknown),
        (("absent".to_owned(), 0), unknown),
    ]);
    assert_eq!(
        commit(&mut bench, &group, NOBODY, topics, "a note"),
        expected
    );
    let long = "m".repeat(4097);
    let too_long = commit(&mut bench, &group, NOBODY, &[(&topic, &[0])], &long);
    assert_eq!(
        too_long[&(topic.clone(), 0)],
        ErrorCode::OFFSET_METADATA_TOO_LARGE
    );
    // Of a group that has nobody, somebody is not taken for a member.
    assert_eq!(
        commit_one(&mut bench, &group, (3, "member")),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    let fetched = fetch_offsets(&mut bench.connection, &group, &topic, &[0, 1]);
    let partitions = &fetched.topics[0].partitions;
    let shown: BTreeMap<_, _> = partitions
        .iter()
        .map(|p| {
            let offset = (p.committed_offset, p.metadata.as_deref(), p.error_code);
            (p.partition_index, offset)
        })
        .collect();
    assert_eq!(
        shown,
        BTreeMap::from([
            (0, (7, Some("a note"), ErrorCode::NONE)),
            (1, (-1, Some(""), ErrorCode::NONE))
        ])
    );
}

#[test]
fn item_55_a_commit_for_a_group_that_is_not_there_needs_to_be_nobodys() {
    let mut bench = Bench::new(&[]);
    let group = fresh_name("group");
    wait_for_coordinator(&mut bench.connection, &group);
    assert_eq!(
        commit_one(&mut bench, &group, (1, "member")),
        ErrorCode::GROUP_ID_NOT_FOUND
    );
    assert_eq!(commit_one(&mut bench, &group, NOBODY), ErrorCode::NONE);
}

#[test]
fn item_49_a_member_without_an_id_is_told_one() {
    let mut bench = Bench::new(&[]);
    let group = fresh_name("group");
    wait_for_coordinator(&mut bench.connection, &group);
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
    wait_for_coordinator(&mut bench.connection, &group);
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
    wait_for_coordinator(&mut bench.connection, "any");
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

/// A member of a classic group that has joined, was assigned nothing in particular, and is stable.
struct ClassicMember {
    id: String,
    generation: i32,
}

fn join_request(group: &str, member: &str, topic: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: Text::from(group.to_owned()),
        session_timeout_ms: 20_000,
        rebalance_timeout_ms: 20_000,
        member_id: Text::from(member.to_owned()),
        protocol_type: Text::from("consumer"),
        protocols: vec![JoinGroupRequestProtocol {
            name: Text::from("range"),
            metadata: subscription(topic),
        }],
        ..Default::default()
    }
}

fn stable_member(bench: &mut Bench, group: &str) -> ClassicMember {
    let topic = bench.topic.clone();
    let connection = &mut bench.connection;
    let request = join_request(group, "", &topic);
    let told: JoinGroupResponse = connection.call(ApiKey::JoinGroup, 5, &request);
    assert_eq!(told.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    let request = join_request(group, &told.member_id, &topic);
    let joined: JoinGroupResponse = connection.call(ApiKey::JoinGroup, 5, &request);
    assert_eq!(joined.error_code, ErrorCode::NONE);
    let member = ClassicMember {
        id: joined.member_id.to_string(),
        generation: joined.generation_id,
    };
    let synced = sync(bench, group, &member);
    assert_eq!(
        (synced.error_code, &synced.assignment[..]),
        (ErrorCode::NONE, &b"mine"[..])
    );
    member
}

fn sync(bench: &mut Bench, group: &str, member: &ClassicMember) -> SyncGroupResponse {
    let request = SyncGroupRequest {
        group_id: Text::from(group.to_owned()),
        generation_id: member.generation,
        member_id: Text::from(member.id.clone()),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: Text::from(member.id.clone()),
            assignment: Bytes::from_static(b"mine"),
        }],
        ..Default::default()
    };
    bench.connection.call(ApiKey::SyncGroup, 3, &request)
}

#[test]
fn item_54_who_syncs_says_which_protocol_was_chosen() {
    let mut bench = Bench::new(&[]);
    let group = fresh_name("group");
    wait_for_coordinator(&mut bench.connection, &group);
    let member = stable_member(&mut bench, &group);
    let request = SyncGroupRequest {
        group_id: Text::from(group),
        generation_id: member.generation,
        member_id: Text::from(member.id.clone()),
        ..Default::default()
    };
    let answer: SyncGroupResponse = bench.connection.call(ApiKey::SyncGroup, 5, &request);
    assert_eq!(answer.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

fn classic_heartbeat(bench: &mut Bench, group: &str, member: &str, generation: i32) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: Text::from(group.to_owned()),
        generation_id: generation,
        member_id: Text::from(member.to_owned()),
        ..Default::default()
    };
    let response: HeartbeatResponse = bench.connection.call(ApiKey::Heartbeat, 3, &request);
    response.error_code
}

fn describe(bench: &mut Bench, version: i16, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest {
        groups: vec![Text::from(group.to_owned())],
        ..Default::default()
    };
    let api = ApiKey::DescribeGroups;
    let mut response: DescribeGroupsResponse = bench.connection.call(api, version, &request);
    response.groups.remove(0)
}

fn delete_group(bench: &mut Bench, group: &str) -> ErrorCode {
    let request = DeleteGroupsRequest {
        groups_names: vec![Text::from(group.to_owned())],
    };
    let mut response: DeleteGroupsResponse =
        bench.connection.call(ApiKey::DeleteGroups, 2, &request);
    response.results.remove(0).error_code
}

#[test]
fn items_52_to_54_who_is_no_member_or_of_another_generation_is_told() {
    let mut bench = Bench::new(&[]);
    let group = fresh_name("group");
    wait_for_coordinator(&mut bench.connection, &group);
    let nobody = classic_heartbeat(&mut bench, &group, "member", 1);
    assert_eq!(nobody, ErrorCode::UNKNOWN_MEMBER_ID);
    let member = stable_member(&mut bench, &group);
    let (id, generation) = (member.id.clone(), member.generation);
    let beat =
        |bench: &mut Bench, id: &str, generation| classic_heartbeat(bench, &group, id, generation);
    assert_eq!(beat(&mut bench, &id, generation), ErrorCode::NONE);
    assert_eq!(
        beat(&mut bench, &id, generation + 1),
        ErrorCode::ILLEGAL_GENERATION
    );
    assert_eq!(
        beat(&mut bench, "other", generation),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    // Synchronising once more gives the same.
    assert_eq!(sync(&mut bench, &group, &member).assignment, &b"mine"[..]);
    for (committer, expected) in [
        ((generation, &*id), ErrorCode::NONE),
        ((generation + 1, &*id), ErrorCode::ILLEGAL_GENERATION),
        ((generation, "other"), ErrorCode::UNKNOWN_MEMBER_ID),
        // Somebody from outside does not commit for a group that has members.
        (NOBODY, ErrorCode::UNKNOWN_MEMBER_ID),
    ] {
        let code = commit_one(&mut bench, &group, committer);
        assert_eq!(code, expected, "{committer:?}");
    }
    // Another one comes: the first is told to join again, and its generation still commits until it has.
    let mut other = Connection::open(bench.broker.bootstrap());
    let request = join_request(&group, "", &bench.topic.clone());
    let told: JoinGroupResponse = other.call(ApiKey::JoinGroup, 5, &request);
    let request = join_request(&group, &told.member_id, &bench.topic.clone());
    let waits = other.send(ApiKey::JoinGroup, 5, &request);
    let beaten = eventually(
        || beat(&mut bench, &id, generation),
        |code| *code == ErrorCode::REBALANCE_IN_PROGRESS,
    );
    assert_eq!(beaten, ErrorCode::REBALANCE_IN_PROGRESS);
    let synced = sync(&mut bench, &group, &member);
    assert_eq!(synced.error_code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(
        commit_one(&mut bench, &group, (generation, &id)),
        ErrorCode::NONE
    );
    let request = join_request(&group, &id, &bench.topic.clone());
    let again: JoinGroupResponse = bench.connection.call(ApiKey::JoinGroup, 5, &request);
    let joined: JoinGroupResponse = other.receive(ApiKey::JoinGroup, 5, waits);
    assert_eq!(
        (again.error_code, again.generation_id),
        (ErrorCode::NONE, generation + 1)
    );
    assert_eq!(joined.generation_id, generation + 1);
    assert_eq!((again.members.len(), joined.members.len()), (2, 0));
    // Until the leader has assigned, offsets of the new generation have to wait.
    assert_eq!(
        commit_one(&mut bench, &group, (generation + 1, &id)),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
}

#[test]
fn items_57_and_58_groups_are_listed_described_and_deleted_by_their_state() {
    let mut bench = Bench::new(&[]);
    let (group, topic) = (fresh_name("group"), bench.topic.clone());
    wait_for_coordinator(&mut bench.connection, &group);
    let unknown = describe(&mut bench, 6, &group);
    assert_eq!(
        (unknown.error_code, &*unknown.group_state),
        (ErrorCode::GROUP_ID_NOT_FOUND, "Dead")
    );
    let unknown = describe(&mut bench, 5, &group);
    assert_eq!(
        (unknown.error_code, &*unknown.group_state),
        (ErrorCode::NONE, "Dead")
    );
    assert_eq!(
        delete_group(&mut bench, &group),
        ErrorCode::GROUP_ID_NOT_FOUND
    );
    let member = stable_member(&mut bench, &group);
    assert_eq!(
        commit_one(&mut bench, &group, (member.generation, &member.id)),
        ErrorCode::NONE
    );
    let described = describe(&mut bench, 6, &group);
    assert_eq!(
        (&*described.group_state, &*described.protocol_data),
        ("Stable", "range")
    );
    assert_eq!(described.members[0].member_assignment, &b"mine"[..]);
    let listed = |bench: &mut Bench, state: &str, kind: &str| {
        let text = |text: &str| Text::from(text.to_owned());
        let request = ListGroupsRequest {
            states_filter: vec![text(state)],
            types_filter: vec![text(kind)],
        };
        let response: ListGroupsResponse = bench.connection.call(ApiKey::ListGroups, 5, &request);
        response
            .groups
            .iter()
            .any(|found| *found.group_id == *group)
    };
    assert!(listed(&mut bench, "stable", "Classic"));
    assert!(!listed(&mut bench, "Empty", "classic"));
    assert!(!listed(&mut bench, "Stable", "consumer"));
    assert_eq!(delete_group(&mut bench, &group), ErrorCode::NON_EMPTY_GROUP);
    let delete_offset = |bench: &mut Bench| {
        let request = OffsetDeleteRequest {
            group_id: Text::from(group.clone()),
            topics: vec![OffsetDeleteRequestTopic {
                name: Text::from(topic.clone()),
                partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
            }],
        };
        let response: OffsetDeleteResponse =
            bench.connection.call(ApiKey::OffsetDelete, 0, &request);
        let partition = response.topics[0].partitions[0].error_code;
        (response.error_code, partition)
    };
    assert_eq!(
        delete_offset(&mut bench),
        (ErrorCode::NONE, ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC)
    );
    let leave = LeaveGroupRequest {
        group_id: Text::from(group.clone()),
        members: vec![
            MemberIdentity {
                member_id: Text::from("other"),
                ..Default::default()
            },
            MemberIdentity {
                member_id: Text::from(member.id.clone()),
                ..Default::default()
            },
        ],
        ..Default::default()
    };
    let left: LeaveGroupResponse = bench.connection.call(ApiKey::LeaveGroup, 4, &leave);
    let codes: Vec<_> = left.members.iter().map(|left| left.error_code).collect();
    assert_eq!(codes, [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::NONE]);
    assert_eq!(&*describe(&mut bench, 6, &group).group_state, "Empty");
    assert!(listed(&mut bench, "empty", "classic"));
    let offset = |bench: &mut Bench| {
        let fetched = fetch_offsets(&mut bench.connection, &group, &topic, &[0]);
        fetched.topics[0].partitions[0].committed_offset
    };
    assert_eq!(offset(&mut bench), 7);
    assert_eq!(
        delete_offset(&mut bench),
        (ErrorCode::NONE, ErrorCode::NONE)
    );
    assert_eq!(offset(&mut bench), -1);
    let connection = &mut bench.connection;
    assert_eq!(
        commit_offset(connection, &group, (&topic, 0), 9),
        ErrorCode::NONE
    );
    assert_eq!(delete_group(&mut bench, &group), ErrorCode::NONE);
    assert_eq!(offset(&mut bench), -1);
    assert_eq!(
        delete_group(&mut bench, &group),
        ErrorCode::GROUP_ID_NOT_FOUND
    );
}

fn beat(
    bench: &mut Bench,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let api = ApiKey::ConsumerGroupHeartbeat;
    bench.connection.call(api, 1, request)
}

#[test]
fn item_59_partitions_move_only_when_they_were_given_up() {
    let mut bench = Bench::new(&[]);
    let (group, topic) = (fresh_name("group"), fresh_name("semantics"));
    create_topic(bench.broker.bootstrap(), &topic, 2, &[]);
    wait_for_coordinator(&mut bench.connection, &group);
    // Kafka waits a second between two assignments unless it is told not to; here it is asked until it has.
    let first = eventually(
        || beat(&mut bench, &joining(&group, "a", &topic)),
        |told| {
            told.assignment
                .as_ref()
                .is_some_and(|a| !a.topic_partitions.is_empty())
        },
    );
    let both = first.assignment.expect("it was told").topic_partitions;
    assert_eq!(both[0].partitions, [0, 1]);
    let id = both[0].topic_id;
    let owned = |partitions: &[i32]| TopicPartitions {
        topic_id: id,
        partitions: partitions.to_vec(),
    };
    let second = beat(&mut bench, &joining(&group, "b", &topic));
    assert_eq!(second.error_code, ErrorCode::NONE);
    let nothing = second.assignment.expect("a member that joins is told");
    assert!(nothing.topic_partitions.is_empty());
    // The first one is told to give one up, and stays at its epoch until it has.
    let told = eventually(
        || {
            let request = ConsumerGroupHeartbeatRequest {
                topic_partitions: Some(vec![owned(&[0, 1])]),
                ..beating(&group, "a", first.member_epoch)
            };
            beat(&mut bench, &request)
        },
        |told| told.assignment.is_some(),
    );
    assert_eq!(told.member_epoch, first.member_epoch);
    let kept = told.assignment.expect("it was told").topic_partitions;
    assert_eq!(kept[0].partitions.len(), 1);
    let waiting = beat(&mut bench, &beating(&group, "b", second.member_epoch));
    assert_eq!(waiting.error_code, ErrorCode::NONE);
    assert!(
        waiting
            .assignment
            .is_none_or(|assignment| assignment.topic_partitions.is_empty()),
        "it is not free yet"
    );
    // What it is to give up it may still commit.
    let connection = &mut bench.connection;
    let committer = (first.member_epoch, "a");
    let committed = commit_offsets(connection, &group, committer, &[(&topic, &[0, 1])], (7, ""));
    let partitions = &committed.topics[0].partitions;
    assert!(partitions.iter().all(|p| p.error_code == ErrorCode::NONE));
    let request = ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(kept.clone()),
        ..beating(&group, "a", first.member_epoch)
    };
    let moved_on = beat(&mut bench, &request);
    assert!(moved_on.member_epoch > first.member_epoch);
    let given = beat(&mut bench, &beating(&group, "b", waiting.member_epoch));
    let given = given.assignment.expect("it is free").topic_partitions;
    assert_ne!(given[0].partitions, kept[0].partitions);
    // The older epoch still commits what the member has had all the time, alone (KIP-1251, Kafka 4.3). With what it gave up
    // nothing is committed, and what another member was only given it does not commit either.
    let late = |bench: &mut Bench, partitions: &[i32]| {
        let committer = (first.member_epoch, "a");
        let topics: &[(&str, &[i32])] = &[(&topic, partitions)];
        let committed = commit_offsets(&mut bench.connection, &group, committer, topics, (8, ""));
        let partitions = committed.topics[0].partitions.iter();
        partitions.map(|p| p.error_code).collect::<Vec<_>>()
    };
    let stale = ErrorCode::STALE_MEMBER_EPOCH;
    assert_eq!(late(&mut bench, &kept[0].partitions), [ErrorCode::NONE]);
    assert_eq!(late(&mut bench, &[0, 1]), [stale, stale]);
    assert_eq!(late(&mut bench, &given[0].partitions), [stale]);
    // An epoch from before a member got its partition does not commit any more.
    let committed = commit_offsets(
        &mut bench.connection,
        &group,
        (first.member_epoch - 1, "b"),
        &[(&topic, &[0])],
        (7, ""),
    );
    assert_eq!(
        committed.topics[0].partitions[0].error_code,
        ErrorCode::STALE_MEMBER_EPOCH
    );
}

#[test]
fn item_59_requests_of_the_newer_protocol_are_refused_by_kafkas_errors() {
    let mut bench = Bench::new(&[]);
    let (group, topic) = (fresh_name("group"), bench.topic.clone());
    wait_for_coordinator(&mut bench.connection, &group);
    let mut refused =
        |request: &ConsumerGroupHeartbeatRequest| beat(&mut bench, request).error_code;
    assert_eq!(
        refused(&beating(&group, "a", 1)),
        ErrorCode::GROUP_ID_NOT_FOUND
    );
    let odd = ConsumerGroupHeartbeatRequest {
        server_assignor: Some(Text::from("odd")),
        ..joining(&group, "a", &topic)
    };
    assert_eq!(refused(&odd), ErrorCode::UNSUPPORTED_ASSIGNOR);
    let broken = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(Text::from("(")),
        ..joining(&group, "a", &topic)
    };
    assert_eq!(refused(&broken), ErrorCode::INVALID_REGULAR_EXPRESSION);
    let fixed = ConsumerGroupHeartbeatRequest {
        instance_id: Some(Text::from("fixed")),
        ..joining(&group, "a", &topic)
    };
    assert_eq!(refused(&fixed), ErrorCode::NONE);
    let other = ConsumerGroupHeartbeatRequest {
        member_id: Text::from("b"),
        ..fixed.clone()
    };
    assert_eq!(refused(&other), ErrorCode::UNRELEASED_INSTANCE_ID);
    assert_eq!(
        refused(&beating(&group, "unknown", 1)),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    // It goes and will be back: another one may take its place.
    let gone = ConsumerGroupHeartbeatRequest {
        instance_id: Some(Text::from("fixed")),
        ..beating(&group, "a", -2)
    };
    assert_eq!(refused(&gone), ErrorCode::NONE);
    assert_eq!(refused(&other), ErrorCode::NONE);
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![Text::from(group.clone()), Text::from("no-such-group")],
        ..Default::default()
    };
    let api = ApiKey::ConsumerGroupDescribe;
    // In which order an answer has them is nobody's business.
    let found = |described: &ConsumerGroupDescribeResponse, id: &str| {
        let mut groups = described.groups.iter();
        let found = groups.find(|described| &*described.group_id == id);
        found.expect("it was asked for").clone()
    };
    let described: ConsumerGroupDescribeResponse = eventually(
        || bench.connection.call(api, 1, &request),
        |described| !found(described, &group).members.is_empty(),
    );
    let members = found(&described, &group).members;
    assert_eq!(members.len(), 1, "{described:?}");
    assert_eq!(&*members[0].member_id, "b");
    assert_eq!(members[0].instance_id.as_deref(), Some("fixed"));
    assert_eq!(
        found(&described, "no-such-group").error_code,
        ErrorCode::GROUP_ID_NOT_FOUND
    );
    // Of the classic protocol there is no such group.
    let classic = describe(&mut bench, 6, &group);
    assert_eq!(classic.error_code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(delete_group(&mut bench, &group), ErrorCode::NON_EMPTY_GROUP);
}

#[test]
fn item_59_the_settings_of_a_group_hold_for_its_members_next_heartbeats() {
    let mut bench = Bench::new(&[]);
    let (group, topic) = (fresh_name("group"), bench.topic.clone());
    wait_for_coordinator(&mut bench.connection, &group);
    let joined = beat(&mut bench, &joining(&group, "a", &topic));
    assert_eq!(joined.heartbeat_interval_ms, 5_000);
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 32,
            resource_name: Text::from(group.clone()),
            configs: vec![AlterableConfig {
                name: Text::from("consumer.heartbeat.interval.ms"),
                config_operation: 0,
                value: Some(Text::from("7000")),
            }],
        }],
        ..Default::default()
    };
    let api = ApiKey::IncrementalAlterConfigs;
    let altered: IncrementalAlterConfigsResponse = bench.connection.call(api, 1, &request);
    assert_eq!(altered.responses[0].error_code, ErrorCode::NONE);
    let epoch = std::cell::Cell::new(joined.member_epoch);
    let told = eventually(
        || {
            let told = beat(&mut bench, &beating(&group, "a", epoch.get()));
            epoch.set(told.member_epoch);
            told
        },
        |told| told.heartbeat_interval_ms == 7_000,
    );
    assert_eq!(
        (told.error_code, told.heartbeat_interval_ms),
        (ErrorCode::NONE, 7_000)
    );
    let other = beat(&mut bench, &joining(&fresh_name("group"), "a", &topic));
    assert_eq!(other.heartbeat_interval_ms, 5_000);
}
