//! A topic of the image and its partitions, which copies share in chunks.
//!
//! Holds state only; what may become of it is decided by `controller`.

use std::sync::Arc;

use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::topic_partition::TopicId;

use crate::config::topic::TopicOverrides;

/// A topic: its name, its partitions and what was configured for it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: TopicId,
    pub name: Arc<str>,
    pub partitions: Partitions,
    pub overrides: Arc<TopicOverrides>,
}

/// Who holds and who leads a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The nodes that hold it; the first is preferred as leader.
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    /// `None`: no in-sync replica is alive.
    pub leader: Option<i32>,
    /// Grows with every election.
    pub leader_epoch: LeaderEpoch,
    /// Grows with every change; a change names the one it was decided on.
    pub partition_epoch: i32,
}

/// Copied as a whole when one of its partitions changes.
const CHUNK_LENGTH: usize = 128;

/// The partitions of a topic, numbered from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    chunks: Vec<Arc<Vec<PartitionState>>>,
}

impl Topic {
    #[must_use]
    pub fn partition(&self, partition: i32) -> Option<&PartitionState> {
        self.partitions.get(partition)
    }

    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// How many replicas the first partition has, which is what tools show of a topic.
    #[must_use]
    pub fn replication_factor(&self) -> usize {
        self.partition(0).map_or(0, |state| state.replicas.len())
    }
}

impl PartitionState {
    /// A partition as it is when its topic is created: the first in-sync replica leads.
    #[must_use]
    pub fn new(replicas: Vec<i32>, isr: Vec<i32>) -> Self {
        Self {
            leader: isr.first().copied(),
            replicas,
            isr,
            leader_epoch: LeaderEpoch::ZERO,
            partition_epoch: 0,
        }
    }
}

impl Partitions {
    #[must_use]
    pub fn len(&self) -> usize {
        let last = self.chunks.last().map_or(0, |chunk| chunk.len());
        self.chunks.len().saturating_sub(1) * CHUNK_LENGTH + last
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    #[must_use]
    pub fn get(&self, partition: i32) -> Option<&PartitionState> {
        let index = usize::try_from(partition).ok()?;
        self.chunks
            .get(index / CHUNK_LENGTH)?
            .get(index % CHUNK_LENGTH)
    }

    /// The partitions and their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &PartitionState)> {
        (0..).zip(self.chunks.iter().flat_map(|chunk| chunk.iter()))
    }

    pub(super) fn push(&mut self, state: PartitionState) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_LENGTH => Arc::make_mut(chunk).push(state),
            _ => self.chunks.push(Arc::new(vec![state])),
        }
    }

    pub(super) fn get_mut(&mut self, partition: i32) -> Option<&mut PartitionState> {
        let index = usize::try_from(partition).ok()?;
        self.get(partition)?;
        Arc::make_mut(self.chunks.get_mut(index / CHUNK_LENGTH)?).get_mut(index % CHUNK_LENGTH)
    }

    /// The numbers of those partitions that `older` has in another state; new ones are not among them.
    pub(super) fn changed_since(&self, older: &Self) -> Vec<i32> {
        let chunks = (0..)
            .step_by(CHUNK_LENGTH)
            .zip(&self.chunks)
            .zip(&older.chunks);
        chunks
            .filter(|((_, new), old)| !Arc::ptr_eq(new, old))
            .flat_map(|((first, new), old)| {
                let pairs = (first..).zip(new.iter().zip(old.iter()));
                pairs.filter(|(_, (new, old))| new != old)
            })
            .map(|(partition, _)| partition)
            .collect()
    }
}

impl FromIterator<PartitionState> for Partitions {
    fn from_iter<I: IntoIterator<Item = PartitionState>>(states: I) -> Self {
        let mut partitions = Self::default();
        for state in states {
            partitions.push(state);
        }
        partitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(count: i32) -> Partitions {
        (0..count)
            .map(|number| PartitionState::new(vec![number], vec![number]))
            .collect()
    }

    #[test]
    fn partitions_are_numbered_across_chunks() {
        for count in [0, 1, 127, 128, 129, 300] {
            let partitions = partitions(count);
            assert_eq!(partitions.len(), usize::try_from(count).unwrap());
            assert!(partitions.iter().all(|(n, state)| state.leader == Some(n)));
            assert!(partitions.get(count).is_none() && partitions.get(-1).is_none());
            assert!((0..count).all(|n| partitions.get(n).unwrap().leader == Some(n)));
        }
    }

    #[test]
    fn a_change_copies_one_chunk_and_is_found() {
        let older = partitions(300);
        let mut newer = older.clone();
        newer.get_mut(129).unwrap().leader = None;
        newer.push(PartitionState::new(vec![], vec![]));
        assert_eq!(newer.changed_since(&older), [129]);
        let shared = newer.chunks.iter().zip(&older.chunks);
        assert_eq!(shared.filter(|(a, b)| Arc::ptr_eq(a, b)).count(), 1);
        assert_eq!(older.get(129).unwrap().leader, Some(129));
    }
}
