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
mod walk;

pub use builder::RecordBatchBuilder;
pub use lookup::{TimestampAndOffset, first_at_or_after, first_of_max_timestamp, values};
pub use walk::{Batches, batches};

use crate::compression::{Codec, CompressionError};
use crate::leader_epoch::LeaderEpoch;
use crate::offset::Offset;
use crate::record::{Record, RecordError, Records};

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
pub const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

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

/// Gives a batch its place in the log. Outside the CRC.
pub fn set_base_offset_and_epoch(batch: &mut [u8], base_offset: Offset, epoch: LeaderEpoch) {
    batch[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[12..16].copy_from_slice(&epoch.0.to_be_bytes());
}

/// Stamps a batch with the broker's time (`message.timestamp.type=LogAppendTime`) and sums it up again.
pub fn set_log_append_time(batch: &mut [u8], now: i64) {
    let attributes = i16::from_be_bytes(field(batch, 21)) | LOG_APPEND_TIME;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&now.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// What a produced batch is held to.
#[derive(Clone, Debug)]
pub struct ProduceLimits {
    /// The version of the Produce request.
    pub version: i16,
    /// `max.message.bytes`, of the batch as sent.
    pub batch_bytes_max: usize,
    /// Milliseconds since 1970.
    pub now: i64,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// The broker stamps batches, so the client's timestamps do not matter.
    pub log_append_time: bool,
    /// The topic is compacted: every record needs a key.
    pub keys_required: bool,
}

/// Why a produced batch is refused; each has one error code in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceBatchError {
    /// CORRUPT_MESSAGE.
    Corrupt,
    /// INVALID_RECORD, and why.
    InvalidRecord(&'static str),
    /// INVALID_RECORD for one record of the batch.
    KeyMissing { record: i32 },
    /// UNSUPPORTED_COMPRESSION_TYPE.
    UnsupportedCompression,
    /// MESSAGE_TOO_LARGE.
    TooLarge,
    /// INVALID_TIMESTAMP.
    Timestamp,
    /// INVALID_TXN_STATE: no transaction is open.
    NoTransaction,
}

/// Checks what a producer sent for one partition, as Kafka does: exactly one good batch.
///
/// The records inside are looked at where the header alone cannot tell: in compacted topics. Their count is checked there
/// too; elsewhere the count and the offsets of the header must agree.
///
/// # Errors
/// [`ProduceBatchError`].
pub fn validate_produced(
    bytes: &[u8],
    limits: &ProduceLimits,
) -> Result<RecordBatchHeader, ProduceBatchError> {
    use ProduceBatchError as E;
    if bytes.is_empty() {
        return Err(E::InvalidRecord(
            "a produce request must hold one record batch per partition",
        ));
    }
    // Magic 0 and 1 have shorter headers: look at it before anything else.
    match bytes.get(16).map(|&magic| i8::from_be_bytes([magic])) {
        Some(0 | 1) => {
            return Err(E::InvalidRecord(
                "record batches of magic 0 and 1 are no longer taken",
            ));
        }
        Some(2) => {}
        _ => return Err(E::Corrupt),
    }
    let header = RecordBatchHeader::parse(bytes).map_err(|_| E::Corrupt)?;
    let size = header.size_in_bytes();
    if size > bytes.len() {
        return Err(E::InvalidRecord(
            "the record batch is longer than the request",
        ));
    }
    if size < bytes.len() {
        return Err(E::InvalidRecord(
            "a produce request must hold exactly one record batch per partition",
        ));
    }
    if size > limits.batch_bytes_max {
        return Err(E::TooLarge);
    }
    verify_crc(bytes).map_err(|_| E::Corrupt)?;
    let codec = header.codec().map_err(|_| E::UnsupportedCompression)?;
    if codec == Codec::Zstd && limits.version < 7 {
        return Err(E::UnsupportedCompression);
    }
    if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
        return Err(E::InvalidRecord(
            "the record count does not match the offsets of the batch",
        ));
    }
    if codec == Codec::None
        && (size - HEADER_BYTES) / crate::record::RECORD_BYTES_MIN < header.record_count as usize
    {
        return Err(E::InvalidRecord(
            "the record count is larger than the batch",
        ));
    }
    if header.is_control() {
        return Err(E::InvalidRecord("clients may not write control batches"));
    }
    if header.is_transactional() {
        return Err(E::NoTransaction);
    }
    if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(E::InvalidRecord(
            "an idempotent batch needs a sequence number and an epoch",
        ));
    }
    if !limits.log_append_time {
        let timestamp = header.max_timestamp;
        let early = limits.now.saturating_sub(timestamp) > limits.timestamp_before_max_ms;
        let late = timestamp.saturating_sub(limits.now) > limits.timestamp_after_max_ms;
        if timestamp >= 0 && (early || late) {
            return Err(E::Timestamp);
        }
    }
    if limits.keys_required {
        validate_records(bytes, &header, true)?;
    }
    Ok(header)
}

/// Unpacks a batch and checks every record in it: whole, as many as the header says, their offsets without a gap, and each
/// with a key where keys are required.
///
/// # Errors
/// [`ProduceBatchError`].
pub fn validate_records(
    batch: &[u8],
    header: &RecordBatchHeader,
    keys_required: bool,
) -> Result<(), ProduceBatchError> {
    use ProduceBatchError as E;
    lookup::with_body(batch, header, |body| {
        let mut records = Records::new(body, header.record_count);
        for (index, record) in (0..).zip(&mut records) {
            let record: Record<'_> = record.map_err(|_| UNREADABLE)?;
            if record.offset_delta != index {
                return Err(E::InvalidRecord("the records' offsets have a gap"));
            }
            if keys_required && record.key.is_none() {
                return Err(E::KeyMissing { record: index });
            }
        }
        if records.rest().is_empty() {
            Ok(())
        } else {
            Err(E::InvalidRecord(
                "the batch holds more than its record count says",
            ))
        }
    })
    .map_err(|error| match error {
        CompressionError::UnknownCodec(_) => E::UnsupportedCompression,
        CompressionError::Corrupt => UNREADABLE,
        CompressionError::TooLarge => {
            E::InvalidRecord("the batch unpacks to more than the broker allows")
        }
    })?
}

const UNREADABLE: ProduceBatchError =
    ProduceBatchError::InvalidRecord("the records of the batch cannot be read");

#[cfg(test)]
mod tests;
