//! The shard's write-ahead journal: appends of all its partitions, gathered into blocks, one durable write a block.
//!
//! Lives in files whose space is taken at the first start, that are filled with zeros once and used again and again, never
//! extended while the broker runs: a disk that fills up does not stop the journal. Knows nothing of what an entry means to
//! its partition.

pub mod block;
pub(crate) mod next_file;
pub mod replay;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use bytes::Bytes;

use self::next_file::NextFile;
use crate::disk::{BLOCK, Disk, DiskFile, Durability, OpenMode, TRANSFER_MAX, is_full};
use crate::planted::{Planted, planted};

/// The smallest journal file. Smaller ones would be recycled, and checkpointed for, too often.
pub const FILE_BYTES_MIN: u64 = 4 << 20;

/// The number of files the capacity is cut into: while one fills, the others wait for their appends to reach segments.
pub const FILES: u64 = 8;

/// The journal's place and size.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Where its files are.
    pub directory: PathBuf,
    /// Bytes of all its files together.
    pub capacity: u64,
    /// The number of this start of the data directory: blocks of an older one are not replayed.
    pub generation: u64,
}

impl JournalConfig {
    fn file_bytes(&self) -> u64 {
        (self.capacity / FILES).max(FILE_BYTES_MIN) / TRANSFER_MAX as u64 * TRANSFER_MAX as u64
    }

    fn files_max(&self) -> usize {
        usize::try_from((self.capacity / self.file_bytes()).max(2)).expect("few files")
    }
}

/// The writer. One block is being written at a time; the next one fills meanwhile.
pub struct Journal<D: Disk> {
    disk: D,
    config: JournalConfig,
    active: JournalFile<D::File>,
    /// Files whose blocks may still be needed, oldest first.
    full: VecDeque<JournalFile<D::File>>,
    /// Files filled with zeros or recycled, ready to be written.
    ready: Vec<JournalFile<D::File>>,
    created: usize,
    next: Rc<NextFile<D>>,
    /// Where the next block goes in the active file.
    position: u64,
    /// There are blocks that a power loss could take.
    unflushed: bool,
}

struct JournalFile<F> {
    file: F,
    /// The newest block in it.
    last_sequence: u64,
}

/// The journal has no file to write to until a checkpoint releases one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalFull;

impl<D: Disk> Journal<D> {
    /// Opens the journal for writing from its beginning: what it held must have been replayed. Files of the right size
    /// are used again, others made anew.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn create(disk: D, config: JournalConfig) -> io::Result<Self> {
        disk.create_directory(&config.directory).await?;
        if let Some(parent) = config.directory.parent() {
            disk.sync_directory(parent).await?;
        }
        let next = NextFile::new(disk.clone(), config.clone());
        let active = next.whole(0).await?;
        for number in 1..config.files_max() {
            let path = config.directory.join(replay::file_name(number));
            let file = disk.open(&path, OpenMode::Create).await?;
            match file.allocate(config.file_bytes()).await {
                Err(error) if is_full(&error) => {
                    log::warn!("the journal has no room to grow to its full size: {error}");
                    break;
                }
                other => other?,
            }
        }
        disk.sync_directory(&config.directory).await?;
        Ok(Self {
            disk,
            config,
            active,
            full: VecDeque::new(),
            ready: Vec::new(),
            created: 1,
            next,
            position: 0,
            unflushed: false,
        })
    }

    /// What it will be written to next, to be made in the background.
    pub(crate) fn next_file(&self) -> &Rc<NextFile<D>> {
        &self.next
    }

    /// How full the journal is, 0 to 1: files that still wait for a checkpoint, and the active one.
    #[must_use]
    pub fn fullness(&self) -> f64 {
        let used = self.full.len() as u64 * self.config.file_bytes() + self.position;
        used as f64 / (self.config.files_max() as u64 * self.config.file_bytes()) as f64
    }

    /// Every block below `sequence` is in segments, synced, and the checkpoint says so: their files may be used again.
    pub fn release(&mut self, sequence: u64) {
        while self
            .full
            .front()
            .is_some_and(|file| file.last_sequence < sequence)
        {
            self.ready.extend(self.full.pop_front());
        }
    }

    /// Whether a block of `length` bytes can be written now.
    #[must_use]
    pub fn has_room(&self, length: usize) -> bool {
        self.position + length as u64 <= self.config.file_bytes()
            || !self.ready.is_empty()
            || self.created < self.config.files_max()
    }

    /// Writes one block. When this returns, all its entries are durable as asked.
    ///
    /// # Errors
    /// Those of the disk. After a full disk the same block may be written again; after any other one the journal must not be
    /// written, since what reached the disk is unknown.
    ///
    /// # Panics
    /// When there was no room for it, see [`Journal::has_room`].
    pub async fn write(
        &mut self,
        block: Bytes,
        sequence: u64,
        durability: Durability,
    ) -> io::Result<()> {
        let durability = match durability {
            _ if planted(Planted::AckBeforeFlush) => Durability::Written,
            asked => asked,
        };
        if self.position + block.len() as u64 > self.config.file_bytes() {
            self.roll().await?;
        }
        let length = block.len() as u64;
        // With blocks at risk before it, a flush of this one alone could leave a hole below it on a device that can flush
        // single writes: flush everything then.
        let alone = durability == Durability::Flushed && !self.unflushed;
        let with_write = if alone {
            Durability::Flushed
        } else {
            Durability::Written
        };
        self.active
            .file
            .write_at(block, self.position, with_write)
            .await?;
        if durability == Durability::Flushed && self.unflushed {
            for file in &self.full {
                file.file.sync().await.map_err(flush_failed)?;
            }
            self.active.file.sync().await.map_err(flush_failed)?;
        }
        self.unflushed = durability == Durability::Written;
        self.position += length;
        self.active.last_sequence = sequence;
        if self.ready.is_empty() && self.created < self.config.files_max() {
            self.next.keep_ahead_of(self.position, self.created);
        }
        Ok(())
    }

    async fn roll(&mut self) -> io::Result<()> {
        let next = match self.ready.pop() {
            Some(file) => file,
            None => {
                assert!(
                    self.created < self.config.files_max(),
                    "the caller checks for room before it writes"
                );
                let file = self.next.whole(self.created).await?;
                self.disk.sync_directory(&self.config.directory).await?;
                self.created += 1;
                file
            }
        };
        let filled = std::mem::replace(&mut self.active, next);
        self.full.push_back(filled);
        self.position = 0;
        Ok(())
    }
}

/// A flush that failed for lack of room has failed like any other: what it left of earlier blocks is unknown.
fn flush_failed(error: io::Error) -> io::Error {
    io::Error::other(error)
}

const _: () = assert!(
    block::BLOCK_BYTES_MAX <= TRANSFER_MAX,
    "replay reads a block with one read"
);
const _: () = assert!(
    FILE_BYTES_MIN.is_multiple_of(TRANSFER_MAX as u64) && TRANSFER_MAX.is_multiple_of(BLOCK)
);

#[cfg(test)]
mod tests;
