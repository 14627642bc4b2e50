//! The ids by which clients name brokers. A node is one broker, or under core routing one for each of its shards; the shard that owns
//! a partition is then shown as its replica.
//!
//! Knows the shards of this node alone: every other id is a node's own. Never says which ids there are: the image does.

use rinka_storage::topic_partition::TopicPartition;

use crate::shard::shard_map::ShardMap;

/// What Metadata makes of a node, and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownBrokers {
    node: i32,
    /// By shard; all the same without core routing.
    ids: Vec<i32>,
}

impl ShownBrokers {
    /// `ids` has one for each shard of the node.
    ///
    /// # Panics
    /// With no shard.
    #[must_use]
    pub fn new(node: i32, ids: Vec<i32>) -> Self {
        assert!(!ids.is_empty(), "a node has at least one shard");
        Self { node, ids }
    }

    /// The node behind an id.
    #[must_use]
    pub fn node_of(&self, id: i32) -> i32 {
        if self.ids.contains(&id) {
            self.node
        } else {
            id
        }
    }

    /// The id by which clients know the replica of the partition on that node.
    #[must_use]
    pub fn id_of(&self, node: i32, partition: TopicPartition) -> i32 {
        if node == self.node {
            self.ids[ShardMap::new(self.ids.len()).owner(partition)]
        } else {
            node
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rinka_storage::topic_partition::TopicId;
    use uuid::Uuid;

    use super::*;

    /// Node 1 without core routing.
    pub(in crate::controller) fn one_broker() -> ShownBrokers {
        ShownBrokers::new(1, vec![1, 1])
    }

    /// Node 1 with two shards under core routing.
    pub(in crate::controller) fn two_shards() -> ShownBrokers {
        ShownBrokers::new(1, vec![1, 10_001])
    }

    #[test]
    fn a_shard_is_its_node_and_a_replica_is_the_shard_that_owns_it() {
        let partition = |partition| TopicPartition {
            topic_id: TopicId(Uuid::from_u128(7)),
            partition,
        };
        let brokers = two_shards();
        assert_eq!([1, 10_001, 2].map(|id| brokers.node_of(id)), [1, 1, 2]);
        assert_eq!(
            [0, 1].map(|it| brokers.id_of(1, partition(it))),
            [10_001, 1]
        );
        assert_eq!(brokers.id_of(2, partition(0)), 2);
        let brokers = one_broker();
        assert_eq!([1, 10_001].map(|id| brokers.node_of(id)), [1, 10_001]);
        assert_eq!(brokers.id_of(1, partition(0)), 1);
    }
}
