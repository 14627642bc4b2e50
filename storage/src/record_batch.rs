//! Kafka's record batch, version 2 (KIP-98): its header, the checks a produced batch must pass, and the two patches that the
//! broker makes in place.
//!
//! Works on bytes that somebody else holds; never keeps any and never believes a length before checking it.
//!
//! ```text
//!  0 base offset  8 length (of what follows)  12 partition leader epoch  16 magic  17 crc  21 attributes  23 last offset delta
//! 27 base timestamp  35 max timestamp  43 producer id  51 producer epoch  53 base sequence  57 record count  61 records
//! ```
//! The CRC-32C covers everything from the attributes on, so that offset and epoch can be set without touching it.

mod builder;
mod lookup;
mod produced;
mod rebuilt;
mod walk;

pub use builder::RecordBatchBuilder;
pub use lookup::{
    TimestampAndOffset, each_record, first_at_or_after, first_of_max_timestamp, unpack, values,
};
pub use produced::{
    Accepted, InvalidRecord, ProduceBatchError, ProduceLimits, RecordFault, Stamp,
    validate_produced,
};
pub use rebuilt::{RebuiltBatch, rebuild};
pub use walk::{Batches, batches};

use bytes::Bytes;

use crate::compression::{Codec, CompressionError};
use crate::leader_epoch::LeaderEpoch;
use crate::offset::Offset;
use crate::record::RecordError;

/// Bytes before the records.
pub const HEADER_BYTES: usize = 61;

/// Bytes before what the length field counts.
const LENGTH_OVERHEAD: usize = 12;

const CRC_FROM: usize = 21;

const CODEC_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// The most that a batch may expand to when it must be looked into: a bomb is refused, not unpacked.
pub const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// A batch's header, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatchHeader {
    pub base_offset: Offset,
    length: usize,
    pub partition_leader_epoch: LeaderEpoch,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    /// Milliseconds since 1970, or -1.
    pub base_timestamp: i64,
    /// Milliseconds since 1970, or -1.
    pub max_timestamp: i64,
    /// -1: not from an idempotent producer.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

/// The bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Fewer bytes than a header.
    TooShort,
    Magic(i8),
    /// The length field says less than a header, or more than 2 GiB.
    Length(i32),
    Crc,
    Codec(CompressionError),
    Record(RecordError),
}

fn field<const LENGTH: usize>(bytes: &[u8], at: usize) -> [u8; LENGTH] {
    bytes[at..at + LENGTH].try_into().expect("of that length")
}

impl RecordBatchHeader {
    /// Reads a header. The bytes may end behind it.
    ///
    /// # Errors
    /// [`BatchError`] when this is no batch of version 2.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < HEADER_BYTES {
            return Err(BatchError::TooShort);
        }
        let magic = i8::from_be_bytes(field(bytes, 16));
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        let length = i32::from_be_bytes(field(bytes, 8));
        let size = usize::try_from(length)
            .ok()
            .filter(|&length| length >= HEADER_BYTES - LENGTH_OVERHEAD);
        let length = size.ok_or(BatchError::Length(length))?;
        Ok(Self {
            base_offset: Offset(i64::from_be_bytes(field(bytes, 0))),
            length,
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(field(bytes, 12))),
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: i16::from_be_bytes(field(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        })
    }

    /// The whole batch, header included.
    #[must_use]
    pub fn size_in_bytes(&self) -> usize {
        LENGTH_OVERHEAD + self.length
    }

    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.offset_at(i64::from(self.last_offset_delta))
    }

    /// The offset behind the last record.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.offset_at(i64::from(self.last_offset_delta) + 1)
    }

    /// No CRC covers the base offset: with a damaged one, or one that a client made up, the sum may be beyond 64 bits.
    fn offset_at(&self, delta: i64) -> Offset {
        Offset(self.base_offset.0.saturating_add(delta))
    }

    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        crate::producer_state::sequence_plus(self.base_sequence, self.last_offset_delta)
    }

    /// # Errors
    /// For one of the numbers that no codec has.
    pub fn codec(&self) -> Result<Codec, CompressionError> {
        Codec::from_attributes(self.attributes & CODEC_MASK)
    }

    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the broker stamped the batch; every record then has the batch's maximum timestamp.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// From when on compaction may drop the tombstones and markers of the batch, in milliseconds since 1970. The base
    /// timestamp's place holds it, once compaction has set it (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }
}

/// Checks that the bytes are one whole batch, and its CRC.
///
/// # Errors
/// [`BatchError`].
pub fn verify_crc(batch: &[u8]) -> Result<RecordBatchHeader, BatchError> {
    let header = RecordBatchHeader::parse(batch)?;
    if batch.len() != header.size_in_bytes() {
        return Err(BatchError::TooShort);
    }
    if crc32c::crc32c(&batch[CRC_FROM..]) != header.crc {
        return Err(BatchError::Crc);
    }
    Ok(header)
}

/// Sums up a batch that comes in parts, for who checks batches of any size with little memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchSum {
    crc: u32,
    passed: usize,
}

impl BatchSum {
    /// The next bytes of the batch, beginning with its header.
    pub fn add(&mut self, part: &[u8]) {
        let skip = CRC_FROM.saturating_sub(self.passed).min(part.len());
        self.crc = crc32c::crc32c_append(self.crc, &part[skip..]);
        self.passed += part.len();
    }

    /// Whether this was all of the batch, and as it was written.
    #[must_use]
    pub fn holds(&self, header: &RecordBatchHeader) -> bool {
        self.passed == header.size_in_bytes() && self.crc == header.crc
    }
}

/// Gives a batch its place in the log. Outside the CRC.
pub fn set_base_offset_and_epoch(batch: &mut [u8], base_offset: Offset, epoch: LeaderEpoch) {
    batch[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[12..16].copy_from_slice(&epoch.0.to_be_bytes());
}

/// Stamps a batch with the broker's time (`message.timestamp.type=LogAppendTime`) and sums it up again.
pub fn set_log_append_time(batch: &mut [u8], now: i64) {
    let attributes = i16::from_be_bytes(field(batch, 21)) | LOG_APPEND_TIME;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    set_max_timestamp(batch, now);
}

/// Sets the header's largest timestamp and sums the batch up again.
pub fn set_max_timestamp(batch: &mut [u8], timestamp: i64) {
    batch[35..43].copy_from_slice(&timestamp.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// The batches of a run, which holds nothing but whole ones that were checked before.
pub fn each(mut run: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        if run.is_empty() {
            return None;
        }
        let header = RecordBatchHeader::parse(&run).expect("runs are whole batches");
        Some(run.split_to(header.size_in_bytes()))
    })
}

#[cfg(test)]
mod tests;
