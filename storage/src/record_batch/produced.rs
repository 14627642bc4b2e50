//! What a producer may send for one partition, and what becomes of it: checks each record, and packs anew where the topic asks.
//!
//! Follows Kafka's `LogValidator`. Never changes a record's bytes, and unpacks no more than a stated number of them.

use bytes::Bytes;

use super::{
    CODEC_MASK, CRC_FROM, HEADER_BYTES, LENGTH_OVERHEAD, RecordBatchHeader, lookup,
    set_log_append_time, set_max_timestamp, verify_crc,
};
use crate::compression::{self, Codec, CompressionError};
use crate::record::{self, Records};

/// What a produced batch is held to.
#[derive(Clone, Debug)]
pub struct ProduceLimits {
    /// The version of the Produce request.
    pub version: i16,
    /// `max.message.bytes`, of the batch as sent and as kept.
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
    /// `compression.type` and its level: `None` keeps batches as they come.
    pub codec: Option<(Codec, Option<i32>)>,
}

/// What an accepted batch's header is changed to when it is copied into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// `message.timestamp.type=LogAppendTime`: the broker's time, in milliseconds since 1970.
    LogAppendTime(i64),
    /// The header named another largest timestamp than its records have.
    MaxTimestamp(i64),
}

impl Stamp {
    /// The largest timestamp of a batch that was stamped.
    #[must_use]
    pub fn max_timestamp(self) -> i64 {
        match self {
            Self::LogAppendTime(timestamp) | Self::MaxTimestamp(timestamp) => timestamp,
        }
    }

    /// Changes the header, and the CRC with it.
    pub fn apply(self, batch: &mut [u8]) {
        match self {
            Self::LogAppendTime(now) => set_log_append_time(batch, now),
            Self::MaxTimestamp(timestamp) => set_max_timestamp(batch, timestamp),
        }
    }
}

/// A batch that may go into the log.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub header: RecordBatchHeader,
    /// As sent, or packed anew.
    pub batch: Bytes,
    pub stamp: Option<Stamp>,
}

/// Why a produced batch is refused; each has one error code in Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProduceBatchError {
    /// CORRUPT_MESSAGE.
    Corrupt,
    /// INVALID_RECORD, and why.
    InvalidRecord(&'static str),
    /// INVALID_TIMESTAMP when a timestamp is among the faults, else INVALID_RECORD; the first thousand of them.
    Records(Vec<InvalidRecord>),
    /// UNSUPPORTED_COMPRESSION_TYPE.
    UnsupportedCompression,
    /// MESSAGE_TOO_LARGE.
    TooLarge,
    /// INVALID_TXN_STATE: no transaction is open.
    NoTransaction,
}

/// A record that its topic does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRecord {
    /// Its place in the batch, from 0.
    pub index: i32,
    pub fault: RecordFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// The topic is compacted.
    KeyMissing,
    /// Milliseconds since 1970, outside of what the topic takes.
    Timestamp(i64),
}

/// Faults told of one batch, at most: a client that wants to know has the first ones, and a hostile one no large answer.
const INVALID_RECORDS_MAX: usize = 1000;

/// Checks what a producer sent for one partition, as Kafka does: exactly one good batch, each of its records whole.
///
/// # Errors
/// [`ProduceBatchError`].
pub fn validate_produced(
    bytes: &Bytes,
    limits: &ProduceLimits,
) -> Result<Accepted, ProduceBatchError> {
    let header = check_header(bytes, limits)?;
    let codec = header
        .codec()
        .map_err(|_| ProduceBatchError::UnsupportedCompression)?;
    let (max_timestamp, packed_anew) = lookup::with_body(bytes, &header, |body| {
        let max_timestamp = check_records(body, &header, limits)?;
        let packed_anew = match limits.codec {
            Some((wanted, level)) if wanted != codec => {
                let packed = pack(&bytes[..HEADER_BYTES], body, wanted, level);
                if packed.len() > limits.batch_bytes_max {
                    return Err(ProduceBatchError::TooLarge);
                }
                Some(packed)
            }
            _ => None,
        };
        Ok((max_timestamp, packed_anew))
    })
    .map_err(|error| match error {
        CompressionError::UnknownCodec(_) => ProduceBatchError::UnsupportedCompression,
        CompressionError::Corrupt => UNREADABLE,
        CompressionError::TooLarge => {
            ProduceBatchError::InvalidRecord("the batch unpacks to more than the broker allows")
        }
    })??;
    let (header, batch) = match packed_anew {
        None => (header, bytes.clone()),
        Some(packed) => (
            RecordBatchHeader::parse(&packed).expect("just made of a good one"),
            Bytes::from(packed),
        ),
    };
    let stamp = if limits.log_append_time {
        Some(Stamp::LogAppendTime(limits.now))
    } else {
        (max_timestamp != header.max_timestamp).then_some(Stamp::MaxTimestamp(max_timestamp))
    };
    Ok(Accepted {
        header,
        batch,
        stamp,
    })
}

fn check_header(
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
        && (size - HEADER_BYTES) / record::RECORD_BYTES_MIN < header.record_count as usize
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
    Ok(header)
}

/// Checks every record: whole, as many as the header says, their offsets without a gap, with a key and a timestamp as the
/// topic asks. Says the largest timestamp.
fn check_records(
    body: &[u8],
    header: &RecordBatchHeader,
    limits: &ProduceLimits,
) -> Result<i64, ProduceBatchError> {
    use ProduceBatchError as E;
    let mut records = Records::new(body, header.record_count);
    let mut max_timestamp = -1;
    let mut invalid = Vec::new();
    for (index, record) in (0..).zip(&mut records) {
        let record = record.map_err(|_| UNREADABLE)?;
        if record.offset_delta != index {
            return Err(E::InvalidRecord("the records' offsets have a gap"));
        }
        let timestamp = header.base_timestamp.saturating_add(record.timestamp_delta);
        max_timestamp = max_timestamp.max(timestamp);
        let fault = if limits.keys_required && record.key.is_none() {
            Some(RecordFault::KeyMissing)
        } else if limits.is_out_of_time(timestamp) {
            Some(RecordFault::Timestamp(timestamp))
        } else {
            None
        };
        if let Some(fault) = fault
            && invalid.len() < INVALID_RECORDS_MAX
        {
            invalid.push(InvalidRecord { index, fault });
        }
    }
    if !records.rest().is_empty() {
        return Err(E::InvalidRecord(
            "the batch holds more than its record count says",
        ));
    }
    if !invalid.is_empty() {
        return Err(E::Records(invalid));
    }
    Ok(max_timestamp)
}

impl ProduceLimits {
    /// -1 is "no timestamp", which is no wrong one.
    fn is_out_of_time(&self, timestamp: i64) -> bool {
        let early = self.now.saturating_sub(timestamp) > self.timestamp_before_max_ms;
        let late = timestamp.saturating_sub(self.now) > self.timestamp_after_max_ms;
        !self.log_append_time && timestamp != -1 && (early || late)
    }
}

/// The batch with the same records, packed by another codec.
fn pack(header: &[u8], body: &[u8], codec: Codec, level: Option<i32>) -> Vec<u8> {
    let packed = compression::compress_at(codec, level, body);
    let mut batch = Vec::with_capacity(HEADER_BYTES + packed.len());
    batch.extend_from_slice(header);
    batch.extend_from_slice(&packed);
    let length = i32::try_from(batch.len() - LENGTH_OVERHEAD).expect("below 2 GiB");
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let attributes = i16::from_be_bytes([batch[21], batch[22]]) & !CODEC_MASK | codec.attributes();
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

const UNREADABLE: ProduceBatchError =
    ProduceBatchError::InvalidRecord("the records of the batch cannot be read");
