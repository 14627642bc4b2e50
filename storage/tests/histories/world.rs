//! What a seed decides before its history begins: how the logs are configured, and which faults there are.
//!
//! Swarm testing: every seed has a random subset of the faults, since some bugs only show where others stay away.

use rinka_storage::disk::Durability;
use rinka_storage::disk::sim::SimFaults;
use rinka_storage::log::LogConfig;

use crate::compaction::Compaction;
use crate::random::Random;

pub(crate) const ROOT: &str = "/data";

/// The smallest there is: two files.
pub(crate) const JOURNAL_BYTES: u64 = 8 << 20;

#[derive(Clone, Debug)]
pub(crate) struct World {
    /// One a partition.
    pub(crate) configs: Vec<LogConfig>,
    pub(crate) sizes: Sizes,
    pub(crate) memory_bytes: usize,
    pub(crate) unsynced_files_max: usize,
    /// How often others go first before a checkpoint that the journal wants begins.
    pub(crate) checkpoint_delay: u32,
    pub(crate) lives: u64,
    pub(crate) steps_max: u64,
    pub(crate) faults: Faults,
    pub(crate) compaction: Option<Compaction>,
}

/// How large batches are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// Blocks of one size: those of an older generation lie exactly where those of a newer one end.
    Tiny,
    /// Blocks of a few sizes, larger ones: those of a recycled file end where older ones begin.
    Even,
    /// Batches that fill blocks, a twelfth of them so large that they go past the journal.
    Mixed,
    /// So many of those that they meet in one block of a segment.
    Large,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// Lives end by loss of power, not only by the death of the process.
    pub(crate) power_cuts: bool,
    /// I/O errors, lies and delays.
    pub(crate) disk: SimFaults,
    pub(crate) full: bool,
    pub(crate) bit_flips: bool,
    pub(crate) deletions: bool,
}

impl Faults {
    /// The disk gives back other bytes than it acknowledged: with one copy of the data nobody can promise that it is there,
    /// only that nothing wrong is served.
    pub(crate) fn damage(&self) -> bool {
        self.bit_flips || self.disk.misdirected > 0
    }
}

impl World {
    pub(crate) fn new(random: &mut Random) -> Self {
        let partitions = 1 + random.below(4);
        let durability = random.of(&[
            Some(Durability::Flushed),
            Some(Durability::Flushed),
            Some(Durability::Written),
            None,
        ]);
        let index_interval_bytes = random.of(&[1, 4096, 4096, 60_000]);
        let configs = (0..partitions)
            .map(|_| LogConfig {
                segment_bytes: 400_000 + random.below(600_000) as u32,
                segment_ms: random.of(&[i64::MAX, i64::MAX, 300]),
                index_interval_bytes,
                durability: durability
                    .unwrap_or_else(|| random.of(&[Durability::Flushed, Durability::Written])),
            })
            .collect();
        let damage = random.one_in(4);
        let some = |random: &mut Random, chance: u32| if random.one_in(3) { chance } else { 0 };
        let disk = SimFaults {
            write_errors: some(random, 20),
            flush_errors: some(random, 40),
            misdirected: if damage { random.of(&[0, 20, 100]) } else { 0 },
            polls_max: some(random, 30),
        };
        let mut world = Self {
            configs,
            sizes: random.of(&[
                Sizes::Tiny,
                Sizes::Even,
                Sizes::Mixed,
                Sizes::Mixed,
                Sizes::Large,
            ]),
            memory_bytes: random.of(&[64 << 10, 1 << 20, 4 << 20]),
            unsynced_files_max: random.of(&[1, 3, 100, 100]),
            checkpoint_delay: random.of(&[0, 0, 30, 300]),
            lives: 1 + random.below(5),
            steps_max: random.of(&[100, 500, 1200]),
            faults: Faults {
                power_cuts: !random.one_in(4),
                disk,
                full: random.one_in(4),
                bit_flips: damage && random.one_in(2),
                deletions: random.one_in(3),
            },
            compaction: None,
        };
        // By a chance of its own: histories without compaction are what they were.
        let mut own = Random(random.0 ^ 0x5EED);
        if !damage && own.one_in(4) {
            world.compaction = Some(Compaction::new(&mut own));
            // Only segments that nothing is appended to are compacted: there are to be many.
            let least = match world.sizes {
                Sizes::Tiny => 2_000,
                Sizes::Even => 60_000,
                Sizes::Mixed | Sizes::Large => 200_000,
            };
            world.faults.full &= own.one_in(4);
            for config in &mut world.configs {
                config.segment_bytes = least + own.below(u64::from(least)) as u32;
            }
        }
        world
    }
}
