//! Reads a journal back, block by block, and stops at the first that is torn, missing or of another generation.
//!
//! Never changes a byte: replaying twice gives the same blocks.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::block::{self, BLOCK_BYTES_MAX, BlockHeader, Entry, EntryKind};
use crate::disk::{BLOCK, Disk, DiskFile, OpenMode, TRANSFER_MAX};
use crate::planted::{Planted, planted};
use crate::record_batch;

/// The name of the journal's file number `number`.
pub(super) fn file_name(number: usize) -> String {
    format!("{number:03}.journal")
}

/// A block as read back.
#[derive(Clone, Debug)]
pub struct ReplayedBlock {
    pub sequence: u64,
    pub bytes: Bytes,
    pub entries: Vec<Entry>,
}

/// A journal that is being read.
pub struct Replay<D: Disk> {
    disk: D,
    directory: PathBuf,
    generation: u64,
    next_sequence: u64,
    /// Files that begin with a block worth reading, in the order of their blocks.
    files: VecDeque<(u64, PathBuf)>,
    current: Option<OpenFile<D::File>>,
    /// Where reading ended.
    ended: Option<OpenFile<D::File>>,
}

/// A block that was followed by another and yet cannot be read. One block is written at a time: it was whole once, unless its
/// records were acknowledged without a flush and the power was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedBlock {
    pub file: PathBuf,
    /// Where it begins, in bytes.
    pub position: u64,
    pub sequence: u64,
}

struct OpenFile<F> {
    file: F,
    path: PathBuf,
    position: u64,
    window: Bytes,
    window_start: u64,
}

impl<F: DiskFile> OpenFile<F> {
    /// The bytes from `position` on, at least `length` of them unless the file ends before.
    async fn bytes(&mut self, length: usize) -> io::Result<Bytes> {
        let skip = usize::try_from(self.position - self.window_start).expect("windows are small");
        if skip + length > self.window.len() {
            self.window = self.file.read_at(self.position, TRANSFER_MAX).await?;
            self.window_start = self.position;
            return Ok(self.window.clone());
        }
        Ok(self.window.slice(skip..))
    }
}

impl<D: Disk> Replay<D> {
    /// Finds the files of the journal in `directory` and where block `first_sequence` of `generation` begins.
    ///
    /// # Errors
    /// Those of the disk. An absent directory is an empty journal.
    pub async fn open(
        disk: D,
        directory: &Path,
        generation: u64,
        first_sequence: u64,
    ) -> io::Result<Self> {
        let mut files = Vec::new();
        for name in disk.list(directory).await? {
            if name
                .extension()
                .is_none_or(|extension| extension != "journal")
            {
                continue;
            }
            let path = directory.join(&name);
            let file = disk.open(&path, OpenMode::Existing).await?;
            let first = file.read_at(0, BLOCK).await?;
            if let Some(header) = BlockHeader::parse(&first)
                && (header.generation == generation || planted(Planted::JournalGenerationUnchecked))
            {
                files.push((header.sequence, path));
            }
        }
        if !planted(Planted::RecycledFileReadAsNew) {
            files.sort();
        }
        // Files wholly below the first wanted block are skipped: the next file begins at or below it.
        let skip = files
            .iter()
            .rposition(|(sequence, _)| *sequence <= first_sequence)
            .unwrap_or(0);
        let files: VecDeque<_> = files.into_iter().skip(skip).collect();
        // Reading begins with the first block of a file, which may be older than the first wanted one.
        let next_sequence = match files.front() {
            Some((sequence, _)) if *sequence <= first_sequence => *sequence,
            // A journal that begins later than the checkpoint says has lost its beginning: nothing of it can be used.
            _ => first_sequence,
        };
        Ok(Self {
            disk,
            directory: directory.to_owned(),
            generation,
            next_sequence,
            files,
            current: None,
            ended: None,
        })
    }

    /// The next block in sequence, or nothing at the journal's end.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn next(&mut self) -> io::Result<Option<ReplayedBlock>> {
        loop {
            if self.current.is_none() {
                let Some((sequence, path)) = self.files.pop_front() else {
                    return Ok(None);
                };
                if sequence != self.next_sequence && !planted(Planted::RecycledFileReadAsNew) {
                    log::warn!(
                        "journal {}: block {} is missing; {} begins with block {sequence} and is not replayed",
                        self.directory.display(),
                        self.next_sequence,
                        path.display(),
                    );
                    self.files.clear();
                    return Ok(None);
                }
                let file = self.disk.open(&path, OpenMode::Existing).await?;
                self.current = Some(OpenFile {
                    file,
                    path,
                    position: 0,
                    window: Bytes::new(),
                    window_start: 0,
                });
            }
            let open = self.current.as_mut().expect("opened above");
            match read_block(open, self.generation, self.next_sequence).await? {
                Some(block) => {
                    self.next_sequence += 1;
                    return Ok(Some(block));
                }
                // The end of this file's blocks; the next file may go on with the sequence.
                None => self.ended = self.current.take(),
            }
        }
    }

    /// Whether reading ended at a block that is damaged, and not at the end of what was written: then a later block follows, within
    /// the length that a block can have. Ask when there is no next block.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn damaged(&mut self) -> io::Result<Option<DamagedBlock>> {
        let Some(open) = &mut self.ended else {
            return Ok(None);
        };
        let begin = open.position;
        for skip in (BLOCK..=BLOCK_BYTES_MAX).step_by(BLOCK) {
            open.position = begin + skip as u64;
            let bytes = open.bytes(BLOCK).await?;
            let later = BlockHeader::parse(&bytes).filter(|header| {
                header.generation == self.generation && header.sequence > self.next_sequence
            });
            let Some(header) = later else {
                continue;
            };
            let bytes = open.bytes(header.size()).await?;
            if block::parse(&bytes).is_ok() {
                return Ok(Some(DamagedBlock {
                    file: open.path.clone(),
                    position: begin,
                    sequence: self.next_sequence,
                }));
            }
        }
        Ok(None)
    }
}

async fn read_block<F: DiskFile>(
    open: &mut OpenFile<F>,
    generation: u64,
    sequence: u64,
) -> io::Result<Option<ReplayedBlock>> {
    let bytes = open.bytes(BLOCK).await?;
    let Some(header) = BlockHeader::parse(&bytes) else {
        return Ok(None);
    };
    let new = header.generation == generation || planted(Planted::JournalGenerationUnchecked);
    let next = header.sequence == sequence || planted(Planted::RecycledFileReadAsNew);
    if !new || !next {
        return Ok(None);
    }
    let bytes = open.bytes(header.size()).await?;
    let whole = block::parse(&bytes).ok().filter(|(_, entries)| {
        entries.iter().all(|entry| match entry.header.kind {
            _ if planted(Planted::TornTailAccepted) => true,
            EntryKind::Append => record_batch::verify_crc(&bytes[entry.payload.clone()]).is_ok(),
            EntryKind::Reference | EntryKind::LogStart => true,
        })
    });
    let Some((_, entries)) = whole else {
        log::warn!(
            "journal {}: block {sequence} at byte {} is not whole; replay ends there",
            open.path.display(),
            open.position,
        );
        return Ok(None);
    };
    open.position += header.size() as u64;
    Ok(Some(ReplayedBlock {
        sequence,
        bytes: bytes.slice(..header.used),
        entries,
    }))
}
