//! The newest offset of each key, in memory of a fixed size: Kafka's `SkimpyOffsetMap`. It keeps 128 bits of a hash instead of the key.
//!
//! Never forgets and never grows; who fills it asks first whether there is room.

use super::sip_hash::{SipKey, sip_hash};
use crate::offset::Offset;

/// A slot: two words of the hash, and the offset plus one, which is 0 where nothing is.
const WORDS: usize = 3;
const SLOT_BYTES: usize = WORDS * 8;

/// Slots that may be taken of each hundred: beyond, a search passes many others. Kafka's `log.cleaner.io.buffer.load.factor`.
const LOAD_PERCENT: usize = 90;

/// The least memory a map is of use with: some forty keys.
pub const KEY_MAP_BYTES_MIN: usize = 1024;

/// Hashes of keys and their newest offsets.
#[derive(Clone, Debug)]
pub struct KeyMap {
    key: SipKey,
    words: Vec<u64>,
    taken: usize,
}

impl KeyMap {
    /// A map of at most `bytes_max` bytes, and no more than `keys_max` keys need. `seed` should be a new one each time.
    #[must_use]
    pub fn new(bytes_max: usize, keys_max: usize, seed: [u64; 2]) -> Self {
        let wanted = keys_max.saturating_mul(100) / LOAD_PERCENT + 2;
        let slots = wanted.min(bytes_max.max(KEY_MAP_BYTES_MIN) / SLOT_BYTES);
        Self {
            key: seed,
            // Zeros from the kernel: pages that are never used cost nothing.
            words: vec![0; slots * WORDS],
            taken: 0,
        }
    }

    fn slots(&self) -> usize {
        self.words.len() / WORDS
    }

    fn capacity(&self) -> usize {
        self.slots() * LOAD_PERCENT / 100
    }

    /// Whether so many keys more surely find room.
    #[must_use]
    pub fn has_room_for(&self, keys: usize) -> bool {
        self.taken.saturating_add(keys) <= self.capacity()
    }

    /// Nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// How much of it is taken, 0 to 1.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        self.taken as f64 / self.slots() as f64
    }

    /// The first word of the slot that the hash is in, or would be.
    fn find(&self, hash: [u64; 2]) -> usize {
        let slots = self.slots() as u64;
        let mut slot = usize::try_from(hash[0] % slots).expect("below the number of slots");
        loop {
            let at = slot * WORDS;
            let found = &self.words[at..at + WORDS];
            if found[2] == 0 || found[..2] == hash {
                return at;
            }
            slot = (slot + 1) % self.slots();
        }
    }

    /// A record with this key is at `offset`.
    ///
    /// # Panics
    /// When there was no room, see [`KeyMap::has_room_for`].
    pub fn put(&mut self, key: &[u8], offset: Offset) {
        let hash = sip_hash(self.key, key);
        let at = self.find(hash);
        if self.words[at + 2] == 0 {
            assert!(self.has_room_for(1), "somebody asked for room");
            self.taken += 1;
            self.words[at..at + 2].copy_from_slice(&hash);
        }
        let offset = u64::try_from(offset.0).expect("offsets are not negative") + 1;
        self.words[at + 2] = self.words[at + 2].max(offset);
    }

    /// The newest offset of the key, if it was put.
    #[must_use]
    pub fn newest(&self, key: &[u8]) -> Option<Offset> {
        let at = self.find(sip_hash(self.key, key));
        let offset = i64::try_from(self.words[at + 2]).expect("it was an offset");
        (offset > 0).then(|| Offset(offset - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_knows_what_a_map_of_keys_knows(
            puts in proptest::collection::vec(proptest::collection::vec(0u8..4, 0..4), 0..200),
            seed: [u64; 2],
        ) {
            let mut map = KeyMap::new(usize::MAX, puts.len(), seed);
            let mut model = HashMap::new();
            for (number, key) in puts.iter().enumerate() {
                prop_assert!(map.has_room_for(1));
                let offset = Offset(number as i64);
                map.put(key, offset);
                model.insert(key.clone(), offset);
            }
            for (key, offset) in &model {
                prop_assert_eq!(map.newest(key), Some(*offset));
            }
            prop_assert_eq!(map.newest(b"another"), None);
            prop_assert_eq!(map.is_empty(), puts.is_empty());
        }

        #[test]
        fn it_is_full_before_its_memory_is(bytes in 0usize..20_000) {
            let mut map = KeyMap::new(bytes, usize::MAX, [1, 2]);
            let mut count = 0i64;
            while map.has_room_for(1) {
                map.put(&count.to_be_bytes(), Offset(count));
                count += 1;
            }
            prop_assert!(map.utilization() < 1.0 && count > 30, "{} keys", count);
            prop_assert!(map.words.len() * 8 <= bytes.max(KEY_MAP_BYTES_MIN));
            for number in 0..count {
                prop_assert_eq!(map.newest(&number.to_be_bytes()), Some(Offset(number)));
            }
        }
    }
}
