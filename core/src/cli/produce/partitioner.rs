//! Which partition a record goes to: by its key as Kafka's default partitioner has it, or one for a whole batch (KIP-480).
//!
//! Draws no random numbers: where the first batch goes is decided by the seed.

/// The partitions of a topic.
#[derive(Clone, Debug)]
pub(super) struct Partitioner {
    partitions: Vec<i32>,
    /// Where records without a key go at the moment.
    sticky: usize,
}

impl Partitioner {
    /// Nothing without partitions.
    pub(super) fn new(partitions: Vec<i32>, seed: u64) -> Option<Self> {
        let count = u64::try_from(partitions.len()).ok()?;
        let sticky = usize::try_from(seed.checked_rem(count)?).ok()?;
        Some(Self { partitions, sticky })
    }

    pub(super) fn has(&self, partition: i32) -> bool {
        self.partitions.contains(&partition)
    }

    pub(super) fn count(&self) -> usize {
        self.partitions.len()
    }

    pub(super) fn partition(&self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => self.partitions[for_key(key, self.partitions.len())],
            None => self.partitions[self.sticky],
        }
    }

    /// A batch of this partition is full: records without a key go elsewhere from now on.
    pub(super) fn on_batch(&mut self, partition: i32) {
        if self.partitions[self.sticky] == partition {
            self.sticky = (self.sticky + 1) % self.partitions.len();
        }
    }
}

/// The place among `count` partitions, as `BuiltInPartitioner.partitionForKey` has it: the sign is cut off.
fn for_key(key: &[u8], count: usize) -> usize {
    let positive = murmur2(key) & 0x7FFF_FFFF;
    positive as usize % count
}

/// The hash of Kafka's `Utils.murmur2`.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_B28C;
    const MULTIPLIER: u32 = 0x5BD1_E995;
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ word.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn the_hash_is_kafkas() {
        for (key, expected) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    #[test]
    fn keys_stay_with_their_partition_and_others_with_their_batch() {
        let mut partitioner = Partitioner::new(vec![0, 1, 2, 3], 6).expect("partitions");
        // 479,470,107 mod 4
        assert_eq!(partitioner.partition(Some(b"abc")), 3);
        assert_eq!(partitioner.partition(None), 2);
        partitioner.on_batch(1);
        assert_eq!(partitioner.partition(None), 2);
        partitioner.on_batch(2);
        partitioner.on_batch(3);
        assert_eq!(partitioner.partition(None), 0);
        assert_eq!(partitioner.partition(Some(b"abc")), 3);
        assert!(Partitioner::new(Vec::new(), 1).is_none());
    }
}
