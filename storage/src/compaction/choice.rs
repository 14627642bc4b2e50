//! How dirty a log is, whether that is worth a run, and which of its segments become one.
//!
//! Follows Kafka's `LogCleanerManager.cleanableOffsets` and `Cleaner.groupSegmentsBySize`. Looks at what the log remembers of its
//! segments alone.

use crate::log::{Log, Segment, SegmentName, SegmentRange};
use crate::offset::Offset;

/// What a topic's configuration says about its compaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionConfig {
    /// `min.cleanable.dirty.ratio`, 0 to 1.
    pub dirty_ratio_min: f64,
    /// `min.compaction.lag.ms`.
    pub lag_ms_min: i64,
    /// `max.compaction.lag.ms`.
    pub lag_ms_max: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `segment.index.bytes`: segments are not brought together beyond it.
    pub segment_index_bytes: u32,
}

/// How much of a log compaction has not looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dirtiness {
    pub first_dirty: Offset,
    /// Where what may be compacted ends: always a segment's first offset.
    pub upto: Offset,
    pub clean_bytes: u64,
    /// From the first dirty offset's segment on, up to `upto`.
    pub cleanable_bytes: u64,
    /// By how much the oldest dirty record is older than `max.compaction.lag.ms`, in milliseconds.
    pub delay_ms: i64,
}

impl Dirtiness {
    /// Of a log whose offsets below `committed` will stay. `now` is in milliseconds since 1970.
    #[must_use]
    pub fn of(log: &Log, config: &CompactionConfig, committed: Offset, now: i64) -> Self {
        let first_dirty = first_dirty(log);
        let oldest_kept = now.saturating_sub(config.lag_ms_min);
        let overdue_before = now.saturating_sub(config.lag_ms_max.max(0));
        let mut found = Self {
            first_dirty,
            upto: first_dirty,
            clean_bytes: 0,
            cleanable_bytes: 0,
            delay_ms: 0,
        };
        let mut cleanable = true;
        for (segment, range) in log.rolled() {
            if range.end <= first_dirty {
                found.clean_bytes += u64::from(segment.size);
                continue;
            }
            // Overdue is what is dirty, even while it may not be touched yet.
            if segment.first_timestamp > 0 && segment.first_timestamp < overdue_before {
                let delay = overdue_before.saturating_sub(segment.first_timestamp);
                found.delay_ms = found.delay_ms.max(delay);
            }
            let young = config.lag_ms_min > 0 && segment.max_timestamp > oldest_kept;
            cleanable &= !young && range.end <= committed;
            if cleanable {
                found.upto = range.end;
                found.cleanable_bytes += u64::from(segment.size);
                if segment.base < first_dirty {
                    found.clean_bytes += u64::from(segment.size);
                }
            }
        }
        found
    }

    /// The dirty share of what would be looked at, 0 to 1.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        match self.clean_bytes + self.cleanable_bytes {
            0 => 0.0,
            all => self.cleanable_bytes as f64 / all as f64,
        }
    }

    /// Whether a run is worth it, or overdue.
    #[must_use]
    pub fn is_worth_it(&self, config: &CompactionConfig) -> bool {
        self.cleanable_bytes > 0 && (self.delay_ms > 0 || self.ratio() > config.dirty_ratio_min)
    }
}

/// Where compaction left off. Not, when the log has been cut off since, or starts behind.
fn first_dirty(log: &Log) -> Offset {
    match log.cleaned() {
        cleaned if cleaned > log.end() => log.log_start(),
        cleaned => cleaned.max(log.log_start()),
    }
}

/// Segments that become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub sources: Vec<SegmentRange>,
    /// The files that they become.
    pub name: SegmentName,
    pub first_timestamp: i64,
}

impl Group {
    /// Behind its last offset.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.sources.last().expect("a group has a segment").end
    }
}

/// A run over one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub first_dirty: Offset,
    /// Where the run ends, if the key map takes all of it.
    pub upto: Offset,
    /// Oldest first, from the log's first segment on.
    pub groups: Vec<Group>,
}

/// What a run over the log would do; nothing when there is nothing to compact.
#[must_use]
pub fn plan(log: &Log, config: &CompactionConfig, committed: Offset, now: i64) -> Option<Plan> {
    let Dirtiness {
        first_dirty,
        upto,
        cleanable_bytes,
        ..
    } = Dirtiness::of(log, config, committed, now);
    if cleanable_bytes == 0 {
        return None;
    }
    let revision = log.next_revision();
    let mut groups: Vec<(Group, Sizes)> = Vec::new();
    for (segment, range) in log.rolled().filter(|(_, range)| range.end <= upto) {
        let sizes = Sizes::of(segment);
        if let Some((group, sum)) = groups.last_mut()
            && let Some(grown) = sum.with(&sizes, log.config.segment_bytes, config)
            && range.end.since(group.name.base) <= i64::from(i32::MAX)
        {
            group.sources.push(range);
            *sum = grown;
            continue;
        }
        let group = Group {
            sources: vec![range],
            name: SegmentName {
                base: segment.base,
                revision,
            },
            first_timestamp: segment.first_timestamp,
        };
        groups.push((group, sizes));
    }
    Some(Plan {
        first_dirty,
        upto,
        groups: groups.into_iter().map(|(group, _)| group).collect(),
    })
}

/// Bytes of a segment and of its indexes.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    log: u64,
    offsets: u64,
    times: u64,
}

impl Sizes {
    fn of(segment: &Segment) -> Self {
        let entries = |on_disk: u32, in_memory: usize| u64::from(on_disk) + in_memory as u64;
        Self {
            log: segment.size.into(),
            offsets: 8 * entries(
                segment.offset_entries_on_disk,
                segment.offset_index.entries().len(),
            ),
            times: 12
                * entries(
                    segment.time_entries_on_disk,
                    segment.time_index.entries().len(),
                ),
        }
    }

    /// Both together, if one segment may be as large.
    fn with(&self, other: &Self, segment_bytes: u32, config: &CompactionConfig) -> Option<Self> {
        let sum = Self {
            log: self.log + other.log,
            offsets: self.offsets + other.offsets,
            times: self.times + other.times,
        };
        let index_bytes = u64::from(config.segment_index_bytes);
        let fits = sum.log <= u64::from(segment_bytes)
            && sum.offsets <= index_bytes
            && sum.times <= index_bytes;
        fits.then_some(sum)
    }
}
