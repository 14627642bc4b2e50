//! The group coordinator of one partition of `__consumer_offsets`: members, their assignments, and committed offsets.
//!
//! A plain state machine: it never waits, never reads a clock and never writes a log. Its shell hands it requests with a token
//! each, carries out the [`Action`]s, and says when appended records are committed. No answer leaves before the records it stands on.
//!
//! - Load: `replay` every record of the partition in order, then `on_loaded`. Until then the shell answers
//!   COORDINATOR_LOAD_IN_PROGRESS (14) itself.
//! - Run: the `on_` functions, and `on_tick` no later than `next_deadline`. Several appends may be under way; each is resolved by
//!   `on_committed` or `on_failed`, those that commit in the order they were made.
//! - `on_failed` says that the records are not in the log and never will be. A shell that cannot know (the write timed out, the
//!   partition has another leader) calls `on_unloaded`, drops the coordinator, and whoever leads then replays.

pub mod consumer;
pub mod consumer_protocol;
pub mod counters;
pub mod error;
pub mod placement;
pub mod records;
pub mod request;
pub mod response;
pub mod settings;

mod classic;
mod consumer_requests;
mod held;
mod offset_requests;
mod offsets;
mod removal;
mod timed_group;
mod timers;
mod turn;

#[cfg(test)]
mod migration_simulation;
#[cfg(test)]
mod shell_by_hand;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use classic::{ClassicGroup, ExpiryBasis, State};
use consumer::ConsumerGroup;
use consumer::deadlines::Deadlines;
use consumer::records::{self as consumer_records, ConsumerGroupRecord};
use consumer::topics_view::TopicsView;
use consumer_protocol::PROTOCOL_TYPE;
use error::{AppendFailure, GroupError};
use held::{HeldRequest, Holds, Waiting};
use offsets::Offsets;
use records::GroupRecord;
use records::field_bytes::RecordError;
use request::{HeartbeatRequest, JoinRequest, LeaveRequest, ListRequest, SyncRequest, Time};
use response::{DescribedGroup, JoinRefused, Left, ListedGroup, Response};
use rinka_storage::topic_partition::TopicPartition;
use settings::Settings;
use timed_group::TimedGroup;
use timers::{Alarm, Timer};
use turn::{Append, Effect, Shared, Then, Turn, Usage};

pub use turn::{Action, AppendId};

use super::planted::{Planted, planted};

/// Between two turns of one search for expired offsets.
const EXPIRY_PAUSE: Duration = Duration::from_millis(10);

/// The coordinator of the groups of one partition. `T` is what the shell needs to answer a request; each is given back exactly once.
#[derive(Debug)]
pub struct Coordinator<T> {
    groups: BTreeMap<Arc<str>, Group<T>>,
    /// By group id, whatever kind of group it is.
    offsets: Offsets,
    shared: Shared<T>,
    topics: TopicsView,
    /// Groups that decide nothing until their records are committed.
    holds: Holds<T>,
    expiry_alarm: Alarm,
    /// The group at which the search for expired offsets goes on; `None`: at the first one, after the next interval.
    expiry_next: Option<Arc<str>>,
}

/// A group by its protocol. What differs between them is decided where this is matched on, in this file alone.
#[derive(Debug)]
enum Group<T> {
    Classic(Box<ClassicGroup<T>>),
    Consumer(Box<TimedGroup>),
}

/// The generations of classic groups, by group.
#[derive(Clone, Debug, Default)]
pub struct Generations(BTreeMap<Arc<str>, i32>);

impl<T> Coordinator<T> {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            groups: BTreeMap::new(),
            offsets: Offsets::default(),
            shared: Shared::new(settings),
            topics: TopicsView::default(),
            holds: Holds::default(),
            expiry_alarm: Alarm::default(),
            expiry_next: None,
        }
    }

    /// One record of the log, in order, before `on_loaded`; `None` is a tombstone.
    ///
    /// # Errors
    /// When the bytes are no record that this release reads. The state is as it was: the caller may say so and go on.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        match GroupRecord::decode(key, value)? {
            GroupRecord::Offset { key, value } => {
                let group: Arc<str> = key.group_id.into();
                let is_tombstone = value.is_none();
                let topic = key.topic.into();
                self.offsets.load(&group, &topic, key.partition, value);
                // Offsets without a group are those of a group that only commits offsets.
                if !is_tombstone && !self.groups.contains_key(&group) {
                    let simple = ClassicGroup::new(group.clone(), 0);
                    self.groups.insert(group, Group::Classic(simple.into()));
                }
            }
            GroupRecord::Group { group_id, value } => {
                let id: Arc<str> = group_id.into();
                // A classic group's tombstone says nothing of the consumer group that took its place.
                if value.is_none() && matches!(self.groups.get(&id), Some(Group::Consumer(_))) {
                    return Ok(());
                }
                let usage = &mut self.shared.usage;
                let loaded = value.map(|value| ClassicGroup::load(id.clone(), value, usage));
                let loaded = loaded.transpose()?;
                if let Some(former) = self.groups.remove(&id) {
                    former.forget(usage);
                }
                let group = match loaded {
                    Some(group) => Some(group),
                    None if self.offsets.has(&id) => Some(ClassicGroup::new(id.clone(), 0)),
                    None => None,
                };
                if let Some(group) = group {
                    self.groups.insert(id, Group::Classic(group.into()));
                }
            }
            GroupRecord::Other { kind } if ConsumerGroupRecord::is_key(kind) => {
                let key = Bytes::copy_from_slice(key);
                let value = value.map(Bytes::copy_from_slice);
                let (group, record) =
                    ConsumerGroupRecord::decode(key, value).map_err(consumer_record_error)?;
                self.replay_consumer(group, &record);
            }
            GroupRecord::Other { .. } => {}
        }
        Ok(())
    }

    /// A consumer group comes into being with its first record, in the place of a classic one that its log leaves behind, and goes
    /// with the tombstone of the group's own record.
    fn replay_consumer(&mut self, id: Arc<str>, record: &ConsumerGroupRecord) {
        let usage = &mut self.shared.usage;
        if !matches!(self.groups.get(&id), Some(Group::Consumer(_))) {
            if record.is_tombstone() {
                return;
            }
            if let Some(former) = self.groups.remove(&id) {
                former.forget(usage);
            }
            let group = ConsumerGroup::new(id.clone());
            let group = TimedGroup::new(group, Deadlines::default(), usage);
            self.groups
                .insert(id.clone(), Group::Consumer(group.into()));
        }
        if let Some(Group::Consumer(group)) = self.groups.get_mut(&id) {
            group.replay(record, usage);
        }
        if matches!(record, ConsumerGroupRecord::Group(None)) {
            self.forget_consumer(&id);
        }
    }

    /// What is left of a consumer group are its offsets, if it has any.
    fn forget_consumer(&mut self, id: &Arc<str>) {
        if let Some(former) = self.groups.remove(id) {
            former.forget(&mut self.shared.usage);
        }
        if self.offsets.has(id) {
            let simple = ClassicGroup::new(id.clone(), 0);
            self.groups
                .insert(id.clone(), Group::Classic(simple.into()));
        }
    }

    /// The whole log was replayed: sessions begin.
    pub fn on_loaded(&mut self, time: Time, out: &mut Vec<Action<T>>) {
        let offsets = &self.offsets;
        let is_nothing = |(id, group): &(&Arc<str>, &Group<T>)| match group {
            Group::Classic(group) => !group.is_logged() && !offsets.has(id),
            // Its own record is gone; what else there is was on its way out.
            Group::Consumer(group) => group.group.epoch() == 0,
        };
        let nothing = self.groups.iter().filter(is_nothing);
        let nothing: Vec<Arc<str>> = nothing.map(|(id, _)| id.clone()).collect();
        for id in nothing {
            self.forget_consumer(&id);
        }
        let Self { groups, shared, .. } = self;
        let mut turn = Turn { time, shared, out };
        for group in groups.values_mut() {
            match group {
                Group::Classic(group) => group.on_loaded(&mut turn),
                Group::Consumer(group) => {
                    let config = turn.shared.settings.consumer_of(group.group.id());
                    let deadlines = Deadlines::restored(&group.group, config, time.now);
                    group.restore(deadlines);
                    group.arm(&mut turn.shared.timers);
                }
            }
        }
        self.arm_expiry(time);
    }

    /// The generations that this coordinator has told of. A classic group's is in the log only once it has an assignment, and who loads the
    /// log in the same process, with the same connections, could count the same one anew: a request of the former would pass for one of
    /// the latter. [`Self::go_on_from`] sees to that.
    #[must_use]
    pub fn generations(&self) -> Generations {
        let groups = self.groups.iter();
        let generations = groups.filter_map(|(id, group)| match group {
            Group::Classic(group) => Some((id.clone(), group.generation())),
            Group::Consumer(_) => None,
        });
        Generations(generations.collect())
    }

    /// Before `on_loaded`: what a former coordinator of this partition told of.
    pub fn go_on_from(&mut self, former: &Generations) {
        for (id, generation) in &former.0 {
            if let Some(Group::Classic(group)) = self.groups.get_mut(id) {
                group.go_on_from(*generation);
            }
        }
    }

    /// The partition has another leader, or is gone: everybody who waits is told NOT_COORDINATOR (16), and nothing is left.
    pub fn on_unloaded(&mut self, time: Time, out: &mut Vec<Action<T>>) {
        for append in self.shared.take_all_appends() {
            append.answer(Err(AppendFailure::NotLeader), out);
        }
        self.refuse_held(GroupError::NotCoordinator, out);
        let groups = std::mem::take(&mut self.groups);
        let (_, mut turn) = self.parts(time, out);
        for group in groups.into_values() {
            group.retire(GroupError::NotCoordinator, &mut turn);
        }
        self.offsets = Offsets::default();
        self.expiry_next = None;
        self.shared.timers.cancel(&mut self.expiry_alarm);
    }

    pub fn on_join(
        &mut self,
        request: &JoinRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let held = || HeldRequest::join(request);
        let Some(token) = self.held(request.group_id, token, held, out) else {
            return;
        };
        let settings = &self.shared.settings;
        let sessions = settings.session_timeout_ms_min..=settings.session_timeout_ms_max;
        let error = if request.group_id.is_empty() {
            Some(GroupError::InvalidGroupId)
        } else if !sessions.contains(&request.session_timeout_ms) {
            Some(GroupError::InvalidSessionTimeout)
        } else if self.groups.contains_key(request.group_id) {
            None
        } else if !request.member_id.is_empty() {
            Some(GroupError::UnknownMemberId)
        } else if request.protocol_type.is_empty() || request.protocols.is_empty() {
            Some(GroupError::InconsistentGroupProtocol)
        } else if self.create_group(request.group_id, time).is_none() {
            Some(GroupError::CoordinatorNotAvailable)
        } else {
            None
        };
        if let Some(error) = error {
            let member_id = request.member_id.into();
            let refused = JoinRefused { error, member_id };
            let response = Response::Join(Err(refused));
            return out.push(Action::Answer { token, response });
        }
        let (groups, mut turn) = self.parts(time, out);
        match groups.get_mut(request.group_id) {
            Some(Group::Classic(group)) => group.join(request, token, &mut turn),
            Some(Group::Consumer(_)) => self.join_consumer_group(request, token, time, out),
            None => unreachable!("the group was there, or was made"),
        }
    }

    pub fn on_sync(
        &mut self,
        request: &SyncRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let held = || HeldRequest::sync(request);
        let Some(token) = self.held(request.group_id, token, held, out) else {
            return;
        };
        let (groups, mut turn) = self.parts(time, out);
        let error = match groups.get_mut(request.group_id) {
            _ if request.group_id.is_empty() => GroupError::InvalidGroupId,
            Some(Group::Classic(group)) => return group.sync(request, token, &mut turn),
            Some(Group::Consumer(_)) => {
                return self.sync_consumer_group(request, token, time, out);
            }
            None => GroupError::UnknownMemberId,
        };
        turn.answer(token, Response::Sync(Err(error)));
    }

    pub fn on_heartbeat(
        &mut self,
        request: &HeartbeatRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let held = || HeldRequest::heartbeat(request);
        let Some(token) = self.held(request.group_id, token, held, out) else {
            return;
        };
        let HeartbeatRequest {
            group_id,
            generation,
            member_id,
            instance_id,
        } = *request;
        let (groups, mut turn) = self.parts(time, out);
        let result = match groups.get_mut(group_id) {
            _ if group_id.is_empty() => Err(GroupError::InvalidGroupId),
            Some(Group::Classic(group)) => {
                group.heartbeat(member_id, instance_id, generation, &mut turn)
            }
            Some(Group::Consumer(_)) => {
                return self.heartbeat_consumer_group(request, token, time, out);
            }
            None => Err(GroupError::UnknownMemberId),
        };
        turn.answer(token, Response::Heartbeat(result));
    }

    pub fn on_leave(
        &mut self,
        request: &LeaveRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let held = || HeldRequest::leave(request);
        let Some(token) = self.held(request.group_id, token, held, out) else {
            return;
        };
        let (groups, mut turn) = self.parts(time, out);
        let response = match groups.get_mut(request.group_id) {
            _ if request.group_id.is_empty() => Err(GroupError::InvalidGroupId),
            Some(Group::Classic(group)) => return group.leave(request, token, &mut turn),
            Some(Group::Consumer(_)) => {
                return self.leave_consumer_group(request, token, time, out);
            }
            None => {
                let members = request.members.iter().map(|member| Left {
                    member_id: member.member_id.into(),
                    instance_id: member.instance_id.map(Into::into),
                    result: Err(GroupError::UnknownMemberId),
                });
                Ok(members.collect())
            }
        };
        turn.answer(token, Response::Leave(response));
    }

    /// One group of DescribeGroups. `None`: there is no such group of the classic protocol. From version 6 on that is GROUP_ID_NOT_FOUND (69), before it a
    /// group in state `Dead` without an error.
    #[must_use]
    pub fn describe(&self, group_id: &str) -> Option<DescribedGroup> {
        match self.groups.get(group_id)? {
            Group::Classic(group) => Some(group.describe()),
            Group::Consumer(_) => None,
        }
    }

    /// The groups that pass the request's filters, in the order of their ids.
    #[must_use]
    pub fn list(&self, request: &ListRequest<'_>) -> Vec<ListedGroup> {
        let passes = |filter: &[&str], name: &str| {
            filter.is_empty()
                || filter
                    .iter()
                    .any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let groups = self.groups.iter();
        let listed = groups.map(|(group_id, group)| match group {
            Group::Classic(group) => ListedGroup {
                group_id: group_id.clone(),
                protocol_type: group.protocol_type(),
                state: group.state().name(),
                group_type: "classic",
            },
            Group::Consumer(group) => ListedGroup {
                group_id: group_id.clone(),
                protocol_type: PROTOCOL_TYPE.into(),
                state: group.group.state().name(),
                group_type: "consumer",
            },
        });
        listed
            .filter(|group| passes(&request.states, group.state))
            .filter(|group| passes(&request.types, group.group_type))
            .collect()
    }

    /// When `on_tick` has something to do again, by the clock of [`Time::now`]. `None`: never, as things are.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.shared.timers.next()
    }

    pub fn on_tick(&mut self, time: Time, out: &mut Vec<Action<T>>) {
        for timer in self.shared.timers.take_due(time.now) {
            self.on_timer(timer, time, out);
        }
    }

    fn on_timer(&mut self, timer: Timer, time: Time, out: &mut Vec<Action<T>>) {
        let timer = match timer.group().cloned() {
            Some(group) => match self.holds.push(&group, Waiting::Timer(timer)) {
                Some(Waiting::Timer(timer)) => timer,
                _ => return,
            },
            None => timer,
        };
        let (groups, mut turn) = self.parts(time, out);
        match &timer {
            Timer::Session { group, member } => {
                if let Some(Group::Classic(group)) = groups.get_mut(group) {
                    group.on_session_alarm(member, timer.clone(), &mut turn);
                }
            }
            Timer::Join { group } => {
                if let Some(Group::Classic(group)) = groups.get_mut(group) {
                    group.on_join_alarm(timer, &mut turn);
                }
            }
            Timer::Sync { group } => {
                if let Some(Group::Classic(group)) = groups.get_mut(group) {
                    group.on_sync_alarm(timer, &mut turn);
                }
            }
            Timer::Deadline { group: id } => {
                if let Some(Group::Consumer(group)) = groups.get_mut(id)
                    && group.is_due(time.now, timer.clone(), &mut turn.shared.timers)
                {
                    self.on_deadline(id, time, out);
                }
            }
            Timer::Expiry => {
                let timers = &mut self.shared.timers;
                if timers.is_due(&mut self.expiry_alarm, time.now, timer) {
                    self.expire(time, out);
                    self.arm_expiry(time);
                }
            }
        }
    }

    /// The records of an append are committed.
    pub fn on_committed(&mut self, id: AppendId, time: Time, out: &mut Vec<Action<T>>) {
        self.resolve(id, Ok(()), time, out);
    }

    /// The records of an append are not in the log and never will be.
    pub fn on_failed(
        &mut self,
        id: AppendId,
        failure: AppendFailure,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        self.resolve(id, Err(failure), time, out);
    }

    fn resolve(
        &mut self,
        id: AppendId,
        result: Result<(), AppendFailure>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let Some(mut append) = self.shared.take_append(id) else {
            return;
        };
        let mut groups: Vec<Arc<str>> = append.then.group().cloned().into_iter().collect();
        for effect in std::mem::take(&mut append.effects) {
            match effect {
                Effect::Offset {
                    group,
                    topic,
                    partition,
                } => {
                    let applies = result.is_ok() || planted(Planted::FailedCommitKept);
                    self.offsets.resolve(&group, &topic, partition, id, applies);
                }
                Effect::GroupRemoved { group } => {
                    self.on_removed(&group, result, time, out);
                    groups.push(group);
                }
            }
        }
        self.resolve_group(&mut append, result, time, out);
        append.answer(result, out);
        for group in groups {
            self.release(&group, id, result, time, out);
        }
    }

    fn resolve_group(
        &mut self,
        append: &mut Append<T>,
        result: Result<(), AppendFailure>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let (groups, mut turn) = self.parts(time, out);
        match std::mem::replace(&mut append.then, Then::Nothing) {
            Then::Nothing => {}
            Then::Assigned {
                group,
                generation,
                assignments,
            } => match groups.get_mut(&group) {
                Some(Group::Classic(group)) => {
                    group.on_assigned(append.id, generation, assignments, result, &mut turn);
                }
                Some(Group::Consumer(_)) | None => {}
            },
            Then::StaticMemberReplaced { group, replaced } => match groups.get_mut(&group) {
                Some(Group::Classic(group)) => {
                    group.on_static_member_replaced(append.id, &replaced, result, &mut turn);
                }
                Some(Group::Consumer(_)) | None => {}
            },
            Then::Decided { group, change } => {
                self.on_decided(&group, *change, result, time, out);
            }
        }
    }

    /// A new classic group without members; `None` when there are too many.
    fn create_group(&mut self, group_id: &str, time: Time) -> Option<Arc<str>> {
        if self.groups.len() >= self.shared.settings.bounds.groups_max {
            return None;
        }
        let id: Arc<str> = group_id.into();
        let group = ClassicGroup::new(id.clone(), time.wall_ms);
        self.groups.insert(id.clone(), Group::Classic(group.into()));
        self.arm_expiry(time);
        Some(id)
    }

    /// As long as there are groups, some may expire.
    fn arm_expiry(&mut self, time: Time) {
        if !self.groups.is_empty() && !self.expiry_alarm.is_set() {
            let wait = match self.expiry_next {
                Some(_) => EXPIRY_PAUSE,
                None => self.shared.settings.offsets_check_interval,
            };
            let deadline = time.now + wait;
            let timers = &mut self.shared.timers;
            timers.set(&mut self.expiry_alarm, deadline, || Timer::Expiry);
        }
    }

    #[cfg(test)]
    fn assert_counts(&self) {
        let mut usage = self.shared.usage;
        for group in self.groups.values() {
            match group {
                Group::Classic(group) => group.assert_counts(&mut usage),
                Group::Consumer(group) => group.assert_counts(&mut usage),
            }
        }
        assert_eq!(usage, Usage::default(), "usage of no group");
    }

    fn parts<'a>(
        &'a mut self,
        time: Time,
        out: &'a mut Vec<Action<T>>,
    ) -> (&'a mut BTreeMap<Arc<str>, Group<T>>, Turn<'a, T>) {
        let shared = &mut self.shared;
        (&mut self.groups, Turn { time, shared, out })
    }
}

/// What offsets and their expiry ask a group for, whichever kind it is.
impl<T> Group<T> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.state() == State::Empty,
            Self::Consumer(group) => group.group.is_empty(),
        }
    }

    fn is_logged(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_logged(),
            Self::Consumer(_) => true,
        }
    }

    fn has_pending_members(&self) -> bool {
        match self {
            Self::Classic(group) => group.has_pending_members(),
            Self::Consumer(_) => false,
        }
    }

    fn is_subscribed_to(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed_to(topic),
            Self::Consumer(group) => group.group.is_subscribed_to(topic),
        }
    }

    fn expiry_basis(&self) -> Option<ExpiryBasis> {
        match self {
            Self::Classic(group) => group.expiry_basis(),
            Self::Consumer(group) if group.is_dead() => None,
            Self::Consumer(_) => Some(ExpiryBasis::Commit),
        }
    }

    fn validate_offset_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        says_epochs: bool,
        partitions: impl IntoIterator<Item = Option<TopicPartition>>,
    ) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => {
                group.validate_offset_commit(member_id, instance_id, generation)
            }
            Self::Consumer(group) => {
                group.check_commit(member_id, generation, says_epochs, partitions)
            }
        }
    }

    fn on_offset_commit(&mut self, member_id: &str, turn: &mut Turn<'_, T>) {
        match self {
            Self::Classic(group) => group.on_offset_commit(member_id, turn),
            Self::Consumer(_) => {}
        }
    }

    fn validate_offset_delete(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.validate_offset_delete(),
            Self::Consumer(group) if group.is_dead() => Err(GroupError::GroupIdNotFound),
            Self::Consumer(_) => Ok(()),
        }
    }

    fn validate_delete(&self) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.validate_delete(),
            Self::Consumer(group) => group.validate_delete(),
        }
    }

    fn mark_dead(&mut self) {
        match self {
            Self::Classic(group) => group.mark_dead(),
            Self::Consumer(group) => group.set_dead(true),
        }
    }

    fn revive(&mut self) {
        match self {
            Self::Classic(group) => group.revive(),
            Self::Consumer(group) => group.set_dead(false),
        }
    }

    /// It is replaced while the log is loaded.
    fn forget(self, usage: &mut Usage) {
        match self {
            Self::Classic(group) => group.forget(usage),
            Self::Consumer(group) => group.forget(usage),
        }
    }
}

fn consumer_record_error(error: consumer_records::RecordError) -> RecordError {
    let record = "record of a consumer group";
    match error {
        consumer_records::RecordError::ValueVersion(version) => {
            RecordError::NewerVersion { record, version }
        }
        consumer_records::RecordError::OtherKey(_)
        | consumer_records::RecordError::Malformed(_) => RecordError::Invalid { record },
    }
}
