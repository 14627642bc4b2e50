//! Whether every acknowledged batch is read back once, in order, and at the offset of its acknowledgement.
//!
//! A stream is what one connection sends to one partition: its batches are numbered from 0. Never keeps what both sides have told.

use std::collections::{BTreeSet, VecDeque};

use crate::result::Verification;

/// Complaints that are kept in words.
const EXAMPLES_MAX: usize = 10;

/// One reader's view of all streams.
#[derive(Debug)]
pub(crate) struct Verifier {
    streams: Vec<Stream>,
    /// The offset that follows, by partition.
    next_offsets: Vec<i64>,
    /// In batches, but for `read_back`.
    found: Found,
    examples: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    read_back: u64,
    duplicate: u64,
    out_of_order: u64,
    damaged: u64,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    acked: u64,
    read: u64,
    /// Passed over by the reader.
    missing: BTreeSet<u64>,
    /// Number and offset of what only one side has told yet.
    acks: VecDeque<(u64, i64)>,
    reads: VecDeque<(u64, i64)>,
}

/// A batch, as its stamp says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) stream: usize,
    pub(crate) number: u64,
    pub(crate) offset: i64,
}

impl Verifier {
    /// `next_offsets`: where the reader begins, by partition.
    pub(crate) fn new(streams: usize, next_offsets: Vec<i64>) -> Self {
        Self {
            streams: vec![Stream::default(); streams],
            next_offsets,
            found: Found::default(),
            examples: Vec::new(),
        }
    }

    pub(crate) fn next_offset(&self, partition: usize) -> i64 {
        self.next_offsets[partition]
    }

    /// Acknowledgements of a stream come in the order of their numbers.
    pub(crate) fn on_acked(&mut self, place: Place) {
        let stream = &mut self.streams[place.stream];
        stream.acked = stream.acked.max(place.number + 1);
        stream.acks.push_back((place.number, place.offset));
        self.compare(place.stream);
    }

    /// A batch of `records` whose sum was right.
    pub(crate) fn on_read(&mut self, partition: usize, place: Place, records: u64) {
        let next = &mut self.next_offsets[partition];
        let expected = *next;
        if place.offset >= expected {
            *next = place.offset + records.cast_signed();
        }
        if place.offset != expected {
            self.found.out_of_order += 1;
            self.example(|| {
                let offset = place.offset;
                format!("partition {partition}: offset {offset} instead of {expected}")
            });
        }
        self.found.read_back += records;
        let Some(stream) = self.streams.get_mut(place.stream) else {
            self.on_damaged(|| format!("partition {partition}: of a stream that is not ours"));
            return;
        };
        let Place { number, offset, .. } = place;
        if number >= stream.read {
            stream.missing.extend(stream.read..number);
            stream.read = number + 1;
            stream.reads.push_back((number, offset));
            self.compare(place.stream);
        } else if stream.missing.remove(&number) {
            self.found.out_of_order += 1;
            self.example(|| {
                format!("partition {partition} offset {offset}: batch {number} after its successor")
            });
        } else {
            self.found.duplicate += 1;
            self.example(|| {
                format!("partition {partition} offset {offset}: batch {number} once more")
            });
        }
    }

    pub(crate) fn on_damaged(&mut self, words: impl FnOnce() -> String) {
        self.found.damaged += 1;
        self.example(words);
    }

    /// A batch that says nothing of itself.
    pub(crate) fn pass_over(&mut self, partition: usize, next_offset: i64) {
        let next = &mut self.next_offsets[partition];
        *next = next_offset.max(*next + 1);
    }

    /// Records.
    pub(crate) fn read_back(&self) -> u64 {
        self.found.read_back
    }

    /// Nothing that was acknowledged is still to come.
    pub(crate) fn has_read_all(&self) -> bool {
        self.streams
            .iter()
            .all(|stream| stream.read >= stream.acked)
    }

    /// What one side has told is let go when the other has told it too.
    fn compare(&mut self, stream: usize) {
        let mut wrong = None;
        let Stream { acks, reads, .. } = &mut self.streams[stream];
        while let (Some(ack), Some(read)) = (acks.front(), reads.front()) {
            match ack.0.cmp(&read.0) {
                std::cmp::Ordering::Less => drop(acks.pop_front()),
                std::cmp::Ordering::Greater => drop(reads.pop_front()),
                std::cmp::Ordering::Equal => {
                    if ack.1 != read.1 {
                        wrong = Some((*ack, read.1));
                    }
                    acks.pop_front();
                    reads.pop_front();
                }
            }
        }
        if let Some(((number, acked), read)) = wrong {
            self.on_damaged(|| {
                format!("batch {number}: acknowledged at offset {acked}, read at {read}")
            });
        }
    }

    fn example(&mut self, words: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words());
        }
    }

    /// `sent` and `acked` are records; so is everything in the answer.
    pub(crate) fn finish(mut self, sent: u64, acked: u64, records_per_batch: u64) -> Verification {
        let mut lost = 0;
        for number in 0..self.streams.len() {
            let stream = &self.streams[number];
            let passed_over = stream.missing.range(..stream.acked).count() as u64;
            let never_reached = stream.acked.saturating_sub(stream.read);
            if passed_over + never_reached > 0 {
                lost += passed_over + never_reached;
                self.example(|| {
                    format!("stream {number}: {passed_over} batches passed over, {never_reached} never reached")
                });
            }
        }
        Verification {
            sent,
            acked,
            read_back: self.found.read_back,
            lost: lost * records_per_batch,
            duplicate: self.found.duplicate * records_per_batch,
            out_of_order: self.found.out_of_order * records_per_batch,
            damaged: self.found.damaged * records_per_batch,
            examples: self.examples,
        }
    }
}

impl Verification {
    pub(crate) fn faults(&self) -> u64 {
        self.lost + self.duplicate + self.out_of_order + self.damaged
    }

    /// Readers beside one another.
    pub(crate) fn add(&mut self, other: Self) {
        self.read_back += other.read_back;
        self.lost += other.lost;
        self.duplicate += other.duplicate;
        self.out_of_order += other.out_of_order;
        self.damaged += other.damaged;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two streams in one partition, two records a batch, all acknowledged; `read` are stream and number in the order of the log.
    fn check(acked: &[(usize, u64)], read: &[(usize, u64)]) -> Verification {
        let mut verifier = Verifier::new(2, vec![0]);
        let place = |(at, &(stream, number)): (usize, &(usize, u64))| Place {
            stream,
            number,
            offset: at as i64 * 2,
        };
        acked
            .iter()
            .enumerate()
            .map(place)
            .for_each(|place| verifier.on_acked(place));
        for item in read.iter().enumerate() {
            verifier.on_read(0, place(item), 2);
        }
        verifier.finish(acked.len() as u64 * 2, acked.len() as u64 * 2, 2)
    }

    const SENT: &[(usize, u64)] = &[(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)];

    fn counts(verification: &Verification) -> [u64; 3] {
        [
            verification.lost,
            verification.duplicate,
            verification.out_of_order,
        ]
    }

    #[test]
    fn what_comes_back_as_it_was_is_right() {
        let right = check(SENT, SENT);
        assert_eq!((right.faults(), right.read_back), (0, 10), "{right:?}");
    }

    #[test]
    fn a_loss_is_found_at_the_end_and_in_the_middle() {
        assert_eq!(check(SENT, &SENT[..4]).lost, 2);
        let middle = check(SENT, &[(0, 0), (1, 0), (0, 2), (1, 1)]);
        assert_eq!(middle.lost, 2);
        assert_eq!(check(SENT, &[]).lost, 10);
    }

    #[test]
    fn a_duplicate_is_found() {
        let twice = check(SENT, &[(0, 0), (1, 0), (0, 1), (0, 1), (0, 2), (1, 1)]);
        assert_eq!(counts(&twice), [0, 2, 0]);
    }

    #[test]
    fn a_swap_is_found() {
        let swapped = check(SENT, &[(0, 0), (1, 0), (0, 2), (0, 1), (1, 1)]);
        assert_eq!(counts(&swapped), [0, 0, 2]);
    }

    #[test]
    fn a_gap_and_a_repetition_of_offsets_are_found() {
        for offset in [0, 4] {
            let mut verifier = Verifier::new(1, vec![0]);
            let place = |number, offset| Place {
                stream: 0,
                number,
                offset,
            };
            verifier.on_read(0, place(0, 0), 2);
            verifier.on_read(0, place(1, offset), 2);
            assert_eq!(verifier.finish(4, 4, 2).out_of_order, 2);
        }
    }

    #[test]
    fn another_offset_than_the_acknowledged_one_is_found_whoever_tells_first() {
        for ack_first in [true, false] {
            let mut verifier = Verifier::new(1, vec![0]);
            let place = |offset| Place {
                stream: 0,
                number: 0,
                offset,
            };
            if ack_first {
                verifier.on_acked(place(2));
            }
            verifier.on_read(0, place(0), 2);
            if !ack_first {
                verifier.on_acked(place(2));
            }
            assert_eq!(verifier.finish(2, 2, 2).damaged, 2);
        }
    }

    #[test]
    fn a_batch_that_was_read_and_never_acknowledged_is_no_loss() {
        assert_eq!(check(&SENT[..3], SENT).faults(), 0);
    }

    proptest! {
        #[test]
        fn any_batch_that_is_left_out_repeated_or_swapped_is_found(
            count in 2_u64..50, at in any::<prop::sample::Index>(), fault in 0_usize..3,
        ) {
            let sent: Vec<(usize, u64)> = (0..count).map(|number| (0, number)).collect();
            let mut read = sent.clone();
            let at = at.index(read.len() - 1);
            match fault {
                0 => drop(read.remove(at)),
                1 => read.insert(at, read[at]),
                _ => read.swap(at, at + 1),
            }
            let found = check(&sent, &read);
            let count = [found.lost, found.duplicate, found.out_of_order][fault];
            prop_assert_eq!(count, 2, "{:?}", found);
        }
    }
}
