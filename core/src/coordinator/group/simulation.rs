//! Random lives of a group against the invariants: members that join, leave, pause and die, requests that come late, twice and out
//! of order, records that are slow or cannot be written, and coordinators that are lost and load the log again.
//!
//! One seed decides everything; a failure prints it. `RINKA_SEED=n` replays one, `RINKA_SEEDS=n` runs that many from
//! `RINKA_SEED_FIRST` (0) on:
//!
//! ```text
//! RINKA_SEEDS=1000000 cargo test --release -p rinka-core --lib group::simulation::a_group
//! ```

mod client;
mod hostile;
mod invariants;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::coordinator::planted::{Planted, plant};

use world::{Tally, World};

/// Seeds that `cargo test` runs: a few seconds of one core.
const SEEDS: u64 = 10_000;

/// splitmix64.
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number")),
    )
}

/// What a seed ended with, if not well.
fn violation(seed: u64, tally: &mut Tally) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| World::new(seed, false).run(tally))).err()?;
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_else(|| "a panic without words".to_owned()))
}

#[test]
fn a_group_keeps_its_invariants_whatever_happens() {
    let mut tally = Tally::default();
    if let Some(seed) = number("RINKA_SEED") {
        return World::new(seed, true).run(&mut tally);
    }
    let first = number("RINKA_SEED_FIRST").unwrap_or(0);
    let seeds = number("RINKA_SEEDS").unwrap_or(SEEDS);
    for seed in first..first + seeds {
        if let Some(violation) = violation(seed, &mut tally) {
            panic!(
                "{violation}\nreplay it: RINKA_SEED={seed} cargo test -p rinka-core --lib group::simulation::a_group -- --nocapture"
            );
        }
    }
    println!("{seeds} seeds: {tally:?}");
    tally.assert_everything_happened(seeds);
}

/// Seeds within which a planted bug must be found.
const PLANTED_SEEDS: u64 = 2_000;

#[track_caller]
fn check_found(bug: Planted, invariant: &str) {
    plant(Some(bug));
    let mut violations = BTreeSet::new();
    let found = (0..PLANTED_SEEDS).any(|seed| {
        let violation = violation(seed, &mut Tally::default()).unwrap_or_default();
        let (name, _) = violation.split_once(':').unwrap_or_default();
        violations.insert(name.to_owned());
        name == invariant
    });
    plant(None);
    assert!(
        found,
        "{bug:?} broke {violations:?} in {PLANTED_SEEDS} seeds"
    );
}

#[test]
fn a_commit_that_is_answered_at_once_is_found() {
    check_found(
        Planted::CommitAnsweredAtOnce,
        "CommittedOffsetNeverRegresses",
    );
}

#[test]
fn an_offset_that_is_shown_before_it_is_committed_is_found() {
    check_found(Planted::PendingOffsetShown, "CommittedOffsetNeverRegresses");
}

#[test]
fn a_failed_commit_that_is_kept_is_found() {
    check_found(Planted::FailedCommitKept, "CommittedOffsetNeverRegresses");
}

#[test]
fn a_log_that_is_read_from_its_end_is_found() {
    check_found(Planted::OlderRecordWins, "CommittedOffsetNeverRegresses");
}

#[test]
fn an_assignment_that_is_answered_at_once_is_found() {
    check_found(Planted::AssignmentAnsweredAtOnce, "OnePartitionOneOwner");
}

#[test]
fn an_assignment_of_another_generation_is_found() {
    check_found(
        Planted::SyncGenerationUnchecked,
        "EveryPartitionOwnedWhenStable",
    );
}

#[test]
fn a_join_phase_without_an_end_is_found() {
    check_found(Planted::JoinTimerForgotten, "RebalanceTerminates");
}

#[test]
fn a_silent_member_that_nobody_notices_is_found() {
    check_found(Planted::SessionTimerForgotten, "RebalanceTerminates");
}
