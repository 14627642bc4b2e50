use std::time::Duration;

use super::error::{AppendFailure, GroupError};
use super::records::{EncodedRecord, GroupRecord};
use super::request::{
    JoinRequest, ListRequest, OffsetCommitRequest, OffsetCommitTopic, OffsetDeleteRequest,
    OffsetFetchRequest, OffsetToCommit,
};
use super::response::Response;
use super::settings::{Bounds, Settings};
use super::shell_by_hand::{GROUP, START_MS, ShellByHand, joining, settings, subscription};

/// Who commits without being a member.
const NOBODY: (&str, i32) = ("", -1);
const HOUR_MS: u64 = 3_600_000;
const WEEK_MS: u64 = 7 * 24 * HOUR_MS;

fn shell() -> ShellByHand {
    ShellByHand::new(settings())
}

/// A stable group of one member that subscribes to "subscribed".
fn subscribed_shell() -> ShellByHand {
    let mut shell = shell();
    let metadata = subscription("subscribed");
    let token = shell.join(&JoinRequest {
        requires_known_member_id: false,
        protocols: vec![("range", &metadata)],
        session_timeout_ms: 1_800_000,
        ..joining("", "a")
    });
    shell.pass(3_000);
    shell.complete(&[token]);
    shell
}

fn committing<'a>(offsets: &[OffsetToCommit<'a>]) -> OffsetCommitRequest<'a> {
    OffsetCommitRequest {
        group_id: GROUP,
        generation: -1,
        member_id: "",
        instance_id: None,
        retention_ms: None,
        reports_unknown_group: true,
        topics: vec![OffsetCommitTopic {
            name: "topic",
            id: None,
            partitions: offsets.to_vec(),
        }],
    }
}

fn to_commit(partition: i32, offset: i64, metadata: &str) -> OffsetToCommit<'_> {
    OffsetToCommit {
        partition,
        offset,
        leader_epoch: 5,
        metadata,
    }
}

fn delete(shell: &mut ShellByHand, group_ids: &[&str]) -> usize {
    shell.ask(|coordinator, token, time, out| {
        coordinator.on_delete_groups(group_ids, token, time, out);
    })
}

#[track_caller]
fn deleted(shell: &mut ShellByHand, token: usize) -> Vec<Result<(), GroupError>> {
    match shell.answer(token) {
        Response::DeleteGroups(groups) => groups.into_iter().map(|(_, result)| result).collect(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn delete_offset(shell: &mut ShellByHand, topic: &str) -> Result<(), GroupError> {
    let request = OffsetDeleteRequest {
        group_id: GROUP,
        topics: vec![(topic, vec![0])],
    };
    let token = shell.ask(|coordinator, token, time, out| {
        coordinator.on_offset_delete(&request, token, time, out);
    });
    match shell.answer(token) {
        Response::OffsetDelete(topics) => topics?[0].partitions[0].1,
        other => panic!("{other:?}"),
    }
}

fn tombstones(records: &[EncodedRecord]) -> Vec<GroupRecord> {
    let tombstones = records.iter().filter(|record| record.value.is_none());
    tombstones
        .map(|record| GroupRecord::decode(&record.key, None).unwrap())
        .collect()
}

#[test]
fn an_offset_is_shown_when_it_is_committed_and_not_before() {
    let mut shell = shell();
    shell.commits_at_once = false;
    let first = shell.commit(NOBODY, "topic", 0, 10);
    let second = shell.commit(NOBODY, "topic", 0, 20);
    assert_eq!(shell.fetch("topic", 0), -1);
    assert!(!shell.is_answered(first));
    shell.commit_all();
    assert_eq!(shell.committed(first), Ok(()));
    assert_eq!(shell.committed(second), Ok(()));
    assert_eq!(shell.fetch("topic", 0), 20);
}

#[test]
fn an_offset_that_cannot_be_written_changes_nothing() {
    for (failure, error) in [
        (
            AppendFailure::Unavailable,
            GroupError::CoordinatorNotAvailable,
        ),
        (AppendFailure::NotLeader, GroupError::NotCoordinator),
        (AppendFailure::TooLarge, GroupError::InvalidCommitOffsetSize),
    ] {
        let mut shell = shell();
        let token = shell.commit(NOBODY, "topic", 0, 10);
        assert_eq!(shell.committed(token), Ok(()));
        shell.commits_at_once = false;
        let token = shell.commit(NOBODY, "topic", 0, 20);
        let other = shell.commit(NOBODY, "topic", 1, 20);
        shell.fail_all(failure);
        assert_eq!(shell.committed(token), Err(error));
        assert_eq!(shell.committed(other), Err(error));
        assert_eq!(shell.fetch("topic", 0), 10);
        assert_eq!(shell.fetch("topic", 1), -1);
        assert_eq!(shell.coordinator.offsets.count(), 1);
    }
}

#[test]
fn appends_may_be_under_way_together_and_one_of_them_fail() {
    let mut shell = shell();
    shell.commits_at_once = false;
    let tokens = [10, 20, 30].map(|offset| shell.commit(NOBODY, "topic", 0, offset));
    let ids: Vec<_> = std::mem::take(&mut shell.appends);
    let time = shell.time;
    shell.ask(|coordinator, _, _, out| {
        coordinator.on_committed(ids[0].0, time, out);
        coordinator.on_failed(ids[2].0, AppendFailure::Unavailable, time, out);
        coordinator.on_committed(ids[1].0, time, out);
    });
    let results = tokens.map(|token| shell.committed(token));
    let unavailable = Err(GroupError::CoordinatorNotAvailable);
    assert_eq!(results, [Ok(()), Ok(()), unavailable]);
    assert_eq!(shell.fetch("topic", 0), 20);
}

#[test]
fn offsets_come_back_as_they_were_committed() {
    let mut shell = shell();
    let token = shell.commit_request(&committing(&[
        to_commit(0, 10, "about it"),
        to_commit(2, 30, ""),
    ]));
    assert_eq!(shell.committed(token), Ok(()));
    shell.restart();
    let mut request = OffsetFetchRequest {
        group_id: GROUP,
        topics: None,
        require_stable: false,
    };
    let all = shell.coordinator.offset_fetch(&request);
    assert_eq!((all.len(), &*all[0].name), (1, "topic"));
    let found: Vec<_> = all[0]
        .partitions
        .iter()
        .map(|at| (at.partition, at.offset, at.leader_epoch, &*at.metadata))
        .collect();
    assert_eq!(found, [(0, 10, 5, "about it"), (2, 30, 5, "")]);
    request.topics = Some(vec![("topic", vec![1, 0]), ("other", vec![0])]);
    let some = shell.coordinator.offset_fetch(&request);
    let found: Vec<_> = some
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|at| (at.partition, at.offset, at.leader_epoch, &*at.metadata))
        .collect();
    assert_eq!(
        found,
        [(1, -1, -1, ""), (0, 10, 5, "about it"), (0, -1, -1, "")]
    );
    let unknown = OffsetFetchRequest {
        group_id: "unknown",
        topics: None,
        require_stable: false,
    };
    assert_eq!(shell.coordinator.offset_fetch(&unknown), []);
}

#[test]
fn metadata_that_is_too_long_fails_for_its_partition_alone() {
    let mut shell = shell();
    // Counted as Java counts: 4096 characters of three bytes each will do.
    let longest = "\u{20AC}".repeat(4096);
    let too_long = "x".repeat(4097);
    let token = shell.commit_request(&committing(&[
        to_commit(0, 10, &too_long),
        to_commit(1, 20, &longest),
    ]));
    let Response::OffsetCommit(topics) = shell.answer(token) else {
        panic!("not the answer of a commit");
    };
    assert_eq!(
        topics[0].partitions,
        [(0, Err(GroupError::OffsetMetadataTooLarge)), (1, Ok(()))]
    );
    assert_eq!((shell.fetch("topic", 0), shell.fetch("topic", 1)), (-1, 20));
    // With nothing to write it is answered at once.
    shell.commits_at_once = false;
    let token = shell.commit_request(&committing(&[to_commit(0, 10, &too_long)]));
    assert_eq!(
        shell.committed(token),
        Err(GroupError::OffsetMetadataTooLarge)
    );
}

#[test]
fn who_is_no_member_commits_only_while_there_are_none() {
    let mut shell = subscribed_shell();
    let token = shell.commit(NOBODY, "topic", 0, 10);
    assert_eq!(shell.committed(token), Err(GroupError::UnknownMemberId));
    let member = "client-a";
    for (as_whom, result) in [
        ((member, 1), Ok(())),
        ((member, 2), Err(GroupError::IllegalGeneration)),
        ((member, -1), Err(GroupError::IllegalGeneration)),
        (("nobody", 1), Err(GroupError::UnknownMemberId)),
        (("", 1), Err(GroupError::UnknownMemberId)),
    ] {
        let token = shell.commit(as_whom, "topic", 0, 10);
        assert_eq!(shell.committed(token), result, "{as_whom:?}");
    }
    let token = shell.commit_request(&OffsetCommitRequest {
        generation: 1,
        member_id: member,
        instance_id: Some("instance"),
        ..committing(&[to_commit(0, 10, "")])
    });
    assert_eq!(shell.committed(token), Err(GroupError::UnknownMemberId));
    // It joins the next generation and knows of it, but not of what it owns in it.
    let token = shell.join(&JoinRequest {
        protocols: vec![("range", b"")],
        ..joining(member, "")
    });
    assert_eq!(shell.joined(token).generation, 2);
    let token = shell.commit((member, 2), "topic", 0, 10);
    assert_eq!(shell.committed(token), Err(GroupError::RebalanceInProgress));
    let token = shell.leave(&[(member, None)]);
    shell.left(token).unwrap();
    let token = shell.commit(NOBODY, "topic", 0, 30);
    assert_eq!(shell.committed(token), Ok(()));
    assert_eq!(shell.fetch("topic", 0), 30);
}

#[test]
fn a_generation_of_an_unknown_group_is_refused_as_its_version_has_it() {
    for (reports_unknown_group, error) in [
        (true, GroupError::GroupIdNotFound),
        (false, GroupError::IllegalGeneration),
    ] {
        let mut shell = shell();
        let token = shell.commit_request(&OffsetCommitRequest {
            generation: 1,
            member_id: "member",
            reports_unknown_group,
            ..committing(&[to_commit(0, 10, "")])
        });
        assert_eq!(shell.committed(token), Err(error));
        assert_eq!(shell.state(), None);
    }
}

#[test]
fn offsets_of_a_group_without_members_ever_expire_by_their_own_age() {
    let mut shell = shell();
    shell.commit(NOBODY, "topic", 0, 10);
    shell.pass(WEEK_MS / 2);
    shell.commit(NOBODY, "topic", 1, 20);
    shell.pass(WEEK_MS / 2 + HOUR_MS);
    assert_eq!((shell.fetch("topic", 0), shell.fetch("topic", 1)), (-1, 20));
    shell.pass(WEEK_MS / 2);
    assert_eq!(shell.state(), None);
    // Nothing is left to look at.
    assert_eq!(shell.coordinator.next_deadline(), None);
    shell.restart();
    assert_eq!((shell.state(), shell.fetch("topic", 1)), (None, -1));
}

#[test]
fn offsets_of_a_group_that_had_members_expire_from_when_it_became_empty() {
    let mut shell = subscribed_shell();
    shell.commit(("client-a", 1), "topic", 0, 10);
    // Longer than they are kept, but there is a member, and it subscribes.
    shell.commit(("client-a", 1), "subscribed", 0, 20);
    for _ in 0..(WEEK_MS / HOUR_MS * 4 + 4) {
        shell.pass(HOUR_MS / 4);
        assert_eq!(shell.heartbeat("client-a", 1), Ok(()));
    }
    assert_eq!(
        (shell.fetch("topic", 0), shell.fetch("subscribed", 0)),
        (-1, 20),
        "who is subscribed to something else does not need the offset"
    );
    let token = shell.leave(&[("client-a", None)]);
    shell.left(token).unwrap();
    shell.restart();
    shell.pass(WEEK_MS - HOUR_MS);
    assert_eq!(shell.fetch("subscribed", 0), 20);
    let written = shell.log.len();
    shell.pass(2 * HOUR_MS);
    assert_eq!(shell.fetch("subscribed", 0), -1);
    assert_eq!(shell.state(), None);
    let gone = tombstones(&shell.log[written..]);
    assert_eq!(gone.len(), 2, "the offset and the group: {gone:?}");
    shell.restart();
    assert_eq!(shell.state(), None);
}

#[test]
fn an_expiry_that_the_client_asked_for_wins() {
    let mut shell = shell();
    for (partition, retention_ms) in [(0, HOUR_MS), (1, 3 * WEEK_MS)] {
        let token = shell.commit_request(&OffsetCommitRequest {
            retention_ms: Some(i64::try_from(retention_ms).unwrap()),
            ..committing(&[to_commit(partition, 10, "")])
        });
        assert_eq!(shell.committed(token), Ok(()));
    }
    shell.restart();
    shell.pass(2 * HOUR_MS);
    assert_eq!((shell.fetch("topic", 0), shell.fetch("topic", 1)), (-1, 10));
    shell.pass(2 * WEEK_MS);
    assert_eq!(shell.fetch("topic", 1), 10);
}

#[test]
fn an_offset_with_a_commit_under_way_does_not_expire() {
    let mut shell = shell();
    shell.commit(NOBODY, "topic", 0, 10);
    shell.pass(WEEK_MS - HOUR_MS);
    shell.commits_at_once = false;
    let token = shell.commit(NOBODY, "topic", 0, 20);
    shell.pass(2 * HOUR_MS);
    assert_eq!(shell.appends.len(), 1);
    shell.commit_all();
    assert_eq!(shell.committed(token), Ok(()));
    assert_eq!(shell.fetch("topic", 0), 20);
}

#[test]
fn a_group_whose_tombstone_is_under_way_takes_nothing_new() {
    let mut shell = shell();
    shell.commit(NOBODY, "topic", 0, 10);
    shell.commits_at_once = false;
    let deleting = delete(&mut shell, &[GROUP]);
    assert_eq!(shell.state(), Some("Dead"));
    assert_eq!(shell.fetch("topic", 0), 10, "it is not gone yet");
    let token = shell.commit(NOBODY, "topic", 0, 20);
    let unavailable = GroupError::CoordinatorNotAvailable;
    assert_eq!(shell.committed(token), Err(unavailable));
    let token = shell.join(&joining("", "a"));
    assert_eq!(shell.join_refused(token).0, unavailable);
    assert_eq!(shell.heartbeat("client-a", 1), Err(unavailable));
    // It fails: everything is as it was.
    shell.fail_all(AppendFailure::Unavailable);
    assert_eq!(deleted(&mut shell, deleting), [Err(unavailable)]);
    assert_eq!(
        (shell.state(), shell.fetch("topic", 0)),
        (Some("Empty"), 10)
    );
    let deleting = delete(&mut shell, &[GROUP, GROUP]);
    shell.commit_all();
    let results = deleted(&mut shell, deleting);
    assert_eq!(results, [Ok(()), Err(GroupError::GroupIdNotFound)]);
    assert_eq!((shell.state(), shell.fetch("topic", 0)), (None, -1));
    // And it may come into being again.
    shell.commits_at_once = true;
    let token = shell.commit(NOBODY, "topic", 0, 30);
    assert_eq!(shell.committed(token), Ok(()));
    shell.restart();
    assert_eq!(shell.fetch("topic", 0), 30);
}

#[test]
fn a_group_with_members_is_not_deleted() {
    let mut shell = subscribed_shell();
    let token = delete(&mut shell, &[GROUP, "unknown"]);
    let results = deleted(&mut shell, token);
    let refused = [
        Err(GroupError::NonEmptyGroup),
        Err(GroupError::GroupIdNotFound),
    ];
    assert_eq!(results, refused);
    let token = shell.leave(&[("client-a", None)]);
    shell.left(token).unwrap();
    let token = delete(&mut shell, &[GROUP]);
    assert_eq!(deleted(&mut shell, token), [Ok(())]);
    shell.restart();
    assert_eq!(shell.state(), None);
}

#[test]
fn a_member_whose_session_is_over_holds_no_group_though_the_tick_is_late() {
    let mut shell = subscribed_shell();
    shell.pass_without_ticks(1_799_999);
    let token = delete(&mut shell, &[GROUP]);
    let refused = [Err(GroupError::NonEmptyGroup)];
    assert_eq!(deleted(&mut shell, token), refused);
    shell.pass_without_ticks(1);
    let token = delete(&mut shell, &[GROUP]);
    assert_eq!(deleted(&mut shell, token), [Ok(())]);
}

#[test]
fn a_group_of_pending_members_alone_is_deleted_without_a_record() {
    let mut shell = shell();
    let token = shell.join(&joining("", "a"));
    shell.join_refused(token);
    let token = delete(&mut shell, &[GROUP]);
    assert_eq!(deleted(&mut shell, token), [Ok(())]);
    assert_eq!((shell.state(), shell.log.len()), (None, 0));
    assert_eq!(shell.coordinator.shared.usage, Default::default());
}

#[test]
fn offsets_are_deleted_unless_the_group_is_subscribed_to_the_topic() {
    let mut shell = shell();
    let unknown = Err(GroupError::GroupIdNotFound);
    assert_eq!(delete_offset(&mut shell, "topic"), unknown);
    let mut shell = subscribed_shell();
    shell.commit(("client-a", 1), "topic", 0, 10);
    shell.commit(("client-a", 1), "subscribed", 0, 20);
    assert_eq!(delete_offset(&mut shell, "topic"), Ok(()));
    assert_eq!(
        delete_offset(&mut shell, "subscribed"),
        Err(GroupError::GroupSubscribedToTopic)
    );
    let written = shell.log.len();
    assert_eq!(delete_offset(&mut shell, "nothing there"), Ok(()));
    assert_eq!(shell.log.len(), written);
    shell.restart();
    assert_eq!(
        (shell.fetch("topic", 0), shell.fetch("subscribed", 0)),
        (-1, 20)
    );
    // Without members nobody is subscribed.
    let token = shell.leave(&[("client-a", None)]);
    shell.left(token).unwrap();
    assert_eq!(delete_offset(&mut shell, "subscribed"), Ok(()));
    assert_eq!(shell.fetch("subscribed", 0), -1);
}

#[test]
fn who_cannot_be_read_counts_as_subscribed_to_everything() {
    let mut shell = shell();
    shell.stable_group(&["a"]);
    let subscribed = Err(GroupError::GroupSubscribedToTopic);
    assert_eq!(delete_offset(&mut shell, "topic"), subscribed);
    // Of another kind of group nothing is known.
    let mut shell = self::shell();
    let token = shell.join(&JoinRequest {
        requires_known_member_id: false,
        protocol_type: "connect",
        ..joining("", "a")
    });
    shell.pass(3_000);
    shell.complete(&[token]);
    let not_empty = Err(GroupError::NonEmptyGroup);
    assert_eq!(delete_offset(&mut shell, "topic"), not_empty);
}

#[test]
fn offsets_of_deleted_topics_go_in_every_group() {
    let mut shell = subscribed_shell();
    shell.commit(("client-a", 1), "topic", 0, 10);
    shell.commit(("client-a", 1), "subscribed", 0, 20);
    let other = OffsetCommitRequest {
        group_id: "other",
        ..committing(&[to_commit(0, 10, ""), to_commit(1, 10, "")])
    };
    shell.commit_request(&other);
    let written = shell.log.len();
    shell.ask(|coordinator, _, time, out| {
        coordinator.on_topics_deleted(&["topic", "unknown"], time, out);
    });
    assert_eq!(tombstones(&shell.log[written..]).len(), 3);
    assert_eq!(
        (shell.fetch("topic", 0), shell.fetch("subscribed", 0)),
        (-1, 20)
    );
    shell.restart();
    assert_eq!(shell.fetch("topic", 0), -1);
    let all = OffsetFetchRequest {
        group_id: "other",
        topics: None,
        require_stable: false,
    };
    assert_eq!(shell.coordinator.offset_fetch(&all), []);
}

#[test]
fn many_tombstones_go_out_in_batches_that_fit() {
    let mut shell = shell();
    let offsets: Vec<_> = (0..10_000).map(|at| to_commit(at, 1, "")).collect();
    shell.commit_request(&committing(&offsets));
    shell.commits_at_once = false;
    shell.pass(WEEK_MS + HOUR_MS);
    assert!(shell.appends.len() > 1, "{}", shell.appends.len());
    for (_, records) in &shell.appends {
        let bytes: usize = records.iter().map(|record| record.key.len()).sum();
        assert!(bytes < 300 << 10, "{bytes}");
    }
    assert_eq!(shell.state(), Some("Dead"));
    shell.commit_all();
    assert_eq!(shell.state(), None);
    assert_eq!(shell.coordinator.offsets.count(), 0);
}

#[test]
fn a_search_for_what_expired_leaves_turns_to_others() {
    let mut shell = shell();
    let offsets: Vec<_> = (0..3_000).map(|at| to_commit(at, 1, "")).collect();
    let names: Vec<String> = (0..9).map(|at| format!("group {at}")).collect();
    for name in &names {
        shell.commit_request(&OffsetCommitRequest {
            group_id: name,
            ..committing(&offsets)
        });
    }
    // Checks were due every ten minutes; this one takes three turns, and nobody is forgotten.
    shell.pass(WEEK_MS - 5_000);
    let left = |shell: &ShellByHand| shell.coordinator.list(&ListRequest::default()).len();
    assert_eq!(left(&shell), 9);
    let due = shell.coordinator.next_deadline().unwrap();
    shell.pass(u64::try_from((due - shell.time.now).as_millis()).unwrap());
    assert_eq!(left(&shell), 5, "four have more than ten thousand offsets");
    shell.pass(10);
    assert_eq!(left(&shell), 1);
    shell.pass(10);
    assert_eq!(left(&shell), 0);
}

#[test]
fn a_group_whose_offsets_could_not_all_be_removed_stays() {
    let mut shell = shell();
    let offsets: Vec<_> = (0..10_000).map(|at| to_commit(at, 1, "")).collect();
    shell.commit_request(&committing(&offsets));
    shell.commits_at_once = false;
    shell.pass(WEEK_MS + HOUR_MS);
    let mut appends = std::mem::take(&mut shell.appends);
    let (failed, _) = appends.remove(0);
    shell.ask(|coordinator, _, time, out| {
        coordinator.on_failed(failed, AppendFailure::Unavailable, time, out);
    });
    shell.appends = appends;
    shell.commit_all();
    assert_eq!((shell.state(), shell.fetch("topic", 0)), (Some("Empty"), 1));
    shell.restart();
    assert_eq!((shell.state(), shell.fetch("topic", 0)), (Some("Empty"), 1));
}

#[test]
fn groups_are_described_by_what_they_are() {
    let mut shell = subscribed_shell();
    let group = shell.coordinator.describe(GROUP).unwrap();
    assert_eq!(
        (group.state, &*group.protocol_type, &*group.protocol),
        ("Stable", "consumer", "range")
    );
    let member = &group.members[0];
    assert_eq!(
        (&*member.client_id, &*member.client_host),
        ("client", "/127.0.0.1")
    );
    assert_eq!(*member.metadata, *subscription("subscribed"));
    assert_eq!(*member.assignment, *b"client-a");
    shell.join(&JoinRequest {
        requires_known_member_id: false,
        ..joining("", "b")
    });
    let group = shell.coordinator.describe(GROUP).unwrap();
    assert_eq!((group.state, &*group.protocol), ("PreparingRebalance", ""));
    assert!(
        group
            .members
            .iter()
            .all(|member| member.metadata.is_empty())
    );
    assert_eq!(shell.coordinator.describe("unknown"), None);
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut shell = subscribed_shell();
    shell.commit_request(&OffsetCommitRequest {
        group_id: "simple",
        ..committing(&[to_commit(0, 10, "")])
    });
    let listed = |states: &[&'static str], types: &[&'static str]| {
        let request = ListRequest {
            states: states.to_vec(),
            types: types.to_vec(),
        };
        let groups = shell.coordinator.list(&request);
        let names = groups.iter().map(|group| {
            assert_eq!(group.group_type, "classic");
            format!("{} {} {}", group.group_id, group.protocol_type, group.state)
        });
        names.collect::<Vec<_>>()
    };
    let (stable, empty) = ("group consumer Stable", "simple  Empty");
    assert_eq!(listed(&[], &[]), [stable, empty]);
    assert_eq!(listed(&["stable"], &["Classic"]), [stable]);
    assert_eq!(listed(&["Empty", "Dead"], &[]), [empty]);
    assert_eq!(listed(&[], &["consumer"]), [""; 0]);
    assert_eq!(listed(&["no such state"], &[]), [""; 0]);
}

#[test]
fn offsets_and_appends_are_bounded() {
    let bounds = Bounds {
        offsets_max: 1,
        appends_max: 1,
        groups_max: 1,
        ..Bounds::default()
    };
    let mut shell = ShellByHand::new(Settings {
        bounds,
        ..settings()
    });
    shell.commits_at_once = false;
    let first = shell.commit(NOBODY, "topic", 0, 10);
    let second = shell.commit(NOBODY, "topic", 1, 10);
    let unavailable = Err(GroupError::CoordinatorNotAvailable);
    assert_eq!(shell.committed(second), unavailable);
    shell.commit_all();
    assert_eq!(shell.committed(first), Ok(()));
    let third = shell.commit(NOBODY, "topic", 1, 10);
    let too_many = Err(GroupError::InvalidCommitOffsetSize);
    assert_eq!(shell.committed(third), too_many);
    let again = shell.commit(NOBODY, "topic", 0, 20);
    shell.commit_all();
    assert_eq!(shell.committed(again), Ok(()), "it is one already");
    let other = shell.commit_request(&OffsetCommitRequest {
        group_id: "other",
        ..committing(&[to_commit(0, 10, "")])
    });
    assert_eq!(shell.committed(other), unavailable);
}

#[test]
fn an_idle_coordinator_asks_for_no_ticks() {
    let mut shell = shell();
    assert_eq!(shell.coordinator.next_deadline(), None);
    shell.restart();
    assert_eq!(shell.coordinator.next_deadline(), None);
    shell.commit(NOBODY, "topic", 0, 10);
    let now = shell.time.now;
    let next = shell.coordinator.next_deadline();
    assert_eq!(next, Some(now + Duration::from_secs(600)));
    assert_eq!(shell.time.wall_ms, START_MS);
}

#[test]
fn a_record_that_cannot_be_read_leaves_everything_as_it_was() {
    let mut shell = subscribed_shell();
    let before = shell.coordinator.describe(GROUP);
    let usage = shell.coordinator.shared.usage;
    let (key, mut value) = {
        let record = &shell.log[0];
        (record.key.clone(), record.value.as_ref().unwrap().to_vec())
    };
    value.push(0);
    assert!(shell.coordinator.replay(&key, Some(&value)).is_err());
    // Members of a group without a protocol.
    let nameless = b"\x00\x03\x00\x00\x00\x00\x00\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x01\
        \x00\x01m\xFF\xFF\x00\x01c\x00\x02/h\x00\x04\x93\xE0\x00\x00\x27\x10\x00\x00\x00\x00\x00\x00\x00\x00";
    assert!(shell.coordinator.replay(&key, Some(nameless)).is_err());
    assert_eq!(shell.coordinator.describe(GROUP), before);
    assert_eq!(shell.coordinator.shared.usage, usage);
    // Records of other kinds of groups are passed over.
    assert_eq!(shell.coordinator.replay(b"\x00\x03\x00\x00", None), Ok(()));
}

#[test]
fn what_happened_is_counted() {
    let mut shell = subscribed_shell();
    let before = shell.coordinator.counters();
    assert_eq!(before.classic_rebalances, 1);
    let described = shell.coordinator.describe(GROUP).unwrap();
    let member_id = &*described.members[0].member_id;
    let token = shell.commit((member_id, 1), "subscribed", 0, 10);
    assert_eq!(shell.committed(token), Ok(()));
    let after = shell.coordinator.counters();
    assert_eq!(after.offset_commits, before.offset_commits + 1);
    assert_eq!(shell.coordinator.offset_count(), 1);
    let (classic, consumer) = shell.coordinator.census();
    assert_eq!(classic.members, 1);
    assert_eq!(classic.states.get("Stable"), Some(&1));
    assert_eq!(consumer, super::counters::Census::default());
}

#[test]
fn a_generation_that_was_told_of_and_is_in_no_record_is_not_told_again() {
    let mut shell = shell();
    let metadata = subscription("subscribed");
    let member = shell.stable_group(&["a"]).remove(0);
    let member_id = &*member.member_id;
    let rejoin = |shell: &mut ShellByHand| {
        let token = shell.join(&JoinRequest {
            protocols: vec![("range", &metadata)],
            ..joining(member_id, "")
        });
        shell.joined(token).generation
    };
    let written = member.generation;
    assert_eq!(rejoin(&mut shell), written + 1);
    let told = shell.coordinator.generations();
    // Another process has none of the requests that may be on their way.
    shell.restart();
    assert_eq!(rejoin(&mut shell), written + 1);
    shell.restart();
    shell.coordinator.go_on_from(&told);
    assert_eq!(rejoin(&mut shell), written + 2);
}
