//! Random lives of a consumer group: members of both protocols join, leave, pause and die, requests and responses get lost and come
//! twice, appends fail, the coordinator starts again from its log, topics come, go and grow.
//!
//! One seed decides everything; a failure prints it. `RINKA_SEED=n` replays one and tells what happens, `RINKA_SEEDS=n` runs that many
//! from `RINKA_SEED_FIRST` (0) on:
//!
//! ```text
//! RINKA_SEEDS=100000 cargo test -p rinka-core --lib consumer::simulation -- --nocapture
//! ```

pub(in crate::coordinator::group) mod client;
mod invariants;
pub(in crate::coordinator::group) mod random;
mod world;

use super::planted::{Planted, plant};

use self::invariants::{Invariant, Violation};
use self::random::Random;
use self::world::World;

/// Seeds that `cargo test` runs: some seconds of one core.
const SEEDS: u64 = 1_500;

/// Seeds in which a planted bug must show itself.
const SEEDS_PLANTED: u64 = 2_000;

/// Ticks of a second in which everything may happen.
const CHAOS_TICKS: u64 = 150;

/// Ticks without any fault after which the group must have come to rest: a session and a rebalance timeout, twice the interval
/// between two looks at regular expressions, and as many heartbeats as members can have to wait for one another.
const QUIET_TICKS: u64 = 120;

fn live(seed: u64, told: bool) -> Result<world::Tally, Violation> {
    let mut world = World::new(Random(seed), told);
    for _ in 0..CHAOS_TICKS {
        world.tick(true)?;
    }
    world.calm();
    for _ in 0..QUIET_TICKS {
        world.tick(false)?;
    }
    world.restart()?;
    invariants::at_rest(&world)?;
    Ok(world.tally)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn partitions_have_one_owner_and_rebalances_end() {
    if let Some(seed) = number("RINKA_SEED") {
        let tally = live(seed, true);
        println!("{tally:#?}");
        return assert_eq!(tally.err(), None);
    }
    let first = number("RINKA_SEED_FIRST").unwrap_or(0);
    let mut total = world::Tally::default();
    for seed in first..first + number("RINKA_SEEDS").unwrap_or(SEEDS) {
        match live(seed, false) {
            Ok(tally) => total.add(&tally),
            Err(violation) => panic!(
                "{violation}\nreplay: RINKA_SEED={seed} cargo test -p rinka-core --lib consumer::simulation::partitions -- --nocapture"
            ),
        }
    }
    println!("{total:#?}");
    // A simulation in which nothing happens proves nothing.
    total.assert_everything_happened();
}

#[test]
fn the_same_seed_has_the_same_life() {
    for seed in 0..5 {
        let lives = [live(seed, false), live(seed, false)];
        let [one, other] = lives.map(|life| format!("{life:?}"));
        assert_eq!(one, other);
    }
}

fn check_found(bug: Planted, expected: &[Invariant]) {
    plant(Some(bug));
    let found = (0..SEEDS_PLANTED).find_map(|seed| Some((seed, live(seed, false).err()?)));
    plant(None);
    let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
    println!("{bug:?}: seed {seed}: {violation}");
    assert!(expected.contains(&violation.invariant), "{violation}");
}

#[test]
fn planted_bugs_are_found() {
    use Invariant::*;
    check_found(Planted::OwnersUnchecked, &[OnePartitionOneOwner]);
    check_found(Planted::SilenceIsRevocation, &[OnePartitionOneOwner]);
    check_found(
        Planted::PendingRevocationNotRecorded,
        &[OnePartitionOneOwner],
    );
    check_found(
        Planted::LeavingBumpsNothing,
        &[EveryPartitionOwnedWhenStable, RebalanceTerminates],
    );
    check_found(Planted::EmptyGroupBeginsAnew, &[EpochsNeverRegress]);
    check_found(
        Planted::RemovedMemberOwnsOn,
        &[RebalanceTerminates, ReplayRestoresTheGroup],
    );
    check_found(
        Planted::TopicChangesIgnored,
        &[EveryPartitionOwnedWhenStable],
    );
    check_found(Planted::AssignmentEpochsIgnored, &[OldCommitsNeverOvertake]);
    check_found(Planted::RebalanceTimeoutIgnored, &[RevokersAreFenced]);
}
