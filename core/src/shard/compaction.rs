//! The task that compacts logs, in what time the shard has left over: the dirtiest first, a few at a time, no faster than allowed.
//!
//! Storage says what is dirty and does the work in small steps; this only chooses among partitions, waits, and counts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rinka_storage::compaction::{CompactionConfig, Dirtiness, Pacing, Step};
use rinka_storage::store::{Compacted, CompactionRequest, CompactionSettings, Pauses};
use rinka_storage::topic_partition::TopicPartition;

use super::Shard;
use super::partition::Partition;
use super::shard_map::METADATA;
use crate::config::topic::TopicConfig;
use crate::metrics::CleanerReport;

/// Logs of one run. A run needs two checkpoints, however many logs it is over.
const LOGS_AT_ONCE: usize = 16;

/// Bytes of logs after which a run takes in no more of them.
const BYTES_AT_ONCE: u64 = 256 << 20;

/// Partitions looked at before others have their turn.
const PARTITIONS_AT_ONCE: usize = 100;

/// A backoff of 0 is allowed, and would keep an idle core busy with looks.
const BACKOFF_MIN: Duration = Duration::from_millis(1);

/// The key map's memory, a shard, where `log.cleaner.dedupe.buffer.size` is not set: 600,000 keys.
const KEY_MAP_BYTES: usize = 16 << 20;

/// What compaction has done on one shard.
#[derive(Default)]
pub(crate) struct Cleaner {
    report: RefCell<CleanerReport>,
    /// When the last look began, since the shard's start.
    looked: Cell<Duration>,
    /// Partitions that cannot be compacted, and why.
    uncompactable: RefCell<BTreeMap<TopicPartition, String>>,
}

impl Cleaner {
    pub(crate) fn report(&self, now: Duration) -> CleanerReport {
        CleanerReport {
            uncleanable_partitions: self.uncompactable.borrow().len() as u64,
            since_last_run: now.saturating_sub(self.looked.get()),
            ..self.report.borrow().clone()
        }
    }
}

/// A log that is worth a run.
struct Candidate {
    partition: Rc<Partition>,
    config: CompactionConfig,
    ratio: f64,
    bytes: u64,
    dirty_bytes: u64,
}

/// Compaction waits by the core's timers, and goes on when the core has nothing else to do.
struct Spare<'a>(&'a Shard);

impl Pauses for Spare<'_> {
    fn now(&self) -> Duration {
        self.0.now()
    }

    async fn sleep(&self, time: Duration) {
        rinka_reactor::sleep(time).await;
    }

    async fn background(&self) {
        rinka_reactor::background().await;
    }

    fn stopping(&self) -> bool {
        self.0.stopping()
    }
}

/// What storage has to know of a topic's compaction.
fn compaction_config(config: &TopicConfig) -> CompactionConfig {
    CompactionConfig {
        dirty_ratio_min: config.dirty_ratio_min,
        lag_ms_min: config.compaction_lag_ms_min,
        lag_ms_max: config.compaction_lag_ms_max,
        delete_retention_ms: config.delete_retention_ms,
        segment_index_bytes: config.segment_index_bytes,
    }
}

impl Shard {
    /// Compacts logs until the broker stops.
    pub(crate) async fn keep_compact(self: Rc<Self>) {
        let config = &self.node.config.cleaner;
        if !config.enable {
            return;
        }
        let backoff = Duration::from_millis(config.backoff_ms).max(BACKOFF_MIN);
        // The rate is the node's.
        let shards = self.shards() as f64;
        let rate = config.io_bytes_per_second_max.map(|rate| rate / shards);
        let pacing = RefCell::new(Pacing::new(rate));
        while !self.stopping() {
            let candidates = self.dirty_logs().await;
            let found = !candidates.is_empty();
            let good = self.compact(candidates, &pacing).await;
            // As Kafka's cleaner: at once again after a run that found something, else after a while.
            if !found || !good {
                rinka_reactor::sleep(backoff).await;
            }
        }
    }

    /// Logs that are worth a run, the dirtiest first.
    async fn dirty_logs(&self) -> Vec<Candidate> {
        self.cleaner.looked.set(self.now());
        let partitions: Vec<Rc<Partition>> = self.partitions.borrow().values().cloned().collect();
        let now = self.wall_clock();
        self.cleaner
            .uncompactable
            .borrow_mut()
            .retain(|name, _| self.partitions.borrow().contains_key(name));
        let mut candidates = Vec::new();
        let mut max_ratio: f64 = 0.0;
        let mut max_delay_ms = 0;
        for (index, partition) in partitions.into_iter().enumerate() {
            if index % PARTITIONS_AT_ONCE == PARTITIONS_AT_ONCE - 1 {
                rinka_reactor::background().await;
            }
            let topic = Arc::clone(&partition.config.borrow());
            let skip = partition.name == METADATA || partition.closed.get();
            if skip || !topic.cleanup.compact {
                continue;
            }
            if self
                .cleaner
                .uncompactable
                .borrow()
                .contains_key(&partition.name)
            {
                continue;
            }
            let config = compaction_config(&topic);
            let committed = partition.high_watermark();
            let dirtiness = Dirtiness::of(&partition.log.borrow(), &config, committed, now);
            let ratio = dirtiness.ratio();
            max_ratio = max_ratio.max(ratio);
            max_delay_ms = max_delay_ms.max(dirtiness.delay_ms);
            if dirtiness.is_worth_it(&config) {
                candidates.push(Candidate {
                    partition,
                    config,
                    ratio,
                    bytes: dirtiness.clean_bytes + dirtiness.cleanable_bytes,
                    dirty_bytes: dirtiness.cleanable_bytes,
                });
            }
        }
        let mut report = self.cleaner.report.borrow_mut();
        report.max_dirty_ratio = max_ratio;
        report.max_delay = Duration::from_millis(u64::try_from(max_delay_ms).unwrap_or(0));
        candidates.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
        candidates
    }

    /// One run over the first of the candidates. Says whether it ended well.
    async fn compact(&self, candidates: Vec<Candidate>, pacing: &RefCell<Pacing>) -> bool {
        let mut bytes = 0;
        let dirty_bytes = candidates.iter().map(|candidate| candidate.dirty_bytes);
        let dirty_bytes = dirty_bytes.sum();
        let few = candidates.into_iter().take(LOGS_AT_ONCE);
        let requests: Vec<CompactionRequest> = few
            .take_while(|candidate| {
                let room = bytes < BYTES_AT_ONCE;
                bytes += candidate.bytes;
                room
            })
            .map(|candidate| CompactionRequest {
                log: Rc::clone(&candidate.partition.log),
                config: candidate.config,
                committed: candidate.partition.high_watermark(),
            })
            .collect();
        if requests.is_empty() {
            return true;
        }
        let cleaner = &self.node.config.cleaner;
        let shards = self.shards();
        let (first, second) = uuid::Uuid::new_v4().as_u64_pair();
        let settings = CompactionSettings {
            key_map_bytes: cleaner
                .dedupe_buffer_bytes
                .map_or(KEY_MAP_BYTES, |all| all / shards),
            now: self.wall_clock(),
            seed: [first, second],
        };
        let begun = self.now();
        let spare = Spare(self);
        let pace = async |next| self.store.let_compact(pacing, next, &spare).await;
        pacing.borrow_mut().on_run(dirty_bytes);
        // The checkpoints at its beginning and its end are steps as well, and what they took counts.
        if !pace(Step::Disk { bytes: 0 }).await {
            return true;
        }
        let compacted = self.store.compact(&requests, &settings, &pace).await;
        self.store.end_step(pacing, self.now(), 0);
        match compacted {
            Ok(done) => {
                self.count_compacted(&done, self.now().saturating_sub(begun));
                done.uncompactable.is_empty() && done.logs > 0
            }
            Err(error) => {
                log::warn!("shard {}: compaction waits: {error}", self.number);
                false
            }
        }
    }

    fn count_compacted(&self, done: &Compacted, took: Duration) {
        for found in &done.uncompactable {
            log::error!(
                "{} is not compacted any more until a restart: {}",
                found.topic_partition,
                found.reason
            );
            self.cleaner
                .uncompactable
                .borrow_mut()
                .insert(found.topic_partition, found.reason.clone());
        }
        let mut report = self.cleaner.report.borrow_mut();
        report.logs += done.logs;
        report.bytes_before += done.bytes_before;
        report.bytes_after += done.bytes_after;
        report.bytes_read += done.bytes_read;
        report.bytes_written += done.bytes_written;
        report.last_took = took;
        report.last_key_map_utilization = done.key_map_utilization;
        report.last_recopied_ratio = match done.bytes_before {
            0 => 0.0,
            before => done.bytes_after as f64 / before as f64,
        };
    }
}
