//! Start-up: brings every log to the end of what was durable, whatever ended the process before.
//!
//! Loads the checkpoints, replays the journals of whichever shards wrote them into the segments, and replaces the base
//! checkpoint. Changes nothing that a second attempt, after a crash in the middle, would miss.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};

use std::cell::RefCell;
use std::rc::Rc;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::compression::Codec;
use crate::disk::{Disk, is_full};
use crate::journal::block::{Entry, EntryKind};
use crate::journal::replay::{Replay, ReplayedBlock};
use crate::lanes;
use crate::log::{Log, LogCheckpoint, LogConfig, Place, SegmentName};
use crate::offset::Offset;
use crate::planted::{Planted, planted};
use crate::record_batch::{self, RebuiltBatch, RecordBatchHeader};
use crate::segment_files::{
    DELETED_SUFFIX, LogHandle, ReadError, SegmentFiles, remove_directory, topic_of,
};
use crate::store::layout;
use crate::topic_partition::TopicPartition;

/// Replayed bytes in memory, at most, before they go to segments.
const REPLAY_BYTES_MAX: usize = 64 << 20;

/// Files that wait to be synced while the journals are replayed: each keeps a descriptor.
const UNSYNCED_FILES_MAX: usize = 256;

/// Logs that are brought to their segments at a time.
const WRITES_AT_A_TIME: usize = 16;

/// The most that is believed of a checkpoint file: a hundred bytes and more for each of a million partitions.
const CHECKPOINT_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug)]
pub enum RecoveryError {
    Disk(io::Error),
    Checkpoint {
        path: PathBuf,
        error: CheckpointError,
    },
    Read(ReadError),
}

impl From<io::Error> for RecoveryError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<ReadError> for RecoveryError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl std::fmt::Display for RecoveryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(formatter),
            Self::Read(error) => error.fmt(formatter),
            Self::Checkpoint { path, error } => write!(formatter, "{}: {error}", path.display()),
        }
    }
}

/// What a partition is called and how its log is kept.
#[derive(Clone, Debug)]
pub struct LogSettings {
    pub directory: String,
    pub config: LogConfig,
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    pub blocks: u64,
    /// Batches brought to their logs.
    pub batches: u64,
    pub bytes: u64,
    /// Journals that could not be read to their end, see [`DamagedBlock`](crate::journal::replay::DamagedBlock).
    pub damaged_journals: u64,
}

impl RecoveryError {
    /// Whether there was no room for what the journals hold: see [`free_reserves`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) | Self::Read(ReadError::Disk(error)) if is_full(error))
    }
}

/// Gives up the space that was kept for a recovery on a full disk, which may then be tried again.
///
/// # Errors
/// Those of the disk.
pub async fn free_reserves<D: Disk>(disk: &D, root: &Path) -> io::Result<()> {
    let directory = root.join(layout::DIRECTORY);
    for name in disk.list(&directory).await? {
        if name.to_str().is_some_and(layout::is_reserve) {
            disk.remove_file(&directory.join(&name)).await?;
        }
    }
    Ok(())
}

pub struct Recovery<D: Disk> {
    disk: D,
    root: PathBuf,
    files: SegmentFiles<D>,
    /// The generation that is being recovered; 0 in a fresh directory.
    generation: u64,
    checkpoints: FxHashMap<TopicPartition, LogCheckpoint>,
    /// Directories and the first block to replay.
    journals: Vec<(PathBuf, u64)>,
    logs: FxHashMap<TopicPartition, LogHandle>,
    /// Partitions in the journals that a replay did not know: of deleted topics, unless another replay knows them.
    unknown: FxHashSet<TopicPartition>,
    bytes_in_memory: usize,
    /// Logs whose files were written.
    changed: BTreeSet<TopicPartition>,
    /// Where the journals leave each log's start: looked up only when a file that should be there is not.
    log_starts: Option<FxHashMap<TopicPartition, Offset>>,
}

impl<D: Disk> Recovery<D> {
    /// Loads the checkpoints and finds the journals.
    ///
    /// # Errors
    /// [`RecoveryError`]; a checkpoint of a newer release is one.
    pub async fn open(disk: D, root: &Path) -> Result<Self, RecoveryError> {
        disk.create_directory(&root.join(layout::DIRECTORY)).await?;
        disk.sync_directory(root).await?;
        let base = load(&disk, &layout::base_checkpoint(root)).await?;
        let is_fresh = base.is_none();
        let generation = base.as_ref().map_or(0, |base| base.generation);
        let mut checkpoints: FxHashMap<_, _> = base
            .into_iter()
            .flat_map(|base| base.logs)
            .map(|log| (log.topic_partition, log))
            .collect();
        let mut journals = Vec::new();
        for name in disk.list(&root.join(layout::DIRECTORY)).await? {
            let Some(shard) = name
                .to_str()
                .and_then(|name| name.strip_prefix("journal-")?.parse().ok())
            else {
                continue;
            };
            let own = load(&disk, &layout::shard_checkpoint(root, shard)).await?;
            let own = own.filter(|own| own.generation == generation);
            let first_sequence = own.as_ref().map_or(1, |own| own.first_sequence);
            for log in own.into_iter().flat_map(|own| own.logs) {
                checkpoints.insert(log.topic_partition, log);
            }
            journals.push((layout::journal(root, shard), first_sequence));
        }
        // The first start writes the base before any journal: to go on without it would be to lose everything in silence.
        if is_fresh && !journals.is_empty() {
            return Err(RecoveryError::Checkpoint {
                path: layout::base_checkpoint(root),
                error: CheckpointError::Missing,
            });
        }
        Ok(Self {
            files: SegmentFiles::for_replay(disk.clone(), root.to_owned()),
            disk,
            root: root.to_owned(),
            generation,
            checkpoints,
            journals,
            logs: FxHashMap::default(),
            unknown: FxHashSet::default(),
            bytes_in_memory: 0,
            changed: BTreeSet::new(),
            log_starts: None,
        })
    }

    /// Replays the journals for the partitions that `settings` knows. May be called again for others.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn replay(
        &mut self,
        settings: impl Fn(TopicPartition) -> Option<LogSettings>,
    ) -> Result<Replayed, RecoveryError> {
        let known: Vec<_> = self.checkpoints.keys().copied().collect();
        for name in known {
            if let Some(settings) = settings(name) {
                self.open_log(name, settings);
            }
        }
        let mut replayed = Replayed::default();
        // Logs whose tail was never durable: what the journal holds behind the gap was never acknowledged.
        let mut cut = FxHashSet::default();
        for (directory, first_sequence) in self.journals.clone() {
            let mut replay = Replay::open(
                self.disk.clone(),
                &directory,
                self.generation,
                first_sequence,
            )
            .await?;
            while let Some(block) = replay.next().await? {
                replayed.blocks += u64::from(block.sequence >= first_sequence);
                for entry in &block.entries {
                    let name = entry.header.topic_partition;
                    // Where the log starts was acknowledged all the same.
                    if cut.contains(&name) && entry.header.kind != EntryKind::LogStart {
                        continue;
                    }
                    let log = match self.logs.get(&name) {
                        Some(log) => Rc::clone(log),
                        None => match settings(name) {
                            Some(settings) => self.open_log(name, settings),
                            None => {
                                self.unknown.insert(name);
                                continue;
                            }
                        },
                    };
                    match self.replay_entry(&log, &block, entry).await? {
                        Step::Taken(bytes) => {
                            replayed.batches += 1;
                            replayed.bytes += bytes as u64;
                        }
                        Step::Known => {}
                        Step::Gap => {
                            cut.insert(name);
                        }
                    }
                }
                let often = planted(Planted::ReplayOverwritesWhatFollows);
                if self.bytes_in_memory > REPLAY_BYTES_MAX || often {
                    self.write_back().await?;
                }
            }
            if let Some(damaged) = replay.damaged().await? {
                replayed.damaged_journals += 1;
                log::error!(
                    "journal {}: block {} at byte {} is damaged and others follow it; what it and they hold is lost where no segment \
                     has it yet, and may have been acknowledged",
                    damaged.file.display(),
                    damaged.sequence,
                    damaged.position,
                );
            }
        }
        self.write_back().await?;
        Ok(replayed)
    }

    fn open_log(&mut self, name: TopicPartition, settings: LogSettings) -> LogHandle {
        let log = match self.checkpoints.remove(&name) {
            Some(checkpoint) => Log::open(checkpoint, settings.directory, settings.config),
            None => Log::new(name, settings.directory, settings.config),
        };
        let log = Rc::new(RefCell::new(log));
        self.logs.insert(name, Rc::clone(&log));
        log
    }

    async fn replay_entry(
        &mut self,
        log: &LogHandle,
        block: &ReplayedBlock,
        entry: &Entry,
    ) -> Result<Step, RecoveryError> {
        if entry.header.kind == EntryKind::LogStart {
            let mut log = log.borrow_mut();
            let start = entry.header.segment.min(log.end());
            log.advance_log_start(start);
            log.log_start_is_durable(start);
            return Ok(Step::Known);
        }
        let payload = block.bytes.slice(entry.payload.clone());
        let Ok(header) = RecordBatchHeader::parse(&payload) else {
            return Ok(Step::Gap);
        };
        if header.end_offset() <= log.borrow().end() {
            return Ok(Step::Known);
        }
        let size = header.size_in_bytes();
        let place = Place {
            offset: header.base_offset,
            segment: entry.header.segment,
            position: entry.header.position,
        };
        let data = match entry.header.kind {
            EntryKind::Append | EntryKind::LogStart => {
                if self.is_gone(log, place).await? && self.is_below_start(log, &header).await? {
                    return self.pass_over(log, place, &header).await;
                }
                payload
            }
            EntryKind::Reference => match self.referenced(log, entry, &payload, size).await? {
                Some(data) => data,
                None if self.is_below_start(log, &header).await? => {
                    if planted(Planted::HoleInSegment) || self.is_gone(log, place).await? {
                        return self.pass_over(log, place, &header).await;
                    }
                    // What follows in the segment may be served, and is looked for from the segment's beginning.
                    without_records(&payload, &header)
                }
                None => {
                    // The reference reached the journal before its batch reached the segment, or the segment is damaged.
                    log::warn!(
                        "{}: the batch at offset {} is not whole in its segment; it and what follows was never acknowledged",
                        log.borrow().directory,
                        header.base_offset,
                    );
                    return Ok(Step::Gap);
                }
            },
        };
        let mut log = log.borrow_mut();
        if !take(&mut log, place, &header) {
            return Ok(Step::Gap);
        }
        // A copy: the block's window is a megabyte that one small batch would hold on to.
        log.publish(place, header.end_offset(), Bytes::copy_from_slice(&data));
        self.bytes_in_memory += size;
        Ok(Step::Taken(size))
    }

    /// Whether the file that the batch's predecessors are in was removed.
    async fn is_gone(&self, log: &LogHandle, place: Place) -> io::Result<bool> {
        let written = log.borrow().written_back();
        Ok(place.position > 0
            && written.segment == place.segment
            && written.position > 0
            && !self
                .files
                .exists(log, SegmentName::appended(place.segment))
                .await?)
    }

    /// Whether the journals go on to say that the log starts behind this batch.
    async fn is_below_start(
        &mut self,
        log: &LogHandle,
        header: &RecordBatchHeader,
    ) -> io::Result<bool> {
        if self.log_starts.is_none() {
            self.log_starts = Some(self.find_log_starts().await?);
        }
        let name = log.borrow().topic_partition;
        let starts = self.log_starts.as_ref().expect("found above");
        Ok(starts
            .get(&name)
            .is_some_and(|start| header.end_offset() <= *start))
    }

    async fn find_log_starts(&self) -> io::Result<FxHashMap<TopicPartition, Offset>> {
        let mut starts = FxHashMap::default();
        for (directory, first_sequence) in &self.journals {
            let mut replay = Replay::open(
                self.disk.clone(),
                directory,
                self.generation,
                *first_sequence,
            )
            .await?;
            while let Some(block) = replay.next().await? {
                for entry in block.entries {
                    if entry.header.kind == EntryKind::LogStart {
                        let start = entry.header.segment;
                        let found = starts.entry(entry.header.topic_partition).or_insert(start);
                        *found = start.max(*found);
                    }
                }
            }
        }
        Ok(starts)
    }

    /// Counts a batch in whose file was removed, since the log starts behind it.
    async fn pass_over(
        &mut self,
        log: &LogHandle,
        place: Place,
        header: &RecordBatchHeader,
    ) -> Result<Step, RecoveryError> {
        while self.files.write_next(log).await? {}
        let mut log = log.borrow_mut();
        if !take(&mut log, place, header) {
            return Ok(Step::Gap);
        }
        let size = u32::try_from(header.size_in_bytes()).expect("a batch is smaller than 2 GiB");
        log.pass_over(place, header.end_offset(), size);
        Ok(Step::Taken(0))
    }

    /// The batch that a reference points to, if all of it reached its segment.
    async fn referenced(
        &self,
        log: &LogHandle,
        entry: &Entry,
        header: &[u8],
        size: usize,
    ) -> Result<Option<Bytes>, RecoveryError> {
        let position = u64::from(entry.header.position);
        let data = self
            .files
            .read_exactly(
                log,
                SegmentName::appended(entry.header.segment),
                position,
                size,
            )
            .await?;
        let right = data.starts_with(header) && record_batch::verify_crc(&data).is_ok();
        let whole = data.len() == size && (right || planted(Planted::ReferenceUnchecked));
        Ok(whole.then_some(data))
    }

    async fn write_back(&mut self) -> Result<(), RecoveryError> {
        let logs: Vec<&LogHandle> = self.logs.values().collect();
        // A new partition's file and its directory's both wait to be synced.
        for some in logs.chunks(UNSYNCED_FILES_MAX / 4) {
            let work = some.iter().map(async |log| {
                while self.files.write_next(log).await? {}
                let end = log.borrow().end();
                log.borrow_mut().evict(end);
                Ok(())
            });
            lanes::to_the_end(WRITES_AT_A_TIME, work).await?;
            if self.files.unsynced_files() >= UNSYNCED_FILES_MAX / 2 {
                self.changed.extend(self.files.unsynced_logs());
                self.files.sync().await?;
            }
        }
        self.bytes_in_memory = 0;
        Ok(())
    }

    /// Reads from a replayed log; see [`SegmentFiles::read`].
    ///
    /// # Errors
    /// See [`SegmentFiles::read`].
    pub async fn read(
        &self,
        name: TopicPartition,
        offset: Offset,
    ) -> Result<Vec<Bytes>, RecoveryError> {
        let Some(log) = self.logs.get(&name) else {
            return Ok(Vec::new());
        };
        let limit = log.borrow().end();
        Ok(self
            .files
            .read(log, offset, limit, crate::disk::TRANSFER_MAX)
            .await?)
    }

    /// Makes what was replayed durable, starts a new generation, and says what every log is. Logs that no replay was asked
    /// for belong to deleted topics: they are dropped, and their directories removed.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub async fn finish(mut self, shards: usize) -> Result<Recovered, RecoveryError> {
        self.write_back().await?;
        let mut logs = Vec::with_capacity(self.logs.len());
        for log in self.logs.values() {
            log.borrow_mut().take_dead_segments();
            let mut checkpoint = log.borrow().checkpoint();
            if !checkpoint.segments.is_empty() {
                self.files.write_indexes(log, &mut checkpoint).await?;
            }
            if !log.borrow().is_empty() {
                logs.push(checkpoint);
            }
        }
        self.changed.extend(self.files.unsynced_logs());
        self.files.sync().await?;
        for name in &self.changed {
            if let Some(log) = self.logs.get(name) {
                self.files.trim(log).await?;
            }
        }
        let deleted = self.deleted();
        let leftovers = self.leftover_directories(&deleted).await?;
        if planted(Planted::LeftoversRemovedFirst) {
            self.remove_leftovers(shards, &leftovers).await?;
        }
        if planted(Planted::RecoveryReadsEverything) {
            self.read_everything().await?;
        }
        let generation = self.generation + 1;
        let mut base = Checkpoint {
            generation,
            first_sequence: 1,
            logs,
        };
        let kept = base.logs.len();
        if !leftovers.is_empty() && !planted(Planted::DeletedForgotten) {
            // Until their directories are gone: this recovery may not come to that.
            let named = deleted.into_iter().map(LogCheckpoint::of_nothing);
            base.logs.extend(named);
        }
        self.disk
            .replace(&layout::base_checkpoint(&self.root), &base.encode())
            .await?;
        self.remove_leftovers(shards, &leftovers).await?;
        let mut logs = base.logs;
        logs.truncate(kept);
        self.remove_doomed(&mut logs).await?;
        Ok(Recovered { generation, logs })
    }

    /// Removes the files of segments that are no longer part of their logs. Only now: what the journal says of a log's start
    /// may not have been durable before the new base was.
    async fn remove_doomed(&self, checkpoints: &mut [LogCheckpoint]) -> io::Result<()> {
        for checkpoint in checkpoints {
            let Some(log) = self.logs.get(&checkpoint.topic_partition) else {
                continue;
            };
            let directory = log.borrow().directory.clone();
            for name in checkpoint.doomed.drain(..) {
                self.files.retire(log, name).await?;
                self.files.remove_segment(&directory, name).await?;
            }
        }
        Ok(())
    }

    /// Only ever called by a planted bug.
    async fn read_everything(&self) -> Result<(), RecoveryError> {
        for (name, log) in &self.logs {
            let mut offset = log.borrow().log_start();
            while let Some(batch) = self.read(*name, offset).await?.last() {
                offset = RecordBatchHeader::parse(batch)
                    .map_or(Offset(i64::MAX), |last| last.end_offset());
            }
        }
        Ok(())
    }

    /// Partitions that checkpoints and journals name and that no replay was asked for.
    fn deleted(&self) -> BTreeSet<TopicPartition> {
        let alive: FxHashSet<_> = self.logs.keys().map(|name| name.topic_id).collect();
        let named = self.checkpoints.keys().chain(&self.unknown).copied();
        named
            .filter(|name| !alive.contains(&name.topic_id))
            .collect()
    }

    /// Directories that are on their way out, and those of deleted topics.
    async fn leftover_directories(
        &self,
        deleted: &BTreeSet<TopicPartition>,
    ) -> io::Result<Vec<PathBuf>> {
        let topics: FxHashSet<String> = deleted
            .iter()
            .map(|name| name.topic_id.to_string())
            .collect();
        let mut found = Vec::new();
        for name in self.disk.list(&self.root).await? {
            let path = self.root.join(&name);
            let text = name.to_str().unwrap_or_default();
            let doomed = text.ends_with(DELETED_SUFFIX) || {
                // Only when a topic's deletion was cut short is it worth asking each directory whose it is.
                !topics.is_empty()
                    && topic_of(&self.disk, &path)
                        .await
                        .is_some_and(|topic| topics.contains(&topic))
            };
            if doomed {
                found.push(path);
            }
        }
        Ok(found)
    }

    async fn remove_leftovers(
        &self,
        shards: usize,
        directories: &[PathBuf],
    ) -> Result<(), RecoveryError> {
        let directory = self.root.join(layout::DIRECTORY);
        for name in self.disk.list(&directory).await? {
            let text = name.to_str().unwrap_or_default();
            let reserve_of_none = layout::is_reserve(text)
                && text
                    .rsplit_once('-')
                    .and_then(|(_, shard)| shard.parse::<usize>().ok())
                    .is_some_and(|shard| shard >= shards);
            if text.starts_with("shard-") || reserve_of_none {
                self.disk.remove_file(&directory.join(&name)).await?;
            } else if let Some(shard) = text
                .strip_prefix("journal-")
                .and_then(|shard| shard.parse::<usize>().ok())
                && shard >= shards
            {
                remove_directory(&self.disk, &directory.join(&name)).await?;
            }
        }
        for path in directories {
            remove_directory(&self.disk, path).await?;
        }
        Ok(())
    }
}

/// A data directory whose logs are whole and whose journals are empty.
#[derive(Debug)]
pub struct Recovered {
    pub generation: u64,
    pub logs: Vec<LogCheckpoint>,
}

/// A batch of the same place and size as the one with this header. Nobody is served it: the log starts behind it.
fn without_records(payload: &[u8], header: &RecordBatchHeader) -> Bytes {
    let body = vec![0; header.size_in_bytes() - record_batch::HEADER_BYTES];
    let with = RebuiltBatch {
        body: &body,
        codec: Codec::None,
        record_count: 0,
        base_timestamp: header.base_timestamp,
        max_timestamp: header.max_timestamp,
        has_delete_horizon: false,
    };
    record_batch::rebuild(payload, &with).into()
}

/// Gives a batch its place in the log. Not, when it does not follow what the log holds.
fn take(log: &mut Log, place: Place, header: &RecordBatchHeader) -> bool {
    if log.replay(place, header).is_err() {
        log::warn!(
            "{}: the journal goes on at offset {} but the log ends at {}; what follows was never acknowledged",
            log.directory,
            place.offset,
            log.end(),
        );
        return false;
    }
    log.epochs
        .assign(header.partition_leader_epoch, place.offset);
    if header.producer_id >= 0 && !planted(Planted::ProducerStateNotRestored) {
        log.producers.update(header);
    }
    true
}

enum Step {
    Taken(usize),
    Known,
    Gap,
}

async fn load<D: Disk>(disk: &D, path: &Path) -> Result<Option<Checkpoint>, RecoveryError> {
    let Some(bytes) = disk.read_all(path, CHECKPOINT_BYTES_MAX).await? else {
        return Ok(None);
    };
    match Checkpoint::decode(&bytes) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(error) => Err(RecoveryError::Checkpoint {
            path: path.to_owned(),
            error,
        }),
    }
}
