//! Batches as a fetch brings them, record by record: sums checked, unpacked, what was not asked for left out.
//!
//! A batch that ends behind the answer is left for the next fetch; control batches are never shown.

use std::collections::BTreeSet;

use bytes::Bytes;
use rinka_net::wire::fetch::AbortedTransaction;
use rinka_storage::compression::{CompressionError, decompress};
use rinka_storage::record::Records;
use rinka_storage::record_batch::{
    BatchError, DECOMPRESSED_BYTES_MAX, HEADER_BYTES, RecordBatchHeader, batches, verify_crc,
};

use crate::cli::failure::Failure;

/// One record, in borrowed bytes.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) offset: i64,
    /// Milliseconds since 1970; -1 where there is none.
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// What comes after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    More,
    /// This one is not wanted any more, and none behind it.
    StopBefore,
    /// This was the last.
    StopBehind,
}

#[derive(Debug)]
pub(super) enum Error {
    /// The records are not what they should be.
    Damaged(String),
    /// What was to be done with a record failed.
    Print(Failure),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Print(failure)
    }
}

fn damaged<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Damaged(text.into()))
}

/// Hands every record from offset `from` on to `each`, and returns the offset to go on at.
pub(super) fn unpack(
    parts: &[Bytes],
    from: i64,
    aborted: &[AbortedTransaction],
    mut each: impl FnMut(&Record<'_>) -> Result<Flow, Failure>,
) -> Result<i64, Error> {
    let mut next = from;
    let mut transactions = Transactions::new(aborted);
    for part in parts {
        for batch in batches(part) {
            let (header, bytes) = match batch {
                Ok(batch) => batch,
                Err(error) => return damaged(explain(error)),
            };
            let end = header.end_offset().0;
            if end <= next {
                continue;
            }
            if let Err(error) = verify_crc(bytes) {
                return damaged(explain(error));
            }
            if header.is_control() {
                transactions.on_control(&header, &body(&header, bytes)?);
            } else if !transactions.is_aborted(&header)
                && let Some(stopped) = batch_records(&header, bytes, next, &mut each)?
            {
                return Ok(stopped);
            }
            next = end;
        }
    }
    Ok(next)
}

fn body(header: &RecordBatchHeader, bytes: &[u8]) -> Result<Bytes, Error> {
    let codec = header.codec();
    let unpacked =
        codec.and_then(|codec| decompress(codec, &bytes[HEADER_BYTES..], DECOMPRESSED_BYTES_MAX));
    unpacked.or_else(|error| damaged(explain(BatchError::Codec(error))))
}

/// Where to go on, when somebody has said stop.
fn batch_records(
    header: &RecordBatchHeader,
    bytes: &[u8],
    from: i64,
    each: &mut impl FnMut(&Record<'_>) -> Result<Flow, Failure>,
) -> Result<Option<i64>, Error> {
    let body = body(header, bytes)?;
    for record in Records::new(&body, header.record_count) {
        let record = match record {
            Ok(record) => record,
            Err(error) => return damaged(explain(BatchError::Record(error))),
        };
        let base = header.base_offset.0;
        let offset = base.saturating_add(i64::from(record.offset_delta));
        if offset < from {
            continue;
        }
        let headers: Result<Vec<_>, _> = record.headers().collect();
        let headers = headers.or_else(|error| damaged(explain(BatchError::Record(error))))?;
        let timestamp = if header.is_log_append_time() {
            header.max_timestamp
        } else {
            header.base_timestamp.saturating_add(record.timestamp_delta)
        };
        let record = Record {
            offset,
            timestamp,
            key: record.key,
            value: record.value,
            headers,
        };
        match each(&record)? {
            Flow::More => {}
            Flow::StopBefore => return Ok(Some(offset)),
            Flow::StopBehind => return Ok(Some(offset.saturating_add(1))),
        }
    }
    Ok(None)
}

fn explain(error: BatchError) -> String {
    match error {
        BatchError::TooShort => "a batch is shorter than it says".to_owned(),
        BatchError::Magic(magic @ 0..2) => {
            format!(
                "the records have format {magic}, from before Kafka 0.11, which is not read here"
            )
        }
        BatchError::Magic(magic) => format!("the records have format {magic}, which nobody knows"),
        BatchError::Length(length) => format!("a batch of {length} bytes cannot be"),
        BatchError::Crc => "a batch is damaged: its checksum does not fit (CRC-32C)".to_owned(),
        BatchError::Codec(CompressionError::UnknownCodec(number)) => {
            format!("a batch is packed with codec {number}, which nobody knows")
        }
        BatchError::Codec(CompressionError::Corrupt) => {
            "a batch is damaged: it cannot be unpacked".to_owned()
        }
        BatchError::Codec(CompressionError::TooLarge) => {
            format!("a batch unpacks to more than {DECOMPRESSED_BYTES_MAX} bytes, which is refused")
        }
        BatchError::Record(error) => format!("a record is damaged: {error:?}"),
    }
}

/// Which producers are in an aborted transaction at the offset where the walk is, as Kafka's consumer has it.
struct Transactions<'a> {
    /// By first offset.
    coming: Vec<&'a AbortedTransaction>,
    aborted: BTreeSet<i64>,
}

impl<'a> Transactions<'a> {
    fn new(aborted: &'a [AbortedTransaction]) -> Self {
        let mut coming: Vec<_> = aborted.iter().collect();
        coming.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self {
            coming,
            aborted: BTreeSet::new(),
        }
    }

    fn is_aborted(&mut self, header: &RecordBatchHeader) -> bool {
        let begun =
            |transaction: &&AbortedTransaction| transaction.first_offset <= header.last_offset().0;
        while let Some(transaction) = self.coming.pop_if(|transaction| begun(transaction)) {
            self.aborted.insert(transaction.producer_id);
        }
        header.is_transactional() && self.aborted.contains(&header.producer_id)
    }

    /// The marker of an abort ends the transaction.
    fn on_control(&mut self, header: &RecordBatchHeader, body: &[u8]) {
        let record = Records::new(body, header.record_count).next();
        let key = record.and_then(Result::ok).and_then(|record| record.key);
        // Version and type, of which 0 is an abort.
        if key.is_some_and(|key| key.get(2..4) == Some(&[0, 0])) {
            self.aborted.remove(&header.producer_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rinka_storage::compression::Codec;
    use rinka_storage::leader_epoch::LeaderEpoch;
    use rinka_storage::offset::Offset;
    use rinka_storage::record_batch::{RecordBatchBuilder, set_base_offset_and_epoch};

    use super::*;

    fn placed(builder: &RecordBatchBuilder, base: i64) -> Bytes {
        let mut batch = builder.build().to_vec();
        set_base_offset_and_epoch(&mut batch, Offset(base), LeaderEpoch(0));
        Bytes::from(batch)
    }

    fn batch(codec: Codec, base: i64, count: i64) -> Bytes {
        let mut builder = RecordBatchBuilder::new().codec(codec);
        for index in 0..count {
            let value = format!("v{}", base + index);
            builder.append(1_000 + index, None, Some(value.as_bytes()));
        }
        placed(&builder, base)
    }

    fn transactional(producer: i64, base: i64) -> Bytes {
        let mut builder = RecordBatchBuilder::new()
            .producer(producer, 0, 0)
            .transactional();
        builder.append(0, None, Some(b"in a transaction"));
        placed(&builder, base)
    }

    fn marker(producer: i64, base: i64, kind: u8) -> Bytes {
        let mut builder = RecordBatchBuilder::new()
            .producer(producer, 0, -1)
            .transactional()
            .control();
        builder.append(0, Some(&[0, 0, 0, kind]), Some(&[0; 6]));
        placed(&builder, base)
    }

    fn offsets(parts: &[Bytes], from: i64, aborted: &[AbortedTransaction]) -> (Vec<i64>, i64) {
        let mut seen = Vec::new();
        let next = unpack(parts, from, aborted, |record| {
            seen.push(record.offset);
            Ok(Flow::More)
        });
        (seen, next.expect("whole"))
    }

    #[test]
    fn records_before_the_offset_are_left_out_with_every_codec() {
        for codec in [
            Codec::None,
            Codec::Gzip,
            Codec::Snappy,
            Codec::Lz4,
            Codec::Zstd,
        ] {
            let both = [batch(codec, 10, 5), batch(codec, 15, 2)].concat();
            let both = [Bytes::from(both)];
            assert_eq!(
                offsets(&both, 13, &[]),
                (vec![13, 14, 15, 16], 17),
                "{codec:?}"
            );
            assert_eq!(offsets(&both, 15, &[]), (vec![15, 16], 17), "{codec:?}");
        }
    }

    #[test]
    fn a_batch_that_is_cut_off_is_left_for_the_next_fetch() {
        let mut bytes = batch(Codec::None, 0, 2).to_vec();
        bytes.extend_from_slice(&batch(Codec::None, 2, 2)[..70]);
        assert_eq!(offsets(&[Bytes::from(bytes)], 0, &[]), (vec![0, 1], 2));
    }

    #[test]
    fn whoever_has_enough_stops_before_or_behind_a_record() {
        let parts = [batch(Codec::Zstd, 0, 10)];
        for (flow, expected) in [(Flow::StopBefore, 3), (Flow::StopBehind, 4)] {
            let next = unpack(&parts, 0, &[], |record| {
                Ok(if record.offset == 3 { flow } else { Flow::More })
            });
            assert_eq!(next.expect("whole"), expected);
        }
    }

    #[test]
    fn control_batches_and_aborted_transactions_are_passed_over() {
        let parts = [
            transactional(7, 0),
            transactional(8, 1),
            marker(7, 2, 0),
            marker(8, 3, 1),
            transactional(7, 4),
            marker(7, 5, 1),
        ];
        let aborted = [AbortedTransaction {
            producer_id: 7,
            first_offset: 0,
        }];
        assert_eq!(offsets(&parts, 0, &aborted), (vec![1, 4], 6));
        // Who reads the uncommitted is told of no aborted transaction.
        assert_eq!(offsets(&parts, 0, &[]), (vec![0, 1, 4], 6));
    }

    proptest! {
        #[test]
        fn whatever_a_broker_sends_is_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            changes in proptest::collection::vec((0_usize..200, any::<u8>()), 0..6),
            sum: bool,
            from in -5_i64..20,
        ) {
            let _ = unpack(&[Bytes::from(bytes)], from, &[], |_| Ok(Flow::More));
            let mut damaged = batch(Codec::None, 3, 5).to_vec();
            for (at, byte) in changes {
                let place = at % damaged.len();
                damaged[place] = byte;
            }
            if sum {
                // So that what is behind the sum is looked at, too.
                let sum = crc32c::crc32c(&damaged[21..]);
                damaged[17..21].copy_from_slice(&sum.to_be_bytes());
            }
            let mut last = from;
            let next = unpack(&[Bytes::from(damaged)], from, &[], |record| {
                last = record.offset;
                Ok(Flow::More)
            });
            prop_assert!(last >= from);
            if let Ok(next) = next {
                prop_assert!(next >= from);
            }
        }
    }

    #[test]
    fn damage_is_told_from_records() {
        let mut bytes = batch(Codec::None, 0, 2).to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let damaged = unpack(&[Bytes::from(bytes)], 0, &[], |_| Ok(Flow::More));
        assert!(matches!(damaged, Err(Error::Damaged(text)) if text.contains("checksum")));
        let mut old = batch(Codec::None, 0, 1).to_vec();
        old[16] = 1;
        let old = unpack(&[Bytes::from(old)], 0, &[], |_| Ok(Flow::More));
        assert!(matches!(old, Err(Error::Damaged(text)) if text.contains("0.11")));
    }
}
