//! A static member that comes back under its instance id: it takes the place, the assignment and the leadership of its former self.
//!
//! Never rebalances a stable group for it, as long as the group's protocol stays the same.

use std::sync::Arc;

use super::super::error::{AppendFailure, GroupError};
use super::super::request::JoinRequest;
use super::super::response::{JoinRefused, Response};
use super::super::turn::{AppendId, Then, Turn};
use super::join::refuse;
use super::member::{self, Protocol};
use super::{ClassicGroup, State};

/// How to undo the replacement when its record is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct ReplacedMember {
    instance_id: Arc<str>,
    member_id: Arc<str>,
    former_id: Arc<str>,
    former_leader: Option<Arc<str>>,
    former_protocols: Vec<Protocol>,
    former_rebalance_timeout_ms: i32,
    former_session_timeout_ms: i32,
    supports_skipping_assignment: bool,
}

impl<T> ClassicGroup<T> {
    /// Everything stays as it is but the id, and what the member says of itself.
    pub(super) fn replace_static_member(
        &mut self,
        former_id: &Arc<str>,
        member_id: Arc<str>,
        request: &JoinRequest<'_>,
        token: T,
        turn: &mut Turn<'_, T>,
    ) {
        let former = &self.members[former_id];
        let bounds = &turn.shared.settings.bounds;
        let more = member::bytes_of(request);
        if (self.bytes + more).saturating_sub(former.bytes()) > bounds.group_bytes_max
            || (turn.shared.usage.bytes + more).saturating_sub(former.bytes())
                > bounds.coordinator_bytes_max
        {
            return refuse(token, GroupError::GroupMaxSizeReached, "", turn);
        }
        let replaced = ReplacedMember {
            instance_id: request.instance_id.unwrap_or_default().into(),
            member_id: member_id.clone(),
            former_id: former_id.clone(),
            former_leader: self.leader.clone(),
            former_protocols: former.protocols.clone(),
            former_rebalance_timeout_ms: former.rebalance_timeout_ms,
            former_session_timeout_ms: former.session_timeout_ms,
            supports_skipping_assignment: request.supports_skipping_assignment,
        };
        self.rename(former_id, &member_id, turn);
        self.update_member(&member_id, request, token, turn);
        self.arm_session(&member_id, turn);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol => {
                let record = self.record(|member| member.assignment.clone());
                let group = self.id.clone();
                let then = Then::StaticMemberReplaced { group, replaced };
                let id = turn.append(vec![record], Vec::new(), then);
                self.logged = true;
                if let Some(member) = self.members.get_mut(&member_id) {
                    member.replacing = Some(id);
                }
            }
            // The leader may be assigning to the former id already, so that the new one would get nothing.
            State::Stable | State::CompletingRebalance => {
                self.prepare_rebalance(turn);
            }
            State::PreparingRebalance => {
                self.complete_if_all_joined(turn);
            }
            State::Empty | State::Dead => {
                unreachable!("an empty group has no static members")
            }
        }
    }

    /// The record with the member's new id is committed, or never will be.
    pub(in super::super) fn on_static_member_replaced(
        &mut self,
        id: AppendId,
        replaced: &ReplacedMember,
        result: Result<(), AppendFailure>,
        turn: &mut Turn<'_, T>,
    ) {
        let member = self.members.get(&replaced.member_id);
        if member.is_none_or(|member| member.replacing != Some(id)) {
            // It has left or was replaced again, or the group rebalances: then it is answered at the end of that.
            return;
        }
        let token = self.take_replaced(&replaced.member_id);
        let response = match result {
            Ok(()) => self.response_to_replaced(replaced),
            Err(failure) => {
                self.undo_replacement(replaced, turn);
                Response::Join(Err(JoinRefused {
                    error: failure.group_error(),
                    member_id: Arc::default(),
                }))
            }
        };
        if let Some(token) = token {
            turn.answer(token, response);
        }
        self.arm_session(&replaced.member_id, turn);
    }

    fn take_replaced(&mut self, member_id: &str) -> Option<T> {
        let member = self.members.get_mut(member_id)?;
        member.replacing = None;
        member.is_new = false;
        let token = member.awaiting_join.take();
        self.awaiting_join -= usize::from(token.is_some());
        token
    }

    /// A leader that is back need not assign. Before version 9 it cannot be told so, and is told that its former self leads.
    fn response_to_replaced(&self, replaced: &ReplacedMember) -> Response {
        let is_leader = self.leader.as_ref() == Some(&replaced.member_id);
        let mut joined = self.joined(&replaced.member_id, is_leader);
        if let Ok(joined) = &mut joined
            && !replaced.supports_skipping_assignment
        {
            joined.skip_assignment = false;
            joined.members = Vec::new();
            joined.leader = replaced.former_leader.clone().unwrap_or_default();
        }
        Response::Join(joined)
    }

    fn undo_replacement(&mut self, replaced: &ReplacedMember, turn: &mut Turn<'_, T>) {
        let usage = &mut turn.shared.usage;
        let protocols = self.change_member(&replaced.member_id, usage, |member| {
            member.rebalance_timeout_ms = replaced.former_rebalance_timeout_ms;
            member.session_timeout_ms = replaced.former_session_timeout_ms;
            std::mem::replace(&mut member.protocols, replaced.former_protocols.clone())
        });
        for protocol in protocols.unwrap_or_default() {
            self.lose_support(&protocol.name);
        }
        for protocol in &replaced.former_protocols {
            *self.support.entry(protocol.name.clone()).or_default() += 1;
        }
        self.rename(&replaced.member_id, &replaced.former_id, turn);
        self.arm_session(&replaced.former_id, turn);
    }

    /// Gives a static member another id. Whoever waits under the former one is fenced.
    fn rename(&mut self, former_id: &Arc<str>, member_id: &Arc<str>, turn: &mut Turn<'_, T>) {
        let was_leader = self.leader.as_ref() == Some(former_id);
        let owed_sync = self.pending_syncs.contains(former_id);
        let usage = &mut turn.shared.usage;
        let member = self.remove(former_id, usage);
        let mut member = member.expect("the caller has looked the member up");
        turn.shared.timers.cancel(&mut member.session);
        if let Some(token) = member.awaiting_join.take() {
            refuse(token, GroupError::FencedInstanceId, former_id, turn);
        }
        if let Some(token) = member.awaiting_sync.take() {
            let error = GroupError::FencedInstanceId;
            turn.answer(token, Response::Sync(Err(error)));
        }
        member.id = member_id.clone();
        member.replacing = None;
        let protocol_type = self.protocol_type.clone().unwrap_or_default();
        self.insert(member, &protocol_type, None, &mut turn.shared.usage);
        if was_leader {
            self.leader = Some(member_id.clone());
        }
        if owed_sync {
            self.pending_syncs.insert(member_id.clone());
        }
    }
}
