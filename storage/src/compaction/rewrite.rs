//! What is left of one batch: the records that no newer one of their key replaces, in the batch's own form.
//!
//! Follows Kafka's `Cleaner.shouldRetainRecord` and `MemoryRecords.filterTo`. Base offset, last offset, sequence numbers and leader epoch
//! of a batch that stays never change; neither do the bytes of a record, but for where its timestamp counts from.

use rustc_hash::FxHashMap;

use super::KeyMap;
use crate::compression;
use crate::offset::Offset;
use crate::planted::{Planted, planted};
use crate::record::{self, Records};
use crate::record_batch::{self, RebuiltBatch, RecordBatchHeader};

/// One run's view of a log.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The newest offset of each key in what is dirty, below `mapped`.
    pub map: &'a KeyMap,
    pub mapped: Offset,
    /// Where the run was to end: the last batch before keeps its place.
    pub upto: Offset,
    /// Milliseconds since 1970.
    pub now: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// The last offset of the last batch of every producer that is still known.
    pub last_of_producers: &'a FxHashMap<i64, Offset>,
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// It stays as it is.
    Kept,
    Changed(Vec<u8>),
    Removed,
}

/// A record that stays: its bytes, and its timestamp's distance from the batch's.
struct Kept {
    start: usize,
    end: usize,
    timestamp: i64,
}

impl Pass<'_> {
    /// Decides for a batch whose CRC holds.
    #[must_use]
    pub fn rewrite(&self, header: &RecordBatchHeader, batch: &[u8]) -> Rewritten {
        if header.is_control() || header.base_offset >= self.mapped {
            return Rewritten::Kept;
        }
        // What cannot be looked into stays, and so does what it would replace.
        let Some((kept, body, has_tombstones)) = self.filter(header, batch) else {
            return Rewritten::Kept;
        };
        if kept.is_empty() {
            return self.emptied(header, batch);
        }
        let sets_horizon = has_tombstones && header.delete_horizon().is_none();
        let complete = usize::try_from(header.record_count).is_ok_and(|count| count == kept.len());
        if complete && !sets_horizon {
            return Rewritten::Kept;
        }
        let horizon = match sets_horizon {
            true => Some(self.now.saturating_add(self.delete_retention_ms)),
            false => header.delete_horizon(),
        };
        let base_timestamp = horizon.unwrap_or(header.base_timestamp);
        let mut packed = Vec::new();
        for record in &kept {
            let bytes = &body[record.start..record.end];
            if base_timestamp == header.base_timestamp {
                packed.extend_from_slice(bytes);
            } else if record::encode_at(
                &mut packed,
                bytes,
                record.timestamp.wrapping_sub(base_timestamp),
            )
            .is_err()
            {
                return Rewritten::Kept;
            }
        }
        let newest = kept.iter().map(|record| record.timestamp).max();
        let codec = header.codec().expect("it was unpacked by it");
        Rewritten::Changed(record_batch::rebuild(
            batch,
            &RebuiltBatch {
                body: &compression::compress(codec, &packed),
                codec,
                record_count: i32::try_from(kept.len()).expect("fewer than there were"),
                base_timestamp,
                max_timestamp: match header.is_log_append_time() {
                    true => header.max_timestamp,
                    false => newest.unwrap_or(-1),
                },
                has_delete_horizon: horizon.is_some(),
            },
        ))
    }

    /// The records that stay, the unpacked bytes they are in, and whether there are tombstones among them.
    fn filter(
        &self,
        header: &RecordBatchHeader,
        batch: &[u8],
    ) -> Option<(Vec<Kept>, bytes::Bytes, bool)> {
        let body = record_batch::unpack(batch, header).ok()?;
        let mut kept = Vec::new();
        let mut has_tombstones = false;
        let mut records = Records::new(&body, header.record_count);
        loop {
            let start = body.len() - records.rest().len();
            let Some(record) = records.next() else { break };
            let record = record.ok()?;
            let end = body.len() - records.rest().len();
            let offset = header.base_offset.plus(i64::from(record.offset_delta));
            if !self.retains(header, offset, &record) {
                continue;
            }
            has_tombstones |= record.value.is_none();
            kept.push(Kept {
                start,
                end,
                timestamp: header.base_timestamp.wrapping_add(record.timestamp_delta),
            });
        }
        Some((kept, body, has_tombstones))
    }

    fn retains(
        &self,
        header: &RecordBatchHeader,
        offset: Offset,
        record: &record::Record<'_>,
    ) -> bool {
        if offset >= self.mapped {
            return true;
        }
        // A record without a key is of the time before the topic was compacted, and means nothing in it.
        let Some(key) = record.key else { return false };
        let is_newest = self.map.newest(key).is_none_or(|newest| offset >= newest);
        let horizon_is_past = match planted(Planted::TombstoneDroppedEarly) {
            true => true,
            false => header.delete_horizon().is_some_and(|at| at <= self.now),
        };
        is_newest && (record.value.is_some() || !horizon_is_past)
    }

    /// A batch that no record is left of.
    fn emptied(&self, header: &RecordBatchHeader, batch: &[u8]) -> Rewritten {
        let last_of_producer = header.producer_id >= 0
            && self.last_of_producers.get(&header.producer_id) == Some(&header.last_offset());
        if !last_of_producer && header.end_offset() != self.upto {
            return Rewritten::Removed;
        }
        if header.record_count == 0 {
            return Rewritten::Kept;
        }
        Rewritten::Changed(record_batch::rebuild(
            batch,
            &RebuiltBatch {
                body: &[],
                codec: compression::Codec::None,
                record_count: 0,
                base_timestamp: -1,
                max_timestamp: header.max_timestamp,
                has_delete_horizon: false,
            },
        ))
    }
}
