//! Consumer groups that the broker itself assigns partitions in (KIP-848): ConsumerGroupHeartbeat 0-1 and ConsumerGroupDescribe 0-1, and the
//! classic protocol's requests for members who still speak it.
//!
//! A group decides and replays. A decision reads the group and makes records, a response and changes of deadlines; only
//! [`ConsumerGroup::replay`] changes a group, so that one whose records could not be appended is as it was. Between a decision and
//! the replay of its records no other decision of the same group may be made. Never keeps time: `deadlines` does, apart.
//!
//! Non-obvious:
//! - Requests of one member are taken to arrive in the order in which it sent them; TCP sees to that. An old heartbeat that
//!   arrived after a newer one could claim that the member has given up what it was only given since.
//! - Members are looked at in the order of their ids, topics in that of theirs, so that the same log makes the same assignment.
//! - A group that was never written has epoch 0; every other one has a greater one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rinka_storage::topic_partition::TopicPartition;
use rustc_hash::FxHashMap;

pub mod assignment;
pub mod assignment_epochs;
pub mod assignor;
pub mod classic;
pub mod config;
pub mod deadlines;
pub mod describe;
pub mod error;
mod fence;
pub mod heartbeat;
pub mod member;
pub mod migration;
pub mod offsets;
mod planted;
mod reconciliation;
pub mod records;
pub mod regex;
mod step;
mod subscription;
pub mod topics_view;

#[cfg(test)]
pub(in crate::coordinator::group) mod simulation;
#[cfg(test)]
mod tests;

use self::assignment::Assignment;
use self::config::ConsumerGroupConfig;
use self::deadlines::DeadlineChange;
use self::member::{CurrentAssignment, LEAVE_EPOCH, Member};
use self::migration::Downgrade;
use self::planted::{Planted, planted};
use self::records::{ConsumerGroupRecord, GroupMetadata, TargetMetadata};
use self::regex::ResolvedRegex;
use self::topics_view::TopicsView;

/// What a decision needs to know beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub topics: &'a TopicsView,
    pub config: &'a ConsumerGroupConfig,
    /// Since some fixed moment, never going back: for deadlines.
    pub now: Duration,
    /// Milliseconds since the Unix epoch: for records.
    pub timestamp_ms: i64,
}

/// What a request, or a deadline that passed, comes to.
///
/// The records are to be appended together or not at all, then replayed; the response may be sent once they are committed, and at
/// once when there are none. The deadlines change when the records were appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision<R> {
    pub records: Vec<ConsumerGroupRecord>,
    pub response: R,
    pub deadlines: Vec<DeadlineChange>,
    /// The group is a classic one from here on: the records delete it, and this describes what takes its place.
    pub downgrade: Option<Downgrade>,
}

/// One consumer group, made of its records.
#[derive(Debug)]
pub struct ConsumerGroup {
    id: Arc<str>,
    metadata: GroupMetadata,
    members: BTreeMap<Arc<str>, Member>,
    target: TargetMetadata,
    targets: BTreeMap<Arc<str>, Assignment>,
    regexes: BTreeMap<Arc<str>, ResolvedRegex>,
    /// The log has a record of key 4, which Kafka 4.1 and later delete.
    has_partition_metadata: bool,

    // What follows from the above, kept beside it because it is asked for often.
    static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Who has each partition, or has yet to give it up.
    owners: FxHashMap<TopicPartition, Arc<str>>,
    /// How many members subscribe to each expression.
    regex_subscribers: BTreeMap<Arc<str>, usize>,
    /// What its members say of themselves, in bytes.
    bytes: usize,
    /// The hash of what is subscribed to, and the version of the topics it was made with.
    hash_memo: Cell<Option<(u64, u64)>>,
}

/// What a group is doing, by the names that tools show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    Empty,
    /// The target is older than the group.
    Assigning,
    /// Members are on their way to the target.
    Reconciling,
    Stable,
}

impl GroupState {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

impl ConsumerGroup {
    /// A group without members that no record tells of yet. A heartbeat that joins makes it one that is.
    #[must_use]
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            metadata: GroupMetadata::default(),
            members: BTreeMap::new(),
            target: TargetMetadata::default(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            has_partition_metadata: false,
            static_members: BTreeMap::new(),
            owners: FxHashMap::default(),
            regex_subscribers: BTreeMap::new(),
            bytes: 0,
            hash_memo: Cell::new(None),
        }
    }

    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Grows whenever members, subscriptions or topics change. 0: the group is not there yet, or any more.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.metadata.epoch
    }

    /// The epoch of the group for which the target was made.
    #[must_use]
    pub fn target_epoch(&self) -> i32 {
        self.target.epoch
    }

    /// Whether the interval that is to lie between two assignments has passed.
    fn may_assign(&self, context: &Context<'_>) -> bool {
        let last = self.target.timestamp_ms;
        let interval = i64::from(context.config.assignment_interval_ms);
        let elapsed = context.timestamp_ms.saturating_sub(last);
        // The clock may have been set back; then it is as good as long ago.
        last == 0 || elapsed < 0 || elapsed >= interval
    }

    #[must_use]
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    /// In the order of their ids.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Member)> {
        self.members.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What its members say of themselves, in bytes: what a client can make a group keep.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The id of the member that has this instance id.
    #[must_use]
    pub fn static_member(&self, instance_id: &str) -> Option<&Arc<str>> {
        self.static_members.get(instance_id)
    }

    #[must_use]
    pub fn state(&self) -> GroupState {
        let reconciled = |member: &Member| member.is_reconciled_to(self.target.epoch);
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.metadata.epoch > self.target.epoch {
            GroupState::Assigning
        } else if self.members.values().all(reconciled) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// What the member is to have; nothing for one that the target does not know.
    #[must_use]
    pub fn target(&self, member_id: &str) -> Assignment {
        self.targets.get(member_id).cloned().unwrap_or_default()
    }

    /// Who has the partition, or has yet to give it up.
    #[must_use]
    pub fn owner(&self, partition: TopicPartition) -> Option<&Arc<str>> {
        self.owners.get(&partition)
    }

    /// Whether a member subscribes to the topic, by name or by expression.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        let by_name = |member: &Member| member.metadata.subscribed_topic_names.contains(topic);
        self.members.values().any(by_name)
            || self
                .regexes
                .values()
                .any(|regex| regex.topics.contains(topic))
    }

    /// Records that delete the group and all that belongs to it.
    #[must_use]
    pub fn tombstones(&self) -> Vec<ConsumerGroupRecord> {
        let members = || self.members.keys().map(Arc::clone);
        let mut records = Vec::new();
        records.extend(members().map(|id| ConsumerGroupRecord::Current(id, None)));
        records.extend(members().map(|id| ConsumerGroupRecord::Target(id, None)));
        records.push(ConsumerGroupRecord::TargetEpoch(None));
        records.extend(members().map(|id| ConsumerGroupRecord::Member(id, None)));
        let regexes = self.regexes.keys().map(Arc::clone);
        records.extend(regexes.map(|regex| ConsumerGroupRecord::Regex(regex, None)));
        if self.has_partition_metadata {
            records.push(ConsumerGroupRecord::PartitionMetadata(None));
        }
        records.push(ConsumerGroupRecord::Group(None));
        records
    }

    /// Applies the next record of the log. Compaction may have taken what stood before it, so that a record may tell of a member that is
    /// not known yet, and may delete what is not there.
    pub fn replay(&mut self, record: &ConsumerGroupRecord) {
        match record {
            ConsumerGroupRecord::Group(group) => self.metadata = group.unwrap_or_default(),
            ConsumerGroupRecord::PartitionMetadata(topics) => {
                self.has_partition_metadata = topics.is_some();
            }
            ConsumerGroupRecord::TargetEpoch(target) => self.target = target.unwrap_or_default(),
            ConsumerGroupRecord::Target(member_id, Some(target)) => {
                self.targets.insert(Arc::clone(member_id), target.clone());
            }
            ConsumerGroupRecord::Target(member_id, None) => {
                self.targets.remove(member_id);
            }
            ConsumerGroupRecord::Member(member_id, metadata) => {
                let old = self.members.get(member_id).cloned();
                let new = metadata.as_ref().map(|metadata| Member {
                    metadata: Arc::clone(metadata),
                    current: old
                        .as_ref()
                        .map_or_else(CurrentAssignment::default, |member| member.current.clone()),
                });
                self.change_member(member_id, old, new);
            }
            ConsumerGroupRecord::Current(member_id, Some(current)) => {
                let old = self.members.get(member_id).cloned();
                let mut current = current.clone();
                if planted(Planted::PendingRevocationNotRecorded) {
                    let whole = current.clone();
                    current.pending_revocation = Assignment::default();
                    current = current.following(&whole, whole.epoch);
                }
                let new = Member {
                    metadata: old
                        .as_ref()
                        .map(|member| Arc::clone(&member.metadata))
                        .unwrap_or_default(),
                    current,
                };
                self.change_member(member_id, old, Some(new));
            }
            ConsumerGroupRecord::Current(member_id, None) => {
                // The member itself goes with its own record.
                let old = self.members.get(member_id).cloned();
                let new = old.clone().map(|member| Member {
                    current: CurrentAssignment {
                        epoch: LEAVE_EPOCH,
                        previous_epoch: LEAVE_EPOCH,
                        ..CurrentAssignment::default()
                    },
                    ..member
                });
                self.change_member(member_id, old, new);
            }
            ConsumerGroupRecord::Regex(pattern, Some(regex)) => {
                self.regexes.insert(Arc::clone(pattern), regex.clone());
                self.hash_memo.set(None);
            }
            ConsumerGroupRecord::Regex(pattern, None) => {
                self.regexes.remove(pattern);
                self.hash_memo.set(None);
            }
        }
    }

    fn change_member(&mut self, member_id: &Arc<str>, old: Option<Member>, new: Option<Member>) {
        let metadata_of =
            |member: &Option<Member>| member.as_ref().map(|m| Arc::as_ptr(&m.metadata));
        if metadata_of(&old) != metadata_of(&new) {
            self.hash_memo.set(None);
        }
        if let Some(old) = &old {
            self.bytes -= old.bytes();
            self.forget(member_id, old);
        }
        let Some(new) = new else {
            self.members.remove(member_id);
            return;
        };
        self.bytes += new.bytes();
        let current = &new.current;
        let held = [&current.assigned, &current.pending_revocation];
        for partition in held.into_iter().flat_map(Assignment::partitions) {
            self.owners.insert(partition, Arc::clone(member_id));
        }
        if let Some(instance_id) = &new.metadata.instance_id {
            self.static_members
                .insert(Arc::clone(instance_id), Arc::clone(member_id));
        }
        if let Some(regex) = new.metadata.regex() {
            *self.regex_subscribers.entry(Arc::clone(regex)).or_default() += 1;
        }
        self.members.insert(Arc::clone(member_id), new);
    }

    /// Takes a member out of what follows from it. Partitions and instance ids that have passed to another member in the meantime
    /// stay with that one.
    fn forget(&mut self, member_id: &Arc<str>, member: &Member) {
        let current = &member.current;
        let held = [&current.assigned, &current.pending_revocation];
        for partition in held.into_iter().flat_map(Assignment::partitions) {
            let is_its_own = self.owners.get(&partition) == Some(member_id);
            if is_its_own && !planted(Planted::RemovedMemberOwnsOn) {
                self.owners.remove(&partition);
            }
        }
        if let Some(instance_id) = &member.metadata.instance_id
            && self.static_members.get(instance_id) == Some(member_id)
        {
            self.static_members.remove(instance_id);
        }
        if let Some(regex) = member.metadata.regex()
            && let Some(count) = self.regex_subscribers.get_mut(regex)
        {
            *count -= 1;
            if *count == 0 {
                self.regex_subscribers.remove(regex);
            }
        }
    }
}

impl<R> Decision<R> {
    /// The same with another response.
    pub fn map<S>(self, respond: impl FnOnce(R) -> S) -> Decision<S> {
        Decision {
            records: self.records,
            response: respond(self.response),
            deadlines: self.deadlines,
            downgrade: self.downgrade,
        }
    }
}
