//! A consumer group as the coordinator keeps it: with the deadlines of its members, and what it counts for.
//!
//! Never decides; it is what the committed records say.

use std::sync::Arc;
use std::time::Duration;

use rinka_storage::topic_partition::TopicPartition;

use super::consumer::ConsumerGroup;
use super::consumer::deadlines::{Deadline, DeadlineChange, Deadlines};
use super::consumer::offsets::Committer;
use super::consumer::records::ConsumerGroupRecord;
use super::error::GroupError;
use super::timers::{Alarm, Timer, Timers};
use super::turn::{Turn, Usage};

/// What an offset commit that can say a member's epoch counts as, and one that cannot (KIP-848).
const COMMIT_VERSIONS: (i16, i16) = (9, 8);

#[derive(Debug)]
pub(super) struct TimedGroup {
    pub(super) group: ConsumerGroup,
    deadlines: Deadlines,
    alarm: Alarm,
    /// Its tombstones are under way.
    is_dead: bool,
    counted: Usage,
}

impl TimedGroup {
    /// As it is when it is upgraded, or before its first record.
    pub(super) fn new(group: ConsumerGroup, deadlines: Deadlines, usage: &mut Usage) -> Self {
        let mut group = Self {
            group,
            deadlines,
            alarm: Alarm::default(),
            is_dead: false,
            counted: Usage::default(),
        };
        group.count(usage);
        group
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead
    }

    pub(super) fn set_dead(&mut self, is_dead: bool) {
        self.is_dead = is_dead;
    }

    pub(super) fn replay(&mut self, record: &ConsumerGroupRecord, usage: &mut Usage) {
        self.group.replay(record);
        self.count(usage);
    }

    pub(super) fn restore(&mut self, deadlines: Deadlines) {
        self.deadlines = deadlines;
    }

    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = DeadlineChange>) {
        self.deadlines.apply(changes);
    }

    pub(super) fn pop_deadline(&mut self, now: Duration) -> Option<Deadline> {
        self.deadlines.pop(now)
    }

    /// The alarm rings at the first deadline.
    pub(super) fn arm(&mut self, timers: &mut Timers) {
        match self.deadlines.next() {
            Some(at) => {
                let group = self.group.id();
                let timer = || Timer::Deadline {
                    group: Arc::clone(group),
                };
                timers.set(&mut self.alarm, at, timer);
            }
            None => timers.cancel(&mut self.alarm),
        }
    }

    pub(super) fn is_due(&mut self, now: Duration, timer: Timer, timers: &mut Timers) -> bool {
        timers.is_due(&mut self.alarm, now, timer)
    }

    /// The group is dropped.
    pub(super) fn retire<T>(mut self, turn: &mut Turn<'_, T>) {
        turn.shared.timers.cancel(&mut self.alarm);
        self.forget(&mut turn.shared.usage);
    }

    /// The same while the log is loaded, before any alarm is set.
    pub(super) fn forget(self, usage: &mut Usage) {
        usage.members -= self.counted.members;
        usage.bytes -= self.counted.bytes;
    }

    pub(super) fn check_commit(
        &self,
        member_id: &str,
        member_epoch: i32,
        says_epochs: bool,
        partitions: impl IntoIterator<Item = Option<TopicPartition>>,
    ) -> Result<(), GroupError> {
        if self.is_dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        let (with, without) = COMMIT_VERSIONS;
        let committer = Committer {
            member_id,
            member_epoch,
            offset_commit_version: Some(if says_epochs { with } else { without }),
        };
        let checked = self.group.check_commit(committer, partitions);
        checked.map_err(|error| GroupError::from(&error))
    }

    pub(super) fn validate_delete(&self) -> Result<(), GroupError> {
        match self.group.is_empty() {
            _ if self.is_dead => Err(GroupError::GroupIdNotFound),
            true => Ok(()),
            false => Err(GroupError::NonEmptyGroup),
        }
    }

    /// A deadline that could not be acted on passes again. A later heartbeat may have set it anew, which is as good.
    pub(super) fn postpone(&mut self, deadline: Deadline, to: Duration) {
        self.deadlines
            .apply([DeadlineChange::SetIfAbsent(deadline, to)]);
    }

    fn count(&mut self, usage: &mut Usage) {
        let now = Usage {
            members: self.group.members().len(),
            bytes: self.group.bytes(),
            ..Usage::default()
        };
        usage.members = usage.members - self.counted.members + now.members;
        usage.bytes = usage.bytes - self.counted.bytes + now.bytes;
        self.counted = now;
    }

    #[cfg(test)]
    pub(super) fn assert_counts(&self, usage: &mut Usage) {
        let bytes = self.group.members().map(|(_, member)| member.bytes());
        assert_eq!(
            self.counted.bytes,
            bytes.sum::<usize>(),
            "bytes of the group"
        );
        assert_eq!(self.counted.members, self.group.members().len());
        usage.members -= self.counted.members;
        usage.bytes -= self.counted.bytes;
    }
}
