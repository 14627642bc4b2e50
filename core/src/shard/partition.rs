//! One partition on the shard that owns it: the leader's state machine, its log, and who waits for its marks.
//!
//! Joins what storage and replication decide. Never answers a client itself: it keeps promises that the APIs wait for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rinka_replication::offset_waiters::OffsetWaiters;
use rinka_replication::partition::{Action, Leader};
use rinka_storage::compression::Codec;
use rinka_storage::disk::Durability;
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{self, ProduceBatchError, ProduceLimits, RecordBatchHeader};
use rinka_storage::segment_files::{LogHandle, ReadError};
use rinka_storage::store::{AppendError, Appended};
use rinka_storage::topic_partition::TopicPartition;

use super::Shard;
use super::promise::{Promise, Promised, promise};
use crate::config::topic::{Compression, TimestampType, TopicConfig};
use crate::metrics::PartitionCounters;

/// Why a partition did not take or give records. `core/api` turns each into Kafka's error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartitionError {
    /// This shard has no such partition (any more).
    Unknown,
    /// The client knows an older leader epoch.
    FencedLeaderEpoch,
    /// The client knows a newer one.
    UnknownLeaderEpoch,
    OffsetOutOfRange,
    /// The topic's `cleanup.policy` does not delete.
    NotDeletable,
    NotEnoughReplicas,
    /// The batch itself is wrong.
    Batch(ProduceBatchError),
    Append(AppendError),
    /// Appended, but not durable in the time the client gave it.
    TimedOut,
    /// The disk failed.
    Storage(String),
    /// What the log should hold there is damaged.
    Damaged,
    /// The process is ending.
    Stopping,
}

/// A client's timeout bounds the wait for other replicas, of which there are none. The flush of this one gets at least this long,
/// where Kafka's own append has no bound at all: else a timeout of zero could never be met.
pub(crate) const FLUSH_WAIT_MIN: Duration = Duration::from_secs(5);

/// One partition's part of a produce request.
#[derive(Clone, Debug)]
pub(crate) struct ProducePart {
    pub(crate) name: TopicPartition,
    pub(crate) records: Bytes,
    /// The request's version decides which codecs a client may use.
    pub(crate) version: i16,
    pub(crate) acks: i16,
    pub(crate) timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) base_offset: Offset,
    /// Milliseconds since 1970, when the topic stamps batches itself.
    pub(crate) log_append_time: Option<i64>,
    pub(crate) log_start: Offset,
}

/// Watches on one partition from which those of answered fetches are looked for.
const WATCHES_SWEPT_FROM: usize = 32;

type Ack = Promise<Result<(), PartitionError>>;

pub(crate) struct Partition {
    pub(crate) name: TopicPartition,
    pub(crate) log: LogHandle,
    pub(crate) config: RefCell<Arc<TopicConfig>>,
    leader: RefCell<Leader>,
    /// Produce requests, by the offset that must be committed.
    acks: RefCell<OffsetWaiters<Ack>>,
    /// Fetches that found too little, by the first high watermark worth another look. A send that fails means that the
    /// fetch was answered already.
    watches: RefCell<OffsetWaiters<flume::Sender<()>>>,
    pub(crate) closed: Cell<bool>,
    /// What the last commit stood on.
    commit_class: Cell<Durability>,
    pub(crate) counters: PartitionCounters,
}

/// An append that is on its way to the disk.
pub(crate) enum PendingProduce {
    Done(Result<Produced, PartitionError>),
    Waiting(Promised<Result<(), PartitionError>>, Produced),
}

impl PendingProduce {
    pub(crate) async fn wait(self) -> Result<Produced, PartitionError> {
        match self {
            Self::Done(result) => result,
            Self::Waiting(ack, produced) => match ack.wait().await {
                Some(result) => result.map(|()| produced),
                None => Err(PartitionError::Stopping),
            },
        }
    }
}

impl Partition {
    pub(crate) fn new(
        name: TopicPartition,
        log: LogHandle,
        config: Arc<TopicConfig>,
        leader: Leader,
    ) -> Self {
        Self {
            name,
            log,
            config: RefCell::new(config),
            leader: RefCell::new(leader),
            acks: RefCell::default(),
            watches: RefCell::default(),
            closed: Cell::new(false),
            commit_class: Cell::new(Durability::Flushed),
            counters: PartitionCounters::default(),
        }
    }

    pub(crate) fn high_watermark(&self) -> Offset {
        self.leader.borrow().high_watermark()
    }

    pub(crate) fn log_start(&self) -> Offset {
        self.log.borrow().log_start()
    }

    /// What lies below is deleted.
    pub(crate) fn on_log_start(&self, to: Offset) {
        self.leader.borrow_mut().on_log_start(to);
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.leader.borrow().epoch()
    }

    /// Compares the leader epoch that a client believes in, -1 for "I do not know", with ours (KIP-320).
    pub(crate) fn check_epoch(&self, believed: i32) -> Result<(), PartitionError> {
        match believed {
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch().0 => Err(PartitionError::FencedLeaderEpoch),
            epoch if epoch > self.leader_epoch().0 => Err(PartitionError::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Where the log's part of an epoch ends, when a reader that read up to `offset` in it (-1: not said) has more of it.
    pub(crate) fn divergence(&self, epoch: i32, offset: Offset) -> Option<(LeaderEpoch, Offset)> {
        if epoch < 0 {
            return None;
        }
        let log = self.log.borrow();
        let (found, end) = log.epochs.end_of(LeaderEpoch(epoch), log.end())?;
        (found.0 < epoch || end < offset).then_some((found, end))
    }

    /// Takes one partition's records at once; the wait for the disk is in what it returns.
    pub(crate) fn produce(self: &Rc<Self>, shard: &Shard, part: &ProducePart) -> PendingProduce {
        add(&self.counters.produces, 1);
        match self.append(shard, part) {
            Ok((appended, produced)) => {
                let end = match appended {
                    Appended::New { end, .. } | Appended::Duplicate { end, .. } => end,
                };
                if part.acks != -1 && part.acks != 1 || end <= self.high_watermark() {
                    if part.acks != 0 {
                        self.count_acknowledged(1);
                    }
                    return PendingProduce::Done(Ok(produced));
                }
                // acks=1 waits as acks=all does: with one replica they are the same, and an answer always means durable.
                let (give, wait) = promise();
                let timeout = part.timeout.max(FLUSH_WAIT_MIN);
                self.acks
                    .borrow_mut()
                    .wait(end, shard.now() + timeout, give);
                shard.note_wait(self);
                PendingProduce::Waiting(wait, produced)
            }
            Err(error) => {
                add(&self.counters.failed_produces, 1);
                PendingProduce::Done(Err(error))
            }
        }
    }

    pub(crate) fn count_fetch(&self) {
        add(&self.counters.fetches, 1);
    }

    pub(crate) fn count_failed_fetch(&self) {
        add(&self.counters.failed_fetches, 1);
    }

    fn count_acknowledged(&self, count: usize) {
        let counters = &self.counters;
        let class = match self.commit_class.get() {
            Durability::Flushed => &counters.acknowledged_flushed,
            Durability::Written => &counters.acknowledged_written,
        };
        add(class, count);
    }

    fn append(
        &self,
        shard: &Shard,
        part: &ProducePart,
    ) -> Result<(Appended, Produced), PartitionError> {
        if let Some(reason) = shard.store.full() {
            return Err(PartitionError::Storage(reason));
        }
        let config = Arc::clone(&self.config.borrow());
        let now = shard.wall_clock();
        let limits = ProduceLimits {
            version: part.version,
            batch_bytes_max: config.message_bytes_max as usize,
            now,
            timestamp_before_max_ms: config.timestamp_before_ms_max,
            timestamp_after_max_ms: config.timestamp_after_ms_max,
            log_append_time: config.timestamp_type == TimestampType::LogAppendTime,
            keys_required: config.cleanup.compact,
            codec: codec(config.compression),
        };
        let accepted = record_batch::validate_produced(&part.records, &limits)
            .map_err(PartitionError::Batch)?;
        self.leader
            .borrow()
            .check_min_in_sync_replicas(
                part.acks,
                usize::try_from(config.min_insync_replicas).unwrap_or(1),
            )
            .map_err(|_| PartitionError::NotEnoughReplicas)?;
        let log_append_time = limits.log_append_time.then_some(now);
        let epoch = self.leader_epoch();
        let appended = shard
            .store
            .append(
                &self.log,
                &accepted.header,
                &accepted.batch,
                epoch,
                accepted.stamp,
            )
            .map_err(PartitionError::Append)?;
        let base_offset = match appended {
            Appended::New { base, end } => {
                let records = usize::try_from(end.since(base)).unwrap_or(0);
                add(&self.counters.messages_in, records);
                add(&self.counters.bytes_in, accepted.batch.len());
                let mut actions = Vec::new();
                self.leader.borrow_mut().on_append(end, &mut actions);
                self.carry_out(&mut actions);
                base
            }
            Appended::Duplicate { base, .. } => base,
        };
        Ok((
            appended,
            Produced {
                base_offset,
                log_append_time,
                log_start: self.log_start(),
            },
        ))
    }

    /// The broker's own appends (the metadata log): resolves once they are committed.
    pub(crate) fn append_own(
        &self,
        shard: &Shard,
        batch: &Bytes,
    ) -> Result<Promised<Result<(), PartitionError>>, AppendError> {
        let header = RecordBatchHeader::parse(batch).expect("we built it");
        let epoch = self.leader_epoch();
        let appended = shard.store.append(&self.log, &header, batch, epoch, None)?;
        let Appended::New { end, .. } = appended else {
            unreachable!("it has no producer id")
        };
        let mut actions = Vec::new();
        self.leader.borrow_mut().on_append(end, &mut actions);
        self.carry_out(&mut actions);
        let (give, wait) = promise();
        self.acks.borrow_mut().wait(end, Duration::MAX, give);
        Ok(wait)
    }

    /// Everything below `end` is durable here, as far as `class` says.
    pub(crate) fn on_committed(&self, end: Offset, class: Durability) {
        self.commit_class.set(class);
        let mut actions = Vec::new();
        self.leader.borrow_mut().on_flushed(end, &mut actions);
        self.carry_out(&mut actions);
    }

    /// The partition will serve nothing more: everyone who waits is told why.
    pub(crate) fn close(&self, reason: &PartitionError) {
        self.closed.set(true);
        let mut acks = Vec::new();
        self.acks.borrow_mut().drain(&mut acks);
        for ack in acks {
            ack.give(Err(reason.clone()));
        }
        self.end_watches();
    }

    /// Whoever watches looks again now.
    pub(crate) fn end_watches(&self) {
        let mut watches = Vec::new();
        self.watches.borrow_mut().drain(&mut watches);
        for watch in watches {
            let _ = watch.try_send(());
        }
    }

    fn carry_out(&self, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::HighWatermarkAdvanced { to } => {
                    let mut acks = Vec::new();
                    self.acks.borrow_mut().on_mark(to, &mut acks);
                    self.count_acknowledged(acks.len());
                    for ack in acks {
                        ack.give(Ok(()));
                    }
                    let mut watches = Vec::new();
                    self.watches.borrow_mut().on_mark(to, &mut watches);
                    for watch in watches {
                        // Full means that the fetch was woken already, closed that it was answered.
                        let _ = watch.try_send(());
                    }
                }
            }
        }
    }

    /// Rings `bell` when the high watermark passes `seen`, unless `deadline` comes first.
    pub(crate) fn watch(&self, seen: Offset, deadline: Duration, bell: &flume::Sender<()>) {
        if self.closed.get() || self.high_watermark() > seen {
            let _ = bell.try_send(());
            return;
        }
        let mut watches = self.watches.borrow_mut();
        if watches.len() > WATCHES_SWEPT_FROM {
            // Fetches over many partitions leave one behind on each quiet partition until its deadline.
            watches.cancel(flume::Sender::is_disconnected);
        }
        watches.wait(seen.plus(1), deadline, bell.clone());
    }

    /// Ends waits whose time is over.
    pub(crate) fn on_time(&self, now: Duration) {
        let mut acks = Vec::new();
        self.acks.borrow_mut().on_deadline(now, &mut acks);
        for ack in acks {
            ack.give(Err(PartitionError::TimedOut));
        }
        let mut watches = Vec::new();
        self.watches.borrow_mut().on_deadline(now, &mut watches);
    }

    /// Nobody waits for this partition.
    pub(crate) fn is_quiet(&self) -> bool {
        self.acks.borrow().is_empty() && self.watches.borrow().is_empty()
    }

    /// Committed batches from `offset` on, one and more in a slice: about `bytes_max` bytes, at least one batch where there is one.
    pub(crate) async fn read(
        self: &Rc<Self>,
        shard: &Shard,
        offset: Offset,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, PartitionError> {
        let limit = self.high_watermark();
        self.count_fetch();
        if offset < self.log_start() || offset > self.log.borrow().end() {
            return Err(PartitionError::OffsetOutOfRange);
        }
        let read = shard.store.read_runs(&self.log, offset, limit, bytes_max);
        match read.await {
            Ok(batches) => {
                add(
                    &self.counters.bytes_out,
                    batches.iter().map(Bytes::len).sum(),
                );
                Ok(batches)
            }
            Err(ReadError::Disk(_)) if self.closed.get() => Err(PartitionError::Unknown),
            // Deleted while it was read.
            Err(_) if offset < self.log_start() => Err(PartitionError::OffsetOutOfRange),
            Err(ReadError::Disk(error)) => Err(PartitionError::Storage(error.to_string())),
            Err(error @ ReadError::Damaged { .. }) => {
                log::error!("{error}");
                Err(PartitionError::Damaged)
            }
        }
    }
}

fn add(cell: &Cell<u64>, count: usize) {
    cell.set(cell.get() + count as u64);
}

/// What batches are packed anew with, and at which level.
fn codec(compression: Compression) -> Option<(Codec, Option<i32>)> {
    match compression {
        Compression::Producer => None,
        Compression::Uncompressed => Some((Codec::None, None)),
        Compression::Gzip { level } => Some((Codec::Gzip, Some(level))),
        Compression::Snappy => Some((Codec::Snappy, None)),
        Compression::Lz4 { level } => Some((Codec::Lz4, Some(level))),
        Compression::Zstd { level } => Some((Codec::Zstd, Some(level))),
    }
}
