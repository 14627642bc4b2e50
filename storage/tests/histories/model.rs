//! The simple model: per partition the batches that were sent, in order, and how far they were acknowledged.
//!
//! Knows nothing of journals, segments or recovery.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use rinka_storage::disk::Durability;
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{RecordBatchBuilder, RecordBatchHeader};
use rinka_storage::topic_partition::{TopicId, TopicPartition};

use crate::compaction::Compaction;
use crate::random::Random;
use crate::world::{Sizes, World};

/// As many batches of a producer as are known again.
const REMEMBERED: usize = 5;

/// What the model remembers of an append.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) base: Offset,
    pub(crate) end: Offset,
    pub(crate) epoch: LeaderEpoch,
    /// As the producer sent it.
    pub(crate) batch: Bytes,
    pub(crate) header: RecordBatchHeader,
    /// From when on compaction may drop its tombstones, at the earliest.
    pub(crate) horizon: i64,
}

pub(crate) struct ModelLog {
    pub(crate) name: TopicPartition,
    pub(crate) durability: Durability,
    pub(crate) sent: Vec<Sent>,
    /// Sent once and lost without having been acknowledged.
    pub(crate) lost: Vec<Sent>,
    /// Everything below was acknowledged, and must be there.
    pub(crate) acked: Offset,
    /// Everything below was deleted, for good and (`start_wanted`) perhaps.
    pub(crate) start: Offset,
    pub(crate) start_wanted: Offset,
    /// Everything below was there after a recovery, and is flushed.
    pub(crate) recovered: Offset,
    /// The time of the last compaction.
    pub(crate) last_run: i64,
}

impl ModelLog {
    /// Compaction begins: what it finds it may mark.
    pub(crate) fn on_run(&mut self, now: i64, delete_retention_ms: i64) {
        self.last_run = now;
        for sent in &mut self.sent {
            sent.horizon = sent.horizon.min(now + delete_retention_ms);
        }
    }

    fn next_sequence(&self, producer: i64) -> i32 {
        self.of_producer(producer)
            .next()
            .map_or(0, |sent| sent.header.last_sequence() + 1)
    }

    /// Newest first.
    fn of_producer(&self, producer: i64) -> impl Iterator<Item = &Sent> {
        self.sent
            .iter()
            .rev()
            .filter(move |sent| sent.header.producer_id == producer)
    }

    /// Batches of idempotent producers that must be known when they are sent again.
    pub(crate) fn repeatable(&self) -> Vec<Sent> {
        (0..PRODUCERS)
            .flat_map(|producer| self.of_producer(producer).take(REMEMBERED))
            .cloned()
            .collect()
    }

    /// What is behind `end` is gone, and everything below it is there to stay.
    pub(crate) fn settle(&mut self, start: Offset, end: Offset) {
        self.start = start;
        self.start_wanted = start;
        let kept = self.sent.partition_point(|sent| sent.end <= end);
        self.lost.extend(self.sent.drain(kept..));
        self.acked = end;
        self.recovered = end;
    }
}

/// Idempotent producers of a partition, with the ids below this number. What has no producer id comes beside them.
const PRODUCERS: i64 = 3;

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) logs: BTreeMap<TopicPartition, ModelLog>,
    /// By number of the partition: the topic that has it now.
    pub(crate) names: Vec<TopicPartition>,
    pub(crate) deleted: BTreeSet<TopicPartition>,
    /// Of those, the ones of which nothing was acknowledged: no checkpoint and no journal need know them.
    pub(crate) deleted_empty: Vec<TopicPartition>,
    topics: u128,
    /// The time that compaction goes by.
    pub(crate) now: i64,
    pub(crate) logs_compacted: u64,
    /// Bytes that compaction saved.
    pub(crate) bytes_compacted: u64,
}

pub(crate) type SharedModel = Rc<RefCell<Model>>;

impl Model {
    pub(crate) fn new(world: &World) -> SharedModel {
        let mut model = Self::default();
        for number in 0..world.configs.len() {
            let name = model.create(world, number);
            model.names.push(name);
        }
        Rc::new(RefCell::new(model))
    }

    fn create(&mut self, world: &World, number: usize) -> TopicPartition {
        self.topics += 1;
        let name = TopicPartition {
            topic_id: TopicId(uuid::Uuid::from_u128(7 + self.topics)),
            partition: number as i32,
        };
        self.logs.insert(
            name,
            ModelLog {
                name,
                durability: world.configs[number].durability,
                sent: Vec::new(),
                lost: Vec::new(),
                acked: Offset::ZERO,
                start: Offset::ZERO,
                start_wanted: Offset::ZERO,
                recovered: Offset::ZERO,
                last_run: i64::MIN,
            },
        );
        name
    }

    /// The topic is deleted, and another one of that name is there.
    pub(crate) fn recreate(&mut self, world: &World, number: usize) {
        let old = self.names[number];
        let log = self.logs.remove(&old);
        if log.is_some_and(|log| log.acked == Offset::ZERO) {
            self.deleted_empty.push(old);
        }
        self.deleted.insert(old);
        self.names[number] = self.create(world, number);
    }

    /// The power went, or the disk gave up what it had not flushed: acknowledgements that did not wait for a flush stood on
    /// nothing more than the last recovery.
    pub(crate) fn lose_unflushed(&mut self) {
        for log in self.logs.values_mut() {
            if log.durability == Durability::Written {
                log.acked = log.recovered;
            }
        }
    }

    /// The disk has damaged what was acknowledged.
    pub(crate) fn promise_nothing(&mut self) {
        for log in self.logs.values_mut() {
            log.acked = Offset::ZERO;
        }
    }
}

/// The next batch of a random producer.
pub(crate) fn next_batch(
    log: &ModelLog,
    random: &mut Random,
    sizes: Sizes,
    compaction: Option<Compaction>,
) -> (Bytes, RecordBatchHeader) {
    let large = match sizes {
        Sizes::Tiny | Sizes::Even => false,
        Sizes::Mixed => random.one_in(12),
        Sizes::Large => !random.one_in(3),
    };
    let bytes = match (sizes, large) {
        (Sizes::Tiny, _) => 50,
        // So large that it goes to its segment from where it lies in the journal's block.
        (Sizes::Even, _) => 36_000,
        (_, true) => (128 << 10) + random.below(60_000),
        (Sizes::Large, false) => random.below(3000),
        (Sizes::Mixed, false) => random.below(30_000),
    };
    let count = match sizes {
        Sizes::Tiny | Sizes::Even => 1,
        _ => 1 + random.below(3) as i32,
    };
    let mut builder = RecordBatchBuilder::new();
    let producer = random.below(PRODUCERS as u64 + 1) as i64;
    if producer < PRODUCERS {
        builder = builder.producer(producer, 0, log.next_sequence(producer));
    }
    let time = 1000 + log.sent.len() as i64;
    for record in 0..count {
        let fill = random.next() as u8;
        let share = bytes / count as u64;
        let (key, is_tombstone) = match compaction {
            Some(compaction) => (random.below(compaction.keys), random.one_in(6)),
            None => (random.next(), false),
        };
        let value = vec![fill; share as usize];
        builder.append(
            time + i64::from(record),
            Some(&key.to_le_bytes()),
            (!is_tombstone).then_some(&value),
        );
    }
    let batch = builder.build();
    let header = RecordBatchHeader::parse(&batch).expect("a batch");
    (batch, header)
}
