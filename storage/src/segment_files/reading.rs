//! How batches are found in the files of segments, and what keeps a read from serving anything else.
//!
//! An index only says where to begin to look; the sum, the order and the range of a batch say whether it is the one.

use bytes::{Bytes, BytesMut};

use super::{BATCH_HEADER_BYTES, Kind, LogHandle, ReadError, SegmentFiles, Window};
use crate::disk::{BLOCK, Disk, OpenMode, TRANSFER_MAX, align_down};
use crate::log::{Found, SegmentRange};
use crate::offset::Offset;
use crate::planted::{Planted, planted};
use crate::record_batch::{self, RecordBatchHeader};

impl<D: Disk> SegmentFiles<D> {
    /// Whole batches, each by itself: see [`SegmentFiles::read_runs`].
    ///
    /// # Errors
    /// Those of [`SegmentFiles::read_runs`].
    pub async fn read(
        &self,
        log: &LogHandle,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        let runs = self.read_runs(log, offset, limit, bytes_max).await?;
        Ok(runs.into_iter().flat_map(record_batch::each).collect())
    }

    /// Whole batches from the one that holds `offset` on, or from the next one where compaction has left none, up to `limit`, about
    /// `bytes_max` bytes but at least one batch, as slices of one batch and more. Empty at the end.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when the first batch is not what it should be; a damaged later one only ends the read.
    pub async fn read_runs(
        &self,
        log: &LogHandle,
        offset: Offset,
        limit: Offset,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, ReadError> {
        if offset < log.borrow().log_start() {
            return Ok(Vec::new());
        }
        let mut offset = offset;
        loop {
            offset = log.borrow().skip_gap(offset);
            let (found, reads_on) = {
                let log = log.borrow();
                (log.find(offset, limit, bytes_max), log.reads_on(offset))
            };
            let (segment, from, index_on_disk) = match found {
                Found::Nothing => return Ok(Vec::new()),
                Found::Memory(pieces) => return Ok(gathered(pieces)),
                Found::File {
                    segment,
                    from,
                    index_on_disk,
                } => (segment, from, index_on_disk),
            };
            let wanted = Wanted {
                offset,
                limit,
                bytes_max,
            };
            let read = self
                .read_segment(log, &segment, (from, index_on_disk), &wanted)
                .await;
            if reads_on && read.is_ok() {
                self.begin_ahead(log, &segment, bytes_max).await;
            }
            match read {
                // Compaction has put another one in its place meanwhile: what was looked for is there.
                Err(_)
                    if !log.borrow().has_segment(segment.name)
                        && offset >= log.borrow().log_start()
                        && log.borrow().failed.is_none() => {}
                // The one in its place may hold what the ones behind it held: what is behind it now is no answer.
                Ok(found) if found.is_empty() && !log.borrow().has_segment(segment.name) => {}
                Ok(found) if found.is_empty() => {
                    // The rest of the segment's offsets are a gap.
                    let behind = log
                        .borrow()
                        .segment_behind(segment.name.base)
                        .map(|s| s.base);
                    match behind {
                        Some(base) if base > offset => offset = base,
                        _ => return Ok(Vec::new()),
                    }
                }
                Ok(found) => return Ok(vec![found]),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whoever has read on from where it was will want what follows.
    async fn begin_ahead(&self, log: &LogHandle, segment: &SegmentRange, bytes_max: usize) {
        let (key, next) = {
            let log = log.borrow();
            (
                (log.topic_partition, segment.name),
                log.read_hint(segment.name),
            )
        };
        let Some(position) = next.filter(|position| *position < segment.limit) else {
            return;
        };
        let Ok(file) = self.file(log, segment.name, OpenMode::Existing).await else {
            return;
        };
        let (position, end) = (u64::from(position), u64::from(segment.limit));
        let beside_commits = self.are_beside_commits();
        let length = window_bytes(bytes_max);
        self.read_ahead
            .begin(key, file, position, length, end, beside_commits)
            .await;
    }

    async fn read_segment(
        &self,
        log: &LogHandle,
        segment: &SegmentRange,
        (from, index_on_disk): (u32, bool),
        wanted: &Wanted,
    ) -> Result<Bytes, ReadError> {
        let mut start = ScanStart {
            position: from,
            last_offset: None,
        };
        if index_on_disk {
            // The index file may point past what a crash left of the segment: believe it only below the limit.
            let index = self.index_on_disk(log, segment.name).await?;
            let entry = index.last_not_above(wanted.offset);
            start = match entry {
                Some((last_offset, position))
                    if position < segment.limit || planted(Planted::IndexAheadOfLog) =>
                {
                    ScanStart {
                        position,
                        last_offset: Some(last_offset),
                    }
                }
                _ => ScanStart::default(),
            };
        }
        let scanned = match self.scan(log, segment, start, wanted).await {
            // A damaged index entry leads into the middle of a batch: the segment's beginning never does.
            Err(ReadError::Damaged { .. })
                if start.position > 0 && !planted(Planted::IndexAheadOfLog) =>
            {
                self.scan(log, segment, ScanStart::default(), wanted)
                    .await?
            }
            other => other?,
        };
        if !scanned.run.is_empty() {
            let (offset, position) = (scanned.offset, scanned.position);
            log.borrow_mut()
                .remember_read(segment.name, offset, position);
        }
        Ok(scanned.run)
    }

    /// Whole batches of one segment, where a batch is known to begin: for who reads all of it. Empty at its end.
    ///
    /// # Errors
    /// As [`SegmentFiles::read`].
    pub(crate) async fn read_on(
        &self,
        log: &LogHandle,
        segment: &SegmentRange,
        (offset, position): (Offset, u32),
        bytes_max: usize,
    ) -> Result<Scanned, ReadError> {
        let start = ScanStart {
            position,
            last_offset: None,
        };
        let wanted = Wanted {
            offset,
            limit: segment.end,
            bytes_max,
        };
        self.scan(log, segment, start, &wanted).await
    }

    async fn scan(
        &self,
        log: &LogHandle,
        segment: &SegmentRange,
        start: ScanStart,
        wanted: &Wanted,
    ) -> Result<Scanned, ReadError> {
        let file = self.file(log, segment.name, OpenMode::Existing).await?;
        let key = (log.borrow().topic_partition, segment.name);
        let damaged = |position: u64| ReadError::Damaged {
            path: self.path(&log.borrow().directory, segment.name, Kind::Log),
            position,
        };
        let Wanted {
            offset,
            limit,
            bytes_max,
        } = *wanted;
        let end = u64::from(segment.limit);
        let mut position = u64::from(start.position);
        let mut window = Window {
            start: 0,
            bytes: Bytes::new(),
        };
        // Batches that follow each other in one window.
        let mut run: Option<std::ops::Range<usize>> = None;
        let mut order = Order::new(segment, start);
        let mut next = offset;
        while position < end {
            if !window.holds(position, BATCH_HEADER_BYTES) {
                if run.is_some() {
                    break;
                }
                if let Some(bytes) = self.read_ahead.take(key, position).await {
                    let start = align_down(position);
                    window = Window { start, bytes };
                }
                if !window.holds(position, BATCH_HEADER_BYTES) {
                    let wanted = window_bytes(bytes_max);
                    window.load(&*file, position, wanted, end).await?;
                }
            }
            let header = match RecordBatchHeader::parse(window.from(position)) {
                Ok(header) if position + header.size_in_bytes() as u64 <= end => header,
                _ if run.is_none() => return Err(damaged(position)),
                _ => break,
            };
            let size = header.size_in_bytes();
            let passed = header.end_offset() <= offset;
            if passed && !segment.name.is_compacted() {
                position += size as u64;
                continue;
            }
            let total = run.as_ref().map_or(0, std::ops::Range::len);
            if run.is_some() && (header.base_offset >= limit || total + size > bytes_max) {
                break;
            }
            if !window.holds(position, size) {
                if run.is_some() {
                    break;
                }
                window.load(&*file, position, size, end).await?;
                if !window.holds(position, size) {
                    // The file is shorter than it was when the log said so.
                    return Err(damaged(position));
                }
            }
            let start = usize::try_from(position - window.start).expect("windows are small");
            let batch = &window.bytes[start..start + size];
            let expected = order.follows(&header, offset);
            let whole = record_batch::verify_crc(batch).is_ok() || planted(Planted::DamageServed);
            if !whole || !expected {
                if run.is_none() {
                    return Err(damaged(position));
                }
                break;
            }
            if passed {
                position += size as u64;
                continue;
            }
            if header.end_offset() > limit {
                break;
            }
            next = header.end_offset();
            position += size as u64;
            run = Some(run.map_or(start, |run| run.start)..start + size);
        }
        Ok(Scanned {
            run: run.map_or_else(Bytes::new, |run| window.bytes.slice(run)),
            offset: next,
            position: u32::try_from(position).expect("at most the segment's end"),
        })
    }
}

/// What is read of a file at once for a reader of so many bytes.
fn window_bytes(bytes_max: usize) -> usize {
    bytes_max.clamp(BLOCK * 16, TRANSFER_MAX - BLOCK)
}

/// A slice costs its sender about as much as copying this many bytes.
const SLICE_WORTH_BYTES: usize = 2 << 10;

/// Puts many small pieces into one: they lie apart in their blocks, and each would be a slice of its own to the socket.
fn gathered(pieces: Vec<Bytes>) -> Vec<Bytes> {
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    if pieces.len() < 2 || bytes / pieces.len() >= SLICE_WORTH_BYTES {
        return pieces;
    }
    let mut run = BytesMut::with_capacity(bytes);
    for piece in pieces {
        run.extend_from_slice(&piece);
    }
    vec![run.freeze()]
}

/// What a read is for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    offset: Offset,
    limit: Offset,
    bytes_max: usize,
}

/// Where a scan begins.
#[derive(Clone, Copy, Debug, Default)]
struct ScanStart {
    position: u32,
    /// The batch there ends with this offset, as an index file says.
    last_offset: Option<Offset>,
}

/// What a scan found.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// Batches that follow each other.
    pub(crate) run: Bytes,
    /// Behind the last of them.
    pub(crate) offset: Offset,
    pub(crate) position: u32,
}

/// Whether the batch at hand is the one that belongs there.
///
/// In a segment as it was appended, offsets have no gaps. Where compaction has left some, the scan holds every batch it passes to its
/// sum and to the order: each begins at or behind the end of the one before, all lie in the segment's range, and the one that an
/// index led to is the one that the index names.
struct Order {
    compacted: bool,
    indexed: Option<Offset>,
    /// The end of the batch before.
    next: Offset,
    any: bool,
    end: Offset,
}

impl Order {
    fn new(segment: &SegmentRange, start: ScanStart) -> Self {
        Self {
            compacted: segment.name.is_compacted(),
            indexed: start.last_offset,
            next: segment.name.base,
            any: false,
            end: segment.end,
        }
    }

    fn follows(&mut self, header: &RecordBatchHeader, wanted: Offset) -> bool {
        let indexed = self.indexed.take();
        let follows = if self.compacted {
            let named = indexed.is_none_or(|last| last == header.last_offset());
            named
                && header.last_offset_delta >= 0
                && header.base_offset >= self.next
                && header.end_offset() <= self.end
        } else if self.any {
            self.next == header.base_offset
        } else {
            header.base_offset <= wanted || planted(Planted::FirstBatchUnchecked)
        };
        self.any = true;
        self.next = header.end_offset();
        follows
    }
}
