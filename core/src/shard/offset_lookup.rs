//! Offsets by mark, by time and by epoch, on the shard that owns the partition.
//!
//! Reads what is committed and changes nothing.

use std::rc::Rc;

use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{self, RecordBatchHeader, TimestampAndOffset};
use rinka_storage::topic_partition::TopicPartition;

use super::Shard;
use super::partition::{Partition, PartitionError};

/// Bytes read at once while searching.
const SEARCH_BYTES: usize = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetQuery {
    Latest,
    Earliest,
    LatestTiered,
    MaxTimestamp,
    /// Milliseconds since 1970.
    AtOrAfter(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundOffset {
    pub(crate) offset: Option<Offset>,
    /// -1 for marks.
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: Option<LeaderEpoch>,
}

impl Shard {
    pub(crate) async fn look_up_offset(
        self: Rc<Self>,
        name: TopicPartition,
        believed_epoch: i32,
        query: OffsetQuery,
    ) -> Result<FoundOffset, PartitionError> {
        let partition = self.partition(name).ok_or(PartitionError::Unknown)?;
        partition.check_epoch(believed_epoch)?;
        let mark = |offset| {
            let leader_epoch = Some(partition.leader_epoch());
            Ok(FoundOffset {
                offset: Some(offset),
                timestamp: -1,
                leader_epoch,
            })
        };
        let found = match query {
            OffsetQuery::Latest => return mark(partition.high_watermark()),
            OffsetQuery::Earliest => return mark(partition.log_start()),
            OffsetQuery::LatestTiered => None,
            OffsetQuery::AtOrAfter(timestamp) => partition.search(&self, timestamp).await?,
            OffsetQuery::MaxTimestamp => {
                let segments: Vec<i64> = {
                    let log = partition.log.borrow();
                    let each = log.segments().iter();
                    each.map(|segment| segment.max_timestamp).collect()
                };
                partition.search_newest(&self, segments).await?
            }
        };
        Ok(match found {
            Some(found) => FoundOffset {
                offset: Some(found.offset),
                timestamp: found.timestamp,
                leader_epoch: Some(partition.leader_epoch()),
            },
            None => FoundOffset {
                offset: None,
                timestamp: -1,
                leader_epoch: None,
            },
        })
    }

    /// The largest epoch that is not above `epoch` and where it ended.
    pub(crate) fn end_of_epoch(
        &self,
        name: TopicPartition,
        believed_epoch: i32,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, PartitionError> {
        let partition = self.partition(name).ok_or(PartitionError::Unknown)?;
        partition.check_epoch(believed_epoch)?;
        let log = partition.log.borrow();
        if epoch == partition.leader_epoch() {
            // The current epoch goes on, whether it has written anything yet or not.
            return Ok(Some((epoch, log.end())));
        }
        // As Kafka has it: of an epoch beyond all known ones nothing is said, nor of one that is none; one before all of them ended where
        // they begin.
        let is_none = epoch < LeaderEpoch(0);
        if is_none || log.epochs.latest().is_none_or(|latest| epoch > latest) {
            return Ok(None);
        }
        let first = log.epochs.entries().first();
        let before_all = first.map(|(_, start)| (epoch, *start));
        Ok(log.epochs.end_of(epoch, log.end()).or(before_all))
    }
}

impl Partition {
    /// The first record of the largest timestamp there is one of: of these, each the largest of a segment. Compaction may have left a
    /// batch's timestamp without a record.
    async fn search_newest(
        self: &Rc<Self>,
        shard: &Shard,
        mut timestamps: Vec<i64>,
    ) -> Result<Option<TimestampAndOffset>, PartitionError> {
        timestamps.retain(|timestamp| *timestamp >= 0);
        timestamps.sort_unstable();
        timestamps.dedup();
        while let Some(newest) = timestamps.pop() {
            if let Some(found) = self.search(shard, newest).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first committed record with this timestamp or a later one.
    async fn search(
        self: &Rc<Self>,
        shard: &Shard,
        timestamp: i64,
    ) -> Result<Option<TimestampAndOffset>, PartitionError> {
        let segments: Vec<Offset> = {
            let log = self.log.borrow();
            log.segments()
                .iter()
                .filter(|segment| segment.max_timestamp >= timestamp)
                .map(|segment| segment.base)
                .collect()
        };
        for base in segments {
            let index = shard.store.files.time_index(&self.log, base).await;
            let index = index.map_err(|error| PartitionError::Storage(error.to_string()))?;
            let mut offset = index.lookup(timestamp).max(self.log_start());
            loop {
                let batches = self.read(shard, offset, SEARCH_BYTES).await?;
                if batches.is_empty() {
                    break;
                }
                for batch in batches.into_iter().flat_map(record_batch::each) {
                    let header =
                        RecordBatchHeader::parse(&batch).map_err(|_| PartitionError::Damaged)?;
                    offset = header.end_offset();
                    if header.max_timestamp < timestamp {
                        continue;
                    }
                    let found = record_batch::first_at_or_after(&batch, timestamp);
                    if let Some(found) = found.map_err(|_| PartitionError::Damaged)? {
                        return Ok(Some(found));
                    }
                }
                rinka_reactor::yield_if_needed().await;
            }
        }
        Ok(None)
    }
}
