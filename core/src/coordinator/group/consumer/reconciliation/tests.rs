use uuid::Uuid;

use super::*;

fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic_id: TopicId(Uuid::from_u128(1)),
        partition: number,
    }
}

fn set(numbers: &[i32]) -> Assignment {
    numbers.iter().map(|&number| partition(number)).collect()
}

fn current(state: MemberState, epoch: i32, assigned: &[i32], pending: &[i32]) -> CurrentAssignment {
    CurrentAssignment {
        epoch,
        previous_epoch: epoch - 1,
        state,
        assigned: set(assigned),
        pending_revocation: set(pending),
        ..CurrentAssignment::default()
    }
    .since(epoch)
}

#[derive(Default)]
struct Case<'a> {
    before: CurrentAssignment,
    target: (i32, &'a [i32]),
    owned: Option<&'a [i32]>,
    /// What others have.
    taken: &'a [i32],
    unsubscribes: bool,
}

fn step(case: &Case<'_>) -> Result<CurrentAssignment, UnknownState> {
    let topics = if case.unsubscribes {
        BTreeSet::new()
    } else {
        BTreeSet::from([partition(0).topic_id])
    };
    let taken = set(case.taken);
    let owned = case.owned.map(set);
    Reconciliation {
        current: &case.before,
        target_epoch: case.target.0,
        target: &set(case.target.1),
        subscription_changed: case.unsubscribes,
        subscribed: &topics,
        owned: owned.as_ref(),
        is_owned_by_another: &|partition| taken.contains(partition),
    }
    .step()
}

/// Epoch, state, what it has and what it must give up.
#[track_caller]
fn check(case: &Case<'_>, expected: (i32, MemberState, &[i32], &[i32])) {
    let next = step(case).unwrap();
    let (epoch, state, assigned, pending) = expected;
    assert_eq!(next.epoch, epoch, "epoch");
    assert_eq!(next.state, state);
    assert_eq!(next.assigned, set(assigned), "assigned");
    assert_eq!(next.pending_revocation, set(pending), "pending revocation");
    if next.epoch != case.before.epoch {
        assert_eq!(next.previous_epoch, case.before.epoch);
    }
}

use MemberState::{Stable, Unknown, UnreleasedPartitions, UnrevokedPartitions};

#[test]
fn a_stable_member_at_its_target_stays_as_it_is() {
    let before = current(Stable, 5, &[1, 2], &[]);
    let case = Case {
        before: before.clone(),
        target: (5, &[1, 2]),
        ..Case::default()
    };
    assert_eq!(step(&case), Ok(before));
}

#[test]
fn what_is_free_is_given_at_once() {
    check(
        &Case {
            before: current(Stable, 5, &[1], &[]),
            target: (6, &[1, 2]),
            ..Case::default()
        },
        (6, Stable, &[1, 2], &[]),
    );
}

#[test]
fn a_member_gives_up_before_it_moves_on() {
    let before = current(Stable, 5, &[1, 2], &[]);
    let case = |owned| Case {
        before: before.clone(),
        target: (7, &[2, 3]),
        owned,
        ..Case::default()
    };
    let revoking = (5, UnrevokedPartitions, [2].as_slice(), [1].as_slice());
    check(&case(None), revoking);
    check(&case(Some(&[1, 2])), revoking);
    // It has given it up already.
    check(&case(Some(&[2])), (7, Stable, &[2, 3], &[]));
}

#[test]
fn a_member_that_has_given_up_goes_to_the_newest_epoch() {
    let before = current(UnrevokedPartitions, 5, &[2], &[1]);
    let case = |owned| Case {
        before: before.clone(),
        target: (8, &[2, 3]),
        owned,
        ..Case::default()
    };
    assert_eq!(step(&case(None)), Ok(before.clone()));
    assert_eq!(step(&case(Some(&[1]))), Ok(before.clone()));
    check(&case(Some(&[2])), (8, Stable, &[2, 3], &[]));
    check(&case(Some(&[])), (8, Stable, &[2, 3], &[]));
}

#[test]
fn a_member_that_must_give_up_more_moves_by_one_epoch() {
    check(
        &Case {
            before: current(UnrevokedPartitions, 5, &[2, 3], &[1]),
            target: (8, &[2]),
            owned: Some(&[2, 3]),
            ..Case::default()
        },
        (6, UnrevokedPartitions, &[2], &[3]),
    );
}

#[test]
fn nothing_is_given_that_another_one_has() {
    check(
        &Case {
            before: current(Stable, 5, &[], &[]),
            target: (6, &[1, 2]),
            taken: &[2],
            ..Case::default()
        },
        (6, UnreleasedPartitions, &[1], &[]),
    );
    let before = current(UnreleasedPartitions, 6, &[1], &[]);
    let case = |taken| Case {
        before: before.clone(),
        target: (6, &[1, 2]),
        taken,
        ..Case::default()
    };
    assert_eq!(step(&case(&[2])), Ok(before.clone()));
    check(&case(&[]), (6, Stable, &[1, 2], &[]));
}

#[test]
fn what_a_member_was_giving_up_can_be_given_back_to_it() {
    check(
        &Case {
            before: current(UnrevokedPartitions, 5, &[2], &[1]),
            target: (6, &[1, 2]),
            owned: Some(&[2]),
            ..Case::default()
        },
        (6, Stable, &[1, 2], &[]),
    );
}

#[test]
fn what_is_not_subscribed_to_any_more_goes_at_once_and_at_the_same_epoch() {
    let case = |owned| Case {
        before: current(Stable, 5, &[1], &[]),
        target: (5, &[1]),
        owned,
        unsubscribes: true,
        ..Case::default()
    };
    check(&case(None), (5, UnrevokedPartitions, &[], &[1]));
    check(&case(Some(&[])), (5, Stable, &[], &[]));
    // And when that is done there is no newer epoch to go to.
    check(
        &Case {
            before: current(UnrevokedPartitions, 5, &[], &[1]),
            target: (5, &[1]),
            owned: Some(&[]),
            unsubscribes: true,
            ..Case::default()
        },
        (5, Stable, &[], &[]),
    );
}

#[test]
fn a_previous_epoch_outlives_steps_within_an_epoch() {
    let next = step(&Case {
        before: current(UnreleasedPartitions, 6, &[], &[]),
        target: (6, &[1]),
        ..Case::default()
    });
    assert_eq!(next.unwrap().previous_epoch, 5);
}

#[test]
fn a_state_of_a_later_release_fences_whoever_has_something() {
    let case = |owned| Case {
        before: current(Unknown, 5, &[1], &[]),
        target: (6, &[1]),
        owned,
        ..Case::default()
    };
    assert_eq!(step(&case(None)), Err(UnknownState));
    assert_eq!(step(&case(Some(&[1]))), Err(UnknownState));
    check(&case(Some(&[])), (6, Stable, &[1], &[]));
}

#[test]
fn each_partition_keeps_the_epoch_at_which_it_was_got() {
    let since = |current: &CurrentAssignment, number| current.epochs.of(partition(number));
    let given = Case {
        before: current(Stable, 5, &[1], &[]),
        target: (6, &[1, 2]),
        ..Case::default()
    };
    let given = step(&given).unwrap();
    assert_eq!((since(&given, 1), since(&given, 2)), (Some(5), Some(6)));
    // What is to be given up keeps it as well, and loses it when it is gone.
    let revoking = Case {
        before: given,
        target: (7, &[2]),
        owned: Some(&[1, 2]),
        ..Case::default()
    };
    let revoking = step(&revoking).unwrap();
    assert_eq!(
        (since(&revoking, 1), since(&revoking, 2)),
        (Some(5), Some(6))
    );
    // It gave it up, and gets it again.
    let back = Case {
        before: revoking.clone(),
        target: (8, &[1, 2]),
        owned: Some(&[2]),
        ..Case::default()
    };
    let back = step(&back).unwrap();
    let gone = Case {
        before: revoking,
        target: (7, &[2]),
        owned: Some(&[2]),
        ..Case::default()
    };
    let gone = step(&gone).unwrap();
    assert_eq!((since(&gone, 1), since(&gone, 2)), (None, Some(6)));
    assert_eq!(since(&back, 1), Some(8));
}
