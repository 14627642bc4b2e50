//! What a coordinator counts since it was made, and what there is in it, for metrics.
//!
//! Only tells; nothing is ever decided by a count.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Coordinator, Group};

/// Since the coordinator was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Offsets in commits that were taken, one counted as often as it was committed.
    pub offset_commits: u64,
    /// Offsets that went because their retention was over.
    pub offsets_expired: u64,
    /// Offsets that went with DeleteGroups and OffsetDelete.
    pub offsets_deleted: u64,
    /// Generations of classic groups whose assignment was committed.
    pub classic_rebalances: u64,
    /// Epochs of consumer groups.
    pub consumer_rebalances: u64,
    /// Members that were silent for too long, or did not give up in time what they had to.
    pub members_fenced: u64,
}

impl Counters {
    pub fn add(&mut self, other: &Self) {
        self.offset_commits += other.offset_commits;
        self.offsets_expired += other.offsets_expired;
        self.offsets_deleted += other.offsets_deleted;
        self.classic_rebalances += other.classic_rebalances;
        self.consumer_rebalances += other.consumer_rebalances;
        self.members_fenced += other.members_fenced;
    }
}

/// Groups of one protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// By the names that ListGroups has for states.
    pub states: BTreeMap<&'static str, u64>,
    pub members: u64,
}

impl Census {
    fn count(&mut self, state: &'static str, members: usize) {
        *self.states.entry(state).or_default() += 1;
        self.members += members as u64;
    }

    pub fn add(&mut self, other: &Self) {
        for (state, count) in &other.states {
            *self.states.entry(state).or_default() += count;
        }
        self.members += other.members;
    }
}

/// An offset that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedPosition {
    pub group: Arc<str>,
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

impl<T> Coordinator<T> {
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters
    }

    /// The groups there are: classic ones, and those of the newer protocol.
    #[must_use]
    pub fn census(&self) -> (Census, Census) {
        let (mut classic, mut consumer) = (Census::default(), Census::default());
        for group in self.groups.values() {
            match group {
                Group::Classic(group) => classic.count(group.state().name(), group.member_count()),
                Group::Consumer(group) => {
                    let members = group.group.members().len();
                    consumer.count(group.group.state().name(), members);
                }
            }
        }
        (classic, consumer)
    }

    /// How many offsets there are, those that are under way included.
    #[must_use]
    pub fn offset_count(&self) -> usize {
        self.offsets.count()
    }

    /// All that is committed, in the order of groups, topics and partitions.
    pub fn committed_positions(&self) -> impl Iterator<Item = CommittedPosition> {
        let groups = self.groups.keys();
        groups.flat_map(|group| {
            let committed = self.offsets.all_committed(group);
            committed.map(|(topic, partition, committed)| CommittedPosition {
                group: group.clone(),
                topic: topic.clone(),
                partition,
                offset: committed.offset,
            })
        })
    }
}
