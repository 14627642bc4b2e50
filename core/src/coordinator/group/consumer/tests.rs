use rinka_net::wire::ErrorCode;
use uuid::Uuid;

use rinka_storage::topic_partition::TopicId;

use super::deadlines::{Deadline, DeadlineKind, Deadlines};
use super::error::ConsumerGroupError;
use super::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use super::member::MemberState;
use super::offsets::Committer;
use super::topics_view::tests::view;
use super::*;

mod classic;

/// A group with a clock, a log that never fails, and topics.
struct Shell {
    group: ConsumerGroup,
    deadlines: Deadlines,
    topics: TopicsView,
    config: ConsumerGroupConfig,
    seconds: u64,
    last: Vec<ConsumerGroupRecord>,
    downgrade: Option<Downgrade>,
}

impl Shell {
    fn new(topics: &[(&str, usize)]) -> Self {
        Self {
            group: ConsumerGroup::new("group".into()),
            deadlines: Deadlines::default(),
            topics: view(topics),
            // Whoever joins has its partitions at once: the interval has tests of its own.
            config: ConsumerGroupConfig {
                assignment_interval_ms: 0,
                ..ConsumerGroupConfig::default()
            },
            seconds: 1_000,
            last: Vec::new(),
            downgrade: None,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            topics: &self.topics,
            config: &self.config,
            now: Duration::from_secs(self.seconds),
            timestamp_ms: i64::try_from(self.seconds * 1_000).unwrap(),
        }
    }

    fn apply<R>(&mut self, decision: Decision<R>) -> R {
        decision.records.iter().for_each(|r| self.group.replay(r));
        self.deadlines.apply(decision.deadlines);
        self.last = decision.records;
        self.downgrade = decision.downgrade;
        decision.response
    }

    fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, ConsumerGroupError> {
        let decision = self.group.heartbeat(request, &self.context())?;
        Ok(self.apply(decision))
    }

    #[track_caller]
    fn beats(&mut self, request: &HeartbeatRequest) -> (i32, Option<Assignment>) {
        let response = self.heartbeat(request).unwrap();
        (response.member_epoch, response.assignment)
    }

    #[track_caller]
    fn refuses(&mut self, request: &HeartbeatRequest, code: ErrorCode) {
        let error = self.heartbeat(request).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }

    fn pass(&mut self, seconds: u64) {
        self.seconds += seconds;
        while let Some(deadline) = self.deadlines.pop(Duration::from_secs(self.seconds)) {
            let decision = self.group.on_deadline(&deadline, &self.context());
            self.apply(decision);
        }
    }

    fn state_of(&self, id: &str) -> MemberState {
        self.group.member(id).unwrap().current.state
    }
}

/// `t<topic>-<partition>` in short: topics have ids from 1 on.
fn set(partitions: &[(u128, i32)]) -> Assignment {
    let partitions = partitions.iter().map(|&(topic, partition)| TopicPartition {
        topic_id: TopicId(Uuid::from_u128(topic)),
        partition,
    });
    partitions.collect()
}

fn join(id: &str, topics: &[&str]) -> HeartbeatRequest {
    HeartbeatRequest {
        version: 1,
        member_id: id.into(),
        member_epoch: 0,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: Some(60_000),
        subscribed_topic_names: Some(topics.iter().map(|name| Arc::from(*name)).collect()),
        subscribed_topic_regex: None,
        server_assignor: None,
        owned: Some(Assignment::default()),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        new_member_id: "made".into(),
    }
}

fn regex(id: &str, pattern: &str) -> HeartbeatRequest {
    HeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(pattern.into()),
        ..join(id, &[])
    }
}

fn beat(id: &str, epoch: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        member_epoch: epoch,
        rebalance_timeout_ms: None,
        subscribed_topic_names: None,
        owned: None,
        ..join(id, &[])
    }
}

fn beat_with(id: &str, epoch: i32, owned: &[(u128, i32)]) -> HeartbeatRequest {
    HeartbeatRequest {
        owned: Some(set(owned)),
        ..beat(id, epoch)
    }
}

fn instance(request: HeartbeatRequest, instance_id: &str) -> HeartbeatRequest {
    HeartbeatRequest {
        instance_id: Some(instance_id.into()),
        ..request
    }
}

#[test]
fn a_first_member_gets_everything_and_kafkas_records_in_kafkas_order() {
    let mut shell = Shell::new(&[("t", 2)]);
    let response = shell.heartbeat(&join("m", &["t"])).unwrap();
    assert_eq!(
        response,
        HeartbeatResponse {
            member_id: "m".into(),
            member_epoch: 1,
            heartbeat_interval_ms: 5_000,
            assignment: Some(set(&[(1, 0), (1, 1)])),
        }
    );
    let keys: Vec<i16> = shell
        .last
        .iter()
        .map(|record| i16::from_be_bytes(record.encode("g").key[..2].try_into().unwrap()))
        .collect();
    assert_eq!(keys, [5, 3, 7, 6, 8]);
    assert_eq!(shell.group.state(), GroupState::Stable);
    // Nothing new: no record, and no assignment in the response.
    assert_eq!(shell.beats(&beat("m", 1)), (1, None));
    assert!(shell.last.is_empty());
}

#[test]
fn a_partition_goes_to_its_new_owner_when_the_former_has_given_it_up() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&join("a", &["t"]));
    assert_eq!(shell.beats(&join("b", &["t"])), (2, Some(set(&[]))));
    assert_eq!(shell.state_of("b"), MemberState::UnreleasedPartitions);
    // The former owner is told, and asked until it says that it has.
    assert_eq!(shell.beats(&beat("a", 1)), (1, Some(set(&[(1, 0)]))));
    assert_eq!(shell.state_of("a"), MemberState::UnrevokedPartitions);
    assert_eq!(shell.beats(&beat("a", 1)), (1, None));
    assert_eq!(shell.beats(&beat("b", 2)), (2, None));
    assert_eq!(shell.group.state(), GroupState::Reconciling);
    assert_eq!(shell.beats(&beat_with("a", 1, &[(1, 0)])), (2, None));
    assert_eq!(shell.beats(&beat("b", 2)), (2, Some(set(&[(1, 1)]))));
    assert_eq!(shell.group.state(), GroupState::Stable);
}

#[test]
fn repeated_requests_are_answered_again() {
    let mut shell = Shell::new(&[("t", 2)]);
    let all = Some(set(&[(1, 0), (1, 1)]));
    assert_eq!(shell.beats(&join("a", &["t"])), (1, all.clone()));
    assert_eq!(shell.beats(&join("a", &["t"])), (1, all.clone()));
    assert!(shell.last.is_empty());
    let full = HeartbeatRequest {
        member_epoch: 1,
        owned: all.clone(),
        ..join("a", &["t"])
    };
    assert_eq!(shell.beats(&full), (1, all));

    // It moves to epoch 2, and the response that says so is lost.
    shell.beats(&join("b", &["t"]));
    shell.beats(&beat("a", 1));
    assert_eq!(shell.beats(&beat_with("a", 1, &[(1, 0)])), (2, None));
    assert_eq!(shell.beats(&beat_with("a", 1, &[(1, 0)])), (2, None));
    assert_eq!(shell.beats(&beat_with("a", 1, &[])), (2, None));
}

#[test]
fn other_epochs_fence() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&join("a", &["t"]));
    shell.beats(&join("b", &["t"]));
    shell.beats(&beat("a", 1));
    shell.beats(&beat_with("a", 1, &[(1, 0)]));
    let fenced = ErrorCode::FENCED_MEMBER_EPOCH;
    shell.refuses(&beat("a", 3), fenced);
    // The epoch before, without proof that it has no more than it should.
    shell.refuses(&beat("a", 1), fenced);
    shell.refuses(&beat_with("a", 1, &[(1, 0), (1, 1)]), fenced);
    shell.refuses(&beat("c", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(shell.group.member("a").is_some());
}

#[test]
fn requests_that_break_a_rule_change_nothing() {
    let mut shell = Shell::new(&[("t", 1)]);
    shell.refuses(&beat("a", 1), ErrorCode::GROUP_ID_NOT_FOUND);
    let request = join("a", &["t"]);
    let invalid = [
        HeartbeatRequest {
            member_id: "".into(),
            ..request.clone()
        },
        HeartbeatRequest {
            instance_id: Some("".into()),
            ..request.clone()
        },
        HeartbeatRequest {
            rack_id: Some("".into()),
            ..request.clone()
        },
        HeartbeatRequest {
            rebalance_timeout_ms: None,
            ..request.clone()
        },
        HeartbeatRequest {
            owned: None,
            ..request.clone()
        },
        HeartbeatRequest {
            owned: Some(set(&[(1, 0)])),
            ..request.clone()
        },
        HeartbeatRequest {
            subscribed_topic_names: None,
            ..request.clone()
        },
        HeartbeatRequest {
            version: 0,
            member_id: "".into(),
            ..beat("", -1)
        },
        beat("a", -2),
        beat("a", -3),
    ];
    for request in invalid {
        shell.refuses(&request, ErrorCode::INVALID_REQUEST);
    }
    let request = HeartbeatRequest {
        server_assignor: Some("sticky".into()),
        ..request
    };
    shell.refuses(&request, ErrorCode::UNSUPPORTED_ASSIGNOR);
    shell.refuses(&regex("a", "("), ErrorCode::INVALID_REGULAR_EXPRESSION);
    assert_eq!(shell.group.epoch(), 0);
}

#[test]
fn a_member_of_version_0_is_given_an_id() {
    let mut shell = Shell::new(&[("t", 1)]);
    let request = HeartbeatRequest {
        version: 0,
        ..join("", &["t"])
    };
    let response = shell.heartbeat(&request).unwrap();
    assert_eq!(&*response.member_id, "made");
    assert_eq!(shell.beats(&beat("made", 1)), (1, None));
}

#[test]
fn a_full_group_takes_nobody_new() {
    let mut shell = Shell::new(&[("t", 1)]);
    shell.config.members_max = 1;
    shell.beats(&join("a", &["t"]));
    shell.refuses(&join("b", &["t"]), ErrorCode::GROUP_MAX_SIZE_REACHED);
    shell.beats(&join("a", &["t"]));
}

#[test]
fn a_member_that_leaves_makes_room_at_once() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&join("a", &["t"]));
    shell.beats(&join("b", &["t"]));
    assert_eq!(shell.beats(&beat("a", -1)), (-1, None));
    assert_eq!(shell.group.state(), GroupState::Assigning);
    assert_eq!(
        shell.beats(&beat("b", 2)),
        (3, Some(set(&[(1, 0), (1, 1)])))
    );
    shell.beats(&beat("b", -1));
    assert_eq!(shell.group.state(), GroupState::Empty);
    assert_eq!(shell.deadlines.next(), None);
    // The group is still there, with its epoch.
    assert_eq!(shell.group.epoch(), 4);
    let tombstones = shell.group.tombstones();
    tombstones.iter().for_each(|r| shell.group.replay(r));
    assert_eq!((shell.group.epoch(), shell.group.target_epoch()), (0, 0));
}

#[test]
fn a_silent_member_is_fenced_when_its_session_ends() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&join("a", &["t"]));
    shell.pass(30);
    shell.beats(&join("b", &["t"]));
    shell.pass(16);
    assert!(shell.group.member("a").is_none());
    shell.refuses(&beat("a", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(
        shell.beats(&beat("b", 2)),
        (3, Some(set(&[(1, 0), (1, 1)])))
    );
}

#[test]
fn a_member_that_does_not_give_up_is_fenced_after_its_rebalance_timeout() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&join("a", &["t"]));
    shell.beats(&join("b", &["t"]));
    for _ in 0..6 {
        shell.beats(&beat("a", 1));
        shell.beats(&beat("b", 2));
        shell.pass(9);
    }
    assert_eq!(shell.state_of("a"), MemberState::UnrevokedPartitions);
    shell.pass(7);
    assert!(shell.group.member("a").is_none());
    // Had it moved on, the deadline would not have been its any more.
    let stale = Deadline {
        member_id: "b".into(),
        kind: DeadlineKind::Rebalance,
        epoch: 1,
    };
    let decision = shell.group.on_deadline(&stale, &shell.context());
    assert!(decision.records.is_empty());
}

#[test]
fn a_static_member_that_comes_back_has_what_it_had_and_moves_nothing() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&instance(join("a", &["t"]), "i"));
    let other = shell.beats(&join("z", &["t"]));
    assert_eq!(other.1, Some(set(&[])));
    shell.beats(&instance(beat("a", 1), "i"));
    shell.beats(&instance(beat_with("a", 1, &[(1, 0)]), "i"));
    shell.beats(&beat("z", 2));

    let taken = instance(join("b", &["t"]), "i");
    shell.refuses(&taken, ErrorCode::UNRELEASED_INSTANCE_ID);
    assert_eq!(shell.beats(&instance(beat("a", -2), "i")), (-2, None));
    assert_eq!(shell.beats(&beat("z", 2)), (2, None));
    let epoch = shell.group.epoch();
    assert_eq!(shell.beats(&taken), (2, Some(set(&[(1, 0)]))));
    assert_eq!(shell.group.epoch(), epoch);
    assert!(shell.group.member("a").is_none());
    shell.refuses(&instance(beat("a", 2), "i"), ErrorCode::FENCED_INSTANCE_ID);
    shell.refuses(&instance(beat("a", 2), "j"), ErrorCode::UNKNOWN_MEMBER_ID);
    // The same process may join again: its response may have been lost.
    assert_eq!(shell.beats(&taken), (2, Some(set(&[(1, 0)]))));
}

#[test]
fn a_static_member_that_does_not_come_back_is_fenced() {
    let mut shell = Shell::new(&[("t", 1)]);
    shell.beats(&instance(join("a", &["t"]), "i"));
    shell.pass(40);
    shell.beats(&instance(beat("a", -2), "i"));
    shell.pass(6);
    assert!(shell.group.is_empty());
    assert_eq!(shell.group.static_member("i"), None);
}

#[test]
fn topics_that_come_and_grow_are_noticed_by_the_next_heartbeat() {
    let mut shell = Shell::new(&[("t", 1)]);
    assert_eq!(shell.beats(&join("a", &["t", "u"])).1, Some(set(&[(1, 0)])));
    shell.topics = TopicsView::new(MetadataImageOf(&[("t", 2), ("u", 1)]).into(), 9);
    assert_eq!(
        shell.beats(&beat("a", 1)),
        (2, Some(set(&[(1, 0), (1, 1), (2, 0)])))
    );
    // And those that go are given up like any other.
    shell.topics = TopicsView::new(MetadataImageOf(&[("t", 2)]).into(), 10);
    assert_eq!(
        shell.beats(&beat("a", 2)),
        (2, Some(set(&[(1, 0), (1, 1)])))
    );
    assert_eq!(shell.beats(&beat_with("a", 2, &[(1, 0), (1, 1)])).0, 3);
}

struct MetadataImageOf<'a>(&'a [(&'a str, usize)]);

impl From<MetadataImageOf<'_>> for crate::metadata::image::MetadataImage {
    fn from(topics: MetadataImageOf<'_>) -> Self {
        let mut image = Self::default();
        for (id, (name, count)) in (1..).zip(topics.0) {
            topics_view::tests::create(&mut image, id, name, *count);
        }
        image
    }
}

#[test]
fn expressions_follow_the_topics_but_not_more_often_than_every_ten_seconds() {
    let mut shell = Shell::new(&[("ta", 1), ("u", 1)]);
    assert_eq!(shell.beats(&regex("a", "t.*")), (1, Some(set(&[(1, 0)]))));
    assert_eq!(shell.beats(&regex("b", "t.*")).0, 2);
    shell.topics = TopicsView::new(MetadataImageOf(&[("ta", 1), ("u", 1), ("tb", 1)]).into(), 9);
    shell.pass(5);
    shell.beats(&beat("a", 1));
    assert_eq!(shell.group.epoch(), 2);
    shell.pass(6);
    shell.beats(&beat("a", 2));
    assert_eq!(shell.group.epoch(), 3);
    assert!(shell.group.is_subscribed_to("tb") && !shell.group.is_subscribed_to("u"));
    // With the last of its subscribers an expression goes.
    shell.beats(&beat("a", -1));
    assert_eq!(shell.group.regexes.len(), 1);
    shell.beats(&beat("b", -1));
    assert!(shell.group.regexes.is_empty());
}

#[test]
fn the_assignor_that_most_members_ask_for_is_taken() {
    let mut shell = Shell::new(&[("t", 1)]);
    let describe = |shell: &Shell| shell.group.describe(&shell.topics, &shell.config).assignor;
    let asking = |id: &str, assignor: &str| HeartbeatRequest {
        server_assignor: Some(assignor.into()),
        ..join(id, &["t"])
    };
    shell.beats(&join("a", &["t"]));
    assert_eq!(describe(&shell), "uniform");
    shell.beats(&asking("b", "range"));
    assert_eq!(describe(&shell), "range");
    shell.beats(&asking("c", "uniform"));
    assert_eq!(describe(&shell), "uniform");
}

#[test]
fn a_decision_whose_records_are_not_appended_leaves_the_group_as_it_was() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&join("a", &["t"]));
    let before = format!("{:?}", shell.group);
    let join_b = join("b", &["t"]);
    let first = shell.group.heartbeat(&join_b, &shell.context()).unwrap();
    assert!(!first.records.is_empty());
    assert_eq!(format!("{:?}", shell.group), before);
    let again = shell.group.heartbeat(&join_b, &shell.context()).unwrap();
    assert_eq!(first, again);
}

#[test]
fn records_of_kafka_4_0_are_read_and_its_list_of_topics_is_deleted() {
    let mut shell = Shell::new(&[("t", 1)]);
    shell
        .group
        .replay(&ConsumerGroupRecord::PartitionMetadata(Some(Vec::new())));
    shell
        .group
        .replay(&ConsumerGroupRecord::Group(Some(GroupMetadata {
            epoch: 5,
            hash: 0,
        })));
    assert_eq!(shell.beats(&join("a", &["t"])).0, 6);
    assert!(
        shell
            .last
            .contains(&ConsumerGroupRecord::PartitionMetadata(None))
    );
    shell.beats(&beat("a", -1));
    assert!(
        !shell
            .last
            .contains(&ConsumerGroupRecord::PartitionMetadata(None))
    );
}

#[test]
fn offsets_are_for_members_at_their_epoch() {
    let mut shell = Shell::new(&[("t", 1)]);
    let check = |shell: &Shell, member_id, member_epoch, version, expected: Option<ErrorCode>| {
        let committer = Committer {
            member_id,
            member_epoch,
            offset_commit_version: version,
        };
        let partitions = set(&[(1, 0)]);
        let result = shell
            .group
            .check_commit(committer, partitions.partitions().map(Some));
        assert_eq!(result.err().map(|error| error.code()), expected);
    };
    check(&shell, "", -1, Some(9), None);
    shell.beats(&join("a", &["t"]));
    check(&shell, "a", 1, Some(9), None);
    check(&shell, "a", 1, None, None);
    check(&shell, "", -1, None, None);
    check(
        &shell,
        "a",
        1,
        Some(8),
        Some(ErrorCode::UNSUPPORTED_VERSION),
    );
    check(&shell, "a", 0, Some(9), Some(ErrorCode::STALE_MEMBER_EPOCH));
    check(
        &shell,
        "a",
        2,
        Some(10),
        Some(ErrorCode::STALE_MEMBER_EPOCH),
    );
    check(&shell, "b", 1, Some(9), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    check(&shell, "", -1, Some(9), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    let fetch = |id, epoch| shell.group.check_fetch(id, epoch).err().map(|e| e.code());
    assert_eq!(fetch(None, -1), None);
    assert_eq!(fetch(Some("a"), 1), None);
    assert_eq!(fetch(Some("a"), 2), Some(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(fetch(Some("b"), 1), Some(ErrorCode::UNKNOWN_MEMBER_ID));
}

/// What a commit of these partitions of topic 1 with that epoch of the member comes to.
fn commit(
    shell: &Shell,
    id: &str,
    epoch: i32,
    partitions: &[Option<i32>],
) -> Result<(), ErrorCode> {
    let committer = Committer {
        member_id: id,
        member_epoch: epoch,
        offset_commit_version: Some(9),
    };
    let partitions = partitions.iter().map(|number| {
        number.map(|partition| TopicPartition {
            topic_id: TopicId(Uuid::from_u128(1)),
            partition,
        })
    });
    let checked = shell.group.check_commit(committer, partitions);
    checked.map_err(|error| error.code())
}

const STALE: Result<(), ErrorCode> = Err(ErrorCode::STALE_MEMBER_EPOCH);

#[test]
fn an_older_epoch_commits_what_the_member_has_had_since() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&join("a", &["t"]));
    shell.beats(&join("b", &["t"]));
    shell.beats(&beat_with("a", 1, &[(1, 0), (1, 1)]));
    // What it has yet to give up it may commit, with its epoch.
    assert_eq!(commit(&shell, "a", 1, &[Some(0), Some(1)]), Ok(()));
    assert_eq!(shell.beats(&beat_with("a", 1, &[(1, 0)])).0, 2);
    assert_eq!(commit(&shell, "a", 1, &[Some(0)]), Ok(()));
    // One that is not its own any more, or that nobody has, takes the others with it.
    assert_eq!(commit(&shell, "a", 1, &[Some(0), Some(1)]), STALE);
    assert_eq!(commit(&shell, "a", 1, &[Some(0), None]), STALE);
    assert_eq!(commit(&shell, "a", 0, &[Some(0)]), STALE);
    assert_eq!(commit(&shell, "a", -1, &[Some(0)]), STALE);
    assert_eq!(commit(&shell, "a", 3, &[Some(0)]), STALE);
    // Partitions matter to older epochs alone.
    assert_eq!(commit(&shell, "a", 2, &[Some(1)]), Ok(()));
    // The other one was given the second partition when it came.
    shell.beats(&beat("b", 2));
    assert_eq!(commit(&shell, "b", 2, &[Some(1)]), Ok(()));
    // It comes back to the first, who had it before with an epoch that does not count any more.
    shell.beats(&beat("b", -1));
    assert_eq!(shell.beats(&beat("a", 2)).0, 3);
    assert_eq!(commit(&shell, "a", 1, &[Some(0)]), Ok(()));
    assert_eq!(commit(&shell, "a", 2, &[Some(0)]), Ok(()));
    assert_eq!(commit(&shell, "a", 2, &[Some(1)]), STALE);
    assert_eq!(commit(&shell, "a", 3, &[Some(1)]), Ok(()));
}

#[test]
fn epochs_of_an_assignment_are_counted_anew_when_a_static_member_is_back() {
    let mut shell = Shell::new(&[("t", 1)]);
    shell.beats(&instance(join("a", &["t"]), "i"));
    shell.beats(&instance(join("b", &["t"]), "j"));
    shell.beats(&instance(beat_with("a", 1, &[(1, 0)]), "i"));
    shell.beats(&instance(beat("a", -2), "i"));
    let (epoch, assigned) = shell.beats(&instance(join("c", &["t"]), "i"));
    assert_eq!((epoch, assigned), (2, Some(set(&[(1, 0)]))));
    let unknown = Err(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(commit(&shell, "a", 2, &[Some(0)]), unknown);
    assert_eq!(commit(&shell, "c", 0, &[Some(0)]), Ok(()));
    assert_eq!(commit(&shell, "c", -1, &[Some(0)]), STALE);
}

#[test]
fn a_group_is_described_with_names_and_both_assignments() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.beats(&instance(join("a", &["t"]), "i"));
    shell.beats(&join("b", &["t"]));
    let described = shell.group.describe(&shell.topics, &shell.config);
    assert_eq!(described.state.name(), "Reconciling");
    assert_eq!((described.epoch, described.assignment_epoch), (2, 2));
    let a = &described.members[0];
    assert_eq!(a.instance_id.as_deref(), Some("i"));
    assert_eq!((a.member_epoch, a.member_type), (1, 1));
    assert_eq!(a.assignment[0].partitions, [0, 1]);
    assert_eq!(&*a.target_assignment[0].name, "t");
    assert_eq!(a.target_assignment[0].partitions, [0]);
}

#[test]
fn within_the_assignment_interval_who_joins_waits_for_the_next_target() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.config.assignment_interval_ms = 3_000;
    let (first, assigned) = shell.beats(&join("a", &["t"]));
    assert_eq!(assigned, Some(set(&[(1, 0), (1, 1)])));
    shell.pass(1);
    let (second, assigned) = shell.beats(&join("b", &["t"]));
    assert_eq!((second, assigned), (first, Some(set(&[]))));
    assert_eq!(shell.group.state(), GroupState::Assigning);
    shell.pass(1);
    assert_eq!(shell.beats(&beat("b", second)), (second, None));
    // Three seconds after the first one. The other member has one of them to give up.
    shell.pass(1);
    let (_, assigned) = shell.beats(&beat_with("a", first, &[(1, 0), (1, 1)]));
    assert_eq!(assigned.map(|kept| kept.partitions().count()), Some(1));
    assert_eq!(shell.group.target_epoch(), shell.group.epoch());
}

#[test]
fn the_assignment_interval_outlasts_a_reload_and_a_clock_that_is_set_back_ends_it() {
    let mut shell = Shell::new(&[("t", 2)]);
    shell.config.assignment_interval_ms = 3_000;
    shell.beats(&join("a", &["t"]));
    let mut replayed = ConsumerGroup::new("group".into());
    shell.last.iter().for_each(|record| replayed.replay(record));
    shell.group = replayed;
    let target = shell.group.target_epoch();
    shell.pass(1);
    shell.beats(&join("b", &["t"]));
    assert_eq!(shell.group.target_epoch(), target);
    shell.seconds -= 100;
    shell.beats(&join("c", &["t"]));
    assert_eq!(shell.group.target_epoch(), shell.group.epoch());
}
