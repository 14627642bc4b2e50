//! JoinGroup: who may become a member, who must come again with an id, and whether the group rebalances for it.
//!
//! Never waits for anything itself: a member whose group rebalances is answered when the join phase ends.

use std::sync::Arc;
use std::time::Duration;

use super::super::error::GroupError;
use super::super::request::JoinRequest;
use super::super::response::{JoinRefused, Joined, JoinedMember, Response};
use super::super::timers::{Alarm, Timer};
use super::super::turn::Turn;
use super::member::{self, Member};
use super::{ClassicGroup, State};

/// How long a member that was never told its id is waited for. If it is still there it tries again.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// The longest beginning of a member id: with a dash and the 36 characters of a uuid it is still a text of Kafka's.
const MEMBER_ID_PREFIX_BYTES_MAX: usize = i16::MAX as usize - 37;

impl<T> ClassicGroup<T> {
    pub(in super::super) fn join(
        &mut self,
        request: &JoinRequest<'_>,
        token: T,
        turn: &mut Turn<'_, T>,
    ) {
        if !self.accepts(request.member_id, turn) {
            self.drop_member(request.member_id, GroupError::GroupMaxSizeReached, turn);
            refuse(token, GroupError::GroupMaxSizeReached, "", turn);
        } else if self.state == State::Dead {
            let error = GroupError::CoordinatorNotAvailable;
            refuse(token, error, request.member_id, turn);
        } else if !self.supports(request) {
            let error = GroupError::InconsistentGroupProtocol;
            refuse(token, error, request.member_id, turn);
        } else if request.member_id.is_empty() {
            self.join_new(request, token, turn);
        } else if self.pending_members.contains_key(request.member_id) {
            self.join_pending(request, token, turn);
        } else {
            self.join_existing(request, token, turn);
        }
    }

    /// Whether there is room for whoever joins. While a rebalance is prepared those count who have joined: when the limit was lowered,
    /// the last ones to come back are turned away.
    fn accepts(&self, member_id: &str, turn: &Turn<'_, T>) -> bool {
        let size_max = turn.shared.settings.group_size_max;
        let member = self.members.get(member_id);
        match self.state {
            State::Empty | State::Dead => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.awaiting_join < size_max
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < size_max
            }
        }
    }

    /// Whether the member is of the group's kind and supports a protocol that all others do.
    fn supports(&self, request: &JoinRequest<'_>) -> bool {
        if self.state == State::Empty {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        let count = self.members.len();
        let by_all = |name: &str| self.support.get(name).copied().unwrap_or(0) == count;
        self.protocol_type.as_deref() == Some(request.protocol_type)
            && request.protocols.iter().any(|(name, _)| by_all(name))
    }

    fn join_new(&mut self, request: &JoinRequest<'_>, token: T, turn: &mut Turn<'_, T>) {
        let member_id: Arc<str> = new_member_id_of(request).into();
        if self.members.contains_key(&member_id) || self.pending_members.contains_key(&member_id) {
            // The caller's uuids are not what they should be.
            return refuse(token, GroupError::UnknownServerError, "", turn);
        }
        match request.instance_id {
            Some(instance_id) => match self.static_members.get(instance_id).cloned() {
                Some(existing) => {
                    self.replace_static_member(&existing, member_id, request, token, turn);
                }
                None => self.add_member(member_id, request, token, turn),
            },
            None if request.requires_known_member_id => {
                self.add_pending_member(&member_id, request, token, turn);
            }
            None => self.add_member(member_id, request, token, turn),
        }
    }

    fn add_pending_member(
        &mut self,
        member_id: &Arc<str>,
        request: &JoinRequest<'_>,
        token: T,
        turn: &mut Turn<'_, T>,
    ) {
        if turn.shared.usage.pending_members >= turn.shared.settings.bounds.pending_members_max {
            return refuse(token, GroupError::CoordinatorNotAvailable, "", turn);
        }
        turn.shared.usage.pending_members += 1;
        let mut alarm = Alarm::default();
        let timeout = u64::try_from(request.session_timeout_ms).unwrap_or(0);
        let deadline = turn.time.now + Duration::from_millis(timeout);
        turn.shared
            .timers
            .set(&mut alarm, deadline, || Timer::Session {
                group: self.id.clone(),
                member: member_id.clone(),
            });
        self.pending_members.insert(member_id.clone(), alarm);
        refuse(token, GroupError::MemberIdRequired, member_id, turn);
    }

    fn join_pending(&mut self, request: &JoinRequest<'_>, token: T, turn: &mut Turn<'_, T>) {
        if request.instance_id.is_some() {
            // The id was given to a dynamic member.
            let error = GroupError::UnknownServerError;
            return refuse(token, error, request.member_id, turn);
        }
        self.add_member(request.member_id.into(), request, token, turn);
    }

    fn add_member(
        &mut self,
        member_id: Arc<str>,
        request: &JoinRequest<'_>,
        token: T,
        turn: &mut Turn<'_, T>,
    ) {
        let bounds = &turn.shared.settings.bounds;
        let usage = &turn.shared.usage;
        let bytes = member::bytes_of(request);
        if usage.members >= bounds.members_max
            || self.bytes + bytes > bounds.group_bytes_max
            || usage.bytes + bytes > bounds.coordinator_bytes_max
        {
            return refuse(token, GroupError::GroupMaxSizeReached, "", turn);
        }
        if let Some(mut alarm) = self.pending_members.remove(&member_id) {
            turn.shared.timers.cancel(&mut alarm);
            turn.shared.usage.pending_members -= 1;
        }
        if self.state == State::PreparingRebalance && self.previous_state == State::Empty {
            self.new_member_added = true;
        }
        let member = Member::new(member_id.clone(), request);
        let protocol_type = request.protocol_type.into();
        self.insert(member, &protocol_type, Some(token), &mut turn.shared.usage);
        self.arm_session_for(&member_id, NEW_MEMBER_JOIN_TIMEOUT, turn);
        self.rebalance_or_complete(turn);
    }

    fn join_existing(&mut self, request: &JoinRequest<'_>, token: T, turn: &mut Turn<'_, T>) {
        let member_id = request.member_id;
        if let Err(error) = self.validate_member(member_id, request.instance_id) {
            return refuse(token, error, member_id, turn);
        }
        let is_leader = self.leader.as_deref() == Some(member_id);
        let unchanged = self.members[member_id].matches(request);
        match self.state {
            State::PreparingRebalance => self.join_again(request, token, turn),
            // It may not have got the first answer.
            State::CompletingRebalance if unchanged => {
                let joined = self.joined(member_id, false);
                turn.answer(token, Response::Join(joined));
            }
            // The leader joins when something else changed that the assignment depends on, such as the topics.
            State::Stable if unchanged && !is_leader => {
                let joined = self.joined(member_id, false);
                turn.answer(token, Response::Join(joined));
            }
            State::CompletingRebalance | State::Stable => self.join_again(request, token, turn),
            State::Empty | State::Dead => {
                refuse(token, GroupError::UnknownMemberId, member_id, turn);
            }
        }
    }

    /// A member joins the next generation.
    fn join_again(&mut self, request: &JoinRequest<'_>, token: T, turn: &mut Turn<'_, T>) {
        let bounds = &turn.shared.settings.bounds;
        let more = member::bytes_of(request);
        let less = self.members[request.member_id].bytes();
        if (self.bytes + more).saturating_sub(less) > bounds.group_bytes_max
            || (turn.shared.usage.bytes + more).saturating_sub(less) > bounds.coordinator_bytes_max
        {
            let error = GroupError::GroupMaxSizeReached;
            return refuse(token, error, request.member_id, turn);
        }
        self.update_member(request.member_id, request, token, turn);
        self.rebalance_or_complete(turn);
    }

    /// The member is as it says now, and waits for the end of the join phase. Whoever waited in its name is sent away: it must have
    /// given up, since it asks again.
    pub(super) fn update_member(
        &mut self,
        member_id: &str,
        request: &JoinRequest<'_>,
        token: T,
        turn: &mut Turn<'_, T>,
    ) {
        let usage = &mut turn.shared.usage;
        let changed = self.change_member(member_id, usage, |member| {
            member.rebalance_timeout_ms = member::rebalance_timeout_ms(request);
            member.session_timeout_ms = request.session_timeout_ms;
            let protocols = member::protocols(request);
            let before = std::mem::replace(&mut member.protocols, protocols.clone());
            let waiting = member.awaiting_join.replace(token);
            (before, protocols, waiting)
        });
        let (before, after, waiting) = changed.expect("the caller has looked the member up");
        for protocol in &before {
            self.lose_support(&protocol.name);
        }
        for protocol in after {
            *self.support.entry(protocol.name).or_default() += 1;
        }
        match waiting {
            Some(token) => refuse(token, GroupError::RebalanceInProgress, member_id, turn),
            None => self.awaiting_join += 1,
        }
    }

    /// What a member of the current generation is told.
    pub(super) fn joined(
        &self,
        member_id: &str,
        skip_assignment: bool,
    ) -> Result<Joined, JoinRefused> {
        let leader = self.leader.clone().unwrap_or_default();
        let member_id: Arc<str> = member_id.into();
        Ok(Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            members: match leader == member_id {
                true => self.joined_members(),
                false => Vec::new(),
            },
            leader,
            member_id,
            skip_assignment,
        })
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let members = self.members.values().map(|member| JoinedMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: self.metadata_of(member),
        });
        members.collect()
    }
}

pub(super) fn refuse<T>(token: T, error: GroupError, member_id: &str, turn: &mut Turn<'_, T>) {
    let member_id = member_id.into();
    let refused = JoinRefused { error, member_id };
    turn.answer(token, Response::Join(Err(refused)));
}

/// The id of a member that joins without one.
pub(in super::super) fn new_member_id_of(request: &JoinRequest<'_>) -> String {
    let prefix = request.instance_id.unwrap_or(request.client_id);
    new_member_id(prefix, request.new_member_uuid)
}

fn new_member_id(prefix: &str, uuid: &str) -> String {
    let length = (0..=prefix.len().min(MEMBER_ID_PREFIX_BYTES_MAX))
        .rev()
        .find(|&length| prefix.is_char_boundary(length));
    let prefix = &prefix[..length.unwrap_or(0)];
    format!("{prefix}-{uuid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_id_is_never_longer_than_a_text_may_be() {
        assert_eq!(new_member_id("client", "uuid"), "client-uuid");
        // Three bytes each: the cut must not go through one.
        let long = "\u{20AC}".repeat(11_000);
        let uuid = "0".repeat(36);
        let id = new_member_id(&long, &uuid);
        assert!(id.len() <= i16::MAX as usize && id.len() > i16::MAX as usize - 4);
    }
}
