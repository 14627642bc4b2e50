//! Members of the classic protocol inside a consumer group, and groups that change their protocol.
//!
//! Transcripts: what is asked, what is answered.

use bytes::Bytes;

use super::super::classic::{
    ClassicHeartbeat, ClassicHeartbeatOutcome, JoinRequest, Leaver, SyncOutcome, SyncRequest,
};
use super::super::config::MigrationPolicy;
use super::super::deadlines::DeadlineKind;
use super::super::member::ClassicProtocol;
use super::super::migration::{ClassicGroup, ClassicGroupMember, assignment_bytes};
use super::*;
use crate::coordinator::group::consumer_protocol::Subscription;

impl Shell {
    fn classic_join(&mut self, request: &JoinRequest) -> Result<(Arc<str>, i32), ErrorCode> {
        let decision = self.group.classic_join(request, &self.context());
        let response = self.apply(decision.map_err(|error| error.code())?);
        Ok((response.member_id, response.generation))
    }
}

fn subscription(topics: &[&str], owned: &[(&str, i32)]) -> Bytes {
    let mut subscription = Subscription {
        topics: topics.iter().map(|name| Arc::from(*name)).collect(),
        generation: -1,
        ..Subscription::default()
    };
    for (name, partition) in owned {
        let partitions = subscription.owned.entry(Arc::from(*name)).or_default();
        partitions.push(*partition);
    }
    subscription.encode(2)
}

fn protocol(metadata: Bytes) -> ClassicProtocol {
    ClassicProtocol {
        name: "range".into(),
        metadata,
    }
}

fn classic(id: &str, topics: &[&str], owned: &[(&str, i32)]) -> JoinRequest {
    JoinRequest {
        version: 9,
        member_id: id.into(),
        instance_id: None,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol(subscription(topics, owned))],
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        new_member_id: "made".into(),
    }
}

fn sync(id: &str, generation: i32) -> SyncRequest {
    SyncRequest {
        member_id: id.into(),
        instance_id: None,
        generation,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
    }
}

fn classic_beat(id: &str, generation: i32) -> ClassicHeartbeat {
    ClassicHeartbeat {
        member_id: id.into(),
        instance_id: None,
        generation,
    }
}

fn classic_group(members: &[(&str, &[(u128, i32)])], topics: &TopicsView) -> ClassicGroup {
    let member = |(id, assigned): &(&str, &[(u128, i32)])| ClassicGroupMember {
        member_id: Arc::from(*id),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocols: vec![protocol(subscription(&["t"], &[]))],
        assignment: assignment_bytes(&set(assigned), 2, topics),
    };
    ClassicGroup {
        generation: 7,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        members: members.iter().map(member).collect(),
    }
}

/// A shell whose group was a classic one.
fn upgraded(members: &[(&str, &[(u128, i32)])]) -> Shell {
    let mut shell = Shell::new(&[("t", 2)]);
    let group = classic_group(members, &shell.topics);
    let upgrade = ConsumerGroup::upgrade(&"group".into(), &group, &shell.context()).unwrap();
    shell.group = upgrade.group;
    shell.deadlines = upgrade.deadlines;
    shell
}

#[test]
fn a_classic_group_is_taken_over_with_all_that_its_members_have() {
    let mut shell = upgraded(&[("c", &[(1, 0), (1, 1)])]);
    assert_eq!(
        (shell.group.epoch(), shell.group.state()),
        (7, GroupState::Stable)
    );
    // The newcomer waits until the classic member has joined again without what it must give up.
    assert_eq!(shell.beats(&join("n", &["t"])), (8, Some(set(&[]))));
    let heartbeat = |shell: &mut Shell, generation| {
        let decision = shell
            .group
            .classic_heartbeat(&classic_beat("c", generation), &shell.context())
            .unwrap();
        shell.apply(decision)
    };
    let must_join = ClassicHeartbeatOutcome::RebalanceInProgress;
    assert_eq!(heartbeat(&mut shell, 7), must_join);
    let all = [("t", 0), ("t", 1)];
    assert_eq!(
        shell.classic_join(&classic("c", &["t"], &all)),
        Ok(("c".into(), 7))
    );
    let decision = shell.group.classic_sync(&sync("c", 7), &shell.context());
    let outcome = shell.apply(decision.unwrap());
    let expected = assignment_bytes(&set(&[(1, 0)]), 2, &shell.topics);
    assert_eq!(outcome, SyncOutcome::Assignment(expected));
    assert_eq!(heartbeat(&mut shell, 7), must_join);
    let less = [("t", 0)];
    assert_eq!(
        shell.classic_join(&classic("c", &["t"], &less)),
        Ok(("c".into(), 8))
    );
    assert_eq!(heartbeat(&mut shell, 8), ClassicHeartbeatOutcome::Fine);
    assert_eq!(shell.beats(&beat("n", 8)), (8, Some(set(&[(1, 1)]))));
}

#[test]
fn what_cannot_be_taken_over_is_refused() {
    let shell = Shell::new(&[("t", 2)]);
    let group = classic_group(&[("c", &[(1, 0)])], &shell.topics);
    let check = |group: &ClassicGroup, config: &ConsumerGroupConfig| {
        let context = Context {
            config,
            ..shell.context()
        };
        let error = ConsumerGroup::upgrade(&"group".into(), group, &context).unwrap_err();
        assert_eq!(error.code(), ErrorCode::GROUP_ID_NOT_FOUND);
    };
    let connect = ClassicGroup {
        protocol_type: Some("connect".into()),
        ..group.clone()
    };
    check(&connect, &shell.config);
    let mut malformed = group.clone();
    malformed.members[0].protocols[0].metadata = Bytes::from_static(b"\x00");
    check(&malformed, &shell.config);
    let mut custom = group.clone();
    let mut assignment = custom.members[0].assignment.to_vec();
    let length = assignment.len();
    assignment[length - 4..].copy_from_slice(&1_i32.to_be_bytes());
    assignment.push(9);
    custom.members[0].assignment = assignment.into();
    check(&custom, &shell.config);
    for config in [
        ConsumerGroupConfig {
            migration_policy: MigrationPolicy::Downgrade,
            ..shell.config.clone()
        },
        ConsumerGroupConfig {
            members_max: 0,
            ..shell.config.clone()
        },
    ] {
        check(&group, &config);
    }
}

#[test]
fn what_two_classic_members_claim_is_the_first_ones() {
    let shell = upgraded(&[("c", &[(1, 0), (1, 1)]), ("d", &[(1, 1)])]);
    let owner = |partition| {
        let partition = set(&[(1, partition)]).partitions().next().unwrap();
        shell.group.owner(partition).cloned()
    };
    assert_eq!(owner(1).as_deref(), Some("c"));
    assert_eq!(shell.group.member("d").unwrap().current.assigned, set(&[]));
}

#[test]
fn the_group_is_classic_again_when_the_last_other_member_leaves() {
    let mut shell = upgraded(&[("c", &[(1, 0), (1, 1)])]);
    shell.beats(&join("n", &["t"]));
    shell.beats(&beat("n", -1));
    let downgrade = shell.downgrade.take().expect("it goes back");
    assert!(downgrade.rebalance);
    assert_eq!(downgrade.group.generation, 8);
    assert_eq!(downgrade.group.protocol.as_deref(), Some("range"));
    let [member] = &*downgrade.group.members else {
        panic!("{downgrade:?}");
    };
    // Not what it was to have: it never heard of that.
    let held = assignment_bytes(&set(&[(1, 0), (1, 1)]), 2, &shell.topics);
    assert_eq!((&*member.member_id, &member.assignment), ("c", &held));
    assert_eq!(shell.group.epoch(), 0);
    assert!(shell.group.is_empty() && shell.group.owners.is_empty());
    assert_eq!(shell.deadlines.next(), None);
}

#[test]
fn the_group_stays_where_the_policy_forbids_to_go_back() {
    for policy in [MigrationPolicy::Upgrade, MigrationPolicy::Disabled] {
        let mut shell = upgraded(&[("c", &[])]);
        shell.config.migration_policy = policy;
        shell.beats(&join("n", &["t"]));
        shell.beats(&beat("n", -1));
        assert!(shell.downgrade.is_none() && shell.group.member("c").is_some());
    }
}

#[test]
fn a_classic_process_that_takes_a_static_members_place_takes_the_group_back() {
    let mut shell = upgraded(&[("c", &[])]);
    shell.beats(&instance(join("n", &["t"]), "i"));
    let request = JoinRequest {
        instance_id: Some("i".into()),
        ..classic("", &["t"], &[])
    };
    assert_eq!(shell.classic_join(&request), Ok(("made".into(), 8)));
    let downgrade = shell.downgrade.take().expect("it goes back");
    // The other one has not reached the epoch at which this one joined.
    assert!(downgrade.rebalance);
    let ids: Vec<&str> = downgrade
        .group
        .members
        .iter()
        .map(|m| &*m.member_id)
        .collect();
    assert_eq!(ids, ["c", "made"]);
    assert_eq!(downgrade.group.members[1].instance_id.as_deref(), Some("i"));
    assert_eq!(shell.group.epoch(), 0);
    assert!(shell.group.is_empty());
}

#[test]
fn classic_requests_are_refused_with_kafkas_codes() {
    let mut shell = upgraded(&[("c", &[])]);
    shell.beats(&join("n", &["t"]));
    let required = shell.classic_join(&classic("", &["t"], &[]));
    assert_eq!(required, Err(ErrorCode::MEMBER_ID_REQUIRED));
    let inconsistent = Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    for request in [
        JoinRequest {
            protocol_type: "connect".into(),
            ..classic("d", &["t"], &[])
        },
        JoinRequest {
            protocols: Vec::new(),
            ..classic("d", &["t"], &[])
        },
        JoinRequest {
            protocols: vec![ClassicProtocol {
                name: "mine".into(),
                metadata: subscription(&["t"], &[]),
            }],
            ..classic("d", &["t"], &[])
        },
        JoinRequest {
            protocols: vec![protocol(Bytes::from_static(b"\x00\x00\xFF"))],
            ..classic("d", &["t"], &[])
        },
    ] {
        assert_eq!(shell.classic_join(&request), inconsistent);
    }
    // One that was fenced and does not know it must not keep what it has.
    let zombie = shell.classic_join(&classic("z", &["t"], &[("t", 0)]));
    assert_eq!(zombie, Err(ErrorCode::UNKNOWN_MEMBER_ID));

    let sync_code = |request: &SyncRequest| {
        let result = shell.group.classic_sync(request, &shell.context());
        result.unwrap_err().code()
    };
    assert_eq!(sync_code(&sync("c", 6)), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(sync_code(&sync("n", 8)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(sync_code(&sync("x", 8)), ErrorCode::UNKNOWN_MEMBER_ID);
    let other = SyncRequest {
        protocol: Some("mine".into()),
        ..sync("c", 7)
    };
    assert_eq!(sync_code(&other), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let beat = |id, generation| {
        let request = classic_beat(id, generation);
        let result = shell.group.classic_heartbeat(&request, &shell.context());
        result.unwrap_err().code()
    };
    assert_eq!(beat("c", 9), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(beat("n", 8), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn classic_members_are_fenced_when_they_do_not_join_or_synchronise() {
    for (joins, kind) in [(false, DeadlineKind::Join), (true, DeadlineKind::Sync)] {
        let mut shell = upgraded(&[("c", &[]), ("d", &[])]);
        shell.beats(&join("n", &["t"]));
        let mut generation = 7;
        if joins {
            (_, generation) = shell.classic_join(&classic("c", &["t"], &[])).unwrap();
        }
        for _ in 0..4 {
            for id in ["c", "d"] {
                let known = shell.group.member(id).map(|member| member.current.epoch);
                let request = classic_beat(id, known.unwrap_or(generation));
                if let Ok(decision) = shell.group.classic_heartbeat(&request, &shell.context()) {
                    shell.apply(decision);
                }
            }
            shell.beats(&HeartbeatRequest {
                owned: Some(set(&[])),
                ..join("n", &["t"])
            });
            shell.pass(6);
        }
        assert!(shell.group.member("c").is_none(), "{kind:?}");
    }
}

#[test]
fn leave_group_removes_members_of_either_protocol() {
    let mut shell = upgraded(&[("c", &[]), ("d", &[])]);
    shell.beats(&instance(join("n", &["t"]), "i"));
    shell.beats(&join("o", &["t"]));
    let leaver = |id: &str, instance: Option<&str>| Leaver {
        member_id: id.into(),
        instance_id: instance.map(Arc::from),
    };
    let leavers = [
        leaver("c", None),
        leaver("", Some("i")),
        leaver("x", None),
        leaver("x", Some("i")),
        leaver("", Some("j")),
    ];
    let decision = shell.group.classic_leave(&leavers, &shell.context());
    let codes: Vec<_> = shell
        .apply(decision)
        .into_iter()
        .map(|result| result.err().map(|error| error.code()))
        .collect();
    assert_eq!(
        codes,
        [
            None,
            None,
            Some(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(ErrorCode::FENCED_INSTANCE_ID),
            Some(ErrorCode::UNKNOWN_MEMBER_ID),
        ]
    );
    let left: Vec<&str> = shell.group.members().map(|(id, _)| &**id).collect();
    assert_eq!(left, ["d", "o"]);
}
