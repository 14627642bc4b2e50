//! Holds the entries of a segment's two indexes against its batches, as the walk over the segment passes them.
//!
//! Remembers one entry at a time and the first thing that is wrong.

use std::io;
use std::path::Path;

use rinka_storage::log::SegmentCheckpoint;
use rinka_storage::offset::Offset;

use crate::offline::batches::FoundBatch;
use crate::offline::index_entries::{IndexReader, OffsetEntry, TimeEntry};

/// Both indexes of one segment.
pub(super) struct IndexCheck {
    base: Offset,
    /// Bytes of the segment that the checkpoint knows.
    size: u32,
    max_timestamp: i64,
    offsets: Cursor<OffsetEntry>,
    times: Cursor<TimeEntry>,
}

struct Cursor<E> {
    reader: Option<IndexReader>,
    next: Option<E>,
    before: Option<E>,
    /// Entries passed, and how many there should be.
    passed: u32,
    expected: u32,
    problem: Option<String>,
}

/// What is wrong with an index file.
pub(super) enum IndexProblem {
    /// The broker does without, only slower.
    Short(String),
    /// It leads to the wrong place.
    Wrong(String),
}

impl IndexCheck {
    pub(super) fn open(segment: &Path, checkpoint: &SegmentCheckpoint) -> io::Result<Self> {
        let open = |extension| match IndexReader::open(
            &segment.with_extension(extension),
            checkpoint.base,
        ) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        };
        let mut check = Self {
            base: checkpoint.base,
            size: checkpoint.size,
            max_timestamp: -1,
            offsets: Cursor::new(open("index")?, checkpoint.offset_entries),
            times: Cursor::new(open("timeindex")?, checkpoint.time_entries),
        };
        check.next_offset()?;
        check.next_time()?;
        Ok(check)
    }

    fn next_offset(&mut self) -> io::Result<()> {
        let base = self.base;
        let cursor = &mut self.offsets;
        cursor.advance(IndexReader::next_offset, |entry, before| {
            // Zeros are what lies behind the last entry.
            if entry.1 == 0 && entry.0 == base {
                return Ok(false);
            }
            match before {
                Some(before) if entry.0 <= before.0 || entry.1 <= before.1 => Err(format!(
                    "its entry for offset {} does not follow the one before",
                    entry.0
                )),
                _ => Ok(true),
            }
        })
    }

    fn next_time(&mut self) -> io::Result<()> {
        let base = self.base;
        let cursor = &mut self.times;
        cursor.advance(IndexReader::next_time, |entry, before| {
            if entry.0 == 0 && entry.1 == base {
                return Ok(false);
            }
            match before {
                Some(before) if entry.0 <= before.0 || entry.1 < before.1 => Err(format!(
                    "its entry for time {} does not follow the one before",
                    entry.0
                )),
                _ => Ok(true),
            }
        })
    }

    /// The walk is at this batch.
    pub(super) fn batch(&mut self, batch: &FoundBatch) -> io::Result<()> {
        let last = batch.header.last_offset();
        self.max_timestamp = self.max_timestamp.max(batch.header.max_timestamp);
        while let Some((offset, position)) = self.offsets.next {
            if u64::from(position) > batch.position {
                break;
            }
            if u64::from(position) < batch.position {
                self.offsets.fail(format!(
                    "its entry for offset {offset} points to byte {position}, where no batch begins"
                ));
            } else if offset != last {
                self.offsets.fail(format!(
                    "its entry for offset {offset} points to the batch that ends with {last}"
                ));
            } else {
                self.next_offset()?;
            }
        }
        while let Some((timestamp, offset)) = self.times.next {
            if offset > last {
                break;
            }
            if offset < last {
                self.times.fail(format!(
                    "its entry for time {timestamp} names offset {offset}, with which no batch ends"
                ));
            } else if timestamp != self.max_timestamp {
                let max = self.max_timestamp;
                self.times.fail(format!("its entry for offset {offset} has time {timestamp}, and the largest up to there is {max}"));
            } else {
                self.next_time()?;
            }
        }
        Ok(())
    }

    /// The walk is at the segment's end: what is wrong with the offset index, and with the time index.
    pub(super) fn end(mut self) -> (Option<IndexProblem>, Option<IndexProblem>) {
        // Entries that a crash left behind those of the checkpoint point at what replay writes again.
        if let Some((offset, position)) = self.offsets.next
            && (position < self.size || self.offsets.passed < self.offsets.expected)
        {
            self.offsets.fail(format!(
                "its entry for offset {offset} points to byte {position}, where no batch begins"
            ));
        }
        if let Some((timestamp, offset)) = self.times.next
            && self.times.passed < self.times.expected
        {
            self.times.fail(format!(
                "its entry for time {timestamp} names offset {offset}, which is not in the segment"
            ));
        }
        (self.offsets.verdict(), self.times.verdict())
    }
}

impl<E: Copy> Cursor<E> {
    fn new(reader: Option<IndexReader>, expected: u32) -> Self {
        Self {
            reader,
            next: None,
            before: None,
            passed: 0,
            expected,
            problem: None,
        }
    }

    fn advance(
        &mut self,
        read: impl FnOnce(&mut IndexReader) -> io::Result<Option<E>>,
        follows: impl FnOnce(E, Option<E>) -> Result<bool, String>,
    ) -> io::Result<()> {
        self.passed += u32::from(self.next.is_some());
        self.before = self.next.take().or(self.before);
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        if let Some(entry) = read(reader)? {
            match follows(entry, self.before) {
                Ok(true) => self.next = Some(entry),
                Ok(false) => {}
                Err(problem) => self.fail(problem),
            }
        }
        Ok(())
    }

    /// Looks no further.
    fn fail(&mut self, problem: String) {
        self.problem = Some(problem);
        self.next = None;
        self.reader = None;
    }

    fn verdict(self) -> Option<IndexProblem> {
        if let Some(problem) = self.problem {
            return Some(IndexProblem::Wrong(problem));
        }
        let (passed, expected) = (self.passed, self.expected);
        if passed >= expected {
            return None;
        }
        Some(IndexProblem::Short(match self.reader {
            None => format!("it is missing; {expected} entries should be in it"),
            Some(_) => format!("it has {passed} entries, and the checkpoint says {expected}"),
        }))
    }
}
