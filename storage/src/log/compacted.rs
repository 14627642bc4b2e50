//! How compaction changes a log: it claims names for the segments it will write, and puts them in the places of old ones.
//!
//! Changes no offset of what stays: only which files a range of offsets is in.

use super::{Log, Segment, SegmentCheckpoint, SegmentName, SegmentRange};
use crate::offset::Offset;

impl Log {
    /// Compaction has done its work below this offset.
    #[must_use]
    pub fn cleaned(&self) -> Offset {
        self.cleaned
    }

    /// Compaction has done its work below `upto`. Never back.
    pub fn set_cleaned(&mut self, upto: Offset) {
        self.cleaned = self.cleaned.max(upto);
    }

    /// The first offset at or behind `offset` at which a batch may begin: compaction may have taken the first ones.
    #[must_use]
    pub fn skip_gap(&self, offset: Offset) -> Offset {
        let first = self.segments.front();
        first.map_or(offset, |first| offset.max(first.base))
    }

    /// The first segment behind the one with this base offset.
    #[must_use]
    pub fn segment_behind(&self, base: Offset) -> Option<&Segment> {
        let above = self
            .segments
            .partition_point(|segment| segment.base <= base);
        self.segments.get(above)
    }

    /// Whether the segment is part of the log.
    #[must_use]
    pub fn has_segment(&self, name: SegmentName) -> bool {
        self.segment_at(name.base)
            .is_some_and(|segment| segment.name() == name)
    }

    /// Segments that nothing is appended to any more, oldest first: all of each, as its file will be when it is written back.
    pub fn rolled(&self) -> impl Iterator<Item = (&Segment, SegmentRange)> {
        let rolled = self.segments.len().saturating_sub(1);
        (0..rolled).map(|index| {
            let segment = &self.segments[index];
            let range = SegmentRange {
                limit: segment.size,
                ..self.range(index)
            };
            (segment, range)
        })
    }

    /// A number that no file of the log has, wherever it is on its way to.
    #[must_use]
    pub fn next_revision(&self) -> u32 {
        let live = self.segments.iter().map(|segment| segment.revision);
        let doomed = self.doomed.iter().map(|name| name.revision);
        live.chain(doomed).max().unwrap_or(0).saturating_add(1)
    }

    /// Files of these names may come into being from now on. Until a segment takes its place in the log, a start removes them.
    pub fn claim(&mut self, names: impl IntoIterator<Item = SegmentName>) {
        self.doomed.extend(names);
    }

    /// Puts a segment that compaction wrote in the place of those it was made of, which are doomed then; `None` when nothing was
    /// left of them. Not, when they are no longer next to each other in the log.
    #[must_use]
    pub fn replace(&mut self, sources: &[SegmentName], by: Option<&SegmentCheckpoint>) -> bool {
        let Some(first) = sources
            .first()
            .and_then(|name| self.index_of(name.base).ok())
        else {
            return false;
        };
        let behind = first + sources.len();
        let there = self.segments.range(first..behind.min(self.segments.len()));
        // The last one is appended to.
        if behind >= self.segments.len() || !there.map(Segment::name).eq(sources.iter().copied()) {
            return false;
        }
        let end = self.segments[behind].base;
        for _ in sources {
            let _ = self.segments.remove(first);
        }
        if let Some(by) = by {
            self.segments.insert(first, Segment::reopened(by, true));
            self.forget_doomed(by.name());
        }
        self.doomed.extend_from_slice(sources);
        if self
            .read_hint
            .is_some_and(|hint| sources.contains(&hint.segment))
        {
            self.read_hint = None;
        }
        // What memory holds of them is older than the files now.
        self.evict(end);
        true
    }
}
