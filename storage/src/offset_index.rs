//! A segment's sparse index from offset to position, in Kafka's file format: 4 bytes of relative offset, 4 of position, big-endian.
//!
//! Never decides which batches get an entry, and is never trusted alone: the search begins where it points.

use crate::offset::Offset;

/// Entries in the order of their offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetIndex {
    base: Offset,
    entries: Vec<(Offset, u32)>,
}

impl OffsetIndex {
    #[must_use]
    pub fn new(base: Offset) -> Self {
        Self {
            base,
            entries: Vec::new(),
        }
    }

    /// The batch that begins at `position` has this last offset. Ignored when it is not behind the last entry.
    pub fn append(&mut self, offset: Offset, position: u32) {
        if self
            .entries
            .last()
            .is_none_or(|(last, at)| *last < offset && *at < position)
        {
            self.entries.push((offset, position));
        }
    }

    #[must_use]
    pub fn entries(&self) -> &[(Offset, u32)] {
        &self.entries
    }

    /// Where to begin the search for `offset`: the position of the last entry that is not above it, or 0. The batch there
    /// ends at or before the wanted one.
    #[must_use]
    pub fn lookup(&self, offset: Offset) -> u32 {
        self.last_not_above(offset).map_or(0, |entry| entry.1)
    }

    /// The last entry that is not above `offset`: the last offset of the batch at its position.
    #[must_use]
    pub fn last_not_above(&self, offset: Offset) -> Option<(Offset, u32)> {
        let above = self.entries.partition_point(|(entry, _)| *entry <= offset);
        above.checked_sub(1).map(|index| self.entries[index])
    }

    /// The bytes of all entries from number `first` on.
    ///
    /// # Panics
    /// When an offset is further than 2^31 from the base, which a segment never spans.
    #[must_use]
    pub fn encode_from(&self, first: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity((self.entries.len() - first) * 8);
        for (offset, position) in &self.entries[first..] {
            let relative = i32::try_from(offset.since(self.base))
                .expect("a segment spans less than 2^31 offsets");
            out.extend_from_slice(&relative.to_be_bytes());
            out.extend_from_slice(&position.to_be_bytes());
        }
        out
    }

    /// Reads what [`OffsetIndex::encode_from`] wrote, up to the first entry that does not grow: zeros behind the end, or damage.
    #[must_use]
    pub fn decode(base: Offset, bytes: &[u8]) -> Self {
        let mut index = Self::new(base);
        for entry in bytes.as_chunks::<8>().0 {
            let relative = i32::from_be_bytes(entry[..4].try_into().expect("four bytes"));
            let position = u32::from_be_bytes(entry[4..].try_into().expect("four bytes"));
            let before = index.entries.len();
            if relative >= 0 && position > 0 {
                index.append(base.plus(i64::from(relative)), position);
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
        fn lookups_find_the_last_entry_not_above(steps in proptest::collection::vec((1i64..50, 1u32..9000), 0..50), asked in 0i64..3000) {
            let base = Offset(100);
            let mut index = OffsetIndex::new(base);
            let (mut offset, mut position) = (base, 0);
            for (offsets, bytes) in steps {
                offset = offset.plus(offsets);
                position += bytes;
                index.append(offset, position);
            }
            let asked = base.plus(asked);
            let expected = index.entries().iter().rev().find(|entry| entry.0 <= asked).map_or(0, |entry| entry.1);
            prop_assert_eq!(index.lookup(asked), expected);
            let mut bytes = index.encode_from(0);
            prop_assert_eq!(OffsetIndex::decode(base, &bytes), index.clone());
            bytes.extend_from_slice(&[0; 40]);
            prop_assert_eq!(OffsetIndex::decode(base, &bytes), index);
        }

        #[test]
        fn any_bytes_make_an_index(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let index = OffsetIndex::decode(Offset(7), &bytes);
            prop_assert!(index.entries().windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        }
    }
}
