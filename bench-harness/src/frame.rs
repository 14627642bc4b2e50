//! Produce requests that are encoded once: from send to send only the stamps, the sum, the sequence and the correlation id change.
//!
//! Never encodes again, and knows no sockets. Every record's value begins with a stamp: who sent it, which batch of its stream it
//! is, and when it was meant to be sent.

use rinka_net::wire::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use rinka_net::wire::{ApiKey, Records, Text, encode_request};
use rinka_storage::record_batch::RecordBatchBuilder;

use crate::schedule::splitmix64;

/// Flexible, and spoken by every broker of the last years.
pub(crate) const PRODUCE_VERSION: i16 = 9;

/// In a frame, behind length, key and version.
const CORRELATION: std::ops::Range<usize> = 8..12;
/// In a batch.
const CRC: std::ops::Range<usize> = 17..21;
const SUMMED_FROM: usize = 21;
const TIMESTAMPS: std::ops::Range<usize> = 27..43;
const BASE_SEQUENCE: std::ops::Range<usize> = 53..57;

/// Run, stream, number, intended time.
pub(crate) const STAMP_BYTES: usize = 32;

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Other runs write other numbers here.
    pub(crate) run: u64,
    pub(crate) stream: u64,
    pub(crate) number: u64,
    /// Nanoseconds from the run's beginning.
    pub(crate) intended: u64,
}

impl Stamp {
    fn bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        let fields = [self.run, self.stream, self.number, self.intended];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.get(..STAMP_BYTES)?.chunks_exact(8);
        let mut field = || Some(u64::from_be_bytes(fields.next()?.try_into().ok()?));
        Some(Self {
            run: field()?,
            stream: field()?,
            number: field()?,
            intended: field()?,
        })
    }
}

/// Where the records of a batch have their stamps: the same for all batches of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    batch_bytes: usize,
    stamps: Vec<usize>,
}

impl Shape {
    /// The stamp of a batch whose records all have the same one.
    pub(crate) fn stamp(&self, batch: &[u8]) -> Option<Stamp> {
        if batch.len() != self.batch_bytes {
            return None;
        }
        let mut stamps = self.stamps.iter().map(|at| &batch[*at..*at + STAMP_BYTES]);
        let first = stamps.next()?;
        stamps
            .all(|other| other == first)
            .then(|| Stamp::parse(first))?
    }

    pub(crate) fn records(&self) -> u64 {
        self.stamps.len() as u64
    }

    pub(crate) fn batch_bytes(&self) -> u64 {
        self.batch_bytes as u64
    }
}

/// A request for one partition from one connection.
#[derive(Debug)]
pub(crate) struct ProduceFrame {
    bytes: Vec<u8>,
    batch_at: usize,
    shape: Shape,
    stamp: Stamp,
    /// `None` without a producer id: such a batch has no number.
    sequence: Option<i32>,
}

/// What is the same in all frames of a run.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) topic: Text,
    pub(crate) acks: i16,
    pub(crate) records: u32,
    pub(crate) record_bytes: usize,
    pub(crate) run: u64,
}

impl ProduceFrame {
    pub(crate) fn new(
        template: &Template,
        partition: i32,
        stream: u64,
        producer_id: Option<i64>,
    ) -> Self {
        assert!(template.record_bytes >= STAMP_BYTES, "room for the stamp");
        let mut state = stream;
        let mut builder = RecordBatchBuilder::new();
        let mark = |record: u32| {
            let mut mark = [0xA5; STAMP_BYTES];
            mark[..4].copy_from_slice(&record.to_be_bytes());
            mark
        };
        for record in 0..template.records {
            let mut value = mark(record).to_vec();
            // Incompressible, and the same every time.
            while value.len() < template.record_bytes {
                value.extend(splitmix64(&mut state).to_le_bytes());
            }
            value.truncate(template.record_bytes);
            builder.append(0, None, Some(&value));
        }
        if let Some(id) = producer_id {
            builder = builder.producer(id, 0, 0);
        }
        let batch = builder.build();
        let mut from = 0;
        let stamps = (0..template.records)
            .map(|record| {
                let mark = mark(record);
                let found = batch[from..]
                    .windows(STAMP_BYTES)
                    .position(|window| window == mark);
                from += found.expect("every record has its mark");
                from
            })
            .collect();
        let shape = Shape {
            batch_bytes: batch.len(),
            stamps,
        };
        let request = ProduceRequest {
            acks: template.acks,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: template.topic.clone(),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Records(Some(vec![batch.clone()])),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let name = Text::from("rinka-bench");
        let bytes =
            encode_request(ApiKey::Produce, PRODUCE_VERSION, 0, Some(&name), &request).concat();
        // The batch is last but for a few bytes of tags.
        let batch_at = (0..=bytes.len() - batch.len())
            .rev()
            .find(|at| bytes[*at..*at + batch.len()] == batch[..])
            .expect("the request holds the batch");
        Self {
            bytes,
            batch_at,
            shape,
            stamp: Stamp {
                run: template.run,
                stream,
                number: 0,
                intended: 0,
            },
            sequence: producer_id.map(|_| 0),
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn stream(&self) -> u64 {
        self.stamp.stream
    }

    /// The next frame to send, and the number of its batch. `intended` is in nanoseconds, `timestamp` in milliseconds since 1970.
    pub(crate) fn next(&mut self, correlation: i32, intended: u64, timestamp: i64) -> (&[u8], u64) {
        self.bytes[CORRELATION].copy_from_slice(&correlation.to_be_bytes());
        self.stamp.intended = intended;
        let stamp = self.stamp.bytes();
        let batch = &mut self.bytes[self.batch_at..self.batch_at + self.shape.batch_bytes];
        for half in batch[TIMESTAMPS].chunks_exact_mut(8) {
            half.copy_from_slice(&timestamp.to_be_bytes());
        }
        if let Some(sequence) = &mut self.sequence {
            batch[BASE_SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
            // Kafka's numbers go on with 0 after the largest.
            *sequence = sequence.wrapping_add(self.shape.stamps.len() as i32) & i32::MAX;
        }
        for at in &self.shape.stamps {
            batch[*at..*at + STAMP_BYTES].copy_from_slice(&stamp);
        }
        let sum = crc32c::crc32c(&batch[SUMMED_FROM..]);
        batch[CRC].copy_from_slice(&sum.to_be_bytes());
        let number = self.stamp.number;
        self.stamp.number += 1;
        (&self.bytes, number)
    }
}

#[cfg(test)]
mod tests {
    use rinka_storage::record_batch::verify_crc;

    use super::*;

    fn template(records: u32, record_bytes: usize) -> Template {
        Template {
            topic: Text::from("t"),
            acks: -1,
            records,
            record_bytes,
            run: 77,
        }
    }

    #[test]
    fn every_frame_has_its_own_stamp_sequence_and_sum() {
        for (records, record_bytes, id) in [(1, STAMP_BYTES, None), (64, 1024, Some(9))] {
            let mut frame = ProduceFrame::new(&template(records, record_bytes), 3, 5, id);
            let shape = frame.shape().clone();
            let at = frame.batch_at;
            for turn in 0..3_u64 {
                let (bytes, number) = frame.next(turn as i32, turn * 1_000, 1_700_000_000_000);
                assert_eq!(bytes[CORRELATION], (turn as i32).to_be_bytes());
                let batch = &bytes[at..at + shape.batch_bytes];
                let header = verify_crc(batch).expect("a right sum");
                assert_eq!(header.base_timestamp, 1_700_000_000_000);
                assert_eq!(header.max_timestamp, 1_700_000_000_000);
                let sequence = id.map_or(-1, |_| turn as i32 * records as i32);
                assert_eq!(header.base_sequence, sequence);
                assert_eq!(number, turn);
                let expected = Stamp {
                    run: 77,
                    stream: 5,
                    number,
                    intended: turn * 1_000,
                };
                assert_eq!(shape.stamp(batch), Some(expected));
            }
        }
    }

    #[test]
    fn a_batch_of_two_stamps_or_another_size_is_not_ours() {
        let mut frame = ProduceFrame::new(&template(3, 100), 0, 0, None);
        let shape = frame.shape().clone();
        let at = frame.batch_at;
        let mut batch = frame.next(0, 1, 1).0[at..at + shape.batch_bytes].to_vec();
        assert!(shape.stamp(&batch).is_some());
        assert_eq!(shape.stamp(&batch[1..]), None);
        batch[shape.stamps[2] + 20] ^= 1;
        assert_eq!(shape.stamp(&batch), None);
    }
}
