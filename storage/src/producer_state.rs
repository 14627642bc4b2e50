//! Idempotence (KIP-98): per producer the last five batches of a partition, to tell a repeated one from a new one or a gap.
//!
//! Decides from sequence numbers alone; never looks at a clock (times come with the batches).

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::offset::Offset;
use crate::record_batch::RecordBatchHeader;

/// Batches remembered per producer: as many as a client may have in flight with idempotence. With them a producer takes
/// about 250 bytes.
const BATCHES_KEPT: usize = 5;

/// A sequence number further on; after 2^31 - 1 comes 0.
#[must_use]
pub(crate) fn sequence_plus(sequence: i32, count: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(count);
    i32::try_from(sum & i64::from(i32::MAX)).expect("masked to 31 bits")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BatchSequence {
    first: i32,
    last: i32,
    base_offset: Offset,
    last_offset: Offset,
    timestamp: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    batches: VecDeque<BatchSequence>,
}

/// All producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerStates {
    producers: FxHashMap<i64, Producer>,
}

/// The newest batch of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastBatch {
    pub producer_id: i64,
    pub epoch: i16,
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: Offset,
    pub last_offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

/// A batch that may be appended, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceCheck {
    New,
    Duplicate {
        base_offset: Offset,
        last_offset: Offset,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerStateError {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrderSequence { expected: i32 },
    /// INVALID_PRODUCER_EPOCH: a newer instance of the producer has written.
    InvalidProducerEpoch { current: i16 },
}

/// The bytes are no producer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBytesError;

impl ProducerStates {
    /// What a batch of an idempotent producer is. A producer that is not known may begin with any sequence number: its
    /// state may have expired.
    ///
    /// # Errors
    /// [`ProducerStateError`].
    pub fn check(&self, batch: &RecordBatchHeader) -> Result<SequenceCheck, ProducerStateError> {
        let Some(producer) = self.producers.get(&batch.producer_id) else {
            return Ok(SequenceCheck::New);
        };
        if batch.producer_epoch < producer.epoch {
            return Err(ProducerStateError::InvalidProducerEpoch {
                current: producer.epoch,
            });
        }
        let expected = match producer.batches.back() {
            _ if batch.producer_epoch > producer.epoch => 0,
            Some(last) => sequence_plus(last.last, 1),
            None => return Ok(SequenceCheck::New),
        };
        if batch.producer_epoch == producer.epoch {
            let same = |kept: &&BatchSequence| {
                kept.first == batch.base_sequence && kept.last == batch.last_sequence()
            };
            if let Some(kept) = producer.batches.iter().find(same) {
                return Ok(SequenceCheck::Duplicate {
                    base_offset: kept.base_offset,
                    last_offset: kept.last_offset,
                });
            }
        }
        if batch.base_sequence == expected {
            Ok(SequenceCheck::New)
        } else {
            Err(ProducerStateError::OutOfOrderSequence { expected })
        }
    }

    /// The batch was appended at its base offset.
    pub fn update(&mut self, batch: &RecordBatchHeader) {
        let producer = self
            .producers
            .entry(batch.producer_id)
            .or_insert_with(|| Producer {
                epoch: batch.producer_epoch,
                batches: VecDeque::with_capacity(BATCHES_KEPT),
            });
        if batch.producer_epoch != producer.epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(BatchSequence {
            first: batch.base_sequence,
            last: batch.last_sequence(),
            base_offset: batch.base_offset,
            last_offset: batch.last_offset(),
            timestamp: batch.max_timestamp,
        });
    }

    /// The log ends at `end` now: what was behind it was never appended.
    pub fn truncate_to(&mut self, end: Offset) {
        self.producers.retain(|_, producer| {
            producer.batches.retain(|batch| batch.last_offset < end);
            !producer.batches.is_empty()
        });
    }

    /// Forgets producers whose last batch is older than `before`, in milliseconds since 1970.
    pub fn expire(&mut self, before: i64) {
        self.producers.retain(|_, producer| {
            producer
                .batches
                .back()
                .is_some_and(|batch| batch.timestamp >= before)
        });
    }

    /// The newest batch of every producer, by producer id.
    #[must_use]
    pub fn last_batches(&self) -> Vec<LastBatch> {
        let last = |(&producer_id, producer): (&i64, &Producer)| {
            let batch = producer.batches.back()?;
            Some(LastBatch {
                producer_id,
                epoch: producer.epoch,
                first_sequence: batch.first,
                last_sequence: batch.last,
                base_offset: batch.base_offset,
                last_offset: batch.last_offset,
                timestamp: batch.timestamp,
            })
        };
        let mut batches: Vec<_> = self.producers.iter().filter_map(last).collect();
        batches.sort_unstable_by_key(|batch| batch.producer_id);
        batches
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Little-endian: producer id, epoch, count, then the batches.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (id, producer) in &self.producers {
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&producer.epoch.to_le_bytes());
            out.push(u8::try_from(producer.batches.len()).expect("at most five"));
            for batch in &producer.batches {
                out.extend_from_slice(&batch.first.to_le_bytes());
                out.extend_from_slice(&batch.last.to_le_bytes());
                out.extend_from_slice(&batch.base_offset.0.to_le_bytes());
                out.extend_from_slice(&batch.last_offset.0.to_le_bytes());
                out.extend_from_slice(&batch.timestamp.to_le_bytes());
            }
        }
    }

    /// # Errors
    /// [`ProducerBytesError`] for anything but what [`ProducerStates::encode`] made.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, ProducerBytesError> {
        fn take<const LENGTH: usize>(
            bytes: &mut &[u8],
        ) -> Result<[u8; LENGTH], ProducerBytesError> {
            let (part, rest) = bytes.split_first_chunk().ok_or(ProducerBytesError)?;
            *bytes = rest;
            Ok(*part)
        }
        let mut producers = FxHashMap::default();
        while !bytes.is_empty() {
            let id = i64::from_le_bytes(take(&mut bytes)?);
            let epoch = i16::from_le_bytes(take(&mut bytes)?);
            let [count] = take(&mut bytes)?;
            if usize::from(count) > BATCHES_KEPT {
                return Err(ProducerBytesError);
            }
            let mut batches = VecDeque::with_capacity(BATCHES_KEPT);
            for _ in 0..count {
                batches.push_back(BatchSequence {
                    first: i32::from_le_bytes(take(&mut bytes)?),
                    last: i32::from_le_bytes(take(&mut bytes)?),
                    base_offset: Offset(i64::from_le_bytes(take(&mut bytes)?)),
                    last_offset: Offset(i64::from_le_bytes(take(&mut bytes)?)),
                    timestamp: i64::from_le_bytes(take(&mut bytes)?),
                });
            }
            producers.insert(id, Producer { epoch, batches });
        }
        Ok(Self { producers })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record_batch::RecordBatchBuilder;

    fn batch(epoch: i16, sequence: i32, count: i32, offset: i64) -> RecordBatchHeader {
        let mut builder = RecordBatchBuilder::new().producer(7, epoch, sequence);
        for _ in 0..count {
            builder.append(1000, None, None);
        }
        let mut header = RecordBatchHeader::parse(&builder.build()).expect("a batch");
        header.base_offset = Offset(offset);
        header
    }

    fn appended(batches: &[RecordBatchHeader]) -> ProducerStates {
        let mut states = ProducerStates::default();
        for batch in batches {
            assert_eq!(states.check(batch), Ok(SequenceCheck::New));
            states.update(batch);
        }
        states
    }

    #[test]
    fn a_repeated_batch_is_answered_with_its_first_offset() {
        let batches: Vec<_> = (0..7)
            .map(|n| batch(0, n * 10, 10, i64::from(n) * 10))
            .collect();
        let states = appended(&batches);
        let expected = SequenceCheck::Duplicate {
            base_offset: Offset(30),
            last_offset: Offset(39),
        };
        assert_eq!(states.check(&batch(0, 30, 10, 0)), Ok(expected));
        // Older than the last five: it cannot be told from a gap.
        assert_eq!(
            states.check(&batch(0, 10, 10, 0)),
            Err(ProducerStateError::OutOfOrderSequence { expected: 70 })
        );
        assert_eq!(
            states.check(&batch(0, 71, 1, 0)),
            Err(ProducerStateError::OutOfOrderSequence { expected: 70 })
        );
    }

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_begins_at_zero() {
        let states = appended(&[batch(3, 5, 1, 0)]);
        assert_eq!(
            states.check(&batch(2, 6, 1, 0)),
            Err(ProducerStateError::InvalidProducerEpoch { current: 3 })
        );
        assert_eq!(
            states.check(&batch(4, 6, 1, 0)),
            Err(ProducerStateError::OutOfOrderSequence { expected: 0 })
        );
        assert_eq!(states.check(&batch(4, 0, 1, 0)), Ok(SequenceCheck::New));
    }

    #[test]
    fn sequence_numbers_wrap() {
        let states = appended(&[batch(0, i32::MAX - 1, 4, 0)]);
        // MAX-1, MAX, 0, 1: the next is 2.
        assert_eq!(states.check(&batch(0, 2, 1, 4)), Ok(SequenceCheck::New));
    }

    #[test]
    fn what_was_cut_off_was_never_sent() {
        let mut states = appended(&[batch(0, 0, 5, 0), batch(0, 5, 5, 5)]);
        states.truncate_to(Offset(5));
        assert_eq!(states.check(&batch(0, 5, 5, 5)), Ok(SequenceCheck::New));
        states.truncate_to(Offset(0));
        assert!(states.is_empty());
    }

    proptest! {
        #[test]
        fn bytes_round_trip(counts in proptest::collection::vec(1i32..9, 0..12)) {
            let mut states = ProducerStates::default();
            let mut next = 0;
            for count in counts {
                states.update(&batch(1, next, count, i64::from(next)));
                next += count;
            }
            let last = states.last_batches().first().map(|batch| batch.last_sequence + 1);
            prop_assert_eq!(last.unwrap_or(0), next);
            let mut bytes = Vec::new();
            states.encode(&mut bytes);
            prop_assert_eq!(ProducerStates::decode(&bytes), Ok(states));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ProducerStates::decode(&bytes);
        }
    }
}
