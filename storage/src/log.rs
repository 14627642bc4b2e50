//! One partition's log: which offsets it holds, where each batch is (in memory, in which segment at which position), and
//! what is still to be written to segments.
//!
//! Decides and remembers; never touches a file. [`crate::store`] carries out what it decides.
//!
//! ```text
//! segments on disk                 memory (pieces)                 the block that fills now
//! [ 0 .............. 70 )[ 70 ..... written_back )[ ..... published )[ ..... end )
//! ```

mod compacted;
mod segment;

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{BufMut, Bytes};

pub use segment::{Segment, SegmentCheckpoint, SegmentName, SegmentRange};

use crate::disk::{BLOCK, Durability, align_down, align_up, aligned_buffer};
use crate::journal::block::IN_PLACE_BYTES_MIN;
use crate::leader_epoch_history::LeaderEpochHistory;
use crate::offset::Offset;
use crate::producer_state::ProducerStates;
use crate::record_batch::RecordBatchHeader;
use crate::topic_partition::TopicPartition;

/// The most bytes of one write to a segment.
const WRITE_BYTES_MAX: usize = 4 << 20;

/// What a topic's configuration says about its logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it would grow larger.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when a batch is this much younger than its first, in milliseconds.
    pub segment_ms: i64,
    /// `index.interval.bytes`: at least this many bytes between two index entries.
    pub index_interval_bytes: u32,
    /// `rinka.ack`: what an acknowledgement survives.
    pub durability: Durability,
}

/// What a topic's configuration says about how long its records are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Milliseconds since 1970.
    pub now: i64,
    /// `retention.ms`; `None`: for ever.
    pub ms: Option<i64>,
    /// `retention.bytes`; `None`: no limit.
    pub bytes: Option<u64>,
}

/// A place in the log's files: the batch that begins there has this offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub offset: Offset,
    /// Base offset of the segment.
    pub segment: Offset,
    /// Bytes from the segment's beginning.
    pub position: u32,
}

/// What a checkpoint keeps of a log: all that is needed to open it, true of what is synced in its segments.
#[derive(Clone, Debug, PartialEq)]
pub struct LogCheckpoint {
    pub topic_partition: TopicPartition,
    pub log_start: Offset,
    /// The end of what is synced in segments.
    pub end: Offset,
    /// Oldest first; the last one is the active one.
    pub segments: Vec<SegmentCheckpoint>,
    /// Segments that are not, not yet or no longer part of it, and whose files may be there.
    pub doomed: Vec<SegmentName>,
    /// Compaction has done its work below; what is above is dirty.
    pub cleaned: Offset,
    pub epochs: LeaderEpochHistory,
    pub producers: ProducerStates,
}

impl LogCheckpoint {
    /// Names a partition, and nothing that it has.
    pub(crate) fn of_nothing(topic_partition: TopicPartition) -> Self {
        Self {
            topic_partition,
            log_start: Offset::ZERO,
            end: Offset::ZERO,
            segments: Vec::new(),
            doomed: Vec::new(),
            cleaned: Offset::ZERO,
            epochs: LeaderEpochHistory::default(),
            producers: ProducerStates::default(),
        }
    }
}

/// A run of one batch in memory.
#[derive(Clone, Debug)]
struct Piece {
    place: Place,
    /// The offset behind its last record.
    end: Offset,
    data: Bytes,
}

/// A write to one segment, made whole blocks by what comes before and zeros behind.
#[derive(Debug)]
pub struct SegmentWrite {
    pub segment: Offset,
    /// Where it goes: a multiple of [`BLOCK`].
    pub position: u64,
    /// How many bytes before the first piece belong to its first block. They are in `head`, or must be read back.
    pub head_length: usize,
    pub head: Option<Bytes>,
    pieces: Vec<Bytes>,
    /// Where the log's written part ends once this is done.
    upto: Place,
}

impl SegmentWrite {
    /// Bytes that mean something: the head and the pieces, not the zeros behind.
    #[must_use]
    pub fn end(&self) -> usize {
        self.head_length + self.pieces.iter().map(Bytes::len).sum::<usize>()
    }

    /// The bytes to write, in parts of whole blocks. `head` is what the file holds at [`SegmentWrite::position`], at least
    /// `head_length` long. What lies in memory as it will lie in the file is not copied, see [`IN_PLACE_BYTES_MIN`].
    #[must_use]
    pub fn assemble(&self, head: &[u8]) -> Vec<Bytes> {
        let total = self.end();
        let mut in_place = 0;
        let mut at = self.head_length;
        for piece in &self.pieces {
            in_place += whole_blocks(piece, at).len();
            at += piece.len();
        }
        let mut parts = Vec::new();
        let mut copied = aligned_buffer(align_up(total) - in_place);
        copied.put_slice(&head[..self.head_length]);
        for piece in &self.pieces {
            // What is copied so far ends where the piece begins in its block, since all else was whole blocks.
            let whole = whole_blocks(piece, copied.len());
            if whole.is_empty() {
                copied.put_slice(piece);
                continue;
            }
            copied.put_slice(&piece[..whole.start]);
            if !copied.is_empty() {
                parts.push(copied.split().freeze());
            }
            copied.put_slice(&piece[whole.end..]);
            parts.push(piece.slice(whole));
        }
        copied.resize(align_up(copied.len()), 0);
        if !copied.is_empty() {
            parts.push(copied.freeze());
        }
        debug_assert_eq!(parts.iter().map(Bytes::len).sum::<usize>(), align_up(total));
        parts
    }
}

/// The part of a piece that lies in memory as in the file: blocks of the file that begin at a multiple of [`BLOCK`] in memory too.
/// `at` is where the piece begins, counted from the beginning of a block. Empty when it is not worth a part of its own.
fn whole_blocks(piece: &Bytes, at: usize) -> Range<usize> {
    let start = (align_up(at) - at).min(piece.len());
    let length = (piece.len() - start) / BLOCK * BLOCK;
    let in_place =
        piece.len() >= IN_PLACE_BYTES_MIN && piece[start..].as_ptr().align_offset(BLOCK) == 0;
    start..start + if in_place { length } else { 0 }
}

/// Where to find the bytes from an offset on.
#[derive(Debug)]
pub enum Found {
    /// In memory: whole batches, the first of which holds the offset.
    Memory(Vec<Bytes>),
    /// In a segment's file: search from this position on; bytes from `limit` on are not there yet.
    File {
        segment: SegmentRange,
        from: u32,
        index_on_disk: bool,
    },
    /// Nothing below the limit.
    Nothing,
}

/// Where a read from a file ended.
#[derive(Clone, Copy, Debug)]
struct ReadHint {
    segment: SegmentName,
    offset: Offset,
    position: u32,
}

/// A partition's log.
#[derive(Debug)]
pub struct Log {
    pub topic_partition: TopicPartition,
    /// Name of its directory in the data directory, `<topic>-<partition>`.
    pub directory: String,
    pub config: LogConfig,
    log_start: Offset,
    /// What a restart would find: only below it may files go.
    log_start_durable: Offset,
    end: Offset,
    segments: VecDeque<Segment>,
    /// Segments that are not part of it, until their files are gone.
    doomed: Vec<SegmentName>,
    /// Compaction has done its work below.
    cleaned: Offset,
    pieces: VecDeque<Piece>,
    /// Everything below is in segment files (synced or not).
    written_back: Place,
    /// The bytes of the file's last, partial block, while the log is busy.
    tail: Option<(Place, Bytes)>,
    /// A write to a segment is under way: they go one at a time, since neighbours share a block.
    pub writing: bool,
    /// The active segment's file has zeros behind its end, up to a whole block.
    pub padded: bool,
    /// Its directory exists and was synced.
    pub directory_made: bool,
    /// Why it serves no more.
    pub failed: Option<String>,
    pub epochs: LeaderEpochHistory,
    pub producers: ProducerStates,
    /// Where the last read from a file ended: the next one of the same reader begins there.
    read_hint: Option<ReadHint>,
    bytes_to_write: usize,
}

impl Log {
    /// A log that has never held a record.
    #[must_use]
    pub fn new(topic_partition: TopicPartition, directory: String, config: LogConfig) -> Self {
        Self::open(
            LogCheckpoint::of_nothing(topic_partition),
            directory,
            config,
        )
    }

    /// A log as a checkpoint describes it.
    #[must_use]
    pub fn open(checkpoint: LogCheckpoint, directory: String, config: LogConfig) -> Self {
        let last = checkpoint.segments.len().saturating_sub(1);
        let segments: VecDeque<_> = checkpoint
            .segments
            .iter()
            .enumerate()
            .map(|(number, segment)| Segment::reopened(segment, number < last))
            .collect();
        let written_back = match segments.back() {
            Some(active) => Place {
                offset: checkpoint.end,
                segment: active.base,
                position: active.size,
            },
            None => Place {
                offset: checkpoint.end,
                segment: checkpoint.end,
                position: 0,
            },
        };
        Self {
            topic_partition: checkpoint.topic_partition,
            directory,
            config,
            log_start: checkpoint.log_start,
            log_start_durable: checkpoint.log_start,
            end: checkpoint.end,
            doomed: checkpoint.doomed,
            cleaned: checkpoint.cleaned,
            directory_made: !segments.is_empty(),
            segments,
            pieces: VecDeque::new(),
            written_back,
            tail: None,
            writing: false,
            padded: false,
            failed: None,
            epochs: checkpoint.epochs,
            producers: checkpoint.producers,
            read_hint: None,
            bytes_to_write: 0,
        }
    }

    /// The first offset that may be read.
    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// Moves the first offset that may be read up; what is below it goes once that is durable. Never back.
    ///
    /// # Panics
    /// When it is beyond the log's end.
    pub fn advance_log_start(&mut self, to: Offset) {
        assert!(to <= self.end, "a log starts before its end");
        if to > self.log_start {
            self.log_start = to;
            self.epochs.truncate_from_start(to);
        }
    }

    /// A restart would find the log to start here.
    pub fn log_start_is_durable(&mut self, at: Offset) {
        debug_assert!(at <= self.log_start, "it was moved before");
        self.log_start_durable = self.log_start_durable.max(at);
    }

    /// The log start that a restart would find.
    #[must_use]
    pub fn log_start_durable(&self) -> Offset {
        self.log_start_durable
    }

    /// Where the log should start by its topic's retention, as Kafka has it: whole segments, oldest first, that are too
    /// old or beyond the size, and committed. The active one is among them when all of it is too old.
    ///
    /// A segment without any timestamp never is too old.
    #[must_use]
    pub fn retained_from(&self, retention: &Retention, high_watermark: Offset) -> Offset {
        let mut from = self.log_start;
        let mut beyond = match retention.bytes {
            Some(bytes) => self.size().saturating_sub(bytes),
            None => 0,
        };
        for (index, segment) in self.segments.iter().enumerate() {
            let upper = self.upper_bound(index);
            let size = u64::from(segment.size);
            let too_old = retention.ms.is_some_and(|ms| {
                segment.max_timestamp >= 0
                    && retention.now.saturating_sub(segment.max_timestamp) > ms
            });
            let too_much = retention.bytes.is_some() && size > 0 && beyond >= size;
            if upper > high_watermark || !(too_old || too_much || upper <= self.log_start) {
                break;
            }
            if too_much {
                beyond -= size;
            }
            from = from.max(upper);
        }
        from
    }

    /// The offset behind the segment's last record.
    fn upper_bound(&self, index: usize) -> Offset {
        self.segments
            .get(index + 1)
            .map_or(self.end, |next| next.base)
    }

    /// Whether segments lie wholly below the durable start.
    #[must_use]
    pub fn has_dead_segments(&self) -> bool {
        !self.segments.is_empty() && self.upper_bound(0) <= self.log_start_durable
    }

    /// Takes the segments out that lie wholly below the durable start, oldest first, and gives their names. Their
    /// bytes in memory that no file holds are forgotten. Nothing while a write is under way.
    pub fn take_dead_segments(&mut self) -> Vec<SegmentName> {
        let mut dead = Vec::new();
        while !self.writing && self.has_dead_segments() && self.upper_bound(0) <= self.published() {
            let upper = self.upper_bound(0);
            let segment = self.segments.pop_front().expect("there is one");
            while let Some(piece) = self.pieces.front()
                && piece.end <= upper
            {
                if piece.place.offset >= self.written_back.offset {
                    self.bytes_to_write -= piece.data.len();
                }
                self.pieces.pop_front();
            }
            if self.written_back.segment == segment.base || self.written_back.offset < upper {
                self.written_back = Place {
                    offset: upper,
                    segment: upper,
                    position: 0,
                };
                self.tail = None;
                self.padded = false;
            }
            if self
                .read_hint
                .is_some_and(|hint| hint.segment == segment.name())
            {
                self.read_hint = None;
            }
            self.doomed.push(segment.name());
            dead.push(segment.name());
        }
        dead
    }

    /// Segments that are not part of the log and whose files may be there.
    #[must_use]
    pub fn doomed(&self) -> &[SegmentName] {
        &self.doomed
    }

    /// The files of a segment that was not part of the log are gone.
    pub fn forget_doomed(&mut self, name: SegmentName) {
        self.doomed.retain(|doomed| *doomed != name);
    }

    /// The offset the next record gets.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Oldest first.
    #[must_use]
    pub fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    pub fn segments_mut(&mut self) -> &mut VecDeque<Segment> {
        &mut self.segments
    }

    /// The end of what is in segment files.
    #[must_use]
    pub fn written_back(&self) -> Place {
        self.written_back
    }

    /// The end of what may be read and written to segments: all but the block that fills.
    #[must_use]
    pub fn published(&self) -> Offset {
        self.pieces
            .back()
            .map_or(self.written_back.offset, |piece| piece.end)
    }

    /// Bytes in memory that no segment file holds yet.
    #[must_use]
    pub fn bytes_to_write(&self) -> usize {
        self.bytes_to_write
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| u64::from(segment.size))
            .sum()
    }

    /// Takes the next batch: gives it its place and counts it in. The bytes follow by [`Log::publish`].
    ///
    /// The batch's own base offset is not looked at: it becomes [`Log::end`].
    pub fn place(&mut self, batch: &RecordBatchHeader) -> Place {
        let size = u32::try_from(batch.size_in_bytes()).expect("a batch is smaller than 2 GiB");
        if self.must_roll(size, batch) {
            self.segments
                .push_back(Segment::new(self.end, batch.max_timestamp));
        }
        let active = self
            .segments
            .back()
            .expect("there is an active segment now");
        let place = Place {
            offset: self.end,
            segment: active.base,
            position: active.size,
        };
        self.take(place, batch);
        place
    }

    /// Takes a batch at the place the journal says it has.
    ///
    /// # Errors
    /// When it does not follow what the log holds.
    pub fn replay(&mut self, place: Place, batch: &RecordBatchHeader) -> Result<(), Misplaced> {
        let follows = match self.segments.back() {
            Some(active) if active.base == place.segment => active.size == place.position,
            _ => place.position == 0 && place.segment == self.end,
        };
        if place.offset != self.end || !follows {
            return Err(Misplaced);
        }
        if self
            .segments
            .back()
            .is_none_or(|active| active.base != place.segment)
        {
            self.segments
                .push_back(Segment::new(place.segment, batch.max_timestamp));
        }
        self.take(place, batch);
        Ok(())
    }

    /// The last replayed batch is in a file that was removed since: it is counted in and never written.
    ///
    /// # Panics
    /// When batches before it are still to be written.
    pub fn pass_over(&mut self, place: Place, end: Offset, size: u32) {
        assert_eq!(
            self.bytes_to_write, size as usize,
            "all before it is written"
        );
        self.pieces.clear();
        self.bytes_to_write = 0;
        self.written_back = Place {
            offset: end,
            segment: place.segment,
            position: place.position + size,
        };
        let behind_block = self.written_back.position as usize % BLOCK;
        self.tail = Some((self.written_back, Bytes::from(vec![0; behind_block])));
    }

    fn must_roll(&self, size: u32, batch: &RecordBatchHeader) -> bool {
        let Some(active) = self.segments.back() else {
            return true;
        };
        let full = active
            .size
            .checked_add(size)
            .is_none_or(|grown| grown > self.config.segment_bytes);
        let old =
            batch.max_timestamp.saturating_sub(active.first_timestamp) > self.config.segment_ms;
        // Indexes hold offsets relative to the segment's base in 32 bits.
        let far =
            self.end.since(active.base) + i64::from(batch.last_offset_delta) > i64::from(i32::MAX);
        active.size > 0 && (full || old || far)
    }

    fn take(&mut self, place: Place, batch: &RecordBatchHeader) {
        let size = u32::try_from(batch.size_in_bytes()).expect("a batch is smaller than 2 GiB");
        let end = place.offset.plus(i64::from(batch.last_offset_delta) + 1);
        let interval = self.config.index_interval_bytes;
        let segment = self.segments.back_mut().expect("the caller made one");
        let last = end.plus(-1);
        if batch.max_timestamp > segment.max_timestamp {
            segment.max_timestamp = batch.max_timestamp;
            segment.max_timestamp_offset = last;
        }
        // Both entries name the last offset of a batch, since that is what Kafka's own tools hold them against.
        if segment.size > 0 && segment.size - segment.last_indexed >= interval {
            segment.offset_index.append(last, segment.size);
            if segment.max_timestamp > segment.last_time_indexed {
                segment
                    .time_index
                    .maybe_append(segment.max_timestamp, segment.max_timestamp_offset);
                segment.last_time_indexed = segment.max_timestamp;
            }
            segment.last_indexed = segment.size;
        }
        segment.size += size;
        self.end = end;
        self.bytes_to_write += size as usize;
    }

    /// The bytes of a placed batch are complete and will not change: they may be read and written to the segment.
    pub fn publish(&mut self, place: Place, end: Offset, data: Bytes) {
        debug_assert!(
            self.pieces
                .back()
                .is_none_or(|last| last.end == place.offset),
            "batches are published in order"
        );
        self.pieces.push_back(Piece { place, end, data });
    }

    /// The next write that brings published bytes to a segment file, if there is any and none is under way.
    ///
    /// The caller carries it out and calls [`Log::finish_write`].
    pub fn next_write(&mut self) -> Option<SegmentWrite> {
        if self.writing {
            return None;
        }
        let first = self
            .pieces
            .partition_point(|piece| piece.place.offset < self.written_back.offset);
        let start = self.pieces.get(first)?.place;
        let mut upto = start;
        let mut pieces = Vec::new();
        let mut total = 0;
        for piece in self.pieces.range(first..) {
            if piece.place.segment != start.segment
                || (total > 0 && total + piece.data.len() > WRITE_BYTES_MAX)
            {
                break;
            }
            total += piece.data.len();
            upto = Place {
                offset: piece.end,
                segment: start.segment,
                position: piece.place.position
                    + u32::try_from(piece.data.len()).expect("a batch is below 2 GiB"),
            };
            pieces.push(piece.data.clone());
        }
        self.writing = true;
        let position = align_down(u64::from(start.position));
        let head_length =
            usize::try_from(u64::from(start.position) - position).expect("below a block");
        let head = match &self.tail {
            _ if head_length == 0 => Some(Bytes::new()),
            Some((place, bytes))
                if place.segment == start.segment && place.position == start.position =>
            {
                Some(bytes.clone())
            }
            _ => None,
        };
        Some(SegmentWrite {
            segment: start.segment,
            position,
            head_length,
            head,
            pieces,
            upto,
        })
    }

    /// The write is in the file (`Some`: the parts that went there), or failed.
    pub fn finish_write(&mut self, write: &SegmentWrite, written: Option<&[Bytes]>) {
        assert!(self.writing, "a write was under way");
        self.writing = false;
        let Some(parts) = written else { return };
        let end = write.end();
        self.bytes_to_write -= end - write.head_length;
        self.written_back = write.upto;
        self.padded = true;
        let last = parts.last().expect("a write is not empty");
        let last_block = &last[last.len() - BLOCK..];
        // A copy: a slice would keep all of the written buffer in memory for its last few bytes.
        let tail = Bytes::copy_from_slice(&last_block[..end % BLOCK]);
        self.tail = Some((write.upto, tail));
    }

    /// Lets go of memory below `offset`, as far as it is in segment files.
    pub fn evict(&mut self, offset: Offset) {
        let limit = offset.min(self.written_back.offset);
        while self.pieces.front().is_some_and(|piece| piece.end <= limit) {
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() && self.bytes_to_write == 0 {
            // An idle log holds no buffer.
            self.tail = None;
            self.pieces.shrink_to_fit();
        }
    }

    /// Where the batches from `offset` up to (not including) `limit` are; from memory at most `bytes_max` bytes, but at
    /// least one batch.
    #[must_use]
    pub fn find(&self, offset: Offset, limit: Offset, bytes_max: usize) -> Found {
        if offset >= limit || offset < self.log_start {
            return Found::Nothing;
        }
        if let Some(front) = self.pieces.front()
            && front.place.offset <= offset
        {
            return self.find_in_memory(offset, limit, bytes_max);
        }
        if let Some(hint) = self.read_hint
            && hint.offset == offset
            && let Ok(index) = self.index_of(hint.segment.base)
            && self.segments[index].name() == hint.segment
            && hint.position < self.file_limit(&self.segments[index])
        {
            return Found::File {
                segment: self.range(index),
                from: hint.position,
                index_on_disk: false,
            };
        }
        let above = self
            .segments
            .partition_point(|segment| segment.base <= offset);
        let Some(index) = above.checked_sub(1) else {
            return Found::Nothing;
        };
        let segment = &self.segments[index];
        // The entries in memory are the newest: when the first of them is above, the ones on disk decide.
        let in_memory = segment
            .offset_index
            .entries()
            .first()
            .is_some_and(|entry| entry.0 <= offset);
        let from = if in_memory {
            segment.offset_index.lookup(offset)
        } else {
            0
        };
        Found::File {
            segment: self.range(index),
            from,
            index_on_disk: !in_memory && segment.offset_entries_on_disk > 0,
        }
    }

    fn range(&self, index: usize) -> SegmentRange {
        let segment = &self.segments[index];
        SegmentRange {
            name: segment.name(),
            limit: self.file_limit(segment),
            end: self.upper_bound(index),
        }
    }

    fn index_of(&self, base: Offset) -> Result<usize, usize> {
        self.segments
            .binary_search_by_key(&base, |segment| segment.base)
    }

    fn find_in_memory(&self, offset: Offset, limit: Offset, bytes_max: usize) -> Found {
        let first = self.pieces.partition_point(|piece| piece.end <= offset);
        let mut found = Vec::new();
        let mut total = 0;
        for piece in self.pieces.range(first..) {
            let over = total + piece.data.len() > bytes_max;
            if piece.end > limit || (over && !found.is_empty()) {
                break;
            }
            total += piece.data.len();
            found.push(piece.data.clone());
            if over {
                break;
            }
        }
        if found.is_empty() {
            Found::Nothing
        } else {
            Found::Memory(found)
        }
    }

    /// Whether a read from files ended there.
    #[must_use]
    pub fn reads_on(&self, offset: Offset) -> bool {
        self.read_hint.is_some_and(|hint| hint.offset == offset)
    }

    /// The position in this segment's file where the last read ended, if it ended there.
    #[must_use]
    pub fn read_hint(&self, segment: SegmentName) -> Option<u32> {
        self.read_hint
            .filter(|hint| hint.segment == segment)
            .map(|hint| hint.position)
    }

    /// Remembers where a read from files ended.
    pub fn remember_read(&mut self, segment: SegmentName, offset: Offset, position: u32) {
        self.read_hint = Some(ReadHint {
            segment,
            offset,
            position,
        });
    }

    /// Bytes of the segment that its file holds.
    #[must_use]
    pub fn file_limit(&self, segment: &Segment) -> u32 {
        match segment.base.cmp(&self.written_back.segment) {
            std::cmp::Ordering::Less => segment.size,
            std::cmp::Ordering::Equal => self.written_back.position,
            std::cmp::Ordering::Greater => 0,
        }
    }

    /// The segment with this base offset.
    #[must_use]
    pub fn segment_at(&self, base: Offset) -> Option<&Segment> {
        self.segments.get(self.index_of(base).ok()?)
    }

    /// What the log is at this moment. It may go into a checkpoint once everything below its end is in segments, synced,
    /// and its counts of index entries are what [`Log::indexed`] says then.
    #[must_use]
    pub fn checkpoint(&self) -> LogCheckpoint {
        LogCheckpoint {
            topic_partition: self.topic_partition,
            log_start: self.log_start,
            end: self.end,
            segments: self
                .segments
                .iter()
                .map(|segment| SegmentCheckpoint {
                    base: segment.base,
                    revision: segment.revision,
                    size: segment.size,
                    max_timestamp: segment.max_timestamp,
                    first_timestamp: segment.first_timestamp,
                    offset_entries: segment.offset_entries_on_disk,
                    time_entries: segment.time_entries_on_disk,
                })
                .collect(),
            doomed: self.doomed.clone(),
            cleaned: self.cleaned,
            epochs: self.epochs.clone(),
            producers: self.producers.clone(),
        }
    }

    /// Brings the counts of index entries up to date.
    pub fn indexed(&self, checkpoint: &mut LogCheckpoint) {
        for segment in &mut checkpoint.segments {
            if let Some(now) = self.segment_at(segment.base) {
                segment.offset_entries = now.offset_entries_on_disk;
                segment.time_entries = now.time_entries_on_disk;
            }
        }
    }

    /// Whether a checkpoint has anything to say of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.end == Offset::ZERO
    }
}

/// A replayed batch does not follow the log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced;

#[cfg(test)]
mod tests;
