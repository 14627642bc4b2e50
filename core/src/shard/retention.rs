//! What a log has too much of: retention, DeleteRecords, deleted topics, producers that are no longer heard of.
//!
//! Moves log starts and removes files, in small steps and after `file.delete.delay.ms`; storage says which. Never touches a
//! record that is kept.

use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rinka_storage::log::Retention;
use rinka_storage::offset::Offset;
use rinka_storage::store::RetiredSegment;
use rinka_storage::topic_partition::TopicPartition;

use super::Shard;
use super::partition::{FLUSH_WAIT_MIN, Partition, PartitionError};
use super::shard_map::METADATA;

/// How often the shard looks for files whose time has come.
const STEP: Duration = Duration::from_millis(250);

/// The first look at retention comes no later than this after the start, as in Kafka.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(30);

/// Partitions looked at before others have their turn.
const PARTITIONS_AT_ONCE: usize = 100;

/// Files that wait for their end.
#[derive(Default)]
pub(crate) struct Doomed {
    files: BinaryHeap<DoomedFiles>,
}

struct DoomedFiles {
    /// Since the shard's start.
    at: Duration,
    what: DoomedWhat,
}

enum DoomedWhat {
    Segment(RetiredSegment),
    Directory(PathBuf),
}

/// The earliest is the greatest: a heap gives it first.
impl Ord for DoomedFiles {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for DoomedFiles {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DoomedFiles {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for DoomedFiles {}

impl Doomed {
    fn push(&mut self, at: Duration, what: DoomedWhat) {
        self.files.push(DoomedFiles { at, what });
    }

    /// How many segments and directories wait.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    fn next_due(&mut self, now: Duration) -> Option<DoomedWhat> {
        if self.files.peek()?.at > now {
            return None;
        }
        self.files.pop().map(|files| files.what)
    }
}

impl Shard {
    /// The task that keeps logs short.
    pub(crate) async fn keep_short(self: Rc<Self>) {
        let interval = Duration::from_millis(self.node.config.retention_check_interval_ms);
        let mut next_check = self.now() + interval.min(FIRST_CHECK_WITHIN);
        while !self.stopping() {
            rinka_reactor::sleep(STEP).await;
            if self.now() >= next_check {
                self.check_retention().await;
                next_check = self.now() + interval;
            }
            self.retire_segments().await;
            self.remove_doomed().await;
        }
    }

    async fn check_retention(&self) {
        let partitions: Vec<Rc<Partition>> = self.partitions.borrow().values().cloned().collect();
        let now = self.wall_clock();
        let producers_before = now.saturating_sub(self.config().producer_id_expiration_ms);
        for (index, partition) in partitions.iter().enumerate() {
            if index % PARTITIONS_AT_ONCE == PARTITIONS_AT_ONCE - 1 {
                rinka_reactor::background().await;
            }
            if partition.name == METADATA || partition.closed.get() {
                continue;
            }
            partition
                .log
                .borrow_mut()
                .producers
                .expire(producers_before);
            let config = Arc::clone(&partition.config.borrow());
            if !config.cleanup.delete {
                continue;
            }
            let retention = Retention {
                now,
                ms: config.retention_ms,
                bytes: config.retention_bytes,
            };
            let from = partition
                .log
                .borrow()
                .retained_from(&retention, partition.high_watermark());
            if from > partition.log_start()
                && let Err(error) = self.advance_log_start(partition, from)
            {
                log::warn!(
                    "{}: retention waits: {error:?}",
                    partition.log.borrow().directory
                );
            }
        }
    }

    fn advance_log_start(&self, partition: &Partition, to: Offset) -> Result<(), PartitionError> {
        self.store
            .advance_log_start(&partition.log, to)
            .map_err(PartitionError::Append)?;
        partition.on_log_start(to);
        Ok(())
    }

    async fn retire_segments(&self) {
        match self.store.retire().await {
            Ok(retired) => {
                for segment in retired {
                    let delay = self
                        .partition(segment.topic_partition())
                        .map_or(0, |owner| owner.config.borrow().file_delete_delay_ms);
                    self.doom(delay, DoomedWhat::Segment(segment));
                }
            }
            Err(error) => log::warn!(
                "shard {}: a segment that is no longer needed stays until the next start: {error}",
                self.number
            ),
        }
    }

    fn doom(&self, delay_ms: i64, what: DoomedWhat) {
        let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
        self.doomed.borrow_mut().push(self.now() + delay, what);
    }

    async fn remove_doomed(&self) {
        loop {
            let due = self.doomed.borrow_mut().next_due(self.now());
            let removed = match &due {
                None => return,
                Some(DoomedWhat::Segment(segment)) => self.store.remove_retired(segment).await,
                Some(DoomedWhat::Directory(path)) => self.store.remove_directory(path).await,
            };
            if let Err(error) = removed {
                log::warn!(
                    "shard {}: files that are no longer needed stay until the next start: {error}",
                    self.number
                );
            }
        }
    }

    /// Takes a deleted partition's directory out of the way at once, and removes it later.
    pub(crate) async fn remove_log(&self, partition: &Partition) {
        let delay = partition.config.borrow().file_delete_delay_ms;
        match self.store.remove(partition.name).await {
            Ok(None) => {}
            Ok(Some(directory)) => self.doom(delay, DoomedWhat::Directory(directory)),
            Err(error) => {
                log::warn!("files of a deleted topic stay until the next start: {error}");
            }
        }
    }

    /// DeleteRecords for one partition: all below `upto`, or all that is committed. Says where the log starts then.
    pub(crate) async fn delete_records(
        self: Rc<Self>,
        name: TopicPartition,
        upto: Option<Offset>,
        timeout: Duration,
    ) -> Result<Offset, PartitionError> {
        let partition = self.partition(name).ok_or(PartitionError::Unknown)?;
        if !partition.config.borrow().cleanup.delete {
            return Err(PartitionError::NotDeletable);
        }
        let high_watermark = partition.high_watermark();
        let upto = upto.unwrap_or(high_watermark);
        if upto < Offset::ZERO || upto > high_watermark {
            return Err(PartitionError::OffsetOutOfRange);
        }
        self.mark_active();
        self.advance_log_start(&partition, upto)?;
        let durable = async {
            let durable = self.store.log_start_durable(&partition.log, upto).await;
            durable.map_err(PartitionError::Append)
        };
        let too_late = async {
            rinka_reactor::sleep(timeout.max(FLUSH_WAIT_MIN)).await;
            Err(PartitionError::TimedOut)
        };
        futures_lite::future::or(durable, too_late).await?;
        Ok(partition.log_start())
    }
}
