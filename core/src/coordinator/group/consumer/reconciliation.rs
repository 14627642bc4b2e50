//! How a member gets from what it has to what it is to have: it gives up first, then moves to the newest epoch, then gets what others have
//! given up (KIP-848; Kafka's CurrentAssignmentBuilder).
//!
//! One step for each heartbeat. Never gives a partition to a member while another one may still have it.

use std::collections::BTreeSet;

use rinka_storage::topic_partition::{TopicId, TopicPartition};

use super::assignment::Assignment;
use super::member::{CurrentAssignment, MemberState};
use super::planted::{Planted, planted};

/// What a step depends on.
pub(super) struct Reconciliation<'a> {
    pub(super) current: &'a CurrentAssignment,
    pub(super) target_epoch: i32,
    pub(super) target: &'a Assignment,
    /// The member changed its subscription with this request: what it no longer subscribes to goes at once.
    pub(super) subscription_changed: bool,
    pub(super) subscribed: &'a BTreeSet<TopicId>,
    /// What the member says it has. `None`: as before, which proves nothing.
    pub(super) owned: Option<&'a Assignment>,
    /// Whether another member has the partition or has yet to give it up.
    pub(super) is_owned_by_another: &'a dyn Fn(TopicPartition) -> bool,
}

/// The member's state is of a later release: it must give up everything and join again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownState;

impl Reconciliation<'_> {
    /// Where the member stands now; as before when there is nothing to do.
    pub(super) fn step(&self) -> Result<CurrentAssignment, UnknownState> {
        // Nothing is given but at the target's epoch.
        Ok(self.next()?.following(self.current, self.target_epoch))
    }

    fn next(&self) -> Result<CurrentAssignment, UnknownState> {
        let current = self.current;
        match current.state {
            MemberState::Stable if current.epoch != self.target_epoch => {
                Ok(self.advance(current.epoch))
            }
            MemberState::Stable if self.subscription_changed => Ok(self.drop_unsubscribed()),
            MemberState::Stable => Ok(current.clone()),
            MemberState::UnrevokedPartitions if self.still_has(&current.pending_revocation) => {
                Ok(if self.subscription_changed {
                    self.drop_unsubscribed()
                } else {
                    current.clone()
                })
            }
            // It has given up what it had to. A change of subscription alone makes no newer target, and no newer epoch then.
            MemberState::UnrevokedPartitions => {
                Ok(self.advance(self.target_epoch.min(current.epoch.saturating_add(1))))
            }
            MemberState::UnreleasedPartitions => Ok(self.advance(current.epoch)),
            MemberState::Unknown if self.owned.is_some_and(Assignment::is_empty) => {
                Ok(self.advance(self.target_epoch))
            }
            MemberState::Unknown => Err(UnknownState),
        }
    }

    /// Whether the member may still have one of these.
    fn still_has(&self, revoked: &Assignment) -> bool {
        if planted(Planted::SilenceIsRevocation) && self.owned.is_none() {
            return false;
        }
        self.owned.is_none_or(|owned| owned.intersects(revoked))
    }

    /// Takes away what is not subscribed to any more, and nothing else.
    fn drop_unsubscribed(&self) -> CurrentAssignment {
        let mut next = self.current.clone();
        for partition in self.current.assigned.partitions() {
            if !self.subscribed.contains(&partition.topic_id) {
                next.assigned.remove(partition);
                next.pending_revocation.insert(partition);
            }
        }
        if next.assigned == self.current.assigned {
            return next;
        }
        if self.still_has(&next.pending_revocation) {
            next.state = MemberState::UnrevokedPartitions;
        } else {
            next.pending_revocation = self.current.pending_revocation.clone();
        }
        next
    }

    /// Towards the target. `epoch` is the member's own while it has to give up something; otherwise it goes to the target's.
    fn advance(&self, epoch: i32) -> CurrentAssignment {
        let current = self.current;
        let targets = |partition: TopicPartition| {
            self.subscribed.contains(&partition.topic_id) && self.target.contains(partition)
        };
        let (kept, revoked): (Vec<_>, Vec<_>) =
            current.assigned.partitions().partition(|&p| targets(p));
        let mut assigned: Assignment = kept.into_iter().collect();
        let revoked: Assignment = revoked.into_iter().collect();
        if !revoked.is_empty() && self.still_has(&revoked) {
            return CurrentAssignment {
                state: MemberState::UnrevokedPartitions,
                assigned,
                pending_revocation: revoked,
                ..current.at_epoch(epoch)
            };
        }

        let mut state = MemberState::Stable;
        for partition in self.target.partitions().filter(|&p| targets(p)) {
            if current.assigned.contains(partition) {
                continue;
            }
            if (self.is_owned_by_another)(partition) && !planted(Planted::OwnersUnchecked) {
                state = MemberState::UnreleasedPartitions;
            } else {
                assigned.insert(partition);
            }
        }
        CurrentAssignment {
            state,
            assigned,
            pending_revocation: Assignment::default(),
            ..current.at_epoch(self.target_epoch)
        }
    }
}

#[cfg(test)]
mod tests;
