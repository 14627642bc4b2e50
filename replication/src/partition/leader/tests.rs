use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const REPLICAS: i32 = 5;

fn leader_of(epoch: i32, end: i64, in_sync: &[i32]) -> Leader {
    let mut leader = Leader::single_replica(0, LeaderEpoch(epoch), Offset(0), Offset(end));
    let replicas: Vec<_> = (0..REPLICAS).map(BrokerId).collect();
    let in_sync: Vec<_> = in_sync.iter().copied().map(BrokerId).collect();
    let mut out = Vec::new();
    leader.on_in_sync_set(PartitionEpoch(1), &replicas, &in_sync, &mut out);
    assert_eq!(out, []);
    leader
}

fn append_and_flush(leader: &mut Leader, end: i64) -> Vec<Action> {
    let mut out = Vec::new();
    leader.on_append(Offset(end), &mut out);
    leader.on_flushed(Offset(end), &mut out);
    out
}

fn ack(leader: &mut Leader, follower: i32, epoch: i32, end: i64) -> Vec<Action> {
    let mut out = Vec::new();
    leader.on_follower_ack(
        BrokerId(follower),
        LeaderEpoch(epoch),
        Offset(end),
        &mut out,
    );
    out
}

fn advanced(to: i64) -> [Action; 1] {
    [Action::HighWatermarkAdvanced { to: Offset(to) }]
}

#[test]
fn one_replica_commits_what_it_flushes() {
    let mut leader = Leader::single_replica(1, LeaderEpoch(4), Offset(0), Offset(10));
    let mut out = Vec::new();
    leader.on_append(Offset(15), &mut out);
    assert_eq!((leader.high_watermark(), out.len()), (Offset(10), 0));
    leader.on_flushed(Offset(13), &mut out);
    assert_eq!(out, advanced(13));
    assert_eq!(
        leader.check_min_in_sync_replicas(-1, 2),
        Err(NotEnoughReplicas { in_sync: 1 })
    );
    assert_eq!(leader.check_min_in_sync_replicas(1, 2), Ok(()));
}

#[test]
fn the_slowest_in_sync_replica_decides() {
    let mut leader = leader_of(1, 0, &[0, 1, 2]);
    assert_eq!(append_and_flush(&mut leader, 10), []);
    assert_eq!(ack(&mut leader, 1, 1, 10), []);
    assert_eq!(
        ack(&mut leader, 3, 1, 10),
        [],
        "a replica out of sync decides nothing"
    );
    assert_eq!(ack(&mut leader, 2, 1, 7), advanced(7));
}

/// KAFKA-6880: what is said in another epoch never counts.
#[test]
fn words_of_another_epoch_are_not_heard() {
    let mut leader = leader_of(3, 0, &[0, 1]);
    append_and_flush(&mut leader, 10);
    assert_eq!(ack(&mut leader, 1, 2, 10), []);
    assert_eq!(ack(&mut leader, 1, 4, 10), []);
    assert_eq!(
        ack(&mut leader, 1, 3, 11),
        [],
        "nobody has more than the leader"
    );
    assert_eq!(ack(&mut leader, 1, 3, 10), advanced(10));
}

/// KIP-497: the controller may have added it already, and may elect it.
#[test]
fn a_joining_replica_counts_before_the_controller_says_so() {
    let mut leader = leader_of(1, 0, &[0]);
    append_and_flush(&mut leader, 10);
    ack(&mut leader, 1, 1, 10);
    leader.on_join_requested(BrokerId(1));
    assert_eq!(append_and_flush(&mut leader, 20), []);
    assert_eq!(
        leader.check_min_in_sync_replicas(-1, 2),
        Err(NotEnoughReplicas { in_sync: 1 }),
        "it is not certain"
    );
    assert_eq!(ack(&mut leader, 1, 1, 15), advanced(15));
}

/// KAFKA-13091: the high watermark rises only once the smaller set is committed.
#[test]
fn a_set_that_shrinks_lets_the_high_watermark_rise() {
    let mut leader = leader_of(1, 0, &[0, 1, 2]);
    append_and_flush(&mut leader, 10);
    assert_eq!(ack(&mut leader, 1, 1, 9), []);
    let mut out = Vec::new();
    let replicas: Vec<_> = (0..REPLICAS).map(BrokerId).collect();
    leader.on_in_sync_set(PartitionEpoch(1), &replicas, &[BrokerId(0)], &mut out);
    assert_eq!(out, [], "old news");
    leader.on_in_sync_set(
        PartitionEpoch(2),
        &replicas,
        &[BrokerId(0), BrokerId(1)],
        &mut out,
    );
    assert_eq!(out, advanced(9));
}

/// KAFKA-7128: a new leader's high watermark may be behind what was committed.
#[test]
fn who_joins_has_all_that_was_there_when_the_epoch_began() {
    let mut leader = leader_of(1, 0, &[0, 1]);
    append_and_flush(&mut leader, 10);
    leader.on_new_epoch(LeaderEpoch(2));
    assert_eq!(leader.high_watermark(), Offset(0));
    ack(&mut leader, 2, 2, 9);
    assert!(!leader.may_join(BrokerId(2)));
    ack(&mut leader, 2, 2, 10);
    assert!(leader.may_join(BrokerId(2)));
    assert!(!leader.may_join(BrokerId(1)), "it is in already");
    assert!(
        !leader.may_join(BrokerId(77)),
        "no replica of this partition"
    );
}

#[test]
fn after_an_election_followers_validate_their_logs_before_they_count() {
    let mut leader = leader_of(1, 0, &[0, 1]);
    append_and_flush(&mut leader, 10);
    assert_eq!(ack(&mut leader, 1, 1, 10), advanced(10));
    leader.on_new_epoch(LeaderEpoch(2));
    assert_eq!(append_and_flush(&mut leader, 12), []);
    leader.on_follower_attached(BrokerId(1), LeaderEpoch(2), Offset(10), &mut Vec::new());
    assert_eq!(ack(&mut leader, 1, 1, 12), []);
    assert_eq!(ack(&mut leader, 1, 2, 12), advanced(12));
}

#[test]
fn a_replica_that_lost_its_disk_starts_from_nothing() {
    let mut leader = leader_of(1, 0, &[0, 1]);
    append_and_flush(&mut leader, 10);
    assert_eq!(ack(&mut leader, 1, 1, 8), advanced(8));
    leader.on_follower_attached(BrokerId(1), LeaderEpoch(1), Offset(0), &mut Vec::new());
    assert_eq!(ack(&mut leader, 1, 1, 5), []);
    assert_eq!(leader.high_watermark(), Offset(8));
    assert_eq!(ack(&mut leader, 1, 1, 10), advanced(10));
}

#[derive(Clone, Debug)]
enum Step {
    Append(i64),
    Flush(u8),
    FollowerAck {
        follower: i32,
        share: u8,
        stale: bool,
    },
    Attach {
        follower: i32,
        share: u8,
    },
    Join(i32),
    Commit {
        replicas: usize,
        members: Vec<bool>,
        stale: bool,
    },
    NewEpoch,
    Delete(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let follower = 1..REPLICAS;
    prop_oneof![
        3 => (1i64..10).prop_map(Step::Append),
        3 => any::<u8>().prop_map(Step::Flush),
        6 => (follower.clone(), prop_oneof![any::<u8>(), Just(255)], proptest::bool::weighted(0.1))
            .prop_map(|(follower, share, stale)| Step::FollowerAck { follower, share, stale }),
        1 => (follower.clone(), any::<u8>()).prop_map(|(follower, share)| Step::Attach { follower, share }),
        3 => follower.prop_map(Step::Join),
        2 => (1..=REPLICAS as usize, proptest::collection::vec(any::<bool>(), REPLICAS as usize - 1), proptest::bool::weighted(0.2))
            .prop_map(|(replicas, members, stale)| Step::Commit { replicas, members, stale }),
        1 => Just(Step::NewEpoch),
        1 => any::<u8>().prop_map(Step::Delete),
    ]
}

/// What somebody who sees everything knows: of each replica its flushed end in this epoch, and whether it counts.
#[derive(Debug, Default)]
struct Known {
    replicas: BTreeMap<i32, (i64, bool)>,
}

fn part(of: Offset, share: u8) -> i64 {
    of.0 * i64::from(share) / 255
}

proptest! {
    /// HighWatermarkNeverRegresses, and it advances exactly to what all that count have flushed.
    #[test]
    fn the_high_watermark_stands_on_the_in_sync_set(steps in proptest::collection::vec(any_step(), 0..120)) {
        let mut leader = Leader::single_replica(0, LeaderEpoch(1), Offset(0), Offset(0));
        let mut known = Known { replicas: BTreeMap::from([(0, (0, true))]) };
        let mut partition_epoch = 0;
        for step in steps {
            let before = leader.high_watermark();
            let mut out = Vec::new();
            match step {
                Step::Append(count) => leader.on_append(leader.log_end().plus(count), &mut out),
                Step::Flush(share) => {
                    let flushed = &mut known.replicas.get_mut(&0).expect("the leader").0;
                    *flushed = part(leader.log_end(), share).max(*flushed);
                    leader.on_flushed(Offset(*flushed), &mut out);
                }
                Step::FollowerAck { follower, share, stale } => {
                    let end = part(leader.log_end(), share);
                    let epoch = LeaderEpoch(leader.epoch().0 - i32::from(stale));
                    leader.on_follower_ack(BrokerId(follower), epoch, Offset(end), &mut out);
                    if let Some((flushed, _)) = known.replicas.get_mut(&follower).filter(|_| !stale) {
                        *flushed = end.max(*flushed);
                    }
                }
                Step::Attach { follower, share } => {
                    let end = part(leader.log_end(), share);
                    leader.on_follower_attached(BrokerId(follower), leader.epoch(), Offset(end), &mut out);
                    known.replicas.entry(follower).and_modify(|(flushed, _)| *flushed = end);
                }
                Step::Join(follower) => {
                    if leader.may_join(BrokerId(follower)) {
                        let (flushed, counts) = known.replicas.get_mut(&follower).expect("it may join");
                        prop_assert!(*flushed >= before.0);
                        *counts = true;
                        leader.on_join_requested(BrokerId(follower));
                    }
                }
                Step::Commit { replicas, members, stale } => {
                    let replicas: Vec<_> = (0..replicas as i32).map(BrokerId).collect();
                    let in_sync: Vec<_> =
                        replicas.iter().copied().filter(|b| b.0 == 0 || members[b.0 as usize - 1]).collect();
                    partition_epoch += i32::from(!stale);
                    leader.on_in_sync_set(PartitionEpoch(partition_epoch), &replicas, &in_sync, &mut out);
                    if !stale {
                        known.replicas = replicas
                            .iter()
                            .map(|broker| {
                                let flushed = known.replicas.get(&broker.0).map_or(0, |(flushed, _)| *flushed);
                                (broker.0, (flushed, in_sync.contains(broker)))
                            })
                            .collect();
                    }
                }
                Step::NewEpoch => {
                    leader.on_new_epoch(LeaderEpoch(leader.epoch().0 + 1));
                    for (broker, (flushed, _)) in &mut known.replicas {
                        if *broker != 0 {
                            *flushed = 0;
                        }
                    }
                }
                Step::Delete(share) => leader.on_log_start(Offset(part(leader.high_watermark(), share))),
            }
            let mark = leader.high_watermark();
            let smallest = known.replicas.values().filter(|(_, counts)| *counts).map(|(flushed, _)| *flushed).min();
            prop_assert_eq!(mark.0, before.0.max(smallest.expect("the leader counts")));
            prop_assert!(leader.log_start() <= mark && mark <= leader.log_end());
            let expected: &[Action] = if before < mark { &[Action::HighWatermarkAdvanced { to: mark }] } else { &[] };
            prop_assert_eq!(out, expected);
        }
    }
}
