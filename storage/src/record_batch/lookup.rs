//! Finds records inside a batch: by timestamp, and all their values. The batch's CRC must have been checked.
//!
//! Unpacks within a bound and stops at the first record that is not whole.

use bytes::Bytes;

use super::{BatchError, DECOMPRESSED_BYTES_MAX, HEADER_BYTES, RecordBatchHeader};
use crate::compression::{self, Codec, CompressionError};
use crate::offset::Offset;
use crate::record::{Record, Records};

/// What ListOffsets answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub offset: Offset,
}

/// Lets `read` see the unpacked records: in place where they are not packed.
pub(super) fn with_body<T>(
    batch: &[u8],
    header: &RecordBatchHeader,
    read: impl FnOnce(&[u8]) -> T,
) -> Result<T, CompressionError> {
    let packed = &batch[HEADER_BYTES..];
    match header.codec()? {
        Codec::None => Ok(read(packed)),
        codec => compression::decompress(codec, packed, DECOMPRESSED_BYTES_MAX)
            .map(|unpacked| read(&unpacked)),
    }
}

fn find(
    batch: &[u8],
    wanted: impl Fn(i64) -> bool,
) -> Result<Option<TimestampAndOffset>, BatchError> {
    let header = RecordBatchHeader::parse(batch)?;
    if header.record_count == 0 {
        // Compaction left its header only.
        return Ok(None);
    }
    if header.is_log_append_time() {
        // All records have the batch's time: the first one is it.
        let found = TimestampAndOffset {
            timestamp: header.max_timestamp,
            offset: header.base_offset,
        };
        return Ok(wanted(header.max_timestamp).then_some(found));
    }
    with_body(batch, &header, |body| {
        for record in Records::new(body, header.record_count) {
            let record = record.map_err(BatchError::Record)?;
            let timestamp = header.base_timestamp.saturating_add(record.timestamp_delta);
            if wanted(timestamp) {
                let offset = header.offset_at(i64::from(record.offset_delta));
                return Ok(Some(TimestampAndOffset { timestamp, offset }));
            }
        }
        Ok(None)
    })
    .map_err(BatchError::Codec)?
}

/// The first record with this timestamp or a later one.
///
/// # Errors
/// [`BatchError`] when the records cannot be read.
pub fn first_at_or_after(
    batch: &[u8],
    timestamp: i64,
) -> Result<Option<TimestampAndOffset>, BatchError> {
    find(batch, |candidate| candidate >= timestamp)
}

/// The first record that has the batch's maximum timestamp.
///
/// # Errors
/// [`BatchError`] when the records cannot be read.
pub fn first_of_max_timestamp(batch: &[u8]) -> Result<Option<TimestampAndOffset>, BatchError> {
    let max = RecordBatchHeader::parse(batch)?.max_timestamp;
    find(batch, |candidate| candidate == max)
}

/// The records of a batch, unpacked within the bound that holds for every batch.
///
/// # Errors
/// [`CompressionError`].
pub fn unpack(batch: &[u8], header: &RecordBatchHeader) -> Result<Bytes, CompressionError> {
    compression::decompress(
        header.codec()?,
        &batch[HEADER_BYTES..],
        DECOMPRESSED_BYTES_MAX,
    )
}

/// Shows every record, in order.
///
/// # Errors
/// [`BatchError`] when the records cannot be read; those in front were shown.
pub fn each_record(batch: &[u8], mut see: impl FnMut(&Record<'_>)) -> Result<(), BatchError> {
    let header = RecordBatchHeader::parse(batch)?;
    with_body(batch, &header, |body| {
        for record in Records::new(body, header.record_count) {
            see(&record.map_err(BatchError::Record)?);
        }
        Ok(())
    })
    .map_err(BatchError::Codec)?
}

/// The values of all records; records without one are left out.
///
/// # Errors
/// [`BatchError`] when the records cannot be read.
pub fn values(batch: &[u8]) -> Result<Vec<Bytes>, BatchError> {
    let header = RecordBatchHeader::parse(batch)?;
    let codec = header.codec().map_err(BatchError::Codec)?;
    let body = compression::decompress(codec, &batch[HEADER_BYTES..], DECOMPRESSED_BYTES_MAX)
        .map_err(BatchError::Codec)?;
    let mut values = Vec::new();
    for record in Records::new(&body, header.record_count) {
        if let Some(value) = record.map_err(BatchError::Record)?.value {
            values.push(body.slice_ref(value));
        }
    }
    Ok(values)
}
