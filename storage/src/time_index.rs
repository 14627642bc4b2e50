//! A segment's sparse index from timestamp to offset, in Kafka's file format: 8 bytes of timestamp, 4 of relative offset, big-endian.
//!
//! An entry names the largest timestamp so far and the last offset of the first batch that has it: up to there no timestamp is
//! larger, so that a search for one may begin with that batch.

use crate::offset::Offset;

/// Entries in the order of both their timestamps and their offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeIndex {
    base: Offset,
    entries: Vec<(i64, Offset)>,
}

impl TimeIndex {
    #[must_use]
    pub fn new(base: Offset) -> Self {
        Self {
            base,
            entries: Vec::new(),
        }
    }

    /// Up to `offset`, the last one of its batch, no timestamp is above `timestamp`. Ignored when it tells nothing new.
    pub fn maybe_append(&mut self, timestamp: i64, offset: Offset) {
        let new = match self.entries.last() {
            Some((last, at)) => *last < timestamp && *at <= offset,
            // All zeros is no entry, but what lies behind the last one.
            None => timestamp > 0 || offset > self.base,
        };
        if new {
            self.entries.push((timestamp, offset));
        }
    }

    #[must_use]
    pub fn entries(&self) -> &[(i64, Offset)] {
        &self.entries
    }

    /// Where to begin the search for the first record at or after `timestamp`: all before it are older.
    #[must_use]
    pub fn lookup(&self, timestamp: i64) -> Offset {
        let not_below = self
            .entries
            .partition_point(|(entry, _)| *entry < timestamp);
        not_below
            .checked_sub(1)
            .map_or(self.base, |index| self.entries[index].1)
    }

    /// The bytes of all entries from number `first` on.
    ///
    /// # Panics
    /// When an offset is further than 2^31 from the base, which a segment never spans.
    #[must_use]
    pub fn encode_from(&self, first: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity((self.entries.len() - first) * 12);
        for (timestamp, offset) in &self.entries[first..] {
            let relative = i32::try_from(offset.since(self.base))
                .expect("a segment spans less than 2^31 offsets");
            out.extend_from_slice(&timestamp.to_be_bytes());
            out.extend_from_slice(&relative.to_be_bytes());
        }
        out
    }

    /// Reads what [`TimeIndex::encode_from`] wrote, up to the first entry that does not grow.
    #[must_use]
    pub fn decode(base: Offset, bytes: &[u8]) -> Self {
        let mut index = Self::new(base);
        for entry in bytes.as_chunks::<12>().0 {
            let timestamp = i64::from_be_bytes(entry[..8].try_into().expect("eight bytes"));
            let relative = i32::from_be_bytes(entry[8..].try_into().expect("four bytes"));
            let before = index.entries.len();
            if relative >= 0 {
                index.maybe_append(timestamp, base.plus(i64::from(relative)));
            }
            if index.entries.len() == before {
                break;
            }
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_search_begins_below_the_first_record_it_is_for(
            batches in proptest::collection::vec((0i64..1000, any::<bool>()), 1..60),
            asked in 0i64..1100,
        ) {
            let base = Offset(10);
            let mut index = TimeIndex::new(base);
            let mut max = (-1, base);
            for (number, (timestamp, indexed)) in batches.iter().enumerate() {
                let offset = base.plus(number as i64);
                if *timestamp > max.0 {
                    max = (*timestamp, offset);
                }
                if *indexed && number > 0 {
                    index.maybe_append(max.0, max.1);
                }
            }
            let first = batches.iter().position(|(timestamp, _)| *timestamp >= asked);
            if let Some(first) = first {
                prop_assert!(index.lookup(asked) <= base.plus(first as i64));
            }
            prop_assert_eq!(TimeIndex::decode(base, &index.encode_from(0)), index);
        }
    }
}
