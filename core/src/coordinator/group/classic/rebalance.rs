//! The join phase: it begins when who is a member changes, waits until all have come back or their time is over, and ends with a new
//! generation.
//!
//! Never looks at assignments; those are the next phase.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::error::GroupError;
use super::super::response::Response;
use super::super::timers::Timer;
use super::super::turn::{AppendId, Then, Turn};
use super::{ClassicGroup, JoinPhase, State};
use crate::coordinator::planted::{Planted, planted};

/// How long a join phase that nobody has come back in is extended at least: a member's own timeout may be 0.
const EXTENSION_MIN: Duration = Duration::from_secs(1);

impl<T> ClassicGroup<T> {
    /// Begins a join phase; if there is one, it may be over now. What is appended, if anything, is named.
    pub(super) fn rebalance_or_complete(&mut self, turn: &mut Turn<'_, T>) -> Option<AppendId> {
        match self.state {
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.prepare_rebalance(turn)
            }
            State::PreparingRebalance => self.complete_if_all_joined(turn),
            State::Dead => None,
        }
    }

    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_, T>) -> Option<AppendId> {
        if self.state == State::CompletingRebalance {
            self.fail_assignment(GroupError::RebalanceInProgress, turn);
        }
        self.pending_syncs.clear();
        turn.shared.timers.cancel(&mut self.sync_alarm);
        self.assigning = None;
        for member in self.members.values_mut() {
            member.replacing = None;
        }
        let initial = self.state == State::Empty;
        self.transition(State::PreparingRebalance, turn);
        if initial {
            let delay = turn.shared.settings.initial_rebalance_delay;
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.new_member_added = false;
            self.arm_join(JoinPhase::Initial { delay, remaining }, delay, turn);
            return None;
        }
        if self.has_all_members_joined() {
            return self.complete_join(turn);
        }
        self.arm_join(JoinPhase::Rebalance, self.rebalance_timeout(), turn);
        None
    }

    /// The first generation of a group that was empty waits for its delay, however many have joined.
    pub(super) fn complete_if_all_joined(&mut self, turn: &mut Turn<'_, T>) -> Option<AppendId> {
        let over = self.state == State::PreparingRebalance
            && self.previous_state != State::Empty
            && self.has_all_members_joined();
        match over {
            true => self.complete_join(turn),
            false => None,
        }
    }

    pub(in super::super) fn on_join_alarm(&mut self, timer: Timer, turn: &mut Turn<'_, T>) {
        if !turn
            .shared
            .timers
            .is_due(&mut self.join_alarm, turn.time.now, timer)
            || self.state != State::PreparingRebalance
        {
            return;
        }
        match self.join_phase {
            JoinPhase::Initial { delay, remaining }
                if self.new_member_added && !remaining.is_zero() =>
            {
                self.new_member_added = false;
                let next = turn.shared.settings.initial_rebalance_delay.min(remaining);
                let phase = JoinPhase::Initial {
                    delay: next,
                    remaining: remaining.saturating_sub(delay),
                };
                self.arm_join(phase, next, turn);
            }
            _ => {
                self.complete_join(turn);
            }
        }
    }

    pub(in super::super) fn on_session_alarm(
        &mut self,
        member_id: &str,
        timer: Timer,
        turn: &mut Turn<'_, T>,
    ) {
        let now = turn.time.now;
        if let Some(alarm) = self.pending_members.get_mut(member_id) {
            if turn.shared.timers.is_due(alarm, now, timer) {
                self.drop_member(member_id, GroupError::UnknownMemberId, turn);
                self.complete_if_pending_was_last(turn);
            }
            return;
        }
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        if !turn.shared.timers.is_due(&mut member.session, now, timer) {
            return;
        }
        if member.has_satisfied_heartbeat() {
            // It waits for an answer of ours; its session begins anew with that, and at the latest now.
            return self.arm_session(member_id, turn);
        }
        turn.shared.counters.members_fenced += 1;
        self.drop_member(member_id, GroupError::UnknownMemberId, turn);
        self.on_member_gone(turn);
    }

    /// A member is gone for good: the others share what it had.
    pub(super) fn on_member_gone(&mut self, turn: &mut Turn<'_, T>) -> Option<AppendId> {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn),
            State::PreparingRebalance if self.has_all_members_joined() => self.complete_join(turn),
            State::PreparingRebalance | State::Empty | State::Dead => None,
        }
    }

    /// A pending member is gone: the join phase may have waited for it alone.
    fn complete_if_pending_was_last(&mut self, turn: &mut Turn<'_, T>) {
        if self.state == State::PreparingRebalance && self.has_all_members_joined() {
            self.complete_join(turn);
        }
    }

    /// Ends the join phase. Dynamic members that did not come back are dropped.
    fn complete_join(&mut self, turn: &mut Turn<'_, T>) -> Option<AppendId> {
        turn.shared.timers.cancel(&mut self.join_alarm);
        let members = self.members.values();
        let missing: Vec<Arc<str>> = members
            .filter(|member| member.awaiting_join.is_none() && member.instance_id.is_none())
            .map(|member| member.id.clone())
            .collect();
        for member_id in missing {
            self.drop_member(&member_id, GroupError::UnknownMemberId, turn);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members are left, and none of them has come back: until one does, or until their sessions end.
            let timeout = self.rebalance_timeout().max(EXTENSION_MIN);
            self.arm_join(JoinPhase::Rebalance, timeout, turn);
            return None;
        }
        // Java's int would go on below zero, where a generation means "no member".
        let last = self.generation.max(self.generation_floor);
        self.generation = last.checked_add(1).unwrap_or(1);
        self.pending_syncs.clear();
        if self.members.is_empty() {
            return Some(self.become_empty(turn));
        }
        self.begin_generation(turn);
        None
    }

    fn become_empty(&mut self, turn: &mut Turn<'_, T>) -> AppendId {
        self.protocol = None;
        self.subscribed_topics = self.read_subscriptions();
        self.transition(State::Empty, turn);
        self.logged = true;
        let record = self.record(|_| unreachable!("there are no members"));
        turn.append(vec![record], Vec::new(), Then::Nothing)
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_, T>) {
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.read_subscriptions();
        self.transition(State::CompletingRebalance, turn);
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in ids {
            if let Some(token) = self.take_joining(&member_id) {
                let joined = self.joined(&member_id, false);
                turn.answer(token, Response::Join(joined));
            }
            self.arm_session(&member_id, turn);
            self.pending_syncs.insert(member_id);
        }
        let deadline = turn.time.now + self.rebalance_timeout();
        let group = &self.id;
        turn.shared
            .timers
            .set(&mut self.sync_alarm, deadline, || Timer::Sync {
                group: group.clone(),
            });
    }

    fn take_joining(&mut self, member_id: &str) -> Option<T> {
        let member = self.members.get_mut(member_id)?;
        member.is_new = false;
        let token = member.awaiting_join.take()?;
        self.awaiting_join -= 1;
        Some(token)
    }

    /// The leader must have come back, or another one who has takes its place. Whether there is one.
    fn elect_leader(&mut self) -> bool {
        let joined = |member_id: &Arc<str>| {
            let member = self.members.get(member_id);
            member.is_some_and(|member| member.awaiting_join.is_some())
        };
        if self.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let mut members = self.members.values();
        match members.find(|member| member.awaiting_join.is_some()) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// Each member votes for its favourite among the protocols that all support; of equally many votes the leader's favourite wins.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let count = self.members.len();
        let by_all = |name: &Arc<str>| self.support.get(name) == Some(&count);
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|protocol| &protocol.name);
            if let Some(favourite) = names.find(|name| by_all(name)) {
                *votes.entry(favourite).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        let leader = self.leader.as_ref().and_then(|id| self.members.get(id));
        let order = leader.iter().flat_map(|leader| &leader.protocols);
        let mut names = order.map(|protocol| &protocol.name);
        names
            .find(|name| votes.get(name) == Some(&most))
            .or_else(|| {
                votes
                    .into_iter()
                    .find(|(_, count)| *count == most)
                    .map(|(name, _)| name)
            })
            .cloned()
    }

    fn arm_join(&mut self, phase: JoinPhase, timeout: Duration, turn: &mut Turn<'_, T>) {
        self.join_phase = phase;
        if planted(Planted::JoinTimerForgotten) && phase == JoinPhase::Rebalance {
            return;
        }
        let deadline = turn.time.now + timeout;
        let group = &self.id;
        turn.shared
            .timers
            .set(&mut self.join_alarm, deadline, || Timer::Join {
                group: group.clone(),
            });
    }
}
