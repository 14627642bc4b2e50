//! SyncGroup: the leader's assignment is made durable and handed to the members that ask for theirs.
//!
//! Never hands out an assignment before its record is committed: the next coordinator must know who owns what.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::error::{AppendFailure, GroupError};
use super::super::request::SyncRequest;
use super::super::response::{Response, Synced};
use super::super::timers::Timer;
use super::super::turn::{AppendId, Then, Turn};
use super::{ClassicGroup, Member, State};
use crate::coordinator::planted::{Planted, planted};

impl<T> ClassicGroup<T> {
    pub(in super::super) fn sync(
        &mut self,
        request: &SyncRequest<'_>,
        token: T,
        turn: &mut Turn<'_, T>,
    ) {
        if let Err(error) = self.validate_sync(request) {
            return turn.answer(token, Response::Sync(Err(error)));
        }
        match self.state {
            State::Empty | State::Dead => {
                let error = GroupError::UnknownMemberId;
                turn.answer(token, Response::Sync(Err(error)));
            }
            State::PreparingRebalance => {
                let error = GroupError::RebalanceInProgress;
                turn.answer(token, Response::Sync(Err(error)));
            }
            State::CompletingRebalance => {
                self.await_sync(request.member_id, token, turn);
                let is_leader = self.leader.as_deref() == Some(request.member_id);
                if is_leader && self.assigning.is_none() {
                    self.assign(request, turn);
                }
            }
            State::Stable => {
                self.note_sync(request.member_id, turn);
                let synced = self.synced(&self.members[request.member_id]);
                turn.answer(token, Response::Sync(Ok(synced)));
            }
        }
    }

    fn validate_sync(&self, request: &SyncRequest<'_>) -> Result<(), GroupError> {
        if self.state == State::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        self.validate_member(request.member_id, request.instance_id)?;
        if request.generation != self.generation && !planted(Planted::SyncGenerationUnchecked) {
            return Err(GroupError::IllegalGeneration);
        }
        let differs = |asked: Option<&str>, is: &Option<Arc<str>>| {
            asked.is_some() && is.is_some() && asked != is.as_deref()
        };
        if differs(request.protocol_type, &self.protocol_type)
            || differs(request.protocol_name, &self.protocol)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn await_sync(&mut self, member_id: &str, token: T, turn: &mut Turn<'_, T>) {
        let member = self.members.get_mut(member_id);
        let member = member.expect("the request was validated");
        // Whoever waited in its name has given up, since it asks again.
        if let Some(token) = member.awaiting_sync.replace(token) {
            let error = GroupError::RebalanceInProgress;
            turn.answer(token, Response::Sync(Err(error)));
        }
        self.note_sync(member_id, turn);
    }

    /// The member has asked for its assignment in time.
    fn note_sync(&mut self, member_id: &str, turn: &mut Turn<'_, T>) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            turn.shared.timers.cancel(&mut self.sync_alarm);
        }
    }

    fn assign(&mut self, request: &SyncRequest<'_>, turn: &mut Turn<'_, T>) {
        // A member that the leader does not name gets an empty assignment; whom the leader made up gets none.
        let mut assignments: BTreeMap<Arc<str>, Bytes> = BTreeMap::new();
        for &(member_id, assignment) in &request.assignments {
            if let Some((member_id, _)) = self.members.get_key_value(member_id) {
                assignments.insert(member_id.clone(), Bytes::copy_from_slice(assignment));
            }
        }
        let bytes: usize = assignments.values().map(Bytes::len).sum();
        let bounds = &turn.shared.settings.bounds;
        if self.bytes + bytes > bounds.group_bytes_max
            || turn.shared.usage.bytes + bytes > bounds.coordinator_bytes_max
        {
            return self.on_assignment_refused(GroupError::UnknownServerError, turn);
        }
        let record = self.record(|member| {
            let assignment = assignments.get(&member.id);
            assignment.cloned().unwrap_or_default()
        });
        self.logged = true;
        let then = Then::Assigned {
            group: self.id.clone(),
            generation: self.generation,
            assignments: assignments.clone(),
        };
        let id = turn.append(vec![record], Vec::new(), then);
        self.assigning = Some(id);
        if planted(Planted::AssignmentAnsweredAtOnce) {
            self.on_assigned(id, self.generation, assignments, Ok(()), turn);
        }
    }

    /// The assignment's record is committed, or never will be.
    pub(in super::super) fn on_assigned(
        &mut self,
        id: AppendId,
        generation: i32,
        mut assignments: BTreeMap<Arc<str>, Bytes>,
        result: Result<(), AppendFailure>,
        turn: &mut Turn<'_, T>,
    ) {
        // Somebody may have joined or left since: then another generation is on its way.
        if self.state != State::CompletingRebalance
            || self.generation != generation
            || self.assigning != Some(id)
        {
            return;
        }
        self.assigning = None;
        match result {
            Ok(()) => {
                self.set_assignments(
                    |member_id| assignments.remove(member_id).unwrap_or_default(),
                    turn,
                );
                self.transition(State::Stable, turn);
                turn.shared.counters.classic_rebalances += 1;
                self.answer_syncs(None, turn);
            }
            Err(failure) => self.on_assignment_refused(failure.group_error(), turn),
        }
    }

    fn on_assignment_refused(&mut self, error: GroupError, turn: &mut Turn<'_, T>) {
        self.fail_assignment(error, turn);
        self.rebalance_or_complete(turn);
    }

    /// Nobody gets an assignment in this generation.
    pub(super) fn fail_assignment(&mut self, error: GroupError, turn: &mut Turn<'_, T>) {
        assert_eq!(self.state, State::CompletingRebalance);
        self.set_assignments(|_| Bytes::new(), turn);
        self.answer_syncs(Some(error), turn);
    }

    fn set_assignments(
        &mut self,
        mut assignment_of: impl FnMut(&Arc<str>) -> Bytes,
        turn: &mut Turn<'_, T>,
    ) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            let assignment = assignment_of(&member_id);
            let usage = &mut turn.shared.usage;
            self.change_member(&member_id, usage, |member| member.assignment = assignment);
        }
    }

    /// Everybody who waits is answered, and their sessions begin anew.
    fn answer_syncs(&mut self, error: Option<GroupError>, turn: &mut Turn<'_, T>) {
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            let member = self.members.get_mut(&member_id);
            let Some(token) = member.and_then(|member| member.awaiting_sync.take()) else {
                continue;
            };
            let response = match error {
                Some(error) => Err(error),
                None => Ok(self.synced(&self.members[&member_id])),
            };
            turn.answer(token, Response::Sync(response));
            self.arm_session(&member_id, turn);
        }
    }

    fn synced(&self, member: &Member<T>) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: member.assignment.clone(),
        }
    }

    /// Members that joined and then never asked for their assignment are dropped.
    pub(in super::super) fn on_sync_alarm(&mut self, timer: Timer, turn: &mut Turn<'_, T>) {
        let due = turn
            .shared
            .timers
            .is_due(&mut self.sync_alarm, turn.time.now, timer);
        if !due || !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        let silent = std::mem::take(&mut self.pending_syncs);
        if silent.is_empty() {
            return;
        }
        for member_id in &silent {
            self.drop_member(member_id, GroupError::UnknownMemberId, turn);
        }
        self.prepare_rebalance(turn);
    }
}
