//! From memory to segments: a log with much to write at once, all of them when memory holds nothing else, and what may leave memory then.
//!
//! Decides when and how many at a time; never syncs, and never touches the journal.

use std::io;
use std::time::Duration;

use super::{Store, WRITE_BACK_BYTES};
use crate::disk::Disk;
use crate::lanes;
use crate::offset::Offset;
use crate::segment_files::LogHandle;

/// Logs that are brought to their segments at a time, and how many beside commits: a flush waits behind what is queued at the disk.
const WRITES_AT_A_TIME: usize = 8;
const WRITES_BESIDE_COMMITS: usize = 2;

/// On average less than this is little: most of what such writes cost is not the disk's time but the core's, in kernel threads with
/// as much right to it as the shard. New files cost most.
const SMALL_WRITE_BYTES: usize = 64 << 10;

/// The pause after a small write is as long as that took, at most so long, and none when it is shorter than this.
const SMALL_WRITE_PAUSE_MIN: Duration = Duration::from_micros(50);
const SMALL_WRITE_PAUSE_MAX: Duration = Duration::from_millis(5);

/// How much of what recovery may have to do is there when there are no pauses any more: a checkpoint began at less.
const URGENT_FULLNESS: f64 = 0.6;

/// What is brought to segments when all of it must go there.
#[derive(Clone, Copy)]
pub(super) struct Writes {
    /// Somebody waits for commits meanwhile.
    beside_commits: bool,
    are_small: bool,
}

impl Writes {
    pub(super) fn at_a_time(self) -> usize {
        match self.beside_commits {
            true => WRITES_BESIDE_COMMITS,
            false => WRITES_AT_A_TIME,
        }
    }

    /// Whether the core should be left to others in between.
    fn take_turns(self) -> bool {
        self.beside_commits && self.are_small
    }
}

impl<D: Disk> Store<D> {
    pub(super) async fn maintain_now(&self) -> io::Result<()> {
        self.next_journal_file.make().await?;
        let mut busy = self.unwritten_logs();
        busy.retain(|log| log.borrow().bytes_to_write() >= WRITE_BACK_BYTES);
        for log in busy {
            self.make_room_for_file().await?;
            if log.borrow().failed.is_none() && self.files.write_next(&log).await? {
                self.progress.ring();
            }
        }
        self.evict();
        let is_over = self.is_over_memory();
        if !is_over && !self.is_half_undrained() {
            return Ok(());
        }
        // Asked again when there is as much more.
        self.undrained_bytes.set(0);
        let logs = self.unwritten_logs();
        let writes = self.writes_ahead(&logs);
        // Many small writes take their time. Begun when there is no more room for what comes, they would hold it up.
        if is_over || writes.take_turns() {
            // What is oldest in memory is in no segment yet: bring all of it there.
            let work = logs.iter().map(async |log| {
                let published = log.borrow().published();
                let written = self.write_back(log, published);
                self.in_turn(writes, written).await
            });
            lanes::to_the_end(writes.at_a_time(), work).await?;
            self.evict();
        }
        Ok(())
    }

    /// What kind of writes it takes to bring all of these logs to their segments.
    pub(super) fn writes_ahead(&self, logs: &[LogHandle]) -> Writes {
        let bytes: usize = logs.iter().map(|log| log.borrow().bytes_to_write()).sum();
        Writes {
            beside_commits: self.files.are_beside_commits() && !self.stopping.get(),
            are_small: bytes / SMALL_WRITE_BYTES < logs.len(),
        }
    }

    /// More is in memory than should be, and may not leave it yet.
    pub(super) fn is_over_memory(&self) -> bool {
        self.cached_bytes.get() > self.config.memory_bytes
    }

    pub(super) fn is_half_undrained(&self) -> bool {
        self.undrained_bytes.get() > self.config.memory_bytes / 2
    }

    /// Does a part of what is brought to segments. When these are small ones, others have the core for as long as it took, while there
    /// is room for what they bring.
    pub(super) async fn in_turn(
        &self,
        writes: Writes,
        part: impl Future<Output = io::Result<()>>,
    ) -> io::Result<()> {
        let begun = self.disk.clock();
        let done = part.await;
        self.evict();
        let is_urgent =
            self.is_over_memory() || self.fullness.get() > URGENT_FULLNESS || self.stopping.get();
        if writes.take_turns() && !is_urgent {
            let took = self.disk.clock().saturating_sub(begun);
            // What has nothing to write takes no time, and there may be very many of those.
            if took >= SMALL_WRITE_PAUSE_MIN {
                self.disk.pause(took.min(SMALL_WRITE_PAUSE_MAX)).await;
            }
        }
        done
    }

    pub(super) fn unwritten_logs(&self) -> Vec<LogHandle> {
        self.unwritten.borrow().values().cloned().collect()
    }

    /// Writes what was published below `end` to segments; stops early when the log has failed.
    pub(super) async fn write_back(&self, log: &LogHandle, end: Offset) -> io::Result<()> {
        loop {
            self.make_room_for_file().await?;
            let progress = self.progress.wait();
            let (writing, done, name) = {
                let log = log.borrow();
                let done = log.failed.is_some() || log.written_back().offset >= end;
                (log.writing, done, log.topic_partition)
            };
            if done {
                if log.borrow().bytes_to_write() == 0 {
                    self.unwritten.borrow_mut().remove(&name);
                }
                return Ok(());
            }
            if writing {
                progress.await;
                continue;
            }
            let written = self.files.write_next(log).await;
            if self.fail_at_once(written)? {
                self.progress.ring();
            } else {
                return Err(io::Error::other(format!(
                    "{} holds less than it should",
                    log.borrow().directory
                )));
            }
        }
    }

    pub(super) fn evict(&self) {
        let mut cache = self.cache.borrow_mut();
        while self.is_over_memory() {
            let Some(oldest) = cache.front() else { break };
            let written = oldest.logs.iter().all(|(log, end)| {
                let log = log.borrow();
                log.failed.is_some() || log.written_back().offset >= *end
            });
            if !written {
                break;
            }
            let oldest = cache.pop_front().expect("it was just looked at");
            for (log, end) in oldest.logs {
                log.borrow_mut().evict(end);
            }
            self.cached_bytes
                .set(self.cached_bytes.get() - oldest.bytes);
            self.progress.ring();
        }
    }
}
