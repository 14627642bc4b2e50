//! A set of partitions, ordered by topic id and number, of which copies share what they have not changed.
//!
//! Never holds a topic without partitions, so that equal sets are equal values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rinka_storage::topic_partition::{TopicId, TopicPartition};

/// Partitions that somebody has, or is to have.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    topics: Arc<BTreeMap<TopicId, BTreeSet<i32>>>,
}

impl Assignment {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// How many partitions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.topics.values().map(BTreeSet::len).sum()
    }

    #[must_use]
    pub fn contains(&self, partition: TopicPartition) -> bool {
        self.topic(partition.topic_id)
            .is_some_and(|partitions| partitions.contains(&partition.partition))
    }

    /// The partitions of one topic; `None` when it has none of them.
    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&BTreeSet<i32>> {
        self.topics.get(&id)
    }

    /// The topics in order, each with its partitions in order.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (TopicId, &BTreeSet<i32>)> {
        self.topics.iter().map(|(id, partitions)| (*id, partitions))
    }

    /// Every partition in order.
    pub fn partitions(&self) -> impl Iterator<Item = TopicPartition> {
        self.topics().flat_map(|(topic_id, partitions)| {
            partitions.iter().map(move |&partition| TopicPartition {
                topic_id,
                partition,
            })
        })
    }

    /// Whether all of its partitions are in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.topics().all(|(id, partitions)| {
            other
                .topic(id)
                .is_some_and(|others| partitions.is_subset(others))
        })
    }

    /// Whether some partition is in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.topics().any(|(id, partitions)| {
            other
                .topic(id)
                .is_some_and(|others| !partitions.is_disjoint(others))
        })
    }

    /// False when it was there.
    pub fn insert(&mut self, partition: TopicPartition) -> bool {
        Arc::make_mut(&mut self.topics)
            .entry(partition.topic_id)
            .or_default()
            .insert(partition.partition)
    }

    /// False when it was not there.
    pub fn remove(&mut self, partition: TopicPartition) -> bool {
        // Looked up first: what is not there must not copy the whole.
        if !self.contains(partition) {
            return false;
        }
        let topics = Arc::make_mut(&mut self.topics);
        if let Some(partitions) = topics.get_mut(&partition.topic_id) {
            partitions.remove(&partition.partition);
            if partitions.is_empty() {
                topics.remove(&partition.topic_id);
            }
        }
        true
    }
}

impl FromIterator<TopicPartition> for Assignment {
    fn from_iter<I: IntoIterator<Item = TopicPartition>>(partitions: I) -> Self {
        let mut topics: BTreeMap<TopicId, BTreeSet<i32>> = BTreeMap::new();
        for TopicPartition {
            topic_id,
            partition,
        } in partitions
        {
            topics.entry(topic_id).or_default().insert(partition);
        }
        Self {
            topics: Arc::new(topics),
        }
    }
}

impl fmt::Debug for Assignment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.partitions().map(|partition| partition.to_string()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn partition(topic: u128, partition: i32) -> TopicPartition {
        TopicPartition {
            topic_id: TopicId(Uuid::from_u128(topic)),
            partition,
        }
    }

    #[test]
    fn equal_sets_are_equal_however_they_came_about() {
        let mut one: Assignment = [partition(1, 0), partition(2, 3)].into_iter().collect();
        let whole = one.clone();
        assert!(one.insert(partition(3, 0)) && !one.insert(partition(3, 0)));
        assert!(one.remove(partition(3, 0)) && !one.remove(partition(3, 0)));
        assert_eq!(one, whole);
        assert_eq!(whole.len(), 2);
    }

    #[test]
    fn subsets_and_overlaps() {
        let all: Assignment = [partition(1, 0), partition(1, 1), partition(2, 0)]
            .into_iter()
            .collect();
        let some: Assignment = [partition(1, 1)].into_iter().collect();
        let other: Assignment = [partition(1, 2)].into_iter().collect();
        assert!(some.is_subset(&all) && !all.is_subset(&some));
        assert!(Assignment::default().is_subset(&some));
        assert!(some.intersects(&all) && !other.intersects(&all));
        assert!(!Assignment::default().intersects(&all));
    }
}
