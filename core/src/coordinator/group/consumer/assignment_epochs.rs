//! Since which epoch a member has each of its partitions (KIP-1251), by which a commit that comes with an older epoch of the member is
//! told from one that was made before the partition was somebody else's.
//!
//! Copies share what they hold. Never says that a member has a partition: that is its assignment's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use rinka_storage::topic_partition::TopicPartition;

/// By partition, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignmentEpochs {
    epochs: Arc<[(TopicPartition, i32)]>,
}

impl AssignmentEpochs {
    /// `None`: the member does not have the partition.
    #[must_use]
    pub fn of(&self, partition: TopicPartition) -> Option<i32> {
        let epochs = &self.epochs;
        let at = epochs.binary_search_by_key(&partition, |(known, _)| *known);
        at.ok().map(|at| epochs[at].1)
    }
}

/// Of two epochs of one partition the last counts.
impl FromIterator<(TopicPartition, i32)> for AssignmentEpochs {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, i32)>>(epochs: I) -> Self {
        let epochs: BTreeMap<TopicPartition, i32> = epochs.into_iter().collect();
        Self {
            epochs: epochs.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rinka_storage::topic_partition::TopicId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_partition_has_its_own_epoch_and_others_have_none() {
        let partition = |topic: u128, partition| TopicPartition {
            topic_id: TopicId(Uuid::from_u128(topic)),
            partition,
        };
        let epochs = [(2, 0, 5), (1, 7, 3), (2, 0, 6)];
        let epochs: AssignmentEpochs = epochs
            .map(|(topic, number, epoch)| (partition(topic, number), epoch))
            .into_iter()
            .collect();
        assert_eq!(epochs.of(partition(1, 7)), Some(3));
        assert_eq!(epochs.of(partition(2, 0)), Some(6));
        assert_eq!(epochs.of(partition(2, 7)), None);
    }
}
