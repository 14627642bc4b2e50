//! Takes members out of a group: because they leave, because they were silent, because they did not give up what they had to.
//!
//! The group's epoch grows, and the next heartbeat of whoever is left makes a new target.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::deadlines::{Deadline, DeadlineKind};
use super::planted::{Planted, planted};
use super::step::Step;
use super::{ConsumerGroup, Context, Decision};

impl ConsumerGroup {
    /// What comes of a deadline that passed. Nothing, when the member is gone or has moved on.
    pub fn on_deadline(&self, deadline: &Deadline, context: &Context<'_>) -> Decision<()> {
        let fences = self.members.get(&deadline.member_id).is_some_and(|member| {
            // A member that left the epoch gave up what it had to, though perhaps it must give up more by now.
            deadline.kind != DeadlineKind::Rebalance
                || (member.current.epoch == deadline.epoch
                    && !planted(Planted::RebalanceTimeoutIgnored))
        });
        let members = fences.then_some(&deadline.member_id);
        self.fence(members.into_iter().cloned().collect(), (), context)
    }

    /// Members that are not there must have been sorted out.
    pub(super) fn fence<R>(
        &self,
        members: BTreeSet<Arc<str>>,
        response: R,
        context: &Context<'_>,
    ) -> Decision<R> {
        let mut step = Step::new(self, context);
        if members.is_empty() {
            return step.decide(response);
        }
        if let Some(downgrade) = self.downgrade_without(&members, context) {
            return Decision {
                records: self.tombstones(),
                response,
                deadlines: self.deadlines_dropped(),
                downgrade: Some(downgrade),
            };
        }
        for id in &members {
            step.remove(id);
        }
        for (regex, subscribers) in &self.regex_subscribers {
            let gone = members.iter().filter(|id| {
                let member = self.members.get(*id);
                member.is_some_and(|member| member.metadata.regex() == Some(regex))
            });
            if gone.count() == *subscribers {
                step.forget_regex(regex);
            }
        }
        if planted(Planted::EmptyGroupBeginsAnew) && members.len() == self.members.len() {
            return Decision {
                records: self.tombstones(),
                ..step.decide(response)
            };
        }
        let without: Vec<&Arc<str>> = members.iter().collect();
        let hash = self.subscription_hash_with(&without, None, step.regexes(), context.topics);
        if !planted(Planted::LeavingBumpsNothing) {
            step.bump(hash);
        }
        step.decide(response)
    }
}
