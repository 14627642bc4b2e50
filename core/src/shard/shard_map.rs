//! Which shard owns a partition. A pure function of the partition and the number of shards.
//!
//! Never remembers anything: a data directory opens with any number of shards.

use rinka_storage::topic_partition::{TopicId, TopicPartition};

/// The partition that holds the metadata log, under the id Kafka gives it.
pub(crate) const METADATA: TopicPartition = TopicPartition {
    topic_id: TopicId(uuid::Uuid::from_u128(1)),
    partition: 0,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardMap {
    shards: usize,
}

impl ShardMap {
    /// # Panics
    /// With no shard.
    #[must_use]
    pub(crate) fn new(shards: usize) -> Self {
        assert!(shards > 0, "a broker has at least one shard");
        Self { shards }
    }

    /// The shard's number. Partitions of one topic go round the shards, beginning at one that depends on the topic, so
    /// that many topics of one partition spread too. The metadata log is always on shard 0.
    #[must_use]
    pub(crate) fn owner(self, name: TopicPartition) -> usize {
        if name == METADATA {
            return 0;
        }
        let partition = usize::try_from(name.partition).expect("partitions are numbered from 0");
        // The id's remainder, by halves: a fetch of a thousand partitions asks a thousand times.
        let shards = self.shards as u64;
        let (high, low) = name.topic_id.0.as_u64_pair();
        let first = (high % shards * (u64::MAX % shards + 1) + low % shards) % shards;
        (usize::try_from(first).expect("below the number of shards") + partition) % self.shards
    }

    /// What belongs to each shard, in the order it comes.
    pub(crate) fn by_owner<T>(
        self,
        all: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> TopicPartition,
    ) -> Vec<Vec<T>> {
        let mut of_shards: Vec<Vec<T>> = (0..self.shards).map(|_| Vec::new()).collect();
        for one in all {
            of_shards[self.owner(name(&one))].push(one);
        }
        of_shards
    }

    #[must_use]
    pub(crate) fn shards(self) -> usize {
        self.shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_begins_at_the_remainder_of_its_id() {
        for shards in [1, 2, 3, 5, 7, 64, 127] {
            for id in [
                0,
                2,
                77,
                u64::MAX.into(),
                u128::MAX,
                0x1234_5678_9abc_def0_0fed_cba9_8765_4321,
            ] {
                let name = TopicPartition {
                    topic_id: TopicId(uuid::Uuid::from_u128(id)),
                    partition: 0,
                };
                let plain = usize::try_from(id % shards as u128).expect("small");
                assert_eq!(ShardMap::new(shards).owner(name), plain, "{id} of {shards}");
            }
        }
    }

    #[test]
    fn partitions_of_a_topic_spread_evenly() {
        let map = ShardMap::new(4);
        let mut counts = [0; 4];
        for partition in 0..400 {
            counts[map.owner(TopicPartition {
                topic_id: TopicId(uuid::Uuid::from_u128(77)),
                partition,
            })] += 1;
        }
        assert_eq!(counts, [100; 4]);
        assert_eq!(ShardMap::new(3).owner(METADATA), 0);
    }
}
