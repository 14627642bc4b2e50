//! A shard's storage: takes appends of all its partitions, makes them durable through the journal, brings them to
//! segments in the background, and reads them back.
//!
//! Starts no task of its own: the shard runs [`Committer::commit`] in a loop and [`Store::maintain`] when the store asks
//! for it. Decides nothing about replication, and serves only what its caller says is committed.

mod commit;
mod compaction;
mod full_disk;
pub mod layout;
mod measures;
mod removal;
mod write_back;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

pub use commit::Committer;
pub use compaction::{Compacted, CompactionRequest, CompactionSettings, Pauses, Uncompactable};
pub use removal::RetiredSegment;

use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, Durability, buffer_lying_as_at, is_full};
use crate::journal::block::{BATCH_HEADER_BYTES, BlockBuilder, EntryHeader, EntryKind};
use crate::journal::next_file::NextFile;
use crate::journal::{Journal, JournalConfig};
use crate::lanes;
use crate::latency_histogram::LatencyHistogram;
use crate::leader_epoch::LeaderEpoch;
use crate::log::{Log, LogCheckpoint, Place, SegmentName};
use crate::offset::Offset;
use crate::planted::{Planted, planted};
use crate::producer_state::{ProducerStateError, SequenceCheck};
use crate::record_batch::{self, RecordBatchHeader, Stamp};
use crate::segment_files::{LogHandle, ReadError, SegmentFiles};
use crate::signal::Signal;
use crate::topic_partition::TopicPartition;

/// Batches of this size and more go straight to their segment; the journal holds only a reference. Below it, one write
/// for all partitions is cheaper than one each.
pub const DIRECT_BYTES: usize = 128 << 10;

/// Bytes taken but not yet in the journal, at most: more only make the wait for the disk longer.
const UNCOMMITTED_BYTES_MAX: usize = 16 << 20;

/// A log with this much to write gets a write of its own in the background.
const WRITE_BACK_BYTES: usize = 1 << 20;

/// The journal is checkpointed from this fullness on, so that there is room while the checkpoint is made.
const CHECKPOINT_FULLNESS: f64 = 0.4;

#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data directory.
    pub root: PathBuf,
    /// This shard's number.
    pub shard: usize,
    /// Bytes of the shard's journal on disk, `rinka.journal.bytes`.
    pub journal_bytes: u64,
    /// Bytes of recently appended data kept in memory, `rinka.memory`; what is read ahead comes beside it, 8 MiB at most.
    pub memory_bytes: usize,
    /// Segment files that may be open because they are not synced yet, beside the 256 that may be open for use.
    pub unsynced_files_max: usize,
    /// From [`crate::recovery`].
    pub generation: u64,
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Taken at `[base, end)`; durable once the committer says so.
    New { base: Offset, end: Offset },
    /// An idempotent producer sent it before: it is at `[base, end)` already, durable or about to be.
    Duplicate { base: Offset, end: Offset },
}

/// Why an append was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The log or the whole store has failed and takes nothing until a restart.
    Failed(String),
    /// The batch is larger than a segment may be.
    LargerThanSegment,
    Producer(ProducerStateError),
}

/// A partition's part in a commit.
#[derive(Debug)]
pub struct Committed {
    pub topic_partition: TopicPartition,
    /// Everything below is durable, at least as the log's configuration asks.
    pub end: Offset,
    /// What it survives in truth: another log of the same block may have asked for more.
    pub durability: Durability,
    /// Appends counted in.
    pub appends: usize,
    /// The log failed: nothing of it is acknowledged any more.
    pub failed: Option<String>,
}

struct Filling {
    builder: BlockBuilder,
    entries: Vec<FillingEntry>,
    durability: Durability,
    /// Log starts that are in the block.
    log_starts: Vec<(LogHandle, Offset)>,
    bytes: usize,
    next_sequence: u64,
    /// While it is sealed: where each log is among those of the block.
    places: FxHashMap<usize, usize>,
}

struct FillingEntry {
    log: LogHandle,
    place: Place,
    end: Offset,
    content: Content,
}

enum Content {
    /// A range of the block.
    InBlock(std::ops::Range<usize>),
    /// A buffer of its own, to be written straight to the segment.
    Direct(Bytes),
}

struct Sealed {
    block: Bytes,
    sequence: u64,
    durability: Durability,
    /// Logs in order of their first entry, with the end of their last one, and whether one went past the journal.
    logs: Vec<SealedLog>,
    log_starts: Vec<(LogHandle, Offset)>,
    bytes: usize,
}

struct SealedLog {
    log: LogHandle,
    end: Offset,
    appends: usize,
    direct: bool,
}

/// A block's worth of memory that reads may use until the space is wanted.
struct CachedBlock {
    bytes: usize,
    logs: Vec<(LogHandle, Offset)>,
}

pub struct Store<D: Disk> {
    disk: D,
    config: StoreConfig,
    pub files: SegmentFiles<D>,
    logs: RefCell<FxHashMap<TopicPartition, LogHandle>>,
    /// Logs of deleted topics whose directories are not out of the way yet. Checkpoints name them: so a start finds what is left.
    leaving: RefCell<FxHashMap<TopicPartition, LogHandle>>,
    filling: RefCell<Filling>,
    sealed: RefCell<VecDeque<Sealed>>,
    cache: RefCell<VecDeque<CachedBlock>>,
    cached_bytes: Cell<usize>,
    /// Bytes of the blocks since everything was last on its way to segments.
    undrained_bytes: Cell<usize>,
    uncommitted_bytes: Cell<usize>,
    /// Logs with bytes that no segment holds.
    unwritten: RefCell<FxHashMap<TopicPartition, LogHandle>>,
    /// Logs whose checkpoint on disk is behind.
    checkpoint_due: Cell<bool>,
    /// Blocks below it are in segments.
    released: Cell<u64>,
    /// How much of what recovery may have to do is there, 0 to 1.
    fullness: Cell<f64>,
    /// Bytes of large batches since the last checkpoint: recovery reads and writes them like the journal's.
    direct_bytes: Cell<u64>,
    failed: RefCell<Option<String>>,
    /// Why records are refused until there is space again.
    full: RefCell<Option<String>>,
    /// The reserve file takes its space.
    has_reserve: Cell<bool>,
    /// There is something to commit.
    work: Signal,
    /// A write to a segment, a commit or a checkpoint is done.
    progress: Signal,
    /// [`Store::maintain`] has something to do.
    upkeep: Signal,
    /// A block is on its way to the journal.
    committing: Cell<bool>,
    checkpointing: Cell<bool>,
    /// Somebody syncs files so that others can be opened.
    making_room: Cell<bool>,
    /// Segments are being taken out: no checkpoint meanwhile.
    retiring: Cell<bool>,
    /// Compaction is under way.
    compacting: Cell<bool>,
    /// The log in whose directory compaction is at work just now.
    compacting_in: Cell<Option<TopicPartition>>,
    /// Segments that compaction has replaced in memory, and that the checkpoint on disk still names.
    swapped: RefCell<Vec<(LogHandle, SegmentName)>>,
    /// Their bytes.
    swapped_bytes: Cell<u64>,
    /// ... and that it does not name any more: their files may go.
    replaced: RefCell<Vec<(LogHandle, SegmentName)>>,
    /// Logs whose start has moved since their dead segments were taken out.
    shortened: RefCell<FxHashMap<TopicPartition, LogHandle>>,
    stopping: Cell<bool>,
    commits: Cell<u64>,
    journal_bytes: Cell<u64>,
    flush_latency: LatencyHistogram,
    next_journal_file: Rc<NextFile<D>>,
}

impl<D: Disk> Store<D> {
    /// Opens a shard's storage after recovery: the journal begins empty. The logs are added by
    /// [`Store::add`] before the first append.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn open(disk: D, config: StoreConfig) -> io::Result<(Rc<Self>, Committer<D>)> {
        let journal = JournalConfig {
            directory: layout::journal(&config.root, config.shard),
            capacity: config.journal_bytes,
            generation: config.generation,
        };
        let journal = Journal::create(disk.clone(), journal).await?;
        let store = Rc::new(Self {
            files: SegmentFiles::new(disk.clone(), config.root.clone()),
            disk,
            logs: RefCell::default(),
            leaving: RefCell::default(),
            filling: RefCell::new(Filling {
                builder: BlockBuilder::default(),
                entries: Vec::new(),
                durability: Durability::Written,
                log_starts: Vec::new(),
                bytes: 0,
                next_sequence: 1,
                places: FxHashMap::default(),
            }),
            config,
            sealed: RefCell::default(),
            cache: RefCell::default(),
            cached_bytes: Cell::new(0),
            undrained_bytes: Cell::new(0),
            uncommitted_bytes: Cell::new(0),
            unwritten: RefCell::default(),
            checkpoint_due: Cell::new(false),
            released: Cell::new(0),
            fullness: Cell::new(0.0),
            direct_bytes: Cell::new(0),
            failed: RefCell::new(None),
            full: RefCell::new(None),
            has_reserve: Cell::new(false),
            work: Signal::default(),
            progress: Signal::default(),
            upkeep: Signal::default(),
            making_room: Cell::new(false),
            committing: Cell::new(false),
            checkpointing: Cell::new(false),
            retiring: Cell::new(false),
            compacting: Cell::new(false),
            compacting_in: Cell::new(None),
            swapped: RefCell::default(),
            swapped_bytes: Cell::new(0),
            replaced: RefCell::default(),
            shortened: RefCell::default(),
            stopping: Cell::new(false),
            commits: Cell::new(0),
            journal_bytes: Cell::new(0),
            flush_latency: LatencyHistogram::default(),
            next_journal_file: Rc::clone(journal.next_file()),
        });
        store.files.read_ahead(store.config.memory_bytes);
        match store.take_reserve().await {
            Err(error) if is_full(&error) => store.is_now_full(&error),
            other => other?,
        }
        Ok((Rc::clone(&store), Committer { store, journal }))
    }

    /// Takes over a log that is new or was opened from a checkpoint.
    pub fn add(&self, log: Log) -> LogHandle {
        let name = log.topic_partition;
        let log = Rc::new(RefCell::new(log));
        self.logs.borrow_mut().insert(name, Rc::clone(&log));
        log
    }

    /// A log that was opened before.
    #[must_use]
    pub fn log(&self, name: TopicPartition) -> Option<LogHandle> {
        self.logs.borrow().get(&name).cloned()
    }

    /// Appends one validated batch: gives it its offset and epoch and copies it once.
    ///
    /// `stamp` is what changes in its header beside the offset and the epoch.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was changed then.
    pub fn append(
        &self,
        log: &LogHandle,
        header: &RecordBatchHeader,
        batch: &[u8],
        epoch: LeaderEpoch,
        stamp: Option<Stamp>,
    ) -> Result<Appended, AppendError> {
        if let Some(reason) = &*self.failed.borrow() {
            return Err(AppendError::Failed(reason.clone()));
        }
        let size = header.size_in_bytes();
        assert_eq!(batch.len(), size, "one whole batch");
        let mut header = header.clone();
        if let Some(stamp) = stamp {
            header.max_timestamp = stamp.max_timestamp();
        }
        let mut partition = log.borrow_mut();
        if let Some(reason) = &partition.failed {
            return Err(AppendError::Failed(reason.clone()));
        }
        if size > partition.config.segment_bytes as usize {
            return Err(AppendError::LargerThanSegment);
        }
        if header.producer_id >= 0 {
            match partition
                .producers
                .check(&header)
                .map_err(AppendError::Producer)?
            {
                SequenceCheck::New => {}
                SequenceCheck::Duplicate {
                    base_offset,
                    last_offset,
                } => {
                    return Ok(Appended::Duplicate {
                        base: base_offset,
                        end: last_offset.plus(1),
                    });
                }
            }
        }
        let direct = size >= DIRECT_BYTES;
        let payload = if direct { BATCH_HEADER_BYTES } else { size };
        if !self.filling.borrow().builder.fits(payload) {
            // Publishing touches the logs of the block, this one among them.
            drop(partition);
            self.seal();
            partition = log.borrow_mut();
        }
        let place = partition.place(&header);
        header.base_offset = place.offset;
        let end = header.end_offset();
        partition.epochs.assign(epoch, place.offset);
        if header.producer_id >= 0 {
            partition.producers.update(&header);
        }
        let durability = partition.config.durability;
        let topic_partition = partition.topic_partition;
        drop(partition);

        let patch = |bytes: &mut [u8]| {
            if let Some(stamp) = stamp {
                stamp.apply(bytes);
            }
            record_batch::set_base_offset_and_epoch(bytes, place.offset, epoch);
        };
        let mut filling = self.filling.borrow_mut();
        let mut entry = EntryHeader {
            kind: EntryKind::Append,
            topic_partition,
            segment: place.segment,
            position: place.position,
        };
        let content = if direct {
            let mut buffer = buffer_lying_as_at(place.position as usize, size);
            buffer.extend_from_slice(batch);
            patch(&mut buffer);
            entry.kind = EntryKind::Reference;
            filling
                .builder
                .push(entry, &buffer[..BATCH_HEADER_BYTES], |_| {});
            Content::Direct(buffer.freeze())
        } else {
            Content::InBlock(filling.builder.push(entry, batch, patch))
        };
        filling.bytes += size;
        filling.durability = filling.durability.max(durability);
        filling.entries.push(FillingEntry {
            log: Rc::clone(log),
            place,
            end,
            content,
        });
        self.uncommitted_bytes
            .set(self.uncommitted_bytes.get() + size);
        self.work.ring();
        Ok(Appended::New {
            base: place.offset,
            end,
        })
    }

    /// How many reads of segments one reader should have under way at a time: what one waits for on the disk, the next uses. More would
    /// keep the disk from those who write.
    #[must_use]
    pub fn reads_at_a_time(&self) -> usize {
        match self.files.are_beside_commits() {
            true => 2,
            false => 4,
        }
    }

    /// Ends the block that fills: its bytes will not change any more and may be read and written to segments.
    fn seal(&self) {
        let mut filling = self.filling.borrow_mut();
        if filling.builder.is_empty() {
            return;
        }
        let filling = &mut *filling;
        let places = &mut filling.places;
        let sequence = filling.next_sequence;
        filling.next_sequence += 1;
        let block = filling.builder.seal(self.config.generation, sequence);
        let bytes = std::mem::take(&mut filling.bytes);
        let durability = std::mem::replace(&mut filling.durability, Durability::Written);
        let log_starts = std::mem::take(&mut filling.log_starts);
        let mut logs: Vec<SealedLog> = Vec::new();
        let mut unwritten = self.unwritten.borrow_mut();
        let mut wants_write = false;
        for entry in filling.entries.drain(..) {
            let (data, direct) = match entry.content {
                Content::InBlock(range) => (block.slice(range), false),
                Content::Direct(bytes) => {
                    let direct = self.direct_bytes.get() + bytes.len() as u64;
                    self.direct_bytes.set(direct);
                    (bytes, true)
                }
            };
            let mut log = entry.log.borrow_mut();
            log.publish(entry.place, entry.end, data);
            wants_write |= log.bytes_to_write() >= WRITE_BACK_BYTES;
            // What a deleted or failed log has is never written any more.
            if log.failed.is_none() {
                unwritten
                    .entry(log.topic_partition)
                    .or_insert_with(|| Rc::clone(&entry.log));
            }
            drop(log);
            // By address: the list keeps each of them where it is.
            match places.entry(Rc::as_ptr(&entry.log) as usize) {
                Entry::Occupied(place) => {
                    let sealed = &mut logs[*place.get()];
                    sealed.end = entry.end;
                    sealed.appends += 1;
                    sealed.direct |= direct;
                }
                Entry::Vacant(place) => {
                    place.insert(logs.len());
                    logs.push(SealedLog {
                        log: entry.log,
                        end: entry.end,
                        appends: 1,
                        direct,
                    });
                }
            }
        }
        places.clear();
        self.checkpoint_due.set(true);
        if wants_write {
            self.upkeep.ring();
        }
        self.sealed.borrow_mut().push_back(Sealed {
            block,
            sequence,
            durability,
            logs,
            log_starts,
            bytes,
        });
    }

    /// Waits until there is room for more appends: memory and the journal are bounded, and a slow disk pushes back here.
    pub async fn admit(&self) {
        while !self.has_room() && self.failed.borrow().is_none() && self.full.borrow().is_none() {
            self.upkeep.ring();
            self.progress.wait().await;
        }
    }

    /// Whether appends are taken without waiting.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.uncommitted_bytes.get() < UNCOMMITTED_BYTES_MAX
            && self.cached_bytes.get() < self.config.memory_bytes + UNCOMMITTED_BYTES_MAX
    }

    /// Whole batches from the one that holds `offset` on, as few slices as possible; see [`SegmentFiles::read_runs`].
    ///
    /// # Errors
    /// See [`SegmentFiles::read_runs`].
    pub async fn read_runs(
        &self,
        log: &LogHandle,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        self.files.read_runs(log, offset, limit, bytes_max).await
    }

    /// Reads whole batches from the one that holds `offset` on; see [`SegmentFiles::read`].
    ///
    /// # Errors
    /// See [`SegmentFiles::read`].
    pub async fn read(
        &self,
        log: &LogHandle,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        self.files.read(log, offset, limit, bytes_max).await
    }

    /// Waits until [`Store::maintain`] has something to do.
    pub async fn upkeep_due(&self) {
        if !self.needs_upkeep() {
            self.upkeep.wait().await;
        }
    }

    fn needs_upkeep(&self) -> bool {
        self.is_over_memory()
            || self.is_half_undrained()
            || self.full.borrow().is_some()
            || self.next_journal_file.is_behind()
    }

    /// Waits until the journal should be checkpointed. A task of its own does it: upkeep goes on beside it.
    pub async fn checkpoint_wanted(&self) {
        while self.fullness.get() <= CHECKPOINT_FULLNESS {
            self.upkeep.wait().await;
        }
    }

    /// Lets go of what has not been used since the last call: an idle partition holds no descriptor.
    pub fn close_idle(&self) {
        self.files.close_idle();
    }

    /// Work that can wait: writes to segments, letting go of memory.
    ///
    /// # Errors
    /// A full disk: nothing is lost, and it may be tried again. Any other failure of the disk stops the store.
    pub async fn maintain(&self) -> io::Result<()> {
        let full = self.full.borrow().is_some();
        let result = if full {
            self.leave_full().await
        } else {
            self.maintain_now().await
        };
        self.note(result).await
    }

    /// As [`Store::checkpoint`], with failures treated as [`Store::maintain`] does.
    ///
    /// # Errors
    /// A full disk.
    pub async fn checkpoint_or_fail(&self) -> io::Result<()> {
        let result = self.checkpoint().await;
        self.note(result).await
    }

    async fn note(&self, result: io::Result<()>) -> io::Result<()> {
        match &result {
            Err(error) if is_full(error) => self.meet_full(error).await,
            Err(error) => self.fail(&error.to_string()),
            Ok(()) => {}
        }
        // Whoever waits for space tries again.
        self.progress.ring();
        result
    }

    fn note_fullness(&self, journal: &Journal<D>) {
        let direct = self.direct_bytes.get() as f64 / self.config.journal_bytes as f64;
        self.fullness.set(journal.fullness().max(direct));
    }

    /// Brings everything to segments, syncs them, and lets the journal go.
    ///
    /// # Errors
    /// Those of the disk: the journal is kept then.
    pub async fn checkpoint(&self) -> io::Result<()> {
        while self.checkpointing.get() || self.retiring.get() {
            self.progress.wait().await;
        }
        self.checkpointing.set(true);
        // What the checkpoint will not name. Nothing is swapped before it is done.
        let swapped = self.swapped.take();
        let swapped_bytes = self.swapped_bytes.take();
        let result = self.checkpoint_now().await;
        self.checkpointing.set(false);
        if result.is_err() {
            self.checkpoint_due.set(true);
            self.swapped.borrow_mut().extend(swapped);
            self.swapped_bytes
                .set(self.swapped_bytes.get() + swapped_bytes);
        } else {
            self.replaced.borrow_mut().extend(swapped);
        }
        self.progress.ring();
        result
    }

    async fn checkpoint_now(&self) -> io::Result<()> {
        // With nothing half filled, every log is just what the blocks below this number made it; what comes later is in
        // later blocks, which replay finds.
        self.seal();
        let first_sequence = self.filling.borrow().next_sequence;
        let direct_bytes = self.direct_bytes.get();
        self.checkpoint_due.set(false);
        if planted(Planted::JournalReleasedBeforeCheckpoint) {
            self.released.set(first_sequence);
        }
        let mut checkpoints: Vec<(LogHandle, LogCheckpoint)> = self
            .logs
            .borrow()
            .values()
            .chain(self.leaving.borrow().values())
            .filter(|log| !log.borrow().is_empty())
            .map(|log| (Rc::clone(log), log.borrow().checkpoint()))
            .collect();
        self.work.ring();
        let writes = self.writes_ahead(&self.unwritten_logs());
        self.undrained_bytes.set(0);
        let work = checkpoints.iter_mut().map(async |(log, checkpoint)| {
            let name = checkpoint.topic_partition;
            // Of a deleted topic nothing is asked for again, and its directory may be on its way out.
            let is_deleted = || !self.logs.borrow().contains_key(&name);
            if is_deleted() {
                return Ok(());
            }
            let written = self.write_back(log, checkpoint.end);
            self.in_turn(writes, written).await?;
            if is_deleted() && !planted(Planted::DeletedInsistedOn) {
                return Ok(());
            }
            if log.borrow().written_back().offset < checkpoint.end {
                // The journal alone has these bytes: it must not be released.
                return Err(io::Error::other(format!(
                    "{} cannot be brought to its segments",
                    log.borrow().directory
                )));
            }
            let written = self.files.write_indexes(log, checkpoint).await;
            self.fail_at_once(written)?;
            // With very many logs, of which few were written, others must have their turn.
            futures_lite::future::yield_now().await;
            Ok(())
        });
        lanes::to_the_end(writes.at_a_time(), work).await?;
        self.sync_segments().await?;
        // A flush that failed elsewhere (a large batch's, or an earlier checkpoint's) makes this one's "fine" worthless: only
        // the journal still has what was dropped.
        if let Some(reason) = self.failure() {
            return Err(io::Error::other(reason));
        }
        let logs = checkpoints
            .into_iter()
            .map(|(_, checkpoint)| checkpoint)
            .collect();
        let checkpoint = Checkpoint {
            generation: self.config.generation,
            first_sequence,
            logs,
        };
        let path = layout::shard_checkpoint(&self.config.root, self.config.shard);
        self.disk.replace(&path, &checkpoint.encode()).await?;
        self.released.set(first_sequence);
        self.direct_bytes
            .set(self.direct_bytes.get() - direct_bytes);
        // The next commit says how much is left. Until there is one, there is nothing to checkpoint again.
        self.fullness.set(0.0);
        Ok(())
    }

    async fn sync_segments(&self) -> io::Result<()> {
        let synced = match self.files.sync().await {
            Err(_) if planted(Planted::FlushErrorRetriedAsClean) => self.files.sync().await,
            other => other,
        };
        if let Err(error) = &synced {
            // What a failed flush left of the writes before it is unknown, and a second flush would say "fine".
            self.fail(&format!("a segment could not be flushed: {error}"));
        }
        synced
    }

    /// Room among the open files for one that will be written.
    async fn make_room_for_file(&self) -> io::Result<()> {
        loop {
            let progress = self.progress.wait();
            if self.files.unsynced_files() < self.config.unsynced_files_max {
                return Ok(());
            }
            if self.making_room.get() {
                progress.await;
                continue;
            }
            self.making_room.set(true);
            let synced = self.sync_segments().await;
            self.making_room.set(false);
            self.progress.ring();
            return synced;
        }
    }

    /// The last words of an orderly stop: everything in segments, exact file sizes, a checkpoint after which the next
    /// start replays nothing.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn stop(&self) -> io::Result<()> {
        self.stopping.set(true);
        self.work.ring();
        while self.checkpointing.get()
            || self.compacting.get()
            || (self.uncommitted_bytes.get() > 0 && self.failed.borrow().is_none())
        {
            self.progress.wait().await;
        }
        if self.checkpoint_due.get() {
            self.checkpoint().await?;
        }
        let logs: Vec<LogHandle> = self.logs.borrow().values().cloned().collect();
        for log in logs {
            let trim = log.borrow().directory_made && log.borrow().failed.is_none();
            if trim {
                self.files.trim(&log).await?;
            }
        }
        Ok(())
    }

    /// Does not leave a failure for later: what else is under way beside it may take its time, and nothing may be acknowledged
    /// meanwhile.
    fn fail_at_once<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && !is_full(error)
        {
            self.fail(&error.to_string());
        }
        result
    }

    fn fail(&self, reason: &str) {
        if planted(Planted::FailureForgotten) || self.failed.borrow().is_some() {
            return;
        }
        log::error!(
            "shard {}: {reason}; its partitions take nothing until a restart",
            self.config.shard
        );
        *self.failed.borrow_mut() = Some(reason.to_owned());
        self.progress.ring();
    }

    /// Why the whole store has failed, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failed.borrow().clone()
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.config.root
    }
}
