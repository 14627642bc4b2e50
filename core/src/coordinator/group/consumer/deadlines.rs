//! When members of a group must have done something, and who has not.
//!
//! Kept apart from the group because they are in no record: after a restart everybody has its full time again. Never decides what
//! comes of a deadline that passed; [`super::ConsumerGroup::on_deadline`] does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::ConsumerGroup;
use super::config::ConsumerGroupConfig;
use super::member::{Member, MemberState};

/// What a member must have done by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineKind {
    /// Sent a heartbeat.
    Session,
    /// Given up partitions, so that it could leave the epoch it was at.
    Rebalance,
    /// Joined again, for a member of the classic protocol that was told of a rebalance.
    Join,
    /// Synchronised, for a member of the classic protocol that joined.
    Sync,
}

/// A deadline that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    pub member_id: Arc<str>,
    pub kind: DeadlineKind,
    /// The member's epoch when it was set.
    pub epoch: i32,
}

/// What a decision does to the deadlines of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadlineChange {
    /// Takes the place of an earlier one of its kind.
    Set(Deadline, Duration),
    /// Unless there is one of its kind.
    SetIfAbsent(Deadline, Duration),
    Cancel(Arc<str>, DeadlineKind),
    CancelAll(Arc<str>),
}

/// The deadlines of one group's members: four for each member at most.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    by_member: BTreeMap<(Arc<str>, DeadlineKind), (Duration, i32)>,
    by_time: BTreeSet<(Duration, Arc<str>, DeadlineKind)>,
}

impl Deadlines {
    /// For a group that was just replayed: every member has its whole session, and its whole rebalance timeout where it has partitions
    /// to give up.
    #[must_use]
    pub fn restored(group: &ConsumerGroup, config: &ConsumerGroupConfig, now: Duration) -> Self {
        let mut deadlines = Self::default();
        for (id, member) in group.members() {
            let set =
                |kind, timeout| DeadlineChange::Set(deadline(id, member, kind), now + timeout);
            let session = set(DeadlineKind::Session, session_timeout(member, config));
            deadlines.apply([session]);
            let revokes = member.current.state == MemberState::UnrevokedPartitions;
            if revokes && !member.is_classic() {
                deadlines.apply([set(DeadlineKind::Rebalance, rebalance_timeout(member))]);
            }
        }
        deadlines
    }

    pub fn apply(&mut self, changes: impl IntoIterator<Item = DeadlineChange>) {
        for change in changes {
            match change {
                DeadlineChange::Set(deadline, at) => self.set(deadline, at),
                DeadlineChange::SetIfAbsent(deadline, at) => {
                    let key = (Arc::clone(&deadline.member_id), deadline.kind);
                    if !self.by_member.contains_key(&key) {
                        self.set(deadline, at);
                    }
                }
                DeadlineChange::Cancel(member_id, kind) => self.cancel(member_id, kind),
                DeadlineChange::CancelAll(member_id) => {
                    for kind in [
                        DeadlineKind::Session,
                        DeadlineKind::Rebalance,
                        DeadlineKind::Join,
                        DeadlineKind::Sync,
                    ] {
                        self.cancel(Arc::clone(&member_id), kind);
                    }
                }
            }
        }
    }

    /// When the next one passes.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, ..)| *at)
    }

    /// Takes out the earliest one that has passed.
    pub fn pop(&mut self, now: Duration) -> Option<Deadline> {
        if self.next()? > now {
            return None;
        }
        let (_, member_id, kind) = self.by_time.pop_first()?;
        let (_, epoch) = self.by_member.remove(&(Arc::clone(&member_id), kind))?;
        Some(Deadline {
            member_id,
            kind,
            epoch,
        })
    }

    fn set(&mut self, deadline: Deadline, at: Duration) {
        let Deadline {
            member_id,
            kind,
            epoch,
        } = deadline;
        self.cancel(Arc::clone(&member_id), kind);
        self.by_time.insert((at, Arc::clone(&member_id), kind));
        self.by_member.insert((member_id, kind), (at, epoch));
    }

    fn cancel(&mut self, member_id: Arc<str>, kind: DeadlineKind) {
        let key = (member_id, kind);
        if let Some((at, _)) = self.by_member.remove(&key) {
            self.by_time.remove(&(at, key.0, kind));
        }
    }
}

pub(super) fn deadline(member_id: &Arc<str>, member: &Member, kind: DeadlineKind) -> Deadline {
    Deadline {
        member_id: Arc::clone(member_id),
        kind,
        epoch: member.current.epoch,
    }
}

/// A member of the classic protocol brought its own.
pub(super) fn session_timeout(member: &Member, config: &ConsumerGroupConfig) -> Duration {
    let classic = member.metadata.classic.as_ref();
    milliseconds(classic.map_or(config.session_timeout_ms, |classic| {
        classic.session_timeout_ms
    }))
}

pub(super) fn rebalance_timeout(member: &Member) -> Duration {
    milliseconds(member.metadata.rebalance_timeout_ms)
}

/// A negative time, which a client may well send, is none.
fn milliseconds(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(member_id: &str, kind: DeadlineKind) -> Deadline {
        Deadline {
            member_id: member_id.into(),
            kind,
            epoch: 1,
        }
    }

    #[test]
    fn deadlines_pass_in_the_order_of_time_and_once() {
        let mut deadlines = Deadlines::default();
        let (session, join) = (DeadlineKind::Session, DeadlineKind::Join);
        deadlines.apply([
            DeadlineChange::Set(of("a", session), at(5)),
            DeadlineChange::Set(of("b", session), at(3)),
            DeadlineChange::SetIfAbsent(of("b", session), at(1)),
            DeadlineChange::SetIfAbsent(of("b", join), at(9)),
        ]);
        assert_eq!(deadlines.next(), Some(at(3)));
        assert_eq!(deadlines.pop(at(2)), None);
        deadlines.apply([DeadlineChange::Set(of("b", session), at(6))]);
        assert_eq!(deadlines.pop(at(9)), Some(of("a", session)));
        assert_eq!(deadlines.pop(at(9)), Some(of("b", session)));
        assert_eq!(deadlines.pop(at(9)), Some(of("b", join)));
        assert_eq!(deadlines.pop(at(9)), None);
    }

    #[test]
    fn a_member_that_goes_has_no_deadlines_any_more() {
        let mut deadlines = Deadlines::default();
        deadlines.apply([
            DeadlineChange::Set(of("a", DeadlineKind::Session), at(1)),
            DeadlineChange::Set(of("a", DeadlineKind::Rebalance), at(1)),
            DeadlineChange::Set(of("a", DeadlineKind::Sync), at(1)),
            DeadlineChange::Cancel("a".into(), DeadlineKind::Sync),
            DeadlineChange::CancelAll("a".into()),
        ]);
        assert_eq!(deadlines.next(), None);
        assert!(deadlines.by_member.is_empty());
    }
}
