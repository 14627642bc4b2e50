//! What the journals hold that the checkpoints do not: for each log how far replay would bring it, as `storage/journal/replay` and
//! `storage/recovery` would.
//!
//! Reads every block once; keeps no more of them than where each log's segments end.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rinka_storage::journal::block::{BlockHeader, EntryKind};
use rinka_storage::log::LogCheckpoint;
use rinka_storage::offset::Offset;
use rinka_storage::topic_partition::TopicPartition;

use super::{Progress, Report, Verdict};
use crate::offline::blocks::{BlockReader, Found, FoundEntry};
use crate::shard::shard_map::METADATA;

/// What replay would make of the logs.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) logs: BTreeMap<TopicPartition, ReplayedLog>,
    /// Batches of the metadata log, in order.
    pub(super) metadata: Vec<Bytes>,
    pub(super) blocks: u64,
}

/// A log behind its checkpoint.
#[derive(Debug)]
pub(super) struct ReplayedLog {
    /// What is below may be gone.
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) references: Vec<Reference>,
}

/// A batch that must be in its segment, since the journal has only its header.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) segment: Offset,
    pub(super) position: u32,
    pub(super) header: Vec<u8>,
    /// The offset behind its last record.
    pub(super) end: Offset,
    /// A later block says that this one was committed, and the batch with it.
    pub(super) committed: bool,
    sequence: u64,
}

/// A shard's journal and the first block that counts.
#[derive(Debug)]
pub(super) struct JournalPlace {
    pub(super) directory: PathBuf,
    pub(super) first_sequence: u64,
}

impl JournalPlace {
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == "journal") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

/// Reads one journal. `checkpoints` say where each log's replay begins.
pub(super) fn read(
    place: &JournalPlace,
    generation: u64,
    checkpoints: &BTreeMap<TopicPartition, LogCheckpoint>,
    replayed: &mut Replayed,
    report: &mut Report,
    progress: &mut Progress,
) -> io::Result<()> {
    let mut files = Vec::new();
    for path in place.files()? {
        let mut blocks = BlockReader::open(&path)?;
        progress.add(blocks.size());
        // As replay does it: a file counts by the block it begins with.
        if let Some(Found::Block { header, .. }) = blocks.next()?
            && header.generation == generation
        {
            files.push((header.sequence, path));
        }
    }
    files.sort();
    let mut state = State {
        checkpoints,
        next: place.first_sequence,
        broken: None,
        lost: false,
        replayed,
    };
    for (_, path) in files {
        let mut blocks = BlockReader::open(&path)?;
        while let Some(found) = blocks.next()? {
            if let Found::Block {
                position,
                header,
                bytes,
                entries,
            } = found
                && header.generation == generation
            {
                state.block((&path, position), &header, &bytes, entries);
            }
        }
    }
    if state.lost {
        let (next, broken) = (state.next, state.broken);
        let what = match broken {
            Some((path, position)) => {
                format!(
                    "block {next} at byte {position} of {} is damaged",
                    path.display()
                )
            }
            None => format!("block {next} is missing"),
        };
        report.advise(
            Verdict::Problem,
            place.directory.display().to_string(),
            format!("{what}, and later blocks are there: what they hold was acknowledged and would not be replayed"),
            "the disk has lost or changed written data: keep a copy of this directory, and look at the device's health before the next start",
        );
    }
    Ok(())
}

struct State<'a> {
    checkpoints: &'a BTreeMap<TopicPartition, LogCheckpoint>,
    /// The block that replay needs next.
    next: u64,
    broken: Option<(PathBuf, u64)>,
    /// There are blocks behind one that is missing.
    lost: bool,
    replayed: &'a mut Replayed,
}

impl State<'_> {
    fn block(
        &mut self,
        (path, position): (&Path, u64),
        header: &BlockHeader,
        bytes: &[u8],
        entries: Option<Vec<FoundEntry>>,
    ) {
        let whole = entries.filter(|entries| {
            let holds = |entry: &FoundEntry| entry.crc_holds != Some(false);
            entries.iter().all(holds)
        });
        if header.sequence < self.next {
            // In segments already, or of an earlier use of the file.
        } else if header.sequence > self.next {
            self.lost |= whole.is_some();
        } else if let Some(entries) = whole {
            for entry in &entries {
                self.entry(header.sequence, entry, &bytes[entry.entry.payload.clone()]);
            }
            self.next += 1;
            self.replayed.blocks += 1;
        } else {
            self.broken = Some((path.to_owned(), position));
        }
    }

    fn entry(&mut self, sequence: u64, found: &FoundEntry, payload: &[u8]) {
        let place = found.entry.header;
        let name = place.topic_partition;
        let log = self.replayed.logs.entry(name).or_insert_with(|| {
            let checkpoint = self.checkpoints.get(&name);
            ReplayedLog {
                start: checkpoint.map_or(Offset::ZERO, |log| log.log_start),
                end: checkpoint.map_or(Offset::ZERO, |log| log.end),
                references: Vec::new(),
            }
        });
        for reference in &mut log.references {
            reference.committed |= reference.sequence < sequence;
        }
        if place.kind == EntryKind::LogStart {
            log.start = log.start.max(place.segment);
            return;
        }
        let Some(batch) = &found.batch else { return };
        if batch.base_offset != log.end {
            return;
        }
        log.end = batch.end_offset();
        if place.kind == EntryKind::Reference {
            log.references.push(Reference {
                segment: place.segment,
                position: place.position,
                header: payload.to_owned(),
                end: log.end,
                committed: false,
                sequence,
            });
        }
        if name == METADATA {
            self.replayed.metadata.push(Bytes::copy_from_slice(payload));
        }
    }
}
