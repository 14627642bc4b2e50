//! The account of every acknowledged record: none lost, none twice, none out of order, none changed, each where its ack said.
//!
//! Pure: it is told what was acknowledged and what a reader found, and lists what is wrong. Records that were never acknowledged may
//! be in the log or not; if they are, they too must be whole, in order and there once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::support::random::mix;

/// The fixed part of a value: the producer and the sequence number.
const VALUE_HEAD_BYTES: usize = 12;
const FILLER_BYTES_MAX: u64 = 1_000;

/// A record as its producer names it: the sequence number counts the producer's records of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordName {
    pub(crate) partition: u32,
    pub(crate) producer: u32,
    pub(crate) sequence: u64,
}

impl fmt::Display for RecordName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "record {} of producer {} in partition {}",
            self.sequence, self.producer, self.partition
        )
    }
}

/// What is wrong with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Acknowledged, and not in the log.
    Lost { record: RecordName, acked_at: u64 },
    /// In the log, at another offset than the ack said.
    Moved {
        record: RecordName,
        acked_at: u64,
        found_at: u64,
    },
    Twice {
        record: RecordName,
        first_at: u64,
        again_at: u64,
    },
    OutOfOrder {
        record: RecordName,
        found_at: u64,
        after_sequence: u64,
    },
    /// What is there is not what any producer wrote.
    Changed { partition: u32, offset: u64 },
    /// The offsets jump or go back.
    Gap {
        partition: u32,
        expected: u64,
        found: u64,
    },
}

/// What was acknowledged and what was read, of one topic.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    partitions: Vec<PartitionAccount>,
    acked: BTreeMap<RecordName, u64>,
    problems: Vec<Problem>,
}

#[derive(Clone, Debug, Default)]
struct PartitionAccount {
    next_offset: u64,
    /// By producer and sequence number.
    places: HashMap<(u32, u64), u64>,
    last_sequence: HashMap<u32, u64>,
}

impl Account {
    pub(crate) fn new(partitions: usize) -> Self {
        Self {
            partitions: vec![PartitionAccount::default(); partitions],
            acked: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    pub(crate) fn on_acked(&mut self, record: RecordName, offset: u64) {
        self.acked.insert(record, offset);
    }

    /// To be called in the order of the log, from offset 0 of each partition on.
    pub(crate) fn on_read(&mut self, partition: u32, offset: u64, value: &[u8]) {
        let of = &mut self.partitions[partition as usize];
        if offset != of.next_offset {
            self.problems.push(Problem::Gap {
                partition,
                expected: of.next_offset,
                found: offset,
            });
        }
        of.next_offset = offset + 1;
        let Some(record) = parse_value(partition, value) else {
            self.problems.push(Problem::Changed { partition, offset });
            return;
        };
        let name = (record.producer, record.sequence);
        if let Some(first_at) = of.places.get(&name) {
            self.problems.push(Problem::Twice {
                record,
                first_at: *first_at,
                again_at: offset,
            });
            return;
        }
        of.places.insert(name, offset);
        match of.last_sequence.get(&record.producer) {
            Some(last) if *last > record.sequence => self.problems.push(Problem::OutOfOrder {
                record,
                found_at: offset,
                after_sequence: *last,
            }),
            _ => {
                of.last_sequence.insert(record.producer, record.sequence);
            }
        }
    }

    /// Where reading must go on, by partition.
    pub(crate) fn next_offsets(&self) -> Vec<u64> {
        self.partitions.iter().map(|of| of.next_offset).collect()
    }

    pub(crate) fn records_read(&self) -> usize {
        self.partitions.iter().map(|of| of.places.len()).sum()
    }

    pub(crate) fn records_acked(&self) -> usize {
        self.acked.len()
    }

    /// All that is wrong, given that the log was read to its end after the last ack.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        for (record, acked_at) in &self.acked {
            let of = &self.partitions[record.partition as usize];
            match of.places.get(&(record.producer, record.sequence)) {
                None => problems.push(Problem::Lost {
                    record: *record,
                    acked_at: *acked_at,
                }),
                Some(found_at) if found_at != acked_at => problems.push(Problem::Moved {
                    record: *record,
                    acked_at: *acked_at,
                    found_at: *found_at,
                }),
                Some(_) => {}
            }
        }
        problems
    }
}

/// The value that `hammer` writes for a record.
pub(crate) fn value(record: RecordName) -> Vec<u8> {
    let producer = u64::from(record.producer);
    let seed = mix(producer << 32 | u64::from(record.partition)) ^ record.sequence;
    let filler = usize::try_from(mix(seed) % FILLER_BYTES_MAX).expect("a short filler");
    let length = VALUE_HEAD_BYTES + filler;
    let mut value = Vec::with_capacity(length + 8);
    value.extend(record.producer.to_be_bytes());
    value.extend(record.sequence.to_be_bytes());
    let mut word = seed;
    while value.len() < length {
        word = word.wrapping_add(1);
        value.extend(mix(word).to_be_bytes());
    }
    value.truncate(length);
    value
}

/// `None` if this is not, byte for byte, a value of that partition.
fn parse_value(partition: u32, bytes: &[u8]) -> Option<RecordName> {
    let (producer, rest) = bytes.split_first_chunk::<4>()?;
    let (sequence, _) = rest.split_first_chunk::<8>()?;
    let record = RecordName {
        partition,
        producer: u32::from_be_bytes(*producer),
        sequence: u64::from_be_bytes(*sequence),
    };
    (value(record) == bytes).then_some(record)
}

mod tests {
    use super::*;

    /// Two producers take turns in two partitions: producer 0 at even offsets, producer 1 at odd ones.
    fn log() -> Vec<Vec<Vec<u8>>> {
        let values = |partition| (0..20).map(move |offset| value(written(partition, offset)));
        (0..2)
            .map(|partition| values(partition).collect())
            .collect()
    }

    fn written(partition: u32, offset: u64) -> RecordName {
        RecordName {
            partition,
            producer: u32::from(offset % 2 == 1),
            sequence: offset / 2,
        }
    }

    /// Everything below offset 16 was acknowledged; then the log was found as it is after `damage`.
    fn check(damage: impl FnOnce(&mut Vec<Vec<Vec<u8>>>), expected: &[Problem]) {
        let mut account = Account::new(2);
        for partition in 0..2 {
            for offset in 0..16 {
                account.on_acked(written(partition, offset), offset);
            }
        }
        let mut log = log();
        damage(&mut log);
        for (partition, values) in (0_u32..).zip(&log) {
            for (offset, value) in (0_u64..).zip(values) {
                account.on_read(partition, offset, value);
            }
        }
        assert_eq!(account.problems(), expected);
    }

    #[test]
    fn a_whole_log_is_in_order() {
        check(|_| {}, &[]);
    }

    #[test]
    fn what_was_never_acknowledged_may_be_missing() {
        check(|log| log[1].truncate(16), &[]);
    }

    #[test]
    fn a_loss_at_the_end() {
        check(
            |log| log[1].truncate(15),
            &[Problem::Lost {
                record: written(1, 15),
                acked_at: 15,
            }],
        );
    }

    #[test]
    fn a_loss_in_the_middle_moves_what_follows() {
        let mut account = Account::new(1);
        for (place, offset) in [0_u64, 2, 3].into_iter().enumerate() {
            account.on_read(0, place as u64, &value(written(0, offset)));
        }
        for offset in 0..4 {
            account.on_acked(written(0, offset), offset);
        }
        let moved = |offset| Problem::Moved {
            record: written(0, offset),
            acked_at: offset,
            found_at: offset - 1,
        };
        let lost = Problem::Lost {
            record: written(0, 1),
            acked_at: 1,
        };
        // By name: those of producer 0 come first.
        assert_eq!(account.problems(), [moved(2), lost, moved(3)]);
    }

    #[test]
    fn a_duplicate() {
        check(
            |log| {
                let repeated = log[0][18].clone();
                log[0].push(repeated);
            },
            &[Problem::Twice {
                record: written(0, 18),
                first_at: 18,
                again_at: 20,
            }],
        );
    }

    #[test]
    fn a_swap_of_two_records_of_one_producer() {
        check(
            |log| log[0].swap(16, 18),
            &[Problem::OutOfOrder {
                record: written(0, 16),
                found_at: 18,
                after_sequence: 9,
            }],
        );
    }

    #[test]
    fn a_swap_of_acknowledged_records_is_seen_by_their_offsets_too() {
        check(
            |log| log[0].swap(4, 6),
            &[
                Problem::OutOfOrder {
                    record: written(0, 4),
                    found_at: 6,
                    after_sequence: 3,
                },
                Problem::Moved {
                    record: written(0, 4),
                    acked_at: 4,
                    found_at: 6,
                },
                Problem::Moved {
                    record: written(0, 6),
                    acked_at: 6,
                    found_at: 4,
                },
            ],
        );
    }

    #[test]
    fn one_changed_bit() {
        check(
            |log| *log[1][17].last_mut().expect("a value") ^= 1,
            &[Problem::Changed {
                partition: 1,
                offset: 17,
            }],
        );
    }

    #[test]
    fn a_record_of_another_partition() {
        check(
            |log| log[1][19] = value(written(0, 19)),
            &[Problem::Changed {
                partition: 1,
                offset: 19,
            }],
        );
    }

    #[test]
    fn a_hole_in_the_offsets() {
        let mut account = Account::new(1);
        account.on_read(0, 0, &value(written(0, 0)));
        account.on_read(0, 2, &value(written(0, 1)));
        assert_eq!(
            account.problems(),
            [Problem::Gap {
                partition: 0,
                expected: 1,
                found: 2,
            }]
        );
    }
}
