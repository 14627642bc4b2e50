//! What leaves the store: records below a log's start, segment by segment, and whole logs of deleted topics.
//!
//! Order is all: first the journal says durably where the log starts, then files get out of the way of reads, then they go.
//! Never decides what is to leave.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{AppendError, Store};
use crate::disk::{Disk, Durability};
use crate::journal::block::{EntryHeader, EntryKind};
use crate::log::SegmentName;
use crate::offset::Offset;
use crate::planted::{Planted, planted};
use crate::segment_files::{LogHandle, remove_directory};
use crate::topic_partition::TopicPartition;

/// A segment that is no longer part of its log, and whose file is out of the way: [`Store::remove_retired`] ends it.
#[derive(Clone, Debug)]
pub struct RetiredSegment {
    log: LogHandle,
    directory: String,
    name: SegmentName,
}

impl RetiredSegment {
    /// The partition it was of.
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        self.log.borrow().topic_partition
    }
}

impl<D: Disk> Store<D> {
    /// Forgets a deleted topic's log and moves its directory out of the way; [`Store::remove_directory`] ends that.
    ///
    /// # Errors
    /// Those of the disk; what could not be removed is removed at the next start.
    pub async fn remove(&self, topic_partition: TopicPartition) -> io::Result<Option<PathBuf>> {
        let Some(log) = self.logs.borrow_mut().remove(&topic_partition) else {
            return Ok(None);
        };
        if !planted(Planted::DeletedForgotten) {
            let mut leaving = self.leaving.borrow_mut();
            leaving.insert(topic_partition, Rc::clone(&log));
        }
        self.shortened.borrow_mut().remove(&topic_partition);
        log.borrow_mut().failed = Some("the topic was deleted".to_owned());
        self.unwritten.borrow_mut().remove(&topic_partition);
        self.checkpoint_due.set(true);
        loop {
            let progress = self.progress.wait();
            let compacting = self.compacting_in.get() == Some(topic_partition);
            let busy = self.checkpointing.get() || self.retiring.get() || compacting;
            if !log.borrow().writing && !busy {
                break;
            }
            progress.await;
        }
        let directory = self.files.move_away(&log).await?;
        self.leaving.borrow_mut().remove(&topic_partition);
        Ok(directory)
    }

    /// Removes a directory that [`Store::remove`] moved out of the way, and the files in it.
    ///
    /// # Errors
    /// Those of the disk; what could not be removed is removed at the next start.
    pub async fn remove_directory(&self, directory: &Path) -> io::Result<()> {
        remove_directory(&self.disk, directory).await
    }

    /// Moves a log's start up: what is below it is not served from now on, and goes with [`Store::retire`] once the journal
    /// has it. The caller keeps it at or below what is committed.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was changed then.
    pub fn advance_log_start(&self, log: &LogHandle, to: Offset) -> Result<(), AppendError> {
        if let Some(reason) = &*self.failed.borrow() {
            return Err(AppendError::Failed(reason.clone()));
        }
        let mut partition = log.borrow_mut();
        if let Some(reason) = &partition.failed {
            return Err(AppendError::Failed(reason.clone()));
        }
        if to <= partition.log_start() {
            return Ok(());
        }
        if !self.filling.borrow().builder.fits(0) {
            drop(partition);
            self.seal();
            partition = log.borrow_mut();
        }
        partition.advance_log_start(to);
        let entry = EntryHeader {
            kind: EntryKind::LogStart,
            topic_partition: partition.topic_partition,
            segment: to,
            position: 0,
        };
        drop(partition);
        let mut filling = self.filling.borrow_mut();
        filling.builder.push(entry, &[], |_| {});
        filling.log_starts.push((Rc::clone(log), to));
        // Files go after it: it must outlive them, whatever the topic's records must survive.
        filling.durability = Durability::Flushed;
        self.work.ring();
        Ok(())
    }

    /// Waits until a restart would find the log to start at `at`, or the log or the store has failed.
    ///
    /// # Errors
    /// [`AppendError::Failed`].
    pub async fn log_start_durable(&self, log: &LogHandle, at: Offset) -> Result<(), AppendError> {
        loop {
            let progress = self.progress.wait();
            if log.borrow().log_start_durable() >= at {
                return Ok(());
            }
            let failed = self.failure().or_else(|| log.borrow().failed.clone());
            if let Some(reason) = failed {
                return Err(AppendError::Failed(reason));
            }
            progress.await;
        }
    }

    /// Takes segments that lie wholly below their log's start out of it, and their files out of the way of reads; so too the files
    /// that compaction has replaced. Give each to [`Store::remove_retired`] after `file.delete.delay.ms`.
    ///
    /// # Errors
    /// Those of the disk; what could not be done is done at the next call, or by the next start.
    pub async fn retire(&self) -> io::Result<Vec<RetiredSegment>> {
        let nothing = self.shortened.borrow().is_empty() && self.replaced.borrow().is_empty();
        if nothing || self.retiring.get() {
            return Ok(Vec::new());
        }
        while self.checkpointing.get() {
            self.progress.wait().await;
        }
        self.retiring.set(true);
        let result = self.retire_now().await;
        self.retiring.set(false);
        self.progress.ring();
        result
    }

    async fn retire_now(&self) -> io::Result<Vec<RetiredSegment>> {
        let shortened: Vec<LogHandle> = self.shortened.borrow().values().cloned().collect();
        let mut retired = Vec::new();
        for (log, name) in self.replaced.take() {
            if log.borrow().failed.is_some() {
                continue;
            }
            self.files.retire(&log, name).await?;
            let directory = log.borrow().directory.clone();
            retired.push(RetiredSegment {
                log,
                directory,
                name,
            });
        }
        for log in shortened {
            let (dead, name, directory) = {
                let mut log = log.borrow_mut();
                if log.failed.is_some() {
                    continue;
                }
                let dead = log.take_dead_segments();
                (dead, log.topic_partition, log.directory.clone())
            };
            if !log.borrow().has_dead_segments() {
                self.shortened.borrow_mut().remove(&name);
            }
            if dead.is_empty() {
                continue;
            }
            self.checkpoint_due.set(true);
            for name in dead {
                self.files.retire(&log, name).await?;
                retired.push(RetiredSegment {
                    log: Rc::clone(&log),
                    directory: directory.clone(),
                    name,
                });
            }
        }
        Ok(retired)
    }

    /// Removes the files of a retired segment.
    ///
    /// # Errors
    /// Those of the disk; the next start removes them then.
    pub async fn remove_retired(&self, retired: &RetiredSegment) -> io::Result<()> {
        // A deleted topic's directory has another name by now, and goes as a whole.
        if retired.log.borrow().failed.is_some() {
            return Ok(());
        }
        self.files
            .remove_segment(&retired.directory, retired.name)
            .await?;
        retired.log.borrow_mut().forget_doomed(retired.name);
        Ok(())
    }
}
