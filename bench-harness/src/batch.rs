//! Batches that are made once: splitmix64 payload, and a header in which timestamps and sequence change from request to request.
//!
//! Never sums a batch again: the sum of a changed header follows from the old sum, at the same small cost for any batch size.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rinka_storage::record_batch::{HEADER_BYTES, RecordBatchBuilder};

/// Where the sum is in a batch, and the fields that change: base and maximum timestamp, base sequence. Producer id and epoch
/// lie between these.
const CRC: std::ops::Range<usize> = 17..21;
const CHANGING: std::ops::Range<usize> = 27..57;
const BASE_SEQUENCE: std::ops::Range<usize> = 53..57;

/// Castagnoli's polynomial, reflected.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// A batch for one partition.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Bytes,
    records: i32,
    /// `None` without a producer id: such a batch has no number.
    sequence: Option<i32>,
    tail: Arc<Tail>,
}

/// What the bytes behind the changing fields do to a sum: the image of every bit of it.
#[derive(Debug)]
pub(crate) struct Tail {
    batch_bytes: usize,
    images: [u32; 32],
}

impl Tail {
    /// Of batches of this size.
    fn new(batch_bytes: usize) -> Self {
        let behind = batch_bytes - CHANGING.end;
        Self {
            batch_bytes,
            images: std::array::from_fn(|bit| shift(1 << bit, behind)),
        }
    }

    fn apply(&self, sum: u32) -> u32 {
        (0..32)
            .filter(|bit| sum & (1 << bit) != 0)
            .fold(0, |image, bit| image ^ self.images[bit])
    }
}

/// The register of the sum after that many bytes of zero.
fn shift(mut register: u32, bytes: usize) -> u32 {
    for _ in 0..bytes * 8 {
        register = (register >> 1) ^ (POLYNOMIAL & (register & 1).wrapping_neg());
    }
    register
}

impl Batch {
    /// Equal sizes share `tail`, which takes a moment to make.
    pub(crate) fn new(
        partition: i32,
        records: i32,
        record_bytes: usize,
        producer_id: Option<i64>,
        tail: &mut Option<Arc<Tail>>,
    ) -> Self {
        let mut builder = RecordBatchBuilder::new();
        for record in 0..records {
            let seed =
                (u64::from(partition.cast_unsigned()) << 32) | u64::from(record.cast_unsigned());
            builder.append(0, None, Some(&fill(seed, record_bytes)));
        }
        if let Some(id) = producer_id {
            builder = builder.producer(id, 0, 0);
        }
        let bytes = builder.build();
        debug_assert!(bytes.len() > HEADER_BYTES);
        let tail = match tail {
            Some(tail) if tail.batch_bytes == bytes.len() => Arc::clone(tail),
            _ => Arc::clone(tail.insert(Arc::new(Tail::new(bytes.len())))),
        };
        Self {
            bytes,
            records,
            sequence: producer_id.map(|_| 0),
            tail,
        }
    }

    /// The next batch to send. Copies nothing when the one before is not held any more.
    pub(crate) fn next(&mut self, now: i64) -> Bytes {
        let mut batch = BytesMut::from(std::mem::take(&mut self.bytes));
        let mut change: [u8; 30] = batch[CHANGING].try_into().expect("30 bytes");
        batch[27..35].copy_from_slice(&now.to_be_bytes());
        batch[35..43].copy_from_slice(&now.to_be_bytes());
        if let Some(sequence) = &mut self.sequence {
            batch[BASE_SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
            *sequence = after(*sequence, self.records);
        }
        // The sum is linear: what the difference of two headers sums to is the difference of their sums.
        let mut register = 0;
        for (old, new) in change.iter_mut().zip(&batch[CHANGING]) {
            *old ^= new;
            register = shift(register ^ u32::from(*old), 1);
        }
        let old = u32::from_be_bytes(batch[CRC].try_into().expect("4 bytes"));
        batch[CRC].copy_from_slice(&(old ^ self.tail.apply(register)).to_be_bytes());
        self.bytes = batch.freeze();
        self.bytes.clone()
    }
}

/// Sequence numbers go on with 0 after the largest.
fn after(sequence: i32, records: i32) -> i32 {
    sequence.wrapping_add(records) & i32::MAX
}

/// splitmix64: incompressible, and the same every time.
fn fill(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).to_le_bytes()
    })
    .flatten()
    .take(bytes)
    .collect()
}

#[cfg(test)]
mod tests {
    use rinka_storage::record_batch::verify_crc;

    use super::*;

    #[test]
    fn a_changed_header_has_the_right_sum() {
        let mut tail = None;
        for (records, record_bytes, id) in [(1, 0, None), (1, 100, Some(7)), (64, 1024, Some(7))] {
            let mut batch = Batch::new(3, records, record_bytes, id, &mut tail);
            for (number, now) in [(0, 1), (1, 1_700_000_000_123), (2, i64::MAX), (3, -1)] {
                let bytes = batch.next(now);
                let header = verify_crc(&bytes).expect("a batch whose sum is right");
                assert_eq!((header.base_timestamp, header.max_timestamp), (now, now));
                assert_eq!(header.record_count, records);
                assert_eq!(header.producer_id, id.unwrap_or(-1));
                let sequence = if id.is_some() { number * records } else { -1 };
                assert_eq!(header.base_sequence, sequence);
            }
        }
    }

    #[test]
    fn sequences_go_round_as_kafkas() {
        assert_eq!(after(i32::MAX - 1, 1), i32::MAX);
        assert_eq!(after(i32::MAX, 1), 0);
        assert_eq!(after(i32::MAX - 3, 10), 6);
    }

    #[test]
    fn payload_is_the_same_every_time() {
        assert_eq!(fill(0, 8), 0xE220_A839_7B1D_CDAF_u64.to_le_bytes());
    }
}
