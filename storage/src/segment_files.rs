//! The files of a shard's segments and their indexes: opened when needed, a bounded number at a time, synced together.
//!
//! Carries out what [`crate::log::Log`] decides. Never serves bytes whose CRC does not hold.

mod read_ahead;
mod reading;
mod removal;
mod syncing;
mod writing;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxHashMap;

pub use removal::{DELETED_SUFFIX, remove_directory};

use self::read_ahead::ReadAhead;
use crate::disk::{
    BLOCK, Disk, DiskFile, Durability, OpenMode, TRANSFER_MAX, align_down, align_up,
    aligned_buffer, write_all,
};
use crate::log::{Log, LogCheckpoint, SegmentName, SegmentWrite};
use crate::offset::Offset;
use crate::offset_index::OffsetIndex;
use crate::planted::{Planted, planted};
use crate::time_index::TimeIndex;
use crate::topic_partition::TopicPartition;

/// Open files at most, written ones included. A shard of a thousand busy partitions reopens some; ten thousand shards'
/// worth of idle ones hold none.
const OPEN_FILES_MAX: usize = 256;

/// Index files read from disk that are kept in memory. One of a full segment with small batches is 2 MiB.
const INDEXES_CACHED_MAX: usize = 32;

/// The most that is believed of an index file, Kafka's `segment.index.bytes` for a segment of 2 GiB and more.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// The header of a batch.
const BATCH_HEADER_BYTES: usize = 61;

/// A log as its users hold it.
pub type LogHandle = Rc<RefCell<Log>>;

/// A file of one partition's log.
type FileKey = (TopicPartition, SegmentName);

pub struct SegmentFiles<D: Disk> {
    disk: D,
    root: PathBuf,
    /// While a journal is replayed: new files are not emptied and bytes behind a write are kept, since references in the
    /// journal may point at them.
    replaying: bool,
    open: RefCell<FxHashMap<FileKey, OpenFile<D::File>>>,
    /// Ticks with every use, to find the file that was used least recently.
    uses: RefCell<u64>,
    /// The last use at the time of the last [`SegmentFiles::close_idle`].
    idle_since: Cell<u64>,
    /// Files with writes that no finished sync has covered yet. They stay open: only who holds a file is sure to hear that its
    /// writes failed.
    unsynced: RefCell<BTreeMap<FileKey, Unsynced<D::File>>>,
    /// Numbers the beginnings and ends of writes, of all files: two syncs of a file may be under way, and when the first is done with
    /// it, what is written next must not look like what the second began with.
    writes: Cell<u64>,
    /// Partitions whose directories no sync has covered yet, each with the file that says whose it is.
    new_directories: RefCell<BTreeMap<TopicPartition, Rc<D::File>>>,
    indexes: RefCell<FxHashMap<FileKey, (u64, Rc<OffsetIndex>)>>,
    read_ahead: ReadAhead,
    /// When the last commit was, by the disk's clock.
    committed: Cell<Option<Duration>>,
}

/// A file that was written.
struct Unsynced<F> {
    file: Rc<F>,
    /// The number of the write that last began or ended.
    last_write: u64,
    /// The directory that its name is new in.
    new_in: Option<PathBuf>,
}

struct OpenFile<F> {
    file: Rc<F>,
    used: u64,
}

/// Why a read from a segment did not give what should be there.
#[derive(Debug)]
pub enum ReadError {
    Disk(io::Error),
    /// The bytes are not the batch that belongs there.
    Damaged {
        path: PathBuf,
        position: u64,
    },
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(formatter),
            Self::Damaged { path, position } => {
                write!(
                    formatter,
                    "{} is damaged at byte {position}; nothing from there is served",
                    path.display()
                )
            }
        }
    }
}

/// The three files of a segment.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Log,
    OffsetIndex,
    TimeIndex,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::OffsetIndex => "index",
            Self::TimeIndex => "timeindex",
        }
    }
}

/// What says which topic a partition's directory belongs to.
const METADATA: &str = "partition.metadata";

/// The topic id that a directory says it belongs to.
pub(crate) async fn topic_of<D: Disk>(disk: &D, directory: &Path) -> Option<String> {
    let content = disk
        .read_all(&directory.join(METADATA), 4096)
        .await
        .ok()??;
    let text = String::from_utf8(content).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("topic_id: ").map(str::to_owned))
}

impl<D: Disk> SegmentFiles<D> {
    #[must_use]
    pub fn new(disk: D, root: PathBuf) -> Self {
        Self {
            disk,
            root,
            replaying: false,
            open: RefCell::default(),
            uses: RefCell::default(),
            idle_since: Cell::new(0),
            unsynced: RefCell::default(),
            writes: Cell::new(0),
            new_directories: RefCell::default(),
            indexes: RefCell::default(),
            read_ahead: ReadAhead::default(),
            committed: Cell::new(None),
        }
    }

    /// From now on files are read ahead for whoever reads one part after another, as far as this many bytes hold.
    pub fn read_ahead(&self, bytes_max: usize) {
        self.read_ahead.limit(bytes_max);
    }

    /// As [`SegmentFiles::new`], for the replay of a journal.
    #[must_use]
    pub fn for_replay(disk: D, root: PathBuf) -> Self {
        Self {
            replaying: true,
            ..Self::new(disk, root)
        }
    }

    fn path(&self, directory: &str, segment: SegmentName, kind: Kind) -> PathBuf {
        self.root
            .join(directory)
            .join(segment.file_name(kind.extension()))
    }

    async fn file(
        &self,
        log: &LogHandle,
        segment: SegmentName,
        mode: OpenMode,
    ) -> io::Result<Rc<D::File>> {
        let (key, path) = {
            let log = log.borrow();
            (
                (log.topic_partition, segment),
                self.path(&log.directory, segment, Kind::Log),
            )
        };
        let used = {
            let mut uses = self.uses.borrow_mut();
            *uses += 1;
            *uses
        };
        if let Some(open) = self.open.borrow_mut().get_mut(&key) {
            open.used = used;
            return Ok(Rc::clone(&open.file));
        }
        if mode == OpenMode::Create {
            self.make_directory(log).await?;
        }
        let file = Rc::new(self.disk.open(&path, mode).await?);
        let mut open = self.open.borrow_mut();
        if open.len() >= OPEN_FILES_MAX
            && let Some(oldest) = open
                .iter()
                .min_by_key(|(_, file)| file.used)
                .map(|(key, _)| *key)
        {
            open.remove(&oldest);
        }
        open.insert(
            key,
            OpenFile {
                file: Rc::clone(&file),
                used,
            },
        );
        Ok(file)
    }

    /// A partition's directory comes into being with its first write, and says which topic it belongs to.
    async fn make_directory(&self, log: &LogHandle) -> io::Result<()> {
        let (made, directory, topic_partition) = {
            let log = log.borrow();
            (
                log.directory_made,
                self.root.join(&log.directory),
                log.topic_partition,
            )
        };
        if made {
            return Ok(());
        }
        let topic_id = topic_partition.topic_id;
        self.disk.create_directory(&directory).await?;
        // Nothing relies on it yet: the journal has what belongs here until all of it is synced.
        let path = directory.join(METADATA);
        let file = self.disk.open(&path, OpenMode::Create).await?;
        let content = format!("version: 0\ntopic_id: {topic_id}\n");
        write_all(&file, 0, content.as_bytes()).await?;
        file.truncate(content.len() as u64).await?;
        self.new_directories
            .borrow_mut()
            .insert(topic_partition, Rc::new(file));
        log.borrow_mut().directory_made = true;
        Ok(())
    }

    /// Carries out the log's next write to a segment. `Ok(false)`: there is none now.
    ///
    /// # Errors
    /// Those of the disk; the log keeps the bytes and the write may be tried again.
    pub async fn write_next(&self, log: &LogHandle) -> io::Result<bool> {
        let write = log.borrow_mut().next_write();
        let Some(write) = write else { return Ok(false) };
        let written = self.write(log, &write).await;
        let parts = written.as_deref().ok();
        log.borrow_mut().finish_write(&write, parts);
        written.map(|_| true)
    }

    async fn write(&self, log: &LogHandle, write: &SegmentWrite) -> io::Result<Vec<Bytes>> {
        let segment = SegmentName::appended(write.segment);
        let file = self.file(log, segment, OpenMode::Create).await?;
        let is_new = write.position == 0 && write.head_length == 0;
        if is_new && !self.replaying {
            file.truncate(0).await?;
        }
        let head = match &write.head {
            Some(head) => head.clone(),
            None => file.read_at(write.position, BLOCK).await?,
        };
        if head.len() < write.head_length {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "a segment of {} is shorter than its checkpoint says",
                    log.borrow().directory
                ),
            ));
        }
        let mut parts = write.assemble(&head);
        if self.replaying && !planted(Planted::ReplayOverwritesWhatFollows) {
            keep_what_follows(&*file, write, &mut parts).await?;
        }
        let key = (log.borrow().topic_partition, segment);
        let note = || {
            self.writes.set(self.writes.get() + 1);
            let mut unsynced = self.unsynced.borrow_mut();
            let of_file = unsynced.entry(key).or_insert_with(|| Unsynced {
                file: Rc::clone(&file),
                last_write: 0,
                new_in: None,
            });
            of_file.last_write = match planted(Planted::WritesCountedAnew) {
                true => of_file.last_write + 1,
                false => self.writes.get(),
            };
            if is_new {
                of_file.new_in = Some(self.root.join(&log.borrow().directory));
            }
        };
        // Before the write, since a failed one may have changed the file too; and after it, since a sync that began
        // meanwhile does not cover it.
        note();
        let written = file
            .write_vectored_at(parts.clone(), write.position, Durability::Written)
            .await;
        note();
        written.map(|()| parts)
    }

    /// A block is in the journal.
    pub(crate) fn note_commit(&self) {
        self.committed.set(Some(self.disk.clock()));
    }

    /// Whether somebody wrote in the last 100 ms, and will again: then the disk's queue is kept short.
    pub(crate) fn are_beside_commits(&self) -> bool {
        let clock = self.disk.clock();
        let since = self.committed.get().map(|at| clock.saturating_sub(at));
        since.is_some_and(|since| since < COMMITS_LATELY)
    }

    /// Closes files and forgets indexes that were not used since the last call.
    pub fn close_idle(&self) {
        self.read_ahead.clear();
        let since = self.idle_since.replace(*self.uses.borrow());
        self.open.borrow_mut().retain(|_, file| file.used > since);
        self.indexes
            .borrow_mut()
            .retain(|_, (used, _)| *used > since);
    }

    /// How many segment files are open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.open.borrow().len()
    }

    /// Appends the index entries of `checkpoint` to the index files, and brings segments that it shows as rolled to their
    /// exact size. What it shows must be in segment files; the sync of the segments comes after.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn write_indexes(
        &self,
        log: &LogHandle,
        checkpoint: &mut LogCheckpoint,
    ) -> io::Result<()> {
        let (directory, unfinished) = {
            let log = log.borrow();
            let is_unfinished = |base| {
                log.segment_at(base)
                    .is_some_and(|segment| !segment.finished)
            };
            let bases: Vec<_> = checkpoint
                .segments
                .iter()
                .map(|segment| segment.base)
                .filter(|base| is_unfinished(*base))
                .collect();
            (log.directory.clone(), bases)
        };
        let active = checkpoint.segments.last().map(|segment| segment.base);
        for base in unfinished {
            // Those that compaction wrote have theirs.
            let name = SegmentName::appended(base);
            let (offsets, times, entries) = {
                let mut log = log.borrow_mut();
                let Ok(index) = log
                    .segments_mut()
                    .binary_search_by_key(&base, |segment| segment.base)
                else {
                    continue;
                };
                let segment = &mut log.segments_mut()[index];
                let offsets = take_below(&mut segment.offset_index.clone(), base, checkpoint.end);
                let times = take_times_below(&mut segment.time_index.clone(), base, checkpoint.end);
                (
                    offsets,
                    times,
                    (segment.offset_entries_on_disk, segment.time_entries_on_disk),
                )
            };
            self.append(
                &self.path(&directory, name, Kind::OffsetIndex),
                entries.0,
                8,
                &offsets.encode_from(0),
            )
            .await?;
            self.append(
                &self.path(&directory, name, Kind::TimeIndex),
                entries.1,
                12,
                &times.encode_from(0),
            )
            .await?;
            self.indexes
                .borrow_mut()
                .remove(&(log.borrow().topic_partition, name));
            let finish = {
                let mut log = log.borrow_mut();
                let Ok(index) = log
                    .segments_mut()
                    .binary_search_by_key(&base, |segment| segment.base)
                else {
                    continue;
                };
                let segment = &mut log.segments_mut()[index];
                // Not before they are on disk: a write that finds the disk full is tried again.
                take_below(&mut segment.offset_index, base, checkpoint.end);
                take_times_below(&mut segment.time_index, base, checkpoint.end);
                segment.offset_entries_on_disk +=
                    u32::try_from(offsets.entries().len()).expect("few entries");
                segment.time_entries_on_disk +=
                    u32::try_from(times.entries().len()).expect("few entries");
                let size = segment.size;
                (Some(base) != active).then_some(size)
            };
            if let Some(size) = finish {
                let file = self.file(log, name, OpenMode::Existing).await?;
                file.truncate(u64::from(size)).await?;
                file.sync().await?;
                let mut log = log.borrow_mut();
                if let Ok(index) = log
                    .segments_mut()
                    .binary_search_by_key(&base, |segment| segment.base)
                {
                    log.segments_mut()[index].finished = true;
                }
            }
        }
        log.borrow().indexed(checkpoint);
        Ok(())
    }

    /// Brings the active segment's file to its exact size, so that any reader of Kafka's format finds a clean end.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn trim(&self, log: &LogHandle) -> io::Result<()> {
        let place = log.borrow().written_back();
        if !log.borrow().padded || place.position == 0 {
            return Ok(());
        }
        let segment = SegmentName::appended(place.segment);
        let file = self.file(log, segment, OpenMode::Existing).await?;
        file.truncate(u64::from(place.position)).await?;
        log.borrow_mut().padded = false;
        Ok(())
    }

    /// Writes `bytes` behind the first `count` entries of `size` bytes each.
    async fn append(&self, path: &Path, count: u32, size: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = u64::from(count) * size;
        let file = self.disk.open(path, OpenMode::Create).await?;
        let position = align_down(end);
        let head_length = usize::try_from(end - position).expect("below a block");
        let mut buffer = aligned_buffer(align_up(head_length + bytes.len()));
        if head_length > 0 {
            let head = file.read_at(position, BLOCK).await?;
            buffer.extend_from_slice(head.get(..head_length).unwrap_or_default());
        }
        // Entries lost from the file stay zero, which a reader takes for the end; the log is searched from there.
        buffer.resize(head_length, 0);
        buffer.extend_from_slice(bytes);
        let length = buffer.len();
        buffer.resize(align_up(length), 0);
        file.write_at(buffer.freeze(), position, Durability::Written)
            .await?;
        file.truncate(end + bytes.len() as u64).await
    }

    async fn index_on_disk(
        &self,
        log: &LogHandle,
        name: SegmentName,
    ) -> io::Result<Rc<OffsetIndex>> {
        let key = (log.borrow().topic_partition, name);
        let used = {
            let mut uses = self.uses.borrow_mut();
            *uses += 1;
            *uses
        };
        if let Some((last_use, index)) = self.indexes.borrow_mut().get_mut(&key) {
            *last_use = used;
            return Ok(Rc::clone(index));
        }
        let path = self.path(&log.borrow().directory, name, Kind::OffsetIndex);
        let bytes = self
            .disk
            .read_all(&path, INDEX_BYTES_MAX)
            .await?
            .unwrap_or_default();
        let index = Rc::new(OffsetIndex::decode(name.base, &bytes));
        let mut indexes = self.indexes.borrow_mut();
        if indexes.len() >= INDEXES_CACHED_MAX
            && let Some(oldest) = indexes
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| *key)
        {
            indexes.remove(&oldest);
        }
        indexes.insert(key, (used, Rc::clone(&index)));
        Ok(index)
    }

    /// The time index of a segment: what is on disk and what is in memory.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn time_index(&self, log: &LogHandle, base: Offset) -> io::Result<TimeIndex> {
        let (path, on_disk) = {
            let log = log.borrow();
            let segment = log.segment_at(base);
            let on_disk = segment.is_some_and(|segment| segment.time_entries_on_disk > 0);
            let name = segment.map_or(SegmentName::appended(base), |segment| segment.name());
            (self.path(&log.directory, name, Kind::TimeIndex), on_disk)
        };
        let bytes = if on_disk {
            self.disk.read_all(&path, INDEX_BYTES_MAX).await?
        } else {
            None
        };
        let mut index = TimeIndex::decode(base, &bytes.unwrap_or_default());
        if let Some(segment) = log.borrow().segment_at(base) {
            for entry in segment.time_index.entries() {
                index.maybe_append(entry.0, entry.1);
            }
        }
        Ok(index)
    }

    /// Whether the segment has a file.
    ///
    /// # Errors
    /// Those of the disk, but that it is not there.
    pub async fn exists(&self, log: &LogHandle, segment: SegmentName) -> io::Result<bool> {
        match self.file(log, segment, OpenMode::Existing).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads `length` bytes at any position of a segment.
    ///
    /// # Errors
    /// Those of the disk; fewer bytes than asked for only at the end of the file.
    pub async fn read_exactly(
        &self,
        log: &LogHandle,
        segment: SegmentName,
        position: u64,
        length: usize,
    ) -> io::Result<Bytes> {
        let file = match self.file(log, segment, OpenMode::Existing).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Bytes::new()),
            other => other?,
        };
        let mut window = Window {
            start: 0,
            bytes: Bytes::new(),
        };
        window
            .load(&*file, position, length, position + length as u64)
            .await?;
        let start = usize::try_from(position - window.start).expect("below a block");
        let end = (start + length).min(window.bytes.len());
        Ok(window.bytes.slice(start.min(end)..end))
    }
}

/// Replaces the zeros behind a write by what the file holds there.
async fn keep_what_follows(
    file: &impl DiskFile,
    write: &SegmentWrite,
    parts: &mut [Bytes],
) -> io::Result<()> {
    let end = write.end();
    let used = end % BLOCK;
    if used == 0 {
        return Ok(());
    }
    let old = file
        .read_at(write.position + (end - used) as u64, BLOCK)
        .await?;
    let last = parts.last_mut().expect("a write is not empty");
    let mut merged = aligned_buffer(last.len());
    merged.extend_from_slice(&last[..last.len() - BLOCK + used]);
    merged.extend_from_slice(old.get(used..).unwrap_or_default());
    merged.resize(last.len(), 0);
    *last = merged.freeze();
    Ok(())
}

/// Who wrote so long ago is expected to write again.
const COMMITS_LATELY: Duration = Duration::from_millis(100);

/// A part of a file in memory.
struct Window {
    /// A multiple of [`BLOCK`].
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn holds(&self, position: u64, length: usize) -> bool {
        position >= self.start && position + length as u64 <= self.start + self.bytes.len() as u64
    }

    /// The bytes from `position` on.
    fn from(&self, position: u64) -> &[u8] {
        let start = usize::try_from(position - self.start).expect("windows are small");
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Makes the window begin at or just below `position` and hold `length` bytes from there, as far as the file has them.
    async fn load(
        &mut self,
        file: &impl DiskFile,
        position: u64,
        length: usize,
        end: u64,
    ) -> io::Result<()> {
        self.start = align_down(position);
        let until = (position + length as u64).min(end.max(position + 1));
        let wanted = align_up(usize::try_from(until - self.start).expect("windows are small"));
        if wanted <= TRANSFER_MAX {
            self.bytes = file.read_at(self.start, wanted).await?;
            return Ok(());
        }
        let mut buffer = aligned_buffer(wanted);
        while buffer.len() < wanted {
            let part = (wanted - buffer.len()).min(TRANSFER_MAX);
            let read = file.read_at(self.start + buffer.len() as u64, part).await?;
            buffer.extend_from_slice(&read);
            if read.len() < part {
                break;
            }
        }
        self.bytes = buffer.freeze();
        Ok(())
    }
}

/// Moves the entries below `end` out of the index.
fn take_below(index: &mut OffsetIndex, base: Offset, end: Offset) -> OffsetIndex {
    let all = std::mem::replace(index, OffsetIndex::new(base));
    let mut below = OffsetIndex::new(base);
    for &(offset, position) in all.entries() {
        if offset < end {
            below.append(offset, position)
        } else {
            index.append(offset, position)
        }
    }
    below
}

/// As [`take_below`].
fn take_times_below(index: &mut TimeIndex, base: Offset, end: Offset) -> TimeIndex {
    let all = std::mem::replace(index, TimeIndex::new(base));
    let mut below = TimeIndex::new(base);
    for &(timestamp, offset) in all.entries() {
        if offset < end {
            below.maybe_append(timestamp, offset)
        } else {
            index.maybe_append(timestamp, offset)
        };
    }
    below
}
