//! The assignors of the broker: who is to have which partition (KIP-848).
//!
//! The same input gives the same output. They balance first and then move as little as balance allows; racks are not looked at, as
//! in Kafka 4.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rinka_storage::topic_partition::{TopicId, TopicPartition};

use super::assignment::Assignment;

mod range;
mod uniform;

#[cfg(test)]
mod tests;

/// An assignor that a member can ask for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// Every member gets the same number of partitions, give or take one.
    Uniform,
    /// Every topic is divided by itself, so that members get the same partitions of topics that have the same number of them.
    Range,
}

impl Assignor {
    /// The first one is the default of `group.consumer.assignors`.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// What members and configurations call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// Gives every partition of every topic that somebody subscribes to to exactly one of those who do. Members without any are in
    /// the result as well.
    #[must_use]
    pub fn assign(self, group: &GroupSpec) -> BTreeMap<Arc<str>, Assignment> {
        let table = Table::new(group);
        match self {
            Self::Uniform => uniform::assign(table),
            Self::Range => range::assign(table),
        }
        .into_assignments()
    }
}

/// What an assignor is told.
#[derive(Clone, Debug, Default)]
pub struct GroupSpec {
    pub members: BTreeMap<Arc<str>, MemberSpec>,
    /// How many partitions the topics have; a topic that is not here does not exist.
    pub partition_counts: BTreeMap<TopicId, i32>,
}

#[derive(Clone, Debug, Default)]
pub struct MemberSpec {
    pub instance_id: Option<Arc<str>>,
    pub subscribed: Arc<BTreeSet<TopicId>>,
    /// What the member was to have until now.
    pub assigned: Assignment,
}

/// Nobody has the partition.
const NOBODY: u32 = u32::MAX;

/// The group with numbers for names: members and topics in order, and an owner for each partition.
struct Table {
    members: Vec<Arc<str>>,
    /// How many partitions each member has.
    counts: Vec<u32>,
    topics: Vec<TopicRow>,
    /// Whether all members subscribe to the same topics.
    homogeneous: bool,
}

struct TopicRow {
    id: TopicId,
    /// Whoever subscribes to it, in order.
    subscribers: Vec<u32>,
    /// A member, or [`NOBODY`], for each partition.
    owners: Vec<u32>,
}

impl Table {
    /// With the owners of until now, as far as they still subscribe and the partition still is. Should two have claimed one
    /// partition, the first keeps it.
    fn new(group: &GroupSpec) -> Self {
        // Static members keep their place in the order when they come back with another id.
        let mut order: Vec<(&Arc<str>, &MemberSpec)> = group.members.iter().collect();
        order.sort_by_key(|(id, member)| (member.instance_id.is_none(), &member.instance_id, *id));

        let mut rows: BTreeMap<TopicId, TopicRow> = BTreeMap::new();
        for (member, (_, spec)) in (0..).zip(&order) {
            for &id in spec.subscribed.iter() {
                let Some(&count) = group.partition_counts.get(&id) else {
                    continue;
                };
                let row = rows.entry(id).or_insert_with(|| TopicRow {
                    id,
                    subscribers: Vec::new(),
                    owners: vec![NOBODY; usize::try_from(count).unwrap_or(0)],
                });
                row.subscribers.push(member);
            }
        }
        let mut counts = vec![0; order.len()];
        for (member, (_, spec)) in (0..).zip(&order) {
            for (id, partitions) in spec.assigned.topics() {
                let Some(row) = rows.get_mut(&id) else {
                    continue;
                };
                if row.subscribers.binary_search(&member).is_err() {
                    continue;
                }
                for &partition in partitions {
                    let owner = usize::try_from(partition)
                        .ok()
                        .and_then(|partition| row.owners.get_mut(partition));
                    if let Some(owner @ &mut NOBODY) = owner {
                        *owner = member;
                        counts[member as usize] += 1;
                    }
                }
            }
        }
        let homogeneous = rows
            .values()
            .all(|row| row.subscribers.len() == order.len());
        Self {
            members: order.iter().map(|(id, _)| Arc::clone(id)).collect(),
            counts,
            topics: rows.into_values().collect(),
            homogeneous,
        }
    }

    /// Gives the partition to `member`, whoever had it.
    fn give(&mut self, topic: usize, partition: usize, member: u32) {
        self.take(topic, partition);
        self.topics[topic].owners[partition] = member;
        self.counts[member as usize] += 1;
    }

    fn take(&mut self, topic: usize, partition: usize) {
        let owner = std::mem::replace(&mut self.topics[topic].owners[partition], NOBODY);
        if owner != NOBODY {
            self.counts[owner as usize] -= 1;
        }
    }

    fn count(&self, member: u32) -> u32 {
        self.counts[member as usize]
    }

    fn into_assignments(self) -> BTreeMap<Arc<str>, Assignment> {
        let mut partitions: Vec<Vec<TopicPartition>> = vec![Vec::new(); self.members.len()];
        for row in &self.topics {
            for (partition, &owner) in (0..).zip(&row.owners) {
                if owner != NOBODY {
                    partitions[owner as usize].push(TopicPartition {
                        topic_id: row.id,
                        partition,
                    });
                }
            }
        }
        self.members
            .into_iter()
            .zip(partitions)
            .map(|(member, partitions)| (member, partitions.into_iter().collect()))
            .collect()
    }
}
