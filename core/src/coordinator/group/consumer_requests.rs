//! Requests to consumer groups (KIP-848): ConsumerGroupHeartbeat and ConsumerGroupDescribe, the classic protocol's requests of their
//! classic members, and the ways between the two kinds of group.
//!
//! Never changes a consumer group before its records are committed. Until then the group is held: what comes for it waits its turn.

use std::sync::Arc;
use std::time::Duration;

use super::classic::ClassicGroup;
use super::consumer::classic as of_classic;
use super::consumer::classic::{ClassicHeartbeatOutcome, SyncOutcome};
use super::consumer::deadlines::{Deadline, DeadlineChange, Deadlines};
use super::consumer::describe::DescribedGroup;
use super::consumer::error::ConsumerGroupError;
use super::consumer::heartbeat::HeartbeatRequest as ConsumerHeartbeatRequest;
use super::consumer::member::{ClassicProtocol, JOIN_EPOCH};
use super::consumer::migration::Downgrade;
use super::consumer::records::ConsumerGroupRecord;
use super::consumer::topics_view::TopicsView;
use super::consumer::{ConsumerGroup, Context, Decision};
use super::consumer_protocol::PROTOCOL_TYPE;
use super::error::{AppendFailure, GroupError};
use super::held::{self, HeldRequest, Waiting};
use super::records::{EncodedRecord, group_metadata};
use super::removal::Batch;
use super::request::{HeartbeatRequest, JoinRequest, LeaveRequest, SyncRequest, Time};
use super::response::{ConsumerHeartbeatRefused, JoinRefused, Joined, Left, Response, Synced};
use super::settings::Settings;
use super::timed_group::TimedGroup;
use super::turn::{Action, AppendId, Then, Turn, Usage};
use super::{Coordinator, Group};
use crate::coordinator::planted::{Planted, planted};

/// A deadline that passed, and whose records could not be written, passes again after this.
const DEADLINE_RETRY: Duration = Duration::from_secs(1);

/// What a consumer group is when its records are committed.
#[derive(Debug)]
pub(super) struct ConsumerChange {
    /// It takes the place of a classic group, or of none, as this.
    begins_as: Option<(ConsumerGroup, Deadlines)>,
    records: Vec<ConsumerGroupRecord>,
    deadlines: Vec<DeadlineChange>,
    /// It is a classic one from then on.
    downgrade: Option<Downgrade>,
    /// What made the decision, if it was no request.
    passed: Option<Deadline>,
}

/// What a decision stands on.
#[derive(Default)]
struct Basis {
    /// Records in front of the decision's own: the former group's tombstone, and the new one as it begins.
    records: Vec<EncodedRecord>,
    begins_as: Option<(ConsumerGroup, Deadlines)>,
    passed: Option<Deadline>,
}

fn refused(error: ConsumerGroupError) -> Response {
    Response::ConsumerHeartbeat(Err(ConsumerHeartbeatRefused::Group(error)))
}

fn unavailable() -> Response {
    let error = GroupError::CoordinatorNotAvailable;
    Response::ConsumerHeartbeat(Err(ConsumerHeartbeatRefused::Coordinator(error)))
}

impl<T> Coordinator<T> {
    /// The topics are others now. Groups notice with their next heartbeats.
    pub fn on_topics_changed(&mut self, topics: TopicsView) {
        self.topics = topics;
    }

    /// What is configured is other now. A group notices with the next request or deadline of one of its members.
    pub fn on_settings_changed(&mut self, settings: Settings) {
        self.shared.settings = settings;
    }

    /// ConsumerGroupHeartbeat.
    pub fn on_consumer_heartbeat(
        &mut self,
        group_id: &str,
        request: &ConsumerHeartbeatRequest,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let held = || HeldRequest::consumer_heartbeat(group_id, request);
        let Some(token) = self.held(group_id, token, held, out) else {
            return;
        };
        let answer = |token, response, out: &mut Vec<Action<T>>| {
            out.push(Action::Answer { token, response });
        };
        if let Err(error) = request.check(group_id, self.shared.settings.consumer_of(group_id)) {
            return answer(token, refused(error), out);
        }
        if let Err(error) = self.check_consumer_bounds(group_id, request) {
            return answer(token, error, out);
        }
        let joins = request.member_epoch == JOIN_EPOCH;
        if !joins && !matches!(self.groups.get(group_id), Some(Group::Consumer(_))) {
            let error = ConsumerGroupError::GroupNotFound(group_id.into());
            return answer(token, refused(error), out);
        }
        let id: Arc<str> = match self.groups.get_key_value(group_id) {
            Some((id, _)) => id.clone(),
            None => group_id.into(),
        };
        if let Some(Group::Classic(group)) = self.groups.get(&id)
            && let Some(append) = group.append_under_way()
        {
            // What its members have is known when that is resolved.
            self.holds.begin(id, append);
            self.held(group_id, token, held, out);
            return;
        }
        let basis = match self.basis(&id, time) {
            Ok(basis) => basis,
            Err(response) => return answer(token, response, out),
        };
        let context = context(&self.topics, &self.shared.settings, &id, time);
        let decided = match (&basis.begins_as, self.groups.get(&id)) {
            (Some((group, _)), _) => group.heartbeat(request, &context),
            (None, Some(Group::Consumer(group))) => group.group.heartbeat(request, &context),
            (None, _) => unreachable!("a group that is none begins as one"),
        };
        match decided {
            Ok(decision) => {
                let decision = decision.map(|response| Response::ConsumerHeartbeat(Ok(response)));
                self.carry_out(&id, decision, Some(token), basis, time, out);
            }
            Err(error) => answer(token, refused(error), out),
        }
    }

    /// That there is room for what the request can make the coordinator keep.
    fn check_consumer_bounds(
        &self,
        group_id: &str,
        request: &ConsumerHeartbeatRequest,
    ) -> Result<(), Response> {
        let bounds = &self.shared.settings.bounds;
        if self.shared.appends_under_way() >= bounds.appends_max {
            return Err(unavailable());
        }
        let group = match self.groups.get(group_id) {
            Some(Group::Consumer(group)) => Some(&group.group),
            Some(Group::Classic(_)) => None,
            None if self.groups.len() >= bounds.groups_max => return Err(unavailable()),
            None => None,
        };
        let is_member = group.is_some_and(|group| group.member(&request.member_id).is_some());
        let usage = &self.shared.usage;
        let bytes = request.bytes();
        let group_bytes = group.map_or(0, ConsumerGroup::bytes);
        let is_full = (!is_member && usage.members >= bounds.members_max)
            || group_bytes + bytes > bounds.group_bytes_max
            || usage.bytes + bytes > bounds.coordinator_bytes_max;
        // Whoever says nothing new needs no room, and whoever leaves makes some.
        if is_full && bytes > 0 && request.member_epoch >= JOIN_EPOCH {
            let members_max = bounds.members_max;
            return Err(refused(ConsumerGroupError::GroupFull { members_max }));
        }
        Ok(())
    }

    /// What a heartbeat that may join is decided on: the group that is there, or the one that will be.
    fn basis(&self, id: &Arc<str>, time: Time) -> Result<Basis, Response> {
        let new = || (ConsumerGroup::new(id.clone()), Deadlines::default());
        match self.groups.get(id) {
            Some(Group::Consumer(group)) if group.is_dead() => Err(unavailable()),
            Some(Group::Consumer(_)) => Ok(Basis::default()),
            None => Ok(Basis {
                begins_as: Some(new()),
                ..Basis::default()
            }),
            Some(Group::Classic(group)) => {
                let tombstone = group_metadata::encode(id, None);
                let tombstone = group.is_logged().then_some(tombstone);
                let mut records: Vec<EncodedRecord> = tombstone.into_iter().collect();
                match group.to_migration() {
                    _ if group.is_dead() => Err(unavailable()),
                    None => Ok(Basis {
                        records,
                        begins_as: Some(new()),
                        passed: None,
                    }),
                    Some(classic) => {
                        let context = context(&self.topics, &self.shared.settings, id, time);
                        let upgrade =
                            ConsumerGroup::upgrade(id, &classic, &context).map_err(refused)?;
                        let begins = upgrade.records.iter();
                        records.extend(begins.map(|record| record.encode(id)));
                        Ok(Basis {
                            records,
                            begins_as: Some((upgrade.group, upgrade.deadlines)),
                            passed: None,
                        })
                    }
                }
            }
        }
    }

    /// JoinGroup to a consumer group. One without members makes room for a classic group.
    pub(super) fn join_consumer_group(
        &mut self,
        request: &JoinRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let refuse = |token, error, member_id: Arc<str>, out: &mut Vec<Action<T>>| {
            let response = Response::Join(Err(JoinRefused { error, member_id }));
            out.push(Action::Answer { token, response });
        };
        let Some((id, Group::Consumer(group))) = self.groups.get_key_value(request.group_id) else {
            unreachable!("the caller has looked it up")
        };
        let id = id.clone();
        if group.is_dead() {
            let error = GroupError::CoordinatorNotAvailable;
            return refuse(token, error, request.member_id.into(), out);
        }
        if group.group.is_empty() {
            if !request.member_id.is_empty() {
                let error = GroupError::UnknownMemberId;
                return refuse(token, error, request.member_id.into(), out);
            }
            let mut batch = Batch::default();
            self.remove_group(&mut batch, &id, time, out);
            self.append_batch(&mut batch, time, out);
            let held = || HeldRequest::join(request);
            self.held(&id, token, held, out);
            return;
        }
        let bounds = &self.shared.settings.bounds;
        let usage = &self.shared.usage;
        let bytes = super::classic::join_bytes(request);
        let is_member = group.group.member(request.member_id).is_some();
        if (!is_member && usage.members >= bounds.members_max)
            || group.group.bytes() + bytes > bounds.group_bytes_max
            || usage.bytes + bytes > bounds.coordinator_bytes_max
        {
            let error = GroupError::GroupMaxSizeReached;
            return refuse(token, error, request.member_id.into(), out);
        }
        let owned = owned_join(request);
        self.ask_consumer_group(&id, token, time, out, |group, context| {
            let decided = group.classic_join(&owned, context);
            let decision = decided.map_err(|refusal| {
                let error = GroupError::from(&refusal);
                let member_id = match refusal {
                    ConsumerGroupError::MemberIdRequired(member_id) => member_id,
                    _ => owned.member_id.clone(),
                };
                Response::Join(Err(JoinRefused { error, member_id }))
            })?;
            Ok(decision.map(|joined| {
                Response::Join(Ok(Joined {
                    generation: joined.generation,
                    protocol_type: Some(PROTOCOL_TYPE.into()),
                    protocol_name: Some(joined.protocol),
                    leader: Arc::default(),
                    member_id: joined.member_id,
                    skip_assignment: false,
                    members: Vec::new(),
                }))
            }))
        });
    }

    pub(super) fn sync_consumer_group(
        &mut self,
        request: &SyncRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let owned = of_classic::SyncRequest {
            member_id: request.member_id.into(),
            instance_id: request.instance_id.map(Into::into),
            generation: request.generation,
            protocol_type: request.protocol_type.map(Into::into),
            protocol: request.protocol_name.map(Into::into),
        };
        self.ask_consumer_group(request.group_id, token, time, out, |group, context| {
            let decided = group.classic_sync(&owned, context);
            let decision =
                decided.map_err(|error| Response::Sync(Err(GroupError::from(&error))))?;
            Ok(decision.map(|outcome| {
                Response::Sync(match outcome {
                    SyncOutcome::Assignment(assignment) => Ok(Synced {
                        protocol_type: Some(PROTOCOL_TYPE.into()),
                        protocol_name: owned.protocol,
                        assignment,
                    }),
                    SyncOutcome::RebalanceInProgress => Err(GroupError::RebalanceInProgress),
                })
            }))
        });
    }

    pub(super) fn heartbeat_consumer_group(
        &mut self,
        request: &HeartbeatRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let owned = of_classic::ClassicHeartbeat {
            member_id: request.member_id.into(),
            instance_id: request.instance_id.map(Into::into),
            generation: request.generation,
        };
        self.ask_consumer_group(request.group_id, token, time, out, |group, context| {
            let decided = group.classic_heartbeat(&owned, context);
            let refuse = |error| Response::Heartbeat(Err(GroupError::from(&error)));
            Ok(decided.map_err(refuse)?.map(|outcome| {
                Response::Heartbeat(match outcome {
                    ClassicHeartbeatOutcome::Fine => Ok(()),
                    ClassicHeartbeatOutcome::RebalanceInProgress => {
                        Err(GroupError::RebalanceInProgress)
                    }
                })
            }))
        });
    }

    pub(super) fn leave_consumer_group(
        &mut self,
        request: &LeaveRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let leavers = request.members.iter().map(|member| of_classic::Leaver {
            member_id: member.member_id.into(),
            instance_id: member.instance_id.map(Into::into),
        });
        let leavers: Vec<of_classic::Leaver> = leavers.collect();
        self.ask_consumer_group(request.group_id, token, time, out, |group, context| {
            Ok(group.classic_leave(&leavers, context).map(|results| {
                let left = leavers.into_iter().zip(results);
                let left = left.map(|(leaver, result)| Left {
                    member_id: leaver.member_id,
                    instance_id: leaver.instance_id,
                    result: result.map_err(|error| GroupError::from(&error)),
                });
                Response::Leave(Ok(left.collect()))
            }))
        });
    }

    /// Lets a consumer group decide on a request, and carries that out; or answers with what it is refused by.
    fn ask_consumer_group(
        &mut self,
        group_id: &str,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
        ask: impl FnOnce(&ConsumerGroup, &Context<'_>) -> Result<Decision<Response>, Response>,
    ) {
        let Some((id, Group::Consumer(group))) = self.groups.get_key_value(group_id) else {
            unreachable!("the caller has looked it up")
        };
        let id = id.clone();
        let context = context(&self.topics, &self.shared.settings, &id, time);
        match ask(&group.group, &context) {
            Ok(decision) => self.carry_out(&id, decision, Some(token), Basis::default(), time, out),
            Err(response) => out.push(Action::Answer { token, response }),
        }
    }

    /// A deadline of a member may have passed.
    pub(super) fn on_deadline(&mut self, id: &Arc<str>, time: Time, out: &mut Vec<Action<T>>) {
        loop {
            let Some(Group::Consumer(group)) = self.groups.get_mut(id) else {
                return;
            };
            let Some(passed) = group.pop_deadline(time.now) else {
                return group.arm(&mut self.shared.timers);
            };
            let context = context(&self.topics, &self.shared.settings, id, time);
            let decision = group.group.on_deadline(&passed, &context);
            let basis = Basis {
                passed: Some(passed),
                ..Basis::default()
            };
            let decision = decision.map(|()| None);
            self.carry_out_any(id, decision, None, basis, time, out);
            if self.holds.has(id) {
                // The others pass when this one's records are committed.
                return;
            }
        }
    }

    fn carry_out(
        &mut self,
        id: &Arc<str>,
        decision: Decision<Response>,
        token: Option<T>,
        basis: Basis,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        self.carry_out_any(id, decision.map(Some), token, basis, time, out);
    }

    /// Appends the decision's records and holds the group until they are committed; without any the decision holds at once.
    fn carry_out_any(
        &mut self,
        id: &Arc<str>,
        decision: Decision<Option<Response>>,
        token: Option<T>,
        basis: Basis,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let Decision {
            records,
            response,
            deadlines,
            downgrade,
        } = decision;
        let mut encoded = basis.records;
        encoded.extend(records.iter().map(|record| record.encode(id)));
        if let Some(downgrade) = &downgrade {
            // Made once more when it is committed, and then counted.
            let mut usage = Usage::default();
            let classic = ClassicGroup::<T>::from_migration(id, downgrade, time, &mut usage);
            encoded.push(classic.downgraded_record());
        }
        if encoded.is_empty() {
            if let Some(Group::Consumer(group)) = self.groups.get_mut(id) {
                group.apply(deadlines);
                group.arm(&mut self.shared.timers);
            }
            if let (Some(token), Some(response)) = (token, response) {
                out.push(Action::Answer { token, response });
            }
            return;
        }
        let change = Box::new(ConsumerChange {
            begins_as: basis.begins_as,
            records,
            deadlines,
            downgrade,
            passed: basis.passed,
        });
        let group = id.clone();
        let (_, mut turn) = self.parts(time, out);
        let append = turn.append(encoded, Vec::new(), Then::Decided { group, change });
        if let (Some(token), Some(response)) = (token, response) {
            turn.answer_after(Some(append), token, response);
        }
        if !planted(Planted::GroupNotHeld) {
            self.holds.begin(id.clone(), append);
        }
    }

    /// A decision's records are committed, or never will be.
    pub(super) fn on_decided(
        &mut self,
        id: &Arc<str>,
        change: ConsumerChange,
        result: Result<(), AppendFailure>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        if result.is_err() {
            if let Some(Group::Consumer(group)) = self.groups.get_mut(id) {
                if let Some(passed) = change.passed {
                    group.postpone(passed, time.now + DEADLINE_RETRY);
                }
                group.arm(&mut self.shared.timers);
            }
            return;
        }
        let counters = &mut self.shared.counters;
        counters.members_fenced += u64::from(change.passed.is_some());
        let epochs = change.records.iter();
        let epochs = epochs.filter(|record| matches!(record, ConsumerGroupRecord::Group(Some(_))));
        counters.consumer_rebalances += epochs.count() as u64;
        if let Some((group, deadlines)) = change.begins_as {
            let (groups, mut turn) = self.parts(time, out);
            if let Some(former) = groups.remove(id) {
                // Whoever waits joins again, and finds the group that is there then.
                former.retire(GroupError::RebalanceInProgress, &mut turn);
            }
            let group = TimedGroup::new(group, deadlines, &mut turn.shared.usage);
            groups.insert(id.clone(), Group::Consumer(group.into()));
            self.arm_expiry(time);
        }
        let Some(Group::Consumer(group)) = self.groups.get_mut(id) else {
            unreachable!("a group that is held stays what it is")
        };
        for record in &change.records {
            group.replay(record, &mut self.shared.usage);
        }
        group.apply(change.deadlines);
        group.arm(&mut self.shared.timers);
        if let Some(downgrade) = change.downgrade {
            self.downgrade(id, &downgrade, time, out);
        }
    }

    fn downgrade(
        &mut self,
        id: &Arc<str>,
        downgrade: &Downgrade,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let (groups, mut turn) = self.parts(time, out);
        if let Some(former) = groups.remove(id) {
            former.retire(GroupError::RebalanceInProgress, &mut turn);
        }
        let usage = &mut turn.shared.usage;
        let mut group = ClassicGroup::from_migration(id, downgrade, time, usage);
        group.on_loaded(&mut turn);
        groups.insert(id.clone(), Group::Classic(group.into()));
    }

    /// The request's token, unless the request waits for its group now, or there is no room to wait.
    pub(super) fn held(
        &mut self,
        group_id: &str,
        token: T,
        held: impl FnOnce() -> HeldRequest,
        out: &mut Vec<Action<T>>,
    ) -> Option<T> {
        if !self.holds.has(group_id) {
            return Some(token);
        }
        if self.holds.count() >= self.shared.settings.bounds.held_max {
            let response = held().refused(GroupError::CoordinatorNotAvailable);
            out.push(Action::Answer { token, response });
            return None;
        }
        self.holds.push(group_id, Waiting::Request(held(), token));
        None
    }

    /// What waited for the append has its turn. When the append failed, requests are refused instead: each of them might append, and
    /// fail, again.
    pub(super) fn release(
        &mut self,
        id: &Arc<str>,
        append: AppendId,
        result: Result<(), AppendFailure>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let Some(mut waiting) = self.holds.end(id, append) else {
            return;
        };
        while let Some(next) = waiting.pop_front() {
            match (next, result) {
                (Waiting::Timer(timer), _) => self.on_timer(timer, time, out),
                (Waiting::Request(request, token), Ok(())) => {
                    self.on_held(&request, token, time, out);
                }
                (Waiting::Request(request, token), Err(failure)) => {
                    let response = request.refused(failure.group_error());
                    out.push(Action::Answer { token, response });
                }
            }
            if self.holds.has(id) {
                for later in waiting {
                    self.holds.push(id, later);
                }
                return;
            }
        }
    }

    fn on_held(&mut self, request: &HeldRequest, token: T, time: Time, out: &mut Vec<Action<T>>) {
        match request {
            HeldRequest::Join(join) => self.on_join(&join.request(), token, time, out),
            HeldRequest::Sync(sync) => self.on_sync(&sync.request(), token, time, out),
            HeldRequest::Heartbeat {
                group_id,
                generation,
                member_id,
                instance_id,
            } => {
                let request = HeartbeatRequest {
                    group_id,
                    generation: *generation,
                    member_id,
                    instance_id: instance_id.as_deref(),
                };
                self.on_heartbeat(&request, token, time, out);
            }
            HeldRequest::Leave { group_id, members } => {
                let members = held::leaving(members);
                let request = LeaveRequest { group_id, members };
                self.on_leave(&request, token, time, out);
            }
            HeldRequest::ConsumerHeartbeat { group_id, request } => {
                self.on_consumer_heartbeat(group_id, request, token, time, out);
            }
        }
    }

    /// The coordinator goes: nobody waits any more.
    pub(super) fn refuse_held(&mut self, error: GroupError, out: &mut Vec<Action<T>>) {
        for waiting in self.holds.take_all() {
            if let Waiting::Request(request, token) = waiting {
                let response = request.refused(error);
                out.push(Action::Answer { token, response });
            }
        }
    }

    /// One group of ConsumerGroupDescribe.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND with a sentence of Kafka's.
    pub fn describe_consumer_group(&self, group_id: &str) -> Result<DescribedGroup, String> {
        match self.groups.get(group_id) {
            Some(Group::Consumer(group)) => {
                let config = self.shared.settings.consumer_of(group_id);
                Ok(group.group.describe(&self.topics, config))
            }
            Some(Group::Classic(_)) => Err(format!("Group {group_id} is not a consumer group.")),
            None => Err(format!("Group {group_id} not found.")),
        }
    }

    /// Whether somebody may fetch the group's offsets; -1 and no member id: it does not say who it is.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub fn check_offset_fetch(
        &self,
        group_id: &str,
        member_id: Option<&str>,
        member_epoch: i32,
    ) -> Result<(), GroupError> {
        match self.groups.get(group_id) {
            Some(Group::Consumer(group)) => {
                let checked = group.group.check_fetch(member_id, member_epoch);
                checked.map_err(|error| GroupError::from(&error))
            }
            Some(Group::Classic(_)) | None => Ok(()),
        }
    }
}

fn context<'a>(
    topics: &'a TopicsView,
    settings: &'a Settings,
    group_id: &str,
    time: Time,
) -> Context<'a> {
    Context {
        topics,
        config: settings.consumer_of(group_id),
        now: time.now,
        timestamp_ms: time.wall_ms,
    }
}

fn owned_join(request: &JoinRequest<'_>) -> of_classic::JoinRequest {
    /// The first version that wants a new member to come back with its id, and one that does not.
    const WITH_ID: i16 = 4;
    const WITHOUT_ID: i16 = 3;
    let protocols = request.protocols.iter();
    let protocols = protocols.map(|&(name, metadata)| ClassicProtocol {
        name: name.into(),
        metadata: bytes::Bytes::copy_from_slice(metadata),
    });
    of_classic::JoinRequest {
        version: match request.requires_known_member_id {
            true => WITH_ID,
            false => WITHOUT_ID,
        },
        member_id: request.member_id.into(),
        instance_id: request.instance_id.map(Into::into),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            ..0 => request.session_timeout_ms,
            timeout => timeout,
        },
        protocol_type: request.protocol_type.into(),
        protocols: protocols.collect(),
        client_id: request.client_id.into(),
        client_host: request.client_host.into(),
        new_member_id: super::classic::new_member_id(request).into(),
    }
}

impl<T> Group<T> {
    /// The group is dropped, and whoever waits for it is told.
    pub(super) fn retire(self, error: GroupError, turn: &mut Turn<'_, T>) {
        match self {
            Self::Classic(group) => group.retire(error, turn),
            Self::Consumer(group) => group.retire(turn),
        }
    }
}
