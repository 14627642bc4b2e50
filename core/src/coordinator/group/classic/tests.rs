use super::super::error::{AppendFailure, GroupError};
use super::super::request::{JoinRequest, SyncRequest};
use super::super::settings::{Bounds, Settings};
use super::super::shell_by_hand::{
    GROUP, ShellByHand, joining, settings, static_joining, subscription,
};

fn shell() -> ShellByHand {
    ShellByHand::new(settings())
}

#[test]
fn an_empty_group_waits_for_more_members_and_longer_as_they_come() {
    let mut shell = shell();
    let (leader, first) = shell.join_in_two_steps("a");
    shell.pass(2_000);
    let (_, second) = shell.join_in_two_steps("b");
    shell.pass(1_500);
    assert!(
        !shell.is_answered(first),
        "the second member extends the delay"
    );
    shell.pass(2_500);
    let first = shell.joined(first);
    assert_eq!(first.generation, 1);
    assert_eq!(first.leader, leader);
    assert_eq!(first.members.len(), 2);
    assert_eq!(first.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(first.protocol_name.as_deref(), Some("range"));
    let second = shell.joined(second);
    assert_eq!((second.generation, second.leader), (1, leader));
    assert_eq!(
        second.members,
        [],
        "only the leader is told who else is there"
    );
}

#[test]
fn the_initial_delay_never_exceeds_the_rebalance_timeout() {
    let mut shell = shell();
    let (_, first) = shell.join_in_two_steps("a");
    for second in 0..29 {
        shell.pass(2_000);
        assert!(!shell.is_answered(first), "after {second} more members");
        shell.join_in_two_steps(&format!("member {second}"));
    }
    shell.pass(4_000);
    assert!(shell.is_answered(first));
}

#[test]
fn a_group_with_members_does_not_wait_for_the_initial_delay() {
    let mut shell = shell();
    let members = shell.stable_group(&["a"]);
    let (_, second) = shell.join_in_two_steps("b");
    let id = &members[0].member_id;
    assert_eq!(shell.heartbeat(id, 1), Err(GroupError::RebalanceInProgress));
    let first = shell.join(&joining(id, ""));
    assert_eq!(shell.joined(first).generation, 2);
    assert_eq!(shell.joined(second).generation, 2);
}

#[test]
fn a_pending_member_that_does_not_come_back_expires_with_its_session() {
    let mut shell = shell();
    let token = shell.join(&joining("", "a"));
    let (error, id) = shell.join_refused(token);
    assert_eq!((error, &*id), (GroupError::MemberIdRequired, "client-a"));
    assert_eq!(shell.state(), Some("Empty"));
    shell.pass(10_000);
    let late = shell.join(&joining(&id, ""));
    let refused = (GroupError::UnknownMemberId, id);
    assert_eq!(shell.join_refused(late), refused);
}

#[test]
fn a_rebalance_waits_for_a_pending_member_until_it_expires() {
    let mut shell = shell();
    let members = shell.stable_group(&["a"]);
    let pending = shell.join(&joining("", "b"));
    shell.join_refused(pending);
    let token = shell.join(&joining(&members[0].member_id, ""));
    shell.pass(9_000);
    assert!(!shell.is_answered(token));
    shell.pass(1_000);
    assert_eq!(shell.joined(token).members.len(), 1);
}

#[test]
fn members_of_old_versions_join_at_once() {
    let mut shell = shell();
    let token = shell.join(&JoinRequest {
        requires_known_member_id: false,
        rebalance_timeout_ms: -1,
        ..joining("", "a")
    });
    assert_eq!(shell.state(), Some("PreparingRebalance"));
    shell.pass(3_000);
    assert_eq!(&*shell.joined(token).member_id, "client-a");
}

#[test]
fn a_new_member_that_was_never_told_its_id_is_not_waited_for_without_end() {
    let mut shell = ShellByHand::new(Settings {
        initial_rebalance_delay: std::time::Duration::from_secs(3600),
        ..settings()
    });
    let token = shell.join(&JoinRequest {
        requires_known_member_id: false,
        rebalance_timeout_ms: 7_200_000,
        ..joining("", "a")
    });
    shell.pass(299_000);
    assert!(!shell.is_answered(token));
    shell.pass(1_000);
    let (error, id) = shell.join_refused(token);
    assert_eq!((error, &*id), (GroupError::UnknownMemberId, ""));
    assert_eq!(shell.state(), Some("Empty"));
}

#[test]
fn the_protocol_that_all_support_with_the_most_votes_is_chosen() {
    let mut shell = shell();
    let with = |uuid, protocols: &[&'static str]| JoinRequest {
        protocols: protocols
            .iter()
            .map(|&name| (name, name.as_bytes()))
            .collect(),
        requires_known_member_id: false,
        ..joining("", uuid)
    };
    let tokens = [
        shell.join(&with("a", &["range", "sticky", "roundrobin"])),
        shell.join(&with("b", &["roundrobin", "sticky", "range"])),
        shell.join(&with("c", &["cooperative", "roundrobin", "range"])),
    ];
    let other = shell.join(&with("d", &["sticky"]));
    let (error, _) = shell.join_refused(other);
    assert_eq!(error, GroupError::InconsistentGroupProtocol);
    // Named twice is not supported by two.
    let twice = shell.join(&with("e", &["cooperative", "cooperative"]));
    let (error, _) = shell.join_refused(twice);
    assert_eq!(error, GroupError::InconsistentGroupProtocol);
    shell.pass(6_000);
    let joined = tokens.map(|token| shell.joined(token));
    // "sticky" is not the third's and "cooperative" only the third's; two vote for "roundrobin".
    for joined in &joined {
        assert_eq!(joined.protocol_name.as_deref(), Some("roundrobin"));
    }
    assert_eq!(*joined[0].members[0].metadata, *b"roundrobin");
}

#[test]
fn a_member_of_another_kind_is_refused() {
    let mut shell = shell();
    for (protocol_type, protocols) in [("", vec![("range", &b""[..])]), ("consumer", vec![])] {
        let token = shell.join(&JoinRequest {
            protocol_type,
            protocols,
            ..joining("", "a")
        });
        let (error, _) = shell.join_refused(token);
        assert_eq!(error, GroupError::InconsistentGroupProtocol);
    }
    assert_eq!(shell.state(), None, "nothing comes into being for them");
    shell.stable_group(&["a"]);
    let token = shell.join(&JoinRequest {
        protocol_type: "connect",
        ..joining("", "b")
    });
    let (error, _) = shell.join_refused(token);
    assert_eq!(error, GroupError::InconsistentGroupProtocol);
}

#[test]
fn what_is_asked_is_checked_before_the_group_is() {
    let mut shell = shell();
    let mut refused = |request: &JoinRequest<'_>| {
        let token = shell.join(request);
        shell.join_refused(token).0
    };
    let nameless = JoinRequest {
        group_id: "",
        ..joining("", "a")
    };
    assert_eq!(refused(&nameless), GroupError::InvalidGroupId);
    for session_timeout_ms in [5_999, 1_800_001, -1] {
        let impatient = JoinRequest {
            session_timeout_ms,
            ..joining("", "a")
        };
        assert_eq!(refused(&impatient), GroupError::InvalidSessionTimeout);
    }
    let unknown = refused(&joining("somebody", ""));
    assert_eq!(unknown, GroupError::UnknownMemberId);
}

#[test]
fn dynamic_members_that_do_not_come_back_in_time_are_dropped() {
    let mut shell = shell();
    let members = shell.stable_group(&["a", "b"]);
    let [leader, follower] = &members[..] else {
        panic!("{members:?}");
    };
    let token = shell.join(&joining(&leader.member_id, ""));
    // Its heartbeats keep its session and do not count as coming back.
    for _ in 0..11 {
        shell.pass(5_000);
        assert!(!shell.is_answered(token));
        let beat = shell.heartbeat(&follower.member_id, 1);
        assert_eq!(beat, Err(GroupError::RebalanceInProgress));
    }
    shell.pass(5_000);
    let joined = shell.joined(token);
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    let gone = shell.heartbeat(&follower.member_id, 1);
    assert_eq!(gone, Err(GroupError::UnknownMemberId));
}

#[test]
fn another_leads_when_the_leader_does_not_come_back() {
    let mut shell = shell();
    let members = shell.stable_group(&["a", "b"]);
    let follower = &members[1].member_id;
    let token = shell.join(&JoinRequest {
        protocols: vec![("range", b"changed")],
        ..joining(follower, "")
    });
    shell.pass(10_000);
    let joined = shell.joined(token);
    assert_eq!(joined.leader, *follower);
    assert_eq!(joined.members.len(), 1);
}

#[test]
fn a_member_without_heartbeats_is_dropped_and_the_others_rebalance() {
    let mut shell = shell();
    let members = shell.stable_group(&["a", "b"]);
    shell.pass(6_000);
    assert_eq!(shell.heartbeat(&members[0].member_id, 1), Ok(()));
    shell.pass(4_000);
    let beat = shell.heartbeat(&members[0].member_id, 1);
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
    let beat = shell.heartbeat(&members[1].member_id, 1);
    assert_eq!(beat, Err(GroupError::UnknownMemberId));
    // The last one goes too: the group is empty and says so in the log.
    shell.pass(10_000);
    assert_eq!(shell.state(), Some("Empty"));
    shell.restart();
    assert_eq!(shell.state(), Some("Empty"));
    assert_eq!(shell.coordinator.shared.usage.members, 0);
}

#[test]
fn a_commit_of_offsets_is_as_good_as_a_heartbeat() {
    let mut shell = shell();
    let members = shell.stable_group(&["a"]);
    for offset in 0..5 {
        shell.pass(9_000);
        let token = shell.commit((&members[0].member_id, 1), "topic", 0, offset);
        assert_eq!(shell.committed(token), Ok(()));
    }
}

#[test]
fn the_followers_wait_for_the_leader_and_everybody_for_the_log() {
    let mut shell = shell();
    shell.commits_at_once = false;
    let (leader, first) = shell.join_in_two_steps("a");
    let (follower, second) = shell.join_in_two_steps("b");
    shell.pass(6_000);
    shell.joined(first);
    shell.joined(second);
    let follows = shell.sync(&follower, 1, &[]);
    assert!(shell.appends.is_empty());
    // Waiting is no silence.
    shell.pass(5_000);
    assert_eq!(shell.heartbeat(&leader, 1), Ok(()));
    shell.pass(6_000);
    let assignments: [(&str, &[u8]); 2] = [(&leader, b"0"), ("nobody", b"1")];
    let leads = shell.sync(&leader, 1, &assignments);
    assert_eq!(shell.appends.len(), 1);
    assert!(!shell.is_answered(leads) && !shell.is_answered(follows));
    assert_eq!(shell.state(), Some("CompletingRebalance"));
    // The same once more changes nothing that is under way; the earlier one is sent away.
    let again = shell.sync(&leader, 1, &[(&leader, b"other")]);
    assert_eq!(shell.sync_refused(leads), GroupError::RebalanceInProgress);
    assert_eq!(shell.appends.len(), 1);
    shell.commit_all();
    assert_eq!(shell.state(), Some("Stable"));
    let synced = shell.synced(again);
    assert_eq!(*synced.assignment, *b"0");
    assert_eq!(synced.protocol_name.as_deref(), Some("range"));
    let synced = shell.synced(follows);
    assert_eq!(*synced.assignment, *b"", "whom the leader left out");
    // Who asks later gets the same.
    let later = shell.sync(&leader, 1, &[]);
    assert_eq!(*shell.synced(later).assignment, *b"0");
}

#[test]
fn a_join_cancels_an_assignment_that_is_under_way() {
    let mut shell = shell();
    shell.commits_at_once = false;
    let (leader, token) = shell.join_in_two_steps("a");
    shell.pass(6_000);
    shell.joined(token);
    let syncing = shell.sync(&leader, 1, &[(&leader, b"0")]);
    let (_, other) = shell.join_in_two_steps("b");
    assert_eq!(shell.sync_refused(syncing), GroupError::RebalanceInProgress);
    shell.commit_all();
    assert_eq!(shell.state(), Some("PreparingRebalance"));
    let token = shell.join(&joining(&leader, ""));
    assert_eq!(shell.joined(token).generation, 2);
    assert_eq!(shell.joined(other).generation, 2);
    let late = shell.sync(&leader, 1, &[(&leader, b"0")]);
    assert_eq!(shell.sync_refused(late), GroupError::IllegalGeneration);
}

#[test]
fn an_assignment_that_cannot_be_written_fails_for_everybody_and_they_rebalance() {
    for (failure, error) in [
        (
            AppendFailure::Unavailable,
            GroupError::CoordinatorNotAvailable,
        ),
        (AppendFailure::NotLeader, GroupError::NotCoordinator),
        (AppendFailure::TooLarge, GroupError::UnknownServerError),
    ] {
        let mut shell = shell();
        shell.commits_at_once = false;
        let (leader, first) = shell.join_in_two_steps("a");
        let (follower, second) = shell.join_in_two_steps("b");
        shell.pass(6_000);
        shell.joined(first);
        shell.joined(second);
        let follows = shell.sync(&follower, 1, &[]);
        let leads = shell.sync(&leader, 1, &[(&leader, b"0"), (&follower, b"1")]);
        shell.fail_all(failure);
        assert_eq!(shell.sync_refused(leads), error);
        assert_eq!(shell.sync_refused(follows), error);
        assert_eq!(shell.state(), Some("PreparingRebalance"));
    }
}

#[test]
fn a_sync_names_the_member_the_generation_and_the_protocol() {
    let mut shell = shell();
    let members = shell.stable_group(&["a"]);
    let request = SyncRequest {
        group_id: GROUP,
        generation: 1,
        member_id: &members[0].member_id,
        instance_id: None,
        protocol_type: Some("consumer"),
        protocol_name: Some("range"),
        assignments: Vec::new(),
    };
    let token = shell.sync_request(&request);
    shell.synced(token);
    for (request, error) in [
        (
            SyncRequest {
                group_id: "",
                ..request.clone()
            },
            GroupError::InvalidGroupId,
        ),
        (
            SyncRequest {
                group_id: "other",
                ..request.clone()
            },
            GroupError::UnknownMemberId,
        ),
        (
            SyncRequest {
                member_id: "nobody",
                ..request.clone()
            },
            GroupError::UnknownMemberId,
        ),
        (
            SyncRequest {
                generation: 2,
                ..request.clone()
            },
            GroupError::IllegalGeneration,
        ),
        (
            SyncRequest {
                protocol_type: Some("connect"),
                ..request.clone()
            },
            GroupError::InconsistentGroupProtocol,
        ),
        (
            SyncRequest {
                protocol_name: Some("sticky"),
                ..request.clone()
            },
            GroupError::InconsistentGroupProtocol,
        ),
    ] {
        let token = shell.sync_request(&request);
        assert_eq!(shell.sync_refused(token), error);
    }
}

#[test]
fn members_that_never_ask_for_their_assignment_are_dropped() {
    let mut shell = shell();
    let (leader, first) = shell.join_in_two_steps("a");
    let (silent, second) = shell.join_in_two_steps("b");
    shell.pass(6_000);
    shell.joined(first);
    shell.joined(second);
    let token = shell.sync(&leader, 1, &[(&leader, b"0"), (&silent, b"1")]);
    shell.synced(token);
    for _ in 0..11 {
        shell.pass(5_000);
        assert_eq!(shell.heartbeat(&leader, 1), Ok(()));
        assert_eq!(shell.heartbeat(&silent, 1), Ok(()));
    }
    shell.pass(5_000);
    let beat = shell.heartbeat(&silent, 1);
    assert_eq!(beat, Err(GroupError::UnknownMemberId));
    let beat = shell.heartbeat(&leader, 1);
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_heartbeat_says_how_things_are() {
    let mut shell = shell();
    assert_eq!(
        shell.heartbeat("nobody", 1),
        Err(GroupError::UnknownMemberId)
    );
    let members = shell.stable_group(&["a"]);
    let id = &members[0].member_id;
    assert_eq!(shell.heartbeat(id, 1), Ok(()));
    assert_eq!(shell.heartbeat(id, 0), Err(GroupError::IllegalGeneration));
    assert_eq!(
        shell.heartbeat("nobody", 1),
        Err(GroupError::UnknownMemberId)
    );
    let as_instance = shell.heartbeat_as(id, Some("instance"), 1);
    assert_eq!(as_instance, Err(GroupError::UnknownMemberId));
}

#[test]
fn an_unchanged_follower_may_join_again_without_a_rebalance() {
    let mut shell = shell();
    let members = shell.stable_group(&["a", "b"]);
    let follower = &members[1].member_id;
    let token = shell.join(&joining(follower, ""));
    let joined = shell.joined(token);
    assert_eq!((joined.generation, joined.members.len()), (1, 0));
    assert_eq!(shell.state(), Some("Stable"));
    // A changed one starts a rebalance, and so does the leader however it comes.
    let token = shell.join(&JoinRequest {
        protocols: vec![("range", b"changed")],
        ..joining(follower, "")
    });
    let leader = shell.join(&joining(&members[0].member_id, ""));
    let joined = shell.joined(leader);
    assert_eq!(joined.generation, 2);
    assert_eq!(*joined.members[1].metadata, *b"changed");
    shell.joined(token);
    // The answer may have been lost: in the same generation it comes again.
    let again = shell.join(&joining(&members[0].member_id, ""));
    assert_eq!(shell.joined(again), joined);
}

#[test]
fn a_member_that_asks_twice_is_answered_twice() {
    let mut shell = shell();
    let members = shell.stable_group(&["a", "b"]);
    let request = joining(&members[0].member_id, "");
    let first = shell.join(&request);
    let second = shell.join(&request);
    let (error, _) = shell.join_refused(first);
    assert_eq!(error, GroupError::RebalanceInProgress);
    shell.join(&joining(&members[1].member_id, ""));
    assert_eq!(shell.joined(second).generation, 2);
}

#[test]
fn a_static_member_that_is_back_keeps_what_it_had_without_a_rebalance() {
    let mut shell = shell();
    let tokens = [
        shell.join(&static_joining("i", "a")),
        shell.join(&static_joining("j", "b")),
    ];
    shell.pass(6_000);
    let members = shell.complete(&tokens);
    assert_eq!(&*members[0].member_id, "i-a");

    // A follower.
    let token = shell.join(&static_joining("j", "c"));
    let joined = shell.joined(token);
    assert_eq!((joined.generation, &*joined.member_id), (1, "j-c"));
    assert!(!joined.skip_assignment);
    assert_eq!(shell.state(), Some("Stable"));
    let token = shell.sync("j-c", 1, &[]);
    assert_eq!(*shell.synced(token).assignment, *b"j-b");
    // Its former self is fenced, wherever it names itself.
    let fenced = Err(GroupError::FencedInstanceId);
    assert_eq!(shell.heartbeat_as("j-b", Some("j"), 1), fenced);
    let token = shell.join(&JoinRequest {
        member_id: "j-b",
        ..static_joining("j", "")
    });
    let (error, _) = shell.join_refused(token);
    assert_eq!(error, GroupError::FencedInstanceId);

    // The leader, before and since version 9.
    let token = shell.join(&JoinRequest {
        supports_skipping_assignment: false,
        ..static_joining("i", "d")
    });
    let joined = shell.joined(token);
    assert_eq!((&*joined.leader, joined.members.len()), ("i-a", 0));
    let token = shell.join(&static_joining("i", "e"));
    let joined = shell.joined(token);
    assert_eq!((&*joined.leader, joined.members.len()), ("i-e", 2));
    assert!(joined.skip_assignment);
    // All that is in the log.
    shell.restart();
    let token = shell.sync("i-e", 1, &[]);
    assert_eq!(*shell.synced(token).assignment, *b"i-a");
    let token = shell.sync("j-c", 1, &[]);
    assert_eq!(*shell.synced(token).assignment, *b"j-b");
}

#[test]
fn a_static_member_is_itself_again_when_its_new_id_cannot_be_written() {
    let mut shell = shell();
    let token = shell.join(&static_joining("i", "a"));
    shell.pass(6_000);
    shell.complete(&[token]);
    shell.commits_at_once = false;
    let token = shell.join(&JoinRequest {
        protocols: vec![("range", b"changed"), ("sticky", b"")],
        ..static_joining("i", "b")
    });
    assert!(!shell.is_answered(token));
    shell.fail_all(AppendFailure::Unavailable);
    let (error, _) = shell.join_refused(token);
    assert_eq!(error, GroupError::CoordinatorNotAvailable);
    assert_eq!(shell.heartbeat_as("i-a", Some("i"), 1), Ok(()));
    let group = shell.coordinator.describe(GROUP).unwrap();
    assert_eq!(*group.members[0].metadata, *b"metadata");
    // Its counts are what they were: it can go, and nothing is left.
    shell.commits_at_once = true;
    let token = shell.leave(&[("i-a", Some("i"))]);
    shell.left(token).unwrap();
    let usage = shell.coordinator.shared.usage;
    assert_eq!((usage.members, usage.bytes), (0, 0));
}

#[test]
fn a_static_member_that_is_back_with_another_protocol_rebalances() {
    let mut shell = shell();
    let token = shell.join(&JoinRequest {
        protocols: vec![("range", b""), ("sticky", b"")],
        ..static_joining("i", "a")
    });
    shell.pass(6_000);
    shell.complete(&[token]);
    let token = shell.join(&JoinRequest {
        protocols: vec![("sticky", b""), ("range", b"")],
        ..static_joining("i", "b")
    });
    let joined = shell.joined(token);
    assert_eq!(joined.generation, 2);
    assert_eq!(joined.protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn a_static_member_that_comes_twice_fences_the_one_that_waits() {
    let mut shell = shell();
    let first = shell.join(&static_joining("i", "a"));
    let second = shell.join(&static_joining("i", "b"));
    let (error, id) = shell.join_refused(first);
    assert_eq!((error, &*id), (GroupError::FencedInstanceId, "i-a"));
    shell.pass(6_000);
    assert_eq!(shell.joined(second).members.len(), 1);
    // In the next phase it starts a rebalance: the leader may have assigned to the former id already.
    let third = shell.join(&static_joining("i", "c"));
    assert_eq!(shell.joined(third).generation, 2);
}

#[test]
fn static_members_keep_their_place_when_they_do_not_come_back() {
    let mut shell = shell();
    let tokens = [
        shell.join(&static_joining("i", "a")),
        shell.join(&JoinRequest {
            session_timeout_ms: 600_000,
            ..static_joining("j", "b")
        }),
    ];
    shell.pass(6_000);
    let members = shell.complete(&tokens);
    let token = shell.join(&JoinRequest {
        member_id: &members[0].member_id,
        ..static_joining("i", "")
    });
    shell.pass(60_000);
    let joined = shell.joined(token);
    assert_eq!((joined.generation, joined.members.len()), (2, 2));
    // But not when they do not ask for their assignment either.
    shell.pass(5_000);
    let token = shell.sync("i-a", 2, &[("i-a", b"0"), ("j-b", b"1")]);
    shell.synced(token);
    for _ in 0..10 {
        shell.pass(5_500);
        let _ = shell.heartbeat_as("i-a", Some("i"), 2);
    }
    assert_eq!(
        shell.heartbeat_as("j-b", Some("j"), 2),
        Err(GroupError::UnknownMemberId)
    );
}

#[test]
fn a_phase_in_which_nobody_comes_back_is_extended_until_sessions_end() {
    let mut shell = shell();
    let token = shell.join(&JoinRequest {
        rebalance_timeout_ms: 0,
        session_timeout_ms: 30_000,
        ..static_joining("i", "a")
    });
    shell.pass(3_000);
    shell.joined(token);
    // Never syncs, and with a timeout of nothing it is dropped at once: no endless loop.
    shell.pass(1);
    assert_eq!(shell.state(), Some("Empty"));
    let token = shell.join(&JoinRequest {
        session_timeout_ms: 30_000,
        ..static_joining("i", "b")
    });
    let other = shell.join(&static_joining("j", "c"));
    shell.pass(6_000);
    shell.complete(&[token, other]);
    let token = shell.leave(&[("", Some("j"))]);
    shell.left(token).unwrap();
    shell.pass(29_000);
    assert_eq!(shell.state(), Some("PreparingRebalance"));
    shell.pass(1_000);
    assert_eq!(shell.state(), Some("Empty"));
}

#[test]
fn members_leave_alone_or_many_at_a_time_and_by_instance_id() {
    let mut shell = shell();
    let tokens = [
        shell.join(&static_joining("i", "a")),
        shell.join(&static_joining("j", "b")),
        shell.join_in_two_steps("c").1,
    ];
    let pending = shell.join(&joining("", "d"));
    shell.join_refused(pending);
    shell.pass(6_000);
    shell.complete(&tokens);
    let pending = shell.join(&joining("", "e"));
    let (_, pending) = shell.join_refused(pending);
    let token = shell.leave(&[
        ("", Some("i")),
        ("j-b", Some("j")),
        ("j-b", None),
        ("", Some("k")),
        ("", None),
        ("client-c", Some("k")),
        (&pending, None),
    ]);
    let left = shell.left(token).unwrap();
    let results: Vec<_> = left.iter().map(|left| left.result).collect();
    let unknown = Err(GroupError::UnknownMemberId);
    assert_eq!(
        results,
        [Ok(()), Ok(()), unknown, unknown, unknown, unknown, Ok(())]
    );
    assert_eq!(left[0].instance_id.as_deref(), Some("i"));
    let beat = shell.heartbeat("client-c", 1);
    assert_eq!(beat, Err(GroupError::RebalanceInProgress));
}

#[test]
fn the_last_one_to_leave_waits_for_the_record_of_the_empty_group() {
    let mut shell = shell();
    shell.stable_group(&["a"]);
    shell.commits_at_once = false;
    let token = shell.leave(&[("client-a", None)]);
    assert!(!shell.is_answered(token));
    assert_eq!(shell.state(), Some("Empty"));
    shell.commit_all();
    assert!(shell.left(token).unwrap()[0].result.is_ok());
    let unknown = shell.leave(&[("client-a", None)]);
    let left = shell.left(unknown).unwrap();
    assert_eq!(left[0].result, Err(GroupError::UnknownMemberId));
}

#[test]
fn a_full_group_takes_no_more_members() {
    let mut shell = ShellByHand::new(Settings {
        group_size_max: 2,
        ..settings()
    });
    let tokens = ["a", "b"].map(|uuid| shell.join_in_two_steps(uuid).1);
    let third = shell.join(&joining("", "c"));
    assert_eq!(shell.join_refused(third).0, GroupError::GroupMaxSizeReached);
    shell.pass(6_000);
    shell.complete(&tokens);
    let third = shell.join(&joining("", "c"));
    assert_eq!(shell.join_refused(third).0, GroupError::GroupMaxSizeReached);
    let again = shell.join(&joining("client-a", ""));
    assert!(!shell.is_answered(again), "a member may always come back");
}

#[test]
fn a_group_that_was_loaded_too_large_loses_those_who_come_back_last() {
    let mut shell = shell();
    let members = shell.stable_group(&["a", "b", "c"]);
    let log = shell.log.clone();
    let mut shell = ShellByHand::new(Settings {
        group_size_max: 2,
        ..settings()
    });
    shell.log = log;
    shell.restart();
    assert_eq!(shell.state(), Some("PreparingRebalance"));
    let tokens: Vec<usize> = members
        .iter()
        .map(|member| shell.join(&joining(&member.member_id, "")))
        .collect();
    assert_eq!(
        shell.join_refused(tokens[2]).0,
        GroupError::GroupMaxSizeReached
    );
    shell.pass(60_000);
    shell.joined(tokens[0]);
    shell.joined(tokens[1]);
}

#[test]
fn what_clients_can_make_it_keep_is_bounded() {
    let bounds = Bounds {
        groups_max: 2,
        members_max: 1,
        pending_members_max: 1,
        group_bytes_max: 2_000,
        ..Bounds::default()
    };
    let mut shell = ShellByHand::new(Settings {
        bounds,
        ..settings()
    });
    let pending = shell.join(&joining("", "a"));
    let (_, pending) = shell.join_refused(pending);
    let second = shell.join(&joining("", "b"));
    assert_eq!(
        shell.join_refused(second).0,
        GroupError::CoordinatorNotAvailable
    );
    let large = [0; 2_000];
    let token = shell.join(&JoinRequest {
        protocols: vec![("range", &large)],
        ..joining(&pending, "")
    });
    assert_eq!(shell.join_refused(token).0, GroupError::GroupMaxSizeReached);
    let first = shell.join(&joining(&pending, ""));
    shell.pass(3_000);
    shell.joined(first);
    let second = shell.join(&static_joining("i", "b"));
    assert_eq!(
        shell.join_refused(second).0,
        GroupError::GroupMaxSizeReached
    );
    let token = shell.sync(&pending, 1, &[(&pending, &large)]);
    assert_eq!(shell.sync_refused(token), GroupError::UnknownServerError);
    for (group_id, error) in [
        ("second", GroupError::GroupMaxSizeReached),
        ("third", GroupError::CoordinatorNotAvailable),
    ] {
        let token = shell.join(&JoinRequest {
            group_id,
            ..static_joining("i", "c")
        });
        assert_eq!(shell.join_refused(token).0, error);
    }
}

#[test]
fn a_stable_group_comes_back_from_the_log_with_its_assignments() {
    let mut shell = shell();
    let metadata = subscription("topic");
    let token = shell.join(&JoinRequest {
        requires_known_member_id: false,
        protocols: vec![("range", &metadata)],
        ..joining("", "a")
    });
    shell.pass(3_000);
    let members = shell.complete(&[token]);
    let before = shell.coordinator.describe(GROUP);
    let usage = shell.coordinator.shared.usage;
    shell.restart();
    assert_eq!(shell.coordinator.describe(GROUP), before);
    assert_eq!(shell.coordinator.shared.usage, usage);
    let id = &members[0].member_id;
    assert_eq!(shell.heartbeat(id, 1), Ok(()));
    let token = shell.sync(id, 1, &[]);
    assert_eq!(shell.synced(token).assignment, id.as_bytes());
    // Sessions began with the load.
    shell.pass(10_000);
    assert_eq!(shell.state(), Some("Empty"));
}

#[test]
fn whoever_waits_is_told_when_the_coordinator_goes() {
    let mut shell = shell();
    shell.commits_at_once = false;
    let (leader, first) = shell.join_in_two_steps("a");
    shell.pass(6_000);
    shell.joined(first);
    let syncing = shell.sync(&leader, 1, &[(&leader, b"0")]);
    let token = shell.join(&JoinRequest {
        group_id: "other",
        ..static_joining("i", "b")
    });
    shell.ask(|coordinator, _, time, out| coordinator.on_unloaded(time, out));
    assert_eq!(shell.sync_refused(syncing), GroupError::NotCoordinator);
    assert_eq!(shell.join_refused(token).0, GroupError::NotCoordinator);
    assert_eq!(shell.state(), None);
    assert_eq!(shell.coordinator.next_deadline(), None);
    assert_eq!(shell.coordinator.shared.usage, Default::default());
}
