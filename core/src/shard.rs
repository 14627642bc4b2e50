//! A shard: one pinned executor that owns partitions, their journal and cache, and serves connections.
//!
//! Shares nothing with other shards but the immutable metadata image, and asks them by [`mailbox`]. Decides nothing: the
//! state machines of storage and replication do.

mod compaction;
pub(crate) mod coordinator;
pub(crate) mod mailbox;
pub(crate) mod metadata_log;
pub(crate) mod offset_lookup;
pub(crate) mod partition;
pub(crate) mod promise;
mod report;
pub(crate) mod retention;
pub(crate) mod run;
pub(crate) mod shard_map;
mod turn;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rinka_net::connection::Counters;
use rinka_replication::partition::Leader;
use rinka_storage::disk::Durability;
use rinka_storage::disk::ring::RingDisk;
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::log::{Log, LogCheckpoint, LogConfig};
use rinka_storage::offset::Offset;
use rinka_storage::recovery::LogSettings;
use rinka_storage::signal::Signal;
use rinka_storage::store::{Committer, Store};
use rinka_storage::topic_partition::TopicPartition;
use rustc_hash::FxHashMap;

use self::compaction::Cleaner;
use self::coordinator::Coordinators;
use self::mailbox::{Answer, Gone, Lane, Mailbox};
use self::partition::{Partition, PartitionError, PendingProduce, ProducePart, Produced};
use self::retention::Doomed;
use self::shard_map::{METADATA, ShardMap};
use crate::api::fetch::memory::ReplyMemory;
use crate::api::fetch::sessions::Sessions;
use crate::config::broker::BrokerConfig;
use crate::config::topic::{Ack, TopicConfig};
use crate::metadata::delta::MetadataDelta;
use crate::metadata::image::MetadataImage;
use crate::metadata::topic::Topic;
use crate::metrics::RequestCounters;
use crate::node::{Node, metadata_log_config, topic_config};
use crate::quota::QuotaUsage;

/// How often a shard looks at deadlines while it is busy.
const TICK_BUSY: Duration = Duration::from_millis(4);

/// Ticks without anything happening after which a shard counts as idle.
const BUSY_TICKS: u32 = 25;

/// The same while nothing happens: idle costs next to nothing.
const TICK_IDLE: Duration = Duration::from_millis(50);

/// A shard that did not come back to its ticker for this much longer than asked was stalled.
const STALL: Duration = Duration::from_millis(100);

/// Files not used for this long are closed.
const IDLE_SWEEP: Duration = Duration::from_secs(10);

/// The pause after a failed upkeep, a full disk for instance.
const UPKEEP_RETRY: Duration = Duration::from_millis(500);

/// The last producer ids of the block this shard was given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProducerIds {
    pub(crate) next: i64,
    pub(crate) end: i64,
}

pub(crate) struct Shard {
    pub(crate) number: usize,
    pub(crate) node: Arc<Node>,
    pub(crate) store: Rc<Store<RingDisk>>,
    pub(crate) image: RefCell<Arc<MetadataImage>>,
    /// The node's, and what was set while it ran.
    config: RefCell<Arc<BrokerConfig>>,
    /// What clients with a quota took, those whose usage is counted on this shard.
    pub(crate) quota_usage: RefCell<QuotaUsage>,
    pub(crate) producer_ids: Cell<ProducerIds>,
    /// Of the clients connected to this shard.
    pub(crate) fetch_sessions: RefCell<Sessions>,
    /// For what is read on their behalf.
    pub(crate) reply_memory: ReplyMemory,
    /// What they did, and what of it was rejected.
    pub(crate) connection_counters: Rc<Counters>,
    pub(crate) counters: RequestCounters,
    /// One metadata change at a time; used on the metadata log's shard.
    metadata_turn: turn::Turn,
    partitions: RefCell<FxHashMap<TopicPartition, Rc<Partition>>>,
    pub(crate) cleaner: Cleaner,
    /// Of the groups whose partitions this shard owns.
    coordinators: Coordinators,
    /// Files that wait for their end.
    pub(crate) doomed: RefCell<Doomed>,
    mailboxes: Vec<Mailbox>,
    map: ShardMap,
    started: Instant,
    /// Counts requests and commits: no change between two ticks means idle.
    activity: Cell<u64>,
    stalls: Cell<u64>,
    /// Rung once, when the broker stops.
    pub(crate) stop: Signal,
    stopping: Cell<bool>,
    /// Partitions that somebody waits for: only they have deadlines.
    waited_for: RefCell<FxHashMap<TopicPartition, Rc<Partition>>>,
}

/// The partition's place on disk and how it is kept, as the image has it. `None`: no such partition.
pub(crate) fn log_settings(
    image: &MetadataImage,
    config: &BrokerConfig,
    name: TopicPartition,
) -> Option<LogSettings> {
    if name == METADATA {
        return Some(LogSettings {
            directory: "__cluster_metadata-0".to_owned(),
            config: log_config(&metadata_log_config(config)),
        });
    }
    let topic = image.topic(name.topic_id)?;
    topic.partition(name.partition)?;
    let config = topic_config(&topic.overrides, config);
    Some(LogSettings {
        directory: format!("{}-{}", topic.name, name.partition),
        config: log_config(&config),
    })
}

/// What storage has to know of a topic's configuration.
fn log_config(config: &TopicConfig) -> LogConfig {
    LogConfig {
        segment_bytes: config.segment_bytes,
        // What is appended to is never compacted: an overdue record must not stay there for ever.
        segment_ms: match config.cleanup.compact {
            true => config.segment_ms.min(config.compaction_lag_ms_max),
            false => config.segment_ms,
        },
        index_interval_bytes: config.index_interval_bytes,
        durability: match config.ack {
            Ack::Flushed => Durability::Flushed,
            Ack::Written => Durability::Written,
        },
    }
}

impl Shard {
    pub(crate) fn new(
        number: usize,
        node: Arc<Node>,
        store: Rc<Store<RingDisk>>,
        mailboxes: Vec<Mailbox>,
    ) -> Rc<Self> {
        Rc::new(Self {
            number,
            map: ShardMap::new(mailboxes.len()),
            fetch_sessions: RefCell::new(Sessions::new(node.config.fetch_sessions_max)),
            reply_memory: ReplyMemory::new(node.config.reply_memory_bytes),
            connection_counters: Rc::default(),
            counters: RequestCounters::default(),
            config: RefCell::new(Arc::new(node.config.clone())),
            quota_usage: RefCell::new(QuotaUsage::new(node.config.quota)),
            coordinators: Coordinators::new(&node.config),
            node,
            store,
            image: RefCell::default(),
            producer_ids: Cell::default(),
            metadata_turn: turn::Turn::default(),
            partitions: RefCell::default(),
            cleaner: Cleaner::default(),
            doomed: RefCell::default(),
            mailboxes,
            started: Instant::now(),
            activity: Cell::new(0),
            stalls: Cell::new(0),
            stop: Signal::default(),
            stopping: Cell::new(false),
            waited_for: RefCell::default(),
        })
    }

    /// Time since the shard started: what deadlines are measured in.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Milliseconds since 1970: what timestamps are measured in.
    pub(crate) fn wall_clock(&self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Counts one event, so that the ticker knows that the shard is busy.
    pub(crate) fn mark_active(&self) {
        self.activity.set(self.activity.get() + 1);
    }

    /// The broker's configuration as it is now.
    pub(crate) fn config(&self) -> Arc<BrokerConfig> {
        Arc::clone(&self.config.borrow())
    }

    pub(crate) fn owner(&self, name: TopicPartition) -> usize {
        self.map.owner(name)
    }

    /// The shards that own some of these, and what each of them owns.
    pub(crate) fn by_owner<T: Copy>(
        &self,
        all: &[T],
        name: impl Fn(&T) -> TopicPartition,
    ) -> impl Iterator<Item = (usize, Vec<T>)> {
        let of_shards = self.map.by_owner(all.iter().copied(), name);
        let of_shards = of_shards.into_iter().enumerate();
        of_shards.filter(|(_, owned)| !owned.is_empty())
    }

    pub(crate) fn shards(&self) -> usize {
        self.map.shards()
    }

    /// The partition, if this shard owns it and it exists.
    pub(crate) fn partition(&self, name: TopicPartition) -> Option<Rc<Partition>> {
        self.partitions.borrow().get(&name).cloned()
    }

    /// Starts work on a shard, this one or another; it has its place in that shard's order when this returns.
    pub(crate) async fn start_on<T, F>(
        self: &Rc<Self>,
        shard: usize,
        lane: Lane,
        start: impl FnOnce(&Rc<Self>) -> F + Send + 'static,
    ) -> Result<Started<T>, Gone>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        if shard == self.number {
            if lane == Lane::Write {
                self.store.admit().await;
            }
            return Ok(Started::Here(Box::pin(start(self))));
        }
        Ok(Started::There(
            self.mailboxes[shard].send(lane, start).await?,
        ))
    }

    /// Appends a list of partitions' records, all at once and in order; the waits for the disk are in the future.
    pub(crate) fn produce(
        self: &Rc<Self>,
        parts: Vec<ProducePart>,
    ) -> impl Future<Output = Vec<Result<Produced, PartitionError>>> + use<> {
        self.mark_active();
        let pending: Vec<PendingProduce> = parts
            .iter()
            .map(|part| match self.partition(part.name) {
                Some(partition) => partition.produce(self, part),
                None => PendingProduce::Done(Err(PartitionError::Unknown)),
            })
            .collect();
        async move {
            let mut results = Vec::with_capacity(pending.len());
            for part in pending {
                results.push(part.wait().await);
            }
            results
        }
    }

    /// Opens the partitions this shard owns as recovery left them.
    pub(crate) fn open_partitions(
        self: &Rc<Self>,
        image: &Arc<MetadataImage>,
        logs: Vec<LogCheckpoint>,
    ) {
        *self.config.borrow_mut() = Arc::new(self.node.config_at(image).into_owned());
        for checkpoint in logs {
            let name = checkpoint.topic_partition;
            if let Some(settings) = log_settings(image, &self.config(), name) {
                self.store
                    .add(Log::open(checkpoint, settings.directory, settings.config));
            }
        }
        if self.owner(METADATA) == self.number {
            self.open_partition(image, METADATA, LeaderEpoch::ZERO);
        }
        self.reconcile(image);
    }

    fn open_partition(&self, image: &MetadataImage, name: TopicPartition, epoch: LeaderEpoch) {
        let broker = self.config();
        let Some(settings) = log_settings(image, &broker, name) else {
            return;
        };
        let log = match self.store.log(name) {
            Some(log) => log,
            None => self
                .store
                .add(Log::new(name, settings.directory, settings.config)),
        };
        let config = match image.topic(name.topic_id) {
            Some(topic) => Arc::new(topic_config(&topic.overrides, &broker)),
            None => Arc::new(metadata_log_config(&broker)),
        };
        let (log_start, end) = {
            let log = log.borrow();
            (log.log_start(), log.end())
        };
        // What recovery kept is flushed: the log's end is its flushed end.
        let leader = Leader::single_replica(self.node.id, epoch, log_start, end);
        let partition = Rc::new(Partition::new(name, log, config, leader));
        self.partitions.borrow_mut().insert(name, partition);
    }

    /// Makes this shard's partitions what a newer image says: opens the new ones, closes and removes the deleted ones.
    pub(crate) fn reconcile(self: &Rc<Self>, image: &Arc<MetadataImage>) {
        let old = std::mem::replace(&mut *self.image.borrow_mut(), Arc::clone(image));
        if !Arc::ptr_eq(old.broker_configs(), image.broker_configs()) {
            *self.config.borrow_mut() = Arc::new(self.node.config_at(image).into_owned());
            // The broker's defaults are in every topic's configuration.
            for topic in image.topics() {
                self.reconfigure(topic);
            }
        }
        let delta = MetadataDelta::between(&old, image);
        self.tell_coordinators(image, &delta);
        for topic in delta.topics_deleted {
            for (partition, _) in topic.partitions.iter() {
                self.remove_partition(TopicPartition {
                    topic_id: topic.id,
                    partition,
                });
            }
        }
        for topic in delta.topics_created {
            for (partition, state) in topic.partitions.iter() {
                let name = TopicPartition {
                    topic_id: topic.id,
                    partition,
                };
                if self.owner(name) == self.number {
                    self.open_partition(image, name, state.leader_epoch);
                }
            }
        }
        for change in delta.topics_changed {
            let topic = change.topic;
            for partition in change.partitions_added {
                let name = TopicPartition {
                    topic_id: topic.id,
                    partition,
                };
                if let Some(state) = topic.partition(partition)
                    && self.owner(name) == self.number
                {
                    self.open_partition(image, name, state.leader_epoch);
                }
            }
            if change.overrides_changed {
                self.reconfigure(&topic);
            }
        }
        self.open_coordinators(image);
    }

    /// Gives the topic's partitions here the configuration that holds now.
    fn reconfigure(&self, topic: &Topic) {
        let mut config = None;
        for (partition, _) in topic.partitions.iter() {
            let name = TopicPartition {
                topic_id: topic.id,
                partition,
            };
            if let Some(partition) = self.partition(name) {
                let config = config.get_or_insert_with(|| {
                    Arc::new(topic_config(&topic.overrides, &self.config()))
                });
                partition.log.borrow_mut().config = log_config(config);
                *partition.config.borrow_mut() = Arc::clone(config);
            }
        }
    }

    /// The partition has somebody who waits, and so deadlines to watch.
    pub(crate) fn note_wait(&self, partition: &Rc<Partition>) {
        self.waited_for
            .borrow_mut()
            .entry(partition.name)
            .or_insert_with(|| Rc::clone(partition));
    }

    /// Waits until one of the partitions has more committed than was seen, or the broker stops; `false`: the deadline came.
    pub(crate) async fn wait_for_more(
        self: &Rc<Self>,
        seen: &[(TopicPartition, Offset)],
        deadline: Duration,
    ) -> bool {
        let (bell, rung) = flume::bounded(1);
        let left = deadline.saturating_sub(self.now());
        let owners: Vec<_> = self.by_owner(seen, |(name, _)| *name).collect();
        // Then nobody rings on another thread.
        let is_here = owners.iter().all(|(owner, _)| *owner == self.number);
        for (owner, seen) in owners {
            let bell = bell.clone();
            let watch = move |shard: &Rc<Self>| {
                let deadline = shard.now() + left;
                for (name, seen) in seen {
                    match shard.partition(name) {
                        Some(partition) if !shard.stopping() => {
                            shard.note_wait(&partition);
                            partition.watch(seen, deadline, &bell);
                        }
                        _ => {
                            let _ = bell.try_send(());
                        }
                    }
                }
                std::future::ready(())
            };
            if self.start_on(owner, Lane::Read, watch).await.is_err() {
                return true;
            }
        }
        // Who else holds the bell are the watches: it is rung by them, or dropped by them all at the deadline.
        drop(bell);
        let rung = rung.recv_async();
        if is_here {
            return rung.await.is_ok();
        }
        rinka_reactor::foreign(rung).await.is_ok()
    }

    /// The broker is about to end: nobody should wait for anything that takes long.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Tells everyone that the broker ends.
    pub(crate) fn begin_stop(self: &Rc<Self>) {
        self.stopping.set(true);
        self.stop.ring();
        for partition in self.waited_for.borrow().values() {
            partition.end_watches();
        }
        self.unload_coordinators();
    }

    fn remove_partition(self: &Rc<Self>, name: TopicPartition) {
        let Some(partition) = self.partitions.borrow_mut().remove(&name) else {
            return;
        };
        partition.close(&PartitionError::Unknown);
        self.close_coordinator(name);
        let shard = Rc::clone(self);
        rinka_reactor::spawn(async move { shard.remove_log(&partition).await }).detach();
    }

    /// Starts the shard's own tasks: commits, upkeep, deadlines.
    pub(crate) fn start(self: &Rc<Self>, committer: Committer<RingDisk>) {
        let shard = Rc::clone(self);
        rinka_reactor::spawn(async move { shard.commit(committer).await }).detach();
        let shard = Rc::clone(self);
        rinka_reactor::spawn(async move { shard.upkeep().await }).detach();
        let shard = Rc::clone(self);
        rinka_reactor::spawn(async move { shard.checkpoints().await }).detach();
        rinka_reactor::spawn(Rc::clone(self).keep_short()).detach();
        rinka_reactor::spawn(Rc::clone(self).keep_compact()).detach();
        let shard = Rc::clone(self);
        rinka_reactor::spawn(async move { shard.tick().await }).detach();
    }

    async fn commit(self: &Rc<Self>, mut committer: Committer<RingDisk>) {
        while let Some(committed) = committer.commit().await {
            self.mark_active();
            for part in committed {
                let Some(partition) = self.partition(part.topic_partition) else {
                    continue;
                };
                match part.failed {
                    None => partition.on_committed(part.end, part.durability),
                    Some(reason) => partition.close(&PartitionError::Storage(reason)),
                }
            }
        }
        // The journal takes nothing any more. Whoever still waits is told, and told the truth.
        let reason = match self.store.failure() {
            Some(reason) => PartitionError::Storage(reason),
            None => PartitionError::Stopping,
        };
        let partitions: Vec<_> = self.partitions.borrow().values().cloned().collect();
        for partition in partitions {
            partition.close(&reason);
        }
    }

    async fn checkpoints(&self) {
        loop {
            self.store.checkpoint_wanted().await;
            if let Err(error) = self.store.checkpoint_or_fail().await {
                log::error!("shard {}: no checkpoint: {error}", self.number);
                if self.store.failure().is_some() {
                    return;
                }
                rinka_reactor::sleep(UPKEEP_RETRY).await;
            }
        }
    }

    async fn upkeep(&self) {
        loop {
            self.store.upkeep_due().await;
            if let Err(error) = self.store.maintain().await {
                log::error!("shard {}: {error}", self.number);
                if self.store.failure().is_some() {
                    return;
                }
                rinka_reactor::sleep(UPKEEP_RETRY).await;
            }
        }
    }

    async fn tick(self: &Rc<Self>) {
        let mut idle_swept = self.now();
        let mut seen = self.activity.get();
        let mut idle_ticks = 0;
        loop {
            let pause = if idle_ticks > BUSY_TICKS {
                TICK_IDLE
            } else {
                TICK_BUSY
            };
            let before = Instant::now();
            rinka_reactor::sleep(pause).await;
            if before.elapsed() > pause + STALL {
                self.stalls.set(self.stalls.get() + 1);
                log::warn!(
                    "shard {} was stalled for {} ms: its core was busy with something else, or one of its tasks did not yield",
                    self.number,
                    before.elapsed().as_millis()
                );
            }
            idle_ticks = if self.activity.get() == seen {
                idle_ticks + 1
            } else {
                0
            };
            seen = self.activity.get();
            let now = self.now();
            if now > idle_swept + IDLE_SWEEP {
                idle_swept = now;
                self.store.close_idle();
            }
            self.waited_for.borrow_mut().retain(|_, partition| {
                partition.on_time(now);
                !partition.is_quiet()
            });
            self.tick_coordinators(now);
        }
    }

    /// How often the shard was stalled, see ARCHITECTURE.md.
    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.get()
    }
}

/// Work that was started on some shard.
pub(crate) enum Started<T> {
    Here(std::pin::Pin<Box<dyn Future<Output = T>>>),
    There(Answer<T>),
}

impl<T> Started<T> {
    pub(crate) async fn wait(self) -> Result<T, Gone> {
        match self {
            Self::Here(work) => Ok(work.await),
            Self::There(answer) => answer.wait().await,
        }
    }
}
