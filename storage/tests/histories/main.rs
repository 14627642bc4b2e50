//! Random histories of append, read, roll, delete, checkpoint, stop, crash and recovery against a simple model, on a disk
//! that makes every fault there is.
//!
//! One seed decides everything; a failure prints it. `RINKA_SEED=n` replays one, `RINKA_SEEDS=n` runs that many from
//! `RINKA_SEED_FIRST` (0) on:
//!
//! ```text
//! RINKA_SEEDS=1000000 cargo test --release -p rinka-storage --test histories -- --nocapture what_was_acknowledged
//! ```

mod compaction;
mod invariants;
mod life;
mod model;
mod planted;
mod random;
mod tally;
mod world;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_lite::future::block_on;
use rinka_storage::disk::sim::SimDisk;
use rinka_storage::leader_epoch::LeaderEpoch;

use crate::life::{Plan, directory, live, outcome, recover, recover_within_bounds};
use crate::model::{Model, SharedModel};
use crate::random::Random;
use crate::tally::Tally;
use crate::world::World;

/// Seeds that `cargo test` runs: about a minute of one core.
const SEEDS: u64 = 1500;

fn history(seed: u64, tally: &mut Tally) {
    let mut random = Random(seed);
    let world = World::new(&mut random);
    if told() {
        println!("{world:#?}");
    }
    let model = Model::new(&world);
    let mut disk = SimDisk::new();
    let mut after_stop = false;
    for number in 1..=world.lives {
        let plan = Plan {
            steps: 50 + random.below(world.steps_max),
            stop: random.one_in(4),
            epoch: LeaderEpoch(number as i32),
            after_stop,
        };
        let cut = world.faults.power_cuts && !random.one_in(4);
        if !plan.stop || random.one_in(4) {
            let soon = random.of(&[40, 600, 3000]);
            disk.lose_power_after(random.below(soon));
        }
        disk.inject(world.faults.disk, random.next());
        // An error ends the life early; what matters is what is found afterwards.
        let lived = block_on(live(&disk, &world, &model, &mut random, &plan));
        if told() {
            println!("{plan:?}: {lived:?}, then cut: {cut}, {:?}", disk.counts());
        }
        tally.life(&disk, &plan, &lived);
        let stopped = lived.unwrap_or(false);
        after_stop = stopped && !world.faults.damage();
        let counts = disk.counts();
        if stopped && counts.flush_errors == 0 {
            for log in model.borrow_mut().logs.values_mut() {
                log.recovered = log.acked;
            }
        }
        if cut || counts.flush_errors > 0 {
            model.borrow_mut().lose_unflushed();
        }
        disk = if cut {
            let (found, lost) = disk.after_power_loss(random.next());
            tally.cut(lost);
            found
        } else {
            disk.after_process_death()
        };
        if world.faults.bit_flips {
            for _ in 0..random.below(5) {
                disk.flip_some_bit(random.next());
                tally.flips += 1;
            }
            // Whatever an index says, it is only a hint.
            for _ in 0..random.below(20) {
                disk.misplace_some_word("index", random.next());
            }
        }
        if world.faults.damage() {
            model.borrow_mut().promise_nothing();
        } else if random.one_in(3) {
            recover_again_and_again(&disk, &world, &model, &mut random, cut);
        }
    }
    // The last word: a life that nothing disturbs.
    let undisturbed = Plan {
        steps: 20,
        stop: true,
        epoch: LeaderEpoch(1000),
        after_stop,
    };
    let last = block_on(live(&disk, &world, &model, &mut random, &undisturbed));
    if !world.faults.damage() {
        invariants::acked_can_be_opened(last);
    }
    if !world.faults.damage() {
        // A directory's word of whose it is can be lost with the power, and find no space on a full disk.
        let is_told = !world.faults.power_cuts && !world.faults.full;
        let known = is_told.then(|| {
            let model = model.borrow();
            let names = model.names.iter().chain(&model.deleted_empty);
            names.copied().map(directory).collect()
        });
        invariants::what_was_deleted_is_gone(&disk, known.as_ref());
        let found = disk.after_process_death();
        let opened = block_on(recover(&found, &world, &model));
        let (recovered, _) = invariants::acked_can_be_opened(opened);
        invariants::nothing_is_left_of_compaction(&found, &recovered.logs);
    }
    tally.model(&model.borrow());
}

/// On copies of the disk: recovers twice, and with an end in the middle of it.
fn recover_again_and_again(
    disk: &SimDisk,
    world: &World,
    model: &SharedModel,
    random: &mut Random,
    everything_is_flushed: bool,
) {
    let copy = disk.after_process_death();
    let opened = block_on(recover(&copy, world, model));
    let (first, _) = invariants::acked_can_be_opened(opened);
    let first = outcome(&first);
    let operations = copy.counts().operations;

    let copy = copy.after_process_death();
    let again = block_on(recover_within_bounds(&copy, world, model, true));
    let (again, replayed) = invariants::recovery_is_repeatable(again, "the second time");
    invariants::recovery_is_idempotent(&first, &outcome(&again), "the second time");
    invariants::recovery_is_idempotent(&0, &replayed.batches, "batches replayed again");

    let cut_short = disk.after_process_death();
    let at = random.below(operations);
    cut_short.lose_power_after(at);
    let _ = block_on(recover(&cut_short, world, model));
    let found = if everything_is_flushed {
        cut_short.after_power_loss(random.next()).0
    } else {
        cut_short.after_process_death()
    };
    let how = format!("cut short at operation {at} of {operations}");
    let again = block_on(recover(&found, world, model));
    let (again, _) = invariants::recovery_is_repeatable(again, &how);
    invariants::recovery_is_idempotent(&first, &outcome(&again), &how);
}

thread_local! {
    /// Panics on this thread are looked at by the test itself.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What a history ended with, if not well.
fn violation(seed: u64, tally: &mut Tally) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| history(seed, tally))).err()?;
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_else(|| "a panic without words".to_owned()))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number")),
    )
}

/// A history that is replayed alone tells what it does.
fn told() -> bool {
    number("RINKA_SEED").is_some()
}

struct Teller;

impl log::Log for Teller {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("  {}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

#[test]
fn what_was_acknowledged_is_there_after_any_crash() {
    if let Some(seed) = number("RINKA_SEED") {
        log::set_logger(&Teller).expect("the only one");
        log::set_max_level(log::LevelFilter::Info);
        return history(seed, &mut Tally::default());
    }
    let first = number("RINKA_SEED_FIRST").unwrap_or(0);
    let seeds = number("RINKA_SEEDS").unwrap_or(SEEDS);
    let mut tally = Tally::default();
    for seed in first..first + seeds {
        if let Some(violation) = violation(seed, &mut tally) {
            panic!(
                "{violation}\nseed {seed}; replay it with RINKA_SEED={seed} cargo test -p rinka-storage --test histories what_was"
            );
        }
        if seed % 10_000 == 9_999 {
            println!("{} seeds: {tally:?}", seed + 1 - first);
        }
    }
    println!("{seeds} seeds: {tally:?}");
    if seeds >= SEEDS {
        tally.everything_happened();
    }
}
