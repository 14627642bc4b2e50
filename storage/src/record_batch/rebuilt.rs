//! Makes a batch anew around other records, as compaction does: what names the batch and its producer stays.
//!
//! Never looks at the records it is given.

use super::{CODEC_MASK, CRC_FROM, DELETE_HORIZON, HEADER_BYTES, LENGTH_OVERHEAD};
use crate::compression::Codec;

/// What changes in a batch.
#[derive(Clone, Copy, Debug)]
pub struct RebuiltBatch<'a> {
    /// The records, packed by `codec`.
    pub body: &'a [u8],
    pub codec: Codec,
    pub record_count: i32,
    /// Milliseconds since 1970: what the records' timestamps count from, or the delete horizon (KIP-534).
    pub base_timestamp: i64,
    /// Milliseconds since 1970.
    pub max_timestamp: i64,
    /// The base timestamp is a delete horizon.
    pub has_delete_horizon: bool,
}

/// The batch with other records. Base offset, last offset, leader epoch, producer, sequence and the other attributes are `batch`'s.
///
/// # Panics
/// When it would be larger than 2 GiB.
#[must_use]
pub fn rebuild(batch: &[u8], with: &RebuiltBatch<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + with.body.len());
    out.extend_from_slice(&batch[..HEADER_BYTES]);
    out.extend_from_slice(with.body);
    let length = i32::try_from(out.len() - LENGTH_OVERHEAD).expect("below 2 GiB");
    out[8..12].copy_from_slice(&length.to_be_bytes());
    let mut attributes = i16::from_be_bytes([batch[21], batch[22]]);
    attributes = attributes & !(CODEC_MASK | DELETE_HORIZON) | with.codec.attributes();
    if with.has_delete_horizon {
        attributes |= DELETE_HORIZON;
    }
    out[21..23].copy_from_slice(&attributes.to_be_bytes());
    out[27..35].copy_from_slice(&with.base_timestamp.to_be_bytes());
    out[35..43].copy_from_slice(&with.max_timestamp.to_be_bytes());
    out[57..61].copy_from_slice(&with.record_count.to_be_bytes());
    let crc = crc32c::crc32c(&out[CRC_FROM..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out
}
