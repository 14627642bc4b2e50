//! A group of the classic protocol: its members, who leads them, and which of them the group waits for.
//!
//! Holds the state and keeps it consistent; what a request does to it is decided in the submodules, one for each phase of the
//! protocol. Never appends a record for a state that it does not have.
//!
//! Non-obvious:
//! - A member that has not come back by the end of the join phase is dropped, unless it is static: a static member keeps its place
//!   until its session ends, or until it fails to ask for its assignment in time.
//! - Between the leader's assignment and its commit the group stays in CompletingRebalance. Whoever joins in between starts a new
//!   rebalance, and the assignment is then given to nobody, although its record is in the log. Nobody can tell that from a
//!   coordinator that went away right after the commit.
//! - Once an assignment of a generation is under way, a repeated one of the leader is not taken: else the log could end with
//!   another one than the members have.

mod join;
mod leave;
mod member;
mod migration;
mod rebalance;
mod static_member;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(super) use join::new_member_id_of as new_member_id;
pub(super) use member::{Member, bytes_of as join_bytes};
pub(super) use static_member::ReplacedMember;

use super::consumer_protocol::Subscription;
use super::error::GroupError;
use super::records::group_metadata::{self, GroupMetadata, MemberMetadata};
use super::records::{EncodedRecord, field_bytes::RecordError};
use super::response::{DescribedGroup, DescribedMember, JoinRefused, Response};
use super::timers::{Alarm, Timer};
use super::turn::{AppendId, Turn, Usage};
use crate::coordinator::planted::{Planted, planted};

/// The protocol type of ordinary consumers, whose metadata says what they subscribe to.
const CONSUMER: &str = "consumer";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Without members, but perhaps with offsets.
    Empty,
    /// Waits for members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
    /// Its tombstone is under way.
    Dead,
}

impl State {
    /// As Kafka spells it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// How the end of the join phase was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JoinPhase {
    /// The group was empty: it waits a little for more members, and longer as they come.
    Initial {
        delay: Duration,
        remaining: Duration,
    },
    Rebalance,
}

#[derive(Debug)]
pub(super) struct ClassicGroup<T> {
    id: Arc<str>,
    state: State,
    previous_state: State,
    /// `None`: loaded from a record of an old release.
    state_timestamp_ms: Option<i64>,
    generation: i32,
    /// Generations up to here may have been told of, though the log knows nothing of them.
    generation_floor: i32,
    protocol_type: Option<Arc<str>>,
    protocol: Option<Arc<str>>,
    /// One of the members.
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member<T>>,
    /// The member ids of static members, by instance id.
    static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// They were told their id and have not joined with it yet.
    pending_members: BTreeMap<Arc<str>, Alarm>,
    /// They joined this generation and have not asked for their assignment.
    pending_syncs: BTreeSet<Arc<str>>,
    /// How many members support each protocol.
    support: BTreeMap<Arc<str>, usize>,
    awaiting_join: usize,
    new_member_added: bool,
    /// `None`: not a consumer group, or its metadata cannot be read.
    subscribed_topics: Option<BTreeSet<String>>,
    join_phase: JoinPhase,
    join_alarm: Alarm,
    sync_alarm: Alarm,
    /// The append with this generation's assignment.
    assigning: Option<AppendId>,
    /// Whether the log may hold a record of the group.
    logged: bool,
    /// Its record names no leader: nobody has assigned since it was a consumer group.
    unassigned: bool,
    bytes: usize,
}

/// From when on an offset's retention counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpiryBasis {
    Since(i64),
    Commit,
}

impl<T> ClassicGroup<T> {
    pub(super) fn new(id: Arc<str>, wall_ms: i64) -> Self {
        Self {
            id,
            state: State::Empty,
            previous_state: State::Empty,
            state_timestamp_ms: Some(wall_ms),
            generation: 0,
            generation_floor: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_members: BTreeMap::new(),
            pending_syncs: BTreeSet::new(),
            support: BTreeMap::new(),
            awaiting_join: 0,
            new_member_added: false,
            subscribed_topics: None,
            join_phase: JoinPhase::Rebalance,
            join_alarm: Alarm::default(),
            sync_alarm: Alarm::default(),
            assigning: None,
            logged: false,
            unassigned: false,
            bytes: 0,
        }
    }

    /// The group as a record has it.
    pub(super) fn load(
        id: Arc<str>,
        record: GroupMetadata,
        usage: &mut Usage,
    ) -> Result<Self, RecordError> {
        let mut group = Self::new(id, 0);
        group.logged = true;
        group.state_timestamp_ms = record.state_timestamp_ms;
        group.generation = record.generation;
        let shared = |text: &str| Arc::<str>::from(text);
        let protocol_type = Some(record.protocol_type).filter(|name| !name.is_empty());
        group.protocol_type = protocol_type.as_deref().map(shared);
        group.protocol = record.protocol.as_deref().map(shared);
        if !record.members.is_empty() {
            let (Some(protocol_type), Some(protocol)) =
                (group.protocol_type.clone(), group.protocol.clone())
            else {
                let record = "group metadata";
                return Err(RecordError::Invalid { record });
            };
            group.state = State::Stable;
            for member in record.members {
                let member = Member::load(member, &protocol);
                if group.members.contains_key(&member.id) {
                    group.forget(usage);
                    let record = "group metadata";
                    return Err(RecordError::Invalid { record });
                }
                group.insert(member, &protocol_type, None, usage);
            }
            group.unassigned = record.leader.is_none();
            let leader = record.leader.as_deref().map(shared);
            if let Some(leader) = leader.filter(|leader| group.members.contains_key(leader)) {
                group.leader = Some(leader);
            }
        }
        group.subscribed_topics = group.read_subscriptions();
        Ok(group)
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    /// The next generation is greater than this one.
    pub(super) fn go_on_from(&mut self, generation: i32) {
        self.generation_floor = self.generation_floor.max(generation);
    }

    pub(super) fn member_count(&self) -> usize {
        self.members.len()
    }

    pub(super) fn protocol_type(&self) -> Arc<str> {
        self.protocol_type.clone().unwrap_or_default()
    }

    pub(super) fn is_logged(&self) -> bool {
        self.logged
    }

    pub(super) fn has_pending_members(&self) -> bool {
        !self.pending_members.is_empty()
    }

    /// Its tombstone is under way: nothing is taken until it is committed, or has failed.
    pub(super) fn mark_dead(&mut self) {
        assert_eq!(self.state, State::Empty, "only an empty group is removed");
        self.state = State::Dead;
    }

    /// The tombstone failed.
    pub(super) fn revive(&mut self) {
        if self.state == State::Dead {
            self.state = State::Empty;
        }
    }

    /// The group is replaced by another record of it, or by none, while the log is loaded: nobody waits and no alarm is set yet.
    pub(super) fn forget(self, usage: &mut Usage) {
        usage.members -= self.members.len();
        usage.bytes -= self.bytes;
    }

    /// The group is dropped: its alarms must not outlive it, and everybody who waits is told.
    pub(super) fn retire(mut self, error: GroupError, turn: &mut Turn<'_, T>) {
        let ids: Vec<Arc<str>> = self
            .members
            .keys()
            .chain(self.pending_members.keys())
            .cloned()
            .collect();
        for id in ids {
            self.drop_member(&id, error, turn);
        }
        turn.shared.timers.cancel(&mut self.join_alarm);
        turn.shared.timers.cancel(&mut self.sync_alarm);
    }

    /// Alarms of a group that was loaded, and a rebalance where one is due, or where it is larger than is allowed by now.
    pub(super) fn on_loaded(&mut self, turn: &mut Turn<'_, T>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            self.arm_session(&id, turn);
        }
        let is_due = std::mem::take(&mut self.unassigned);
        if is_due || self.members.len() > turn.shared.settings.group_size_max {
            self.prepare_rebalance(turn);
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
        turn: &mut Turn<'_, T>,
    ) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.validate_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        match self.state {
            State::Empty | State::Dead => Err(GroupError::UnknownMemberId),
            State::PreparingRebalance => {
                self.arm_session(member_id, turn);
                Err(GroupError::RebalanceInProgress)
            }
            State::CompletingRebalance | State::Stable => {
                self.arm_session(member_id, turn);
                Ok(())
            }
        }
    }

    pub(super) fn validate_offset_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        // From a tool, or from a consumer that assigns partitions itself.
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(GroupError::UnknownMemberId);
        }
        self.validate_member(member_id, instance_id)?;
        if generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        match self.state {
            // The member knows of the generation already, but not yet what it owns in it.
            State::CompletingRebalance => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// A commit of offsets says that the member is alive.
    pub(super) fn on_offset_commit(&mut self, member_id: &str, turn: &mut Turn<'_, T>) {
        if matches!(self.state, State::Stable | State::PreparingRebalance) {
            self.arm_session(member_id, turn);
        }
    }

    pub(super) fn validate_offset_delete(&self) -> Result<(), GroupError> {
        match self.state {
            State::Dead => Err(GroupError::GroupIdNotFound),
            State::Empty => Ok(()),
            _ if self.is_consumer_group() => Ok(()),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    pub(super) fn validate_delete(&self) -> Result<(), GroupError> {
        match self.state {
            State::Dead => Err(GroupError::GroupIdNotFound),
            State::Empty => Ok(()),
            _ => Err(GroupError::NonEmptyGroup),
        }
    }

    /// A consumer group whose metadata cannot be read counts as subscribed to everything.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer_group(),
        }
    }

    /// `None`: nothing of the group expires now.
    pub(super) fn expiry_basis(&self) -> Option<ExpiryBasis> {
        match (&self.protocol_type, self.state) {
            // It only ever committed offsets.
            (None, State::Empty) => Some(ExpiryBasis::Commit),
            (Some(_), State::Empty) => Some(
                self.state_timestamp_ms
                    .map_or(ExpiryBasis::Commit, ExpiryBasis::Since),
            ),
            (Some(_), State::Stable) if self.subscribed_topics.is_some() => {
                Some(ExpiryBasis::Commit)
            }
            _ => None,
        }
    }

    pub(super) fn describe(&self) -> DescribedGroup {
        let stable = self.state == State::Stable;
        let describe = |member: &Member<T>| DescribedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: match stable {
                true => self.metadata_of(member),
                false => Bytes::new(),
            },
            assignment: match stable {
                true => member.assignment.clone(),
                false => Bytes::new(),
            },
        };
        DescribedGroup {
            state: self.state.name(),
            protocol_type: self.protocol_type(),
            protocol: match stable {
                true => self.protocol.clone().unwrap_or_default(),
                false => Arc::default(),
            },
            members: self.members.values().map(describe).collect(),
        }
    }

    /// The record of the group as it is, with these assignments.
    fn record(&self, assignment_of: impl Fn(&Member<T>) -> Bytes) -> EncodedRecord {
        let members = self.members.values().map(|member| MemberMetadata {
            member_id: member.id.to_string(),
            instance_id: member.instance_id.as_deref().map(str::to_owned),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: self.metadata_of(member),
            assignment: assignment_of(member),
        });
        let record = GroupMetadata {
            protocol_type: self.protocol_type().to_string(),
            generation: self.generation,
            protocol: self.protocol.as_deref().map(str::to_owned),
            leader: self.leader.as_deref().map(str::to_owned),
            state_timestamp_ms: self.state_timestamp_ms,
            members: members.collect(),
        };
        group_metadata::encode(&self.id, Some(&record))
    }

    fn transition(&mut self, state: State, turn: &Turn<'_, T>) {
        self.previous_state = self.state;
        self.state = state;
        self.state_timestamp_ms = Some(turn.time.wall_ms);
    }

    fn is_consumer_group(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    fn metadata_of(&self, member: &Member<T>) -> Bytes {
        let metadata = self.protocol.as_deref().map(|name| member.metadata(name));
        metadata.unwrap_or_default()
    }

    fn read_subscriptions(&self) -> Option<BTreeSet<String>> {
        if !self.is_consumer_group() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let subscription = Subscription::decode_beginning(&self.metadata_of(member)).ok()?;
            topics.extend(subscription.topics.iter().map(|topic| topic.to_string()));
        }
        Some(topics)
    }

    /// That the member is one, and that its instance id, if it has one, is still its own.
    fn validate_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(existing) if &**existing != member_id => {
                    return Err(GroupError::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(GroupError::UnknownMemberId),
        }
    }

    /// The longest that any member has to come back.
    fn rebalance_timeout(&self) -> Duration {
        let timeouts = self
            .members
            .values()
            .map(|member| member.rebalance_timeout());
        timeouts.max().unwrap_or_default()
    }

    fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_members.is_empty()
    }

    /// Adds a member; the first one says what kind of group it is, and leads it.
    fn insert(
        &mut self,
        mut member: Member<T>,
        protocol_type: &Arc<str>,
        token: Option<T>,
        usage: &mut Usage,
    ) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), member.id.clone());
        }
        for protocol in &member.protocols {
            *self.support.entry(protocol.name.clone()).or_default() += 1;
        }
        self.awaiting_join += usize::from(token.is_some());
        member.awaiting_join = token;
        self.bytes += member.bytes();
        usage.bytes += member.bytes();
        usage.members += 1;
        let previous = self.members.insert(member.id.clone(), member);
        assert!(previous.is_none(), "a member joins once");
    }

    /// Takes a member out, whose alarm is still set and who may wait for answers.
    fn remove(&mut self, member_id: &str, usage: &mut Usage) -> Option<Member<T>> {
        let member = self.members.remove(member_id)?;
        for protocol in &member.protocols {
            self.lose_support(&protocol.name);
        }
        self.awaiting_join -= usize::from(member.awaiting_join.is_some());
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_syncs.remove(member_id);
        self.bytes -= member.bytes();
        usage.bytes -= member.bytes();
        usage.members -= 1;
        Some(member)
    }

    fn lose_support(&mut self, protocol: &Arc<str>) {
        if let Some(count) = self.support.get_mut(protocol) {
            *count -= 1;
            if *count == 0 {
                self.support.remove(protocol);
            }
        }
    }

    /// Changes a member's bytes by `change`, and the counts with them.
    fn change_member<R>(
        &mut self,
        member_id: &str,
        usage: &mut Usage,
        change: impl FnOnce(&mut Member<T>) -> R,
    ) -> Option<R> {
        let member = self.members.get_mut(member_id)?;
        let before = member.bytes();
        let result = change(member);
        let after = member.bytes();
        self.bytes = self.bytes + after - before;
        usage.bytes = usage.bytes + after - before;
        Some(result)
    }

    /// Removes a member, or a pending one, and tells it `error` if it waits.
    fn drop_member(&mut self, member_id: &str, error: GroupError, turn: &mut Turn<'_, T>) {
        if let Some(mut alarm) = self.pending_members.remove(member_id) {
            turn.shared.timers.cancel(&mut alarm);
            turn.shared.usage.pending_members -= 1;
        }
        let Some(mut member) = self.remove(member_id, &mut turn.shared.usage) else {
            return;
        };
        turn.shared.timers.cancel(&mut member.session);
        if let Some(token) = member.awaiting_join.take() {
            let member_id = Arc::default();
            let refused = JoinRefused { error, member_id };
            turn.answer(token, Response::Join(Err(refused)));
        }
        if let Some(token) = member.awaiting_sync.take() {
            turn.answer(token, Response::Sync(Err(error)));
        }
    }

    /// The member's session begins anew.
    fn arm_session(&mut self, member_id: &str, turn: &mut Turn<'_, T>) {
        if let Some(member) = self.members.get(member_id) {
            let timeout = member.session_timeout();
            self.arm_session_for(member_id, timeout, turn);
        }
    }

    fn arm_session_for(&mut self, member_id: &str, timeout: Duration, turn: &mut Turn<'_, T>) {
        if planted(Planted::SessionTimerForgotten) {
            return;
        }
        if let Some(member) = self.members.get_mut(member_id) {
            let deadline = turn.time.now + timeout;
            let (group, id) = (&self.id, &member.id);
            turn.shared
                .timers
                .set(&mut member.session, deadline, || Timer::Session {
                    group: group.clone(),
                    member: id.clone(),
                });
        }
    }

    /// That every count is what it counts; the simulation asks after each step.
    #[cfg(test)]
    pub(super) fn assert_counts(&self, usage: &mut Usage) {
        let members = || self.members.values();
        let awaiting = members().filter(|member| member.awaiting_join.is_some());
        assert_eq!(self.awaiting_join, awaiting.count(), "members who wait");
        let mut support: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for protocol in members().flat_map(|member| &member.protocols) {
            *support.entry(protocol.name.clone()).or_default() += 1;
        }
        assert_eq!(self.support, support, "support of protocols");
        let bytes: usize = members().map(Member::bytes).sum();
        assert_eq!(self.bytes, bytes, "bytes of the group");
        let instances = members().filter_map(|member| {
            let instance_id = member.instance_id.clone()?;
            Some((instance_id, member.id.clone()))
        });
        let instances: BTreeMap<_, _> = instances.collect();
        assert_eq!(self.static_members, instances, "static members");
        let leader = self.leader.as_ref();
        let led = leader.is_some_and(|leader| self.members.contains_key(leader));
        assert_eq!(led, !self.members.is_empty(), "the leader is a member");
        let syncs = self.pending_syncs.iter();
        assert!(syncs.into_iter().all(|id| self.members.contains_key(id)));
        usage.members -= self.members.len();
        usage.pending_members -= self.pending_members.len();
        usage.bytes -= bytes;
    }
}
