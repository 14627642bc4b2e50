//! What a log remembers of a segment: its name, its size, its times, and the index entries that no file has yet.
//!
//! Only data: [`super::Log`] decides about it.

use crate::offset::Offset;
use crate::offset_index::OffsetIndex;
use crate::time_index::TimeIndex;

/// What the files of a segment are called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// The first offset that belongs to it.
    pub base: Offset,
    /// 0: as it was appended, without a gap. Compaction gives what it writes a number that the log has no other file of.
    pub revision: u32,
}

impl SegmentName {
    /// A segment as it is appended to.
    #[must_use]
    pub fn appended(base: Offset) -> Self {
        Self { base, revision: 0 }
    }

    /// The name of one of its files: `00000000000000000042.log`, or `00000000000000000042.3.log` when compaction wrote it.
    ///
    /// Kafka's tools take the base offset from the digits before the first point, and the kind of file from what is behind the
    /// last one.
    #[must_use]
    pub fn file_name(self, extension: &str) -> String {
        let Self { base, revision } = self;
        match revision {
            0 => format!("{base:020}.{extension}"),
            _ => format!("{base:020}.{revision}.{extension}"),
        }
    }

    /// Offsets may have gaps: compaction took batches out.
    #[must_use]
    pub fn is_compacted(self) -> bool {
        self.revision > 0
    }
}

/// One file of the log.
#[derive(Clone, Debug)]
pub struct Segment {
    pub base: Offset,
    /// See [`SegmentName::revision`].
    pub revision: u32,
    /// Bytes that belong to it, whether in the file yet or not.
    pub size: u32,
    /// The largest timestamp of its batches, -1 when it has none with a timestamp.
    pub max_timestamp: i64,
    /// The last offset of the first batch with the largest timestamp, if it came since the log was opened.
    pub(super) max_timestamp_offset: Offset,
    /// The largest timestamp of its first batch, from which `segment.ms` counts.
    pub first_timestamp: i64,
    /// Index entries not on disk yet.
    pub offset_index: OffsetIndex,
    pub time_index: TimeIndex,
    /// Index entries on disk.
    pub offset_entries_on_disk: u32,
    pub time_entries_on_disk: u32,
    /// Where the last index entry points, on disk or not.
    pub(super) last_indexed: u32,
    /// The largest timestamp in the time index, on disk or not.
    pub(super) last_time_indexed: i64,
    /// Rolled, and its file brought to its exact size with its indexes on disk.
    pub finished: bool,
}

impl Segment {
    pub(super) fn new(base: Offset, first_timestamp: i64) -> Self {
        Self {
            base,
            revision: 0,
            size: 0,
            max_timestamp: -1,
            max_timestamp_offset: base,
            first_timestamp,
            offset_index: OffsetIndex::new(base),
            time_index: TimeIndex::new(base),
            offset_entries_on_disk: 0,
            time_entries_on_disk: 0,
            last_indexed: 0,
            last_time_indexed: -1,
            finished: false,
        }
    }

    pub(super) fn reopened(checkpoint: &SegmentCheckpoint, finished: bool) -> Self {
        Self {
            revision: checkpoint.revision,
            size: checkpoint.size,
            max_timestamp: checkpoint.max_timestamp,
            offset_entries_on_disk: checkpoint.offset_entries,
            time_entries_on_disk: checkpoint.time_entries,
            last_indexed: checkpoint.size,
            last_time_indexed: checkpoint.max_timestamp,
            finished,
            ..Self::new(checkpoint.base, checkpoint.first_timestamp)
        }
    }

    #[must_use]
    pub fn name(&self) -> SegmentName {
        SegmentName {
            base: self.base,
            revision: self.revision,
        }
    }
}

/// What a checkpoint keeps of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentCheckpoint {
    pub base: Offset,
    /// See [`SegmentName::revision`].
    pub revision: u32,
    /// Bytes of it that are in the file, synced.
    pub size: u32,
    pub max_timestamp: i64,
    pub first_timestamp: i64,
    pub offset_entries: u32,
    pub time_entries: u32,
}

impl SegmentCheckpoint {
    #[must_use]
    pub fn name(&self) -> SegmentName {
        SegmentName {
            base: self.base,
            revision: self.revision,
        }
    }
}

/// A segment and what may be read of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRange {
    pub name: SegmentName,
    /// Bytes from here on are not there yet.
    pub limit: u32,
    /// The next segment's first offset, or the log's end.
    pub end: Offset,
}
