//! The in-sync set: which replicas an acknowledgement stands on, and how far each has flushed.
//!
//! Keeps the books; who enters and who leaves is decided by the controller.

use std::collections::BTreeMap;

use rinka_storage::offset::Offset;

/// A broker's `node.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub i32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    /// Committed by the controller.
    InSync,
    /// Asked for but not committed: it may have been already, so it counts (KIP-497).
    Joining,
    /// A replica that an acknowledgement does not wait for.
    OutOfSync,
}

/// The replicas of a partition with their flushed ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InSyncSet {
    replicas: BTreeMap<BrokerId, (Membership, Offset)>,
}

impl InSyncSet {
    /// A set whose only replica has flushed everything below `flushed_end`.
    #[must_use]
    pub fn single(broker: BrokerId, flushed_end: Offset) -> Self {
        Self {
            replicas: BTreeMap::from([(broker, (Membership::InSync, flushed_end))]),
        }
    }

    /// Adds replicas that are in sync as the controller committed it; what they have flushed is not known yet.
    pub fn set_committed(&mut self, replicas: &[BrokerId], in_sync: &[BrokerId]) {
        let known = std::mem::take(&mut self.replicas);
        for broker in replicas {
            let flushed = known
                .get(broker)
                .map_or(Offset::ZERO, |(_, flushed)| *flushed);
            let membership = if in_sync.contains(broker) {
                Membership::InSync
            } else {
                Membership::OutOfSync
            };
            self.replicas.insert(*broker, (membership, flushed));
        }
    }

    /// The leader has asked the controller to add the replica.
    pub fn set_joining(&mut self, broker: BrokerId) {
        if let Some((membership @ Membership::OutOfSync, _)) = self.replicas.get_mut(&broker) {
            *membership = Membership::Joining;
        }
    }

    /// What the other replicas have flushed is not known any more.
    pub(super) fn forget_flushed(&mut self, but: BrokerId) {
        for (broker, (_, flushed)) in &mut self.replicas {
            if *broker != but {
                *flushed = Offset::ZERO;
            }
        }
    }

    /// The replica starts over with everything below `end` flushed, which may be less than before: it may have lost its disk.
    pub(super) fn on_attached(&mut self, broker: BrokerId, end: Offset) {
        if let Some((_, flushed)) = self.replicas.get_mut(&broker) {
            *flushed = end;
        }
    }

    /// The replica has flushed everything below `end`. Ends do not go back while it stays attached.
    pub fn on_flushed(&mut self, broker: BrokerId, end: Offset) {
        if let Some((_, flushed)) = self.replicas.get_mut(&broker) {
            *flushed = end.max(*flushed);
        }
    }

    /// What `broker` has flushed.
    #[must_use]
    pub fn flushed_end(&self, broker: BrokerId) -> Option<Offset> {
        self.replicas.get(&broker).map(|(_, flushed)| *flushed)
    }

    /// The smallest flushed end of those that count: in sync, or on the way to it.
    #[must_use]
    pub fn smallest_flushed_end(&self) -> Offset {
        self.replicas
            .values()
            .filter(|(membership, _)| *membership != Membership::OutOfSync)
            .map(|(_, flushed)| *flushed)
            .min()
            .expect("the leader is always in its in-sync set")
    }

    /// How many replicas are in sync for certain.
    #[must_use]
    pub fn in_sync(&self) -> usize {
        self.replicas
            .values()
            .filter(|(membership, _)| *membership == Membership::InSync)
            .count()
    }

    /// Whether the replica is in sync for certain.
    #[must_use]
    pub fn contains(&self, broker: BrokerId) -> bool {
        matches!(self.replicas.get(&broker), Some((Membership::InSync, _)))
    }
}
