//! LeaveGroup: members that go, by their own word or by a tool's that names them by instance id.
//!
//! Never waits for a rebalance that follows; only for the record of a group that became empty.

use super::super::error::GroupError;
use super::super::request::{LeaveRequest, LeavingMember};
use super::super::response::{Left, Response};
use super::super::turn::Turn;
use super::{ClassicGroup, State};

impl<T> ClassicGroup<T> {
    pub(in super::super) fn leave(
        &mut self,
        request: &LeaveRequest<'_>,
        token: T,
        turn: &mut Turn<'_, T>,
    ) {
        if self.state == State::Dead {
            let error = GroupError::CoordinatorNotAvailable;
            return turn.answer(token, Response::Leave(Err(error)));
        }
        let members = request.members.iter();
        let left: Vec<Left> = members.map(|member| self.leave_one(member, turn)).collect();
        let mut append = None;
        if left.iter().any(|left| left.result.is_ok()) {
            append = match self.state {
                State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn),
                State::PreparingRebalance => self.complete_if_all_joined(turn),
                State::Empty | State::Dead => None,
            };
        }
        turn.answer_after(append, token, Response::Leave(Ok(left)));
    }

    fn leave_one(&mut self, leaving: &LeavingMember<'_>, turn: &mut Turn<'_, T>) -> Left {
        let result = self.leaving_id(leaving).map(|member_id| {
            self.drop_member(&member_id, GroupError::UnknownMemberId, turn);
        });
        Left {
            member_id: leaving.member_id.into(),
            instance_id: leaving.instance_id.map(Into::into),
            result,
        }
    }

    fn leaving_id(&self, leaving: &LeavingMember<'_>) -> Result<String, GroupError> {
        if leaving.member_id.is_empty() {
            let instance_id = leaving.instance_id.ok_or(GroupError::UnknownMemberId)?;
            let member_id = self.static_members.get(instance_id);
            return member_id
                .map(|member_id| member_id.to_string())
                .ok_or(GroupError::UnknownMemberId);
        }
        if !self.pending_members.contains_key(leaving.member_id) {
            self.validate_member(leaving.member_id, leaving.instance_id)?;
        }
        Ok(leaving.member_id.to_owned())
    }
}
