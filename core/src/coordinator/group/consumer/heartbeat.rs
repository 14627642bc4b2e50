//! ConsumerGroupHeartbeat (68), versions 0-1: joins, goes on, and leaves (KIP-848).
//!
//! A request that is repeated because its response was lost is answered again: with the same epoch, or with the one before as
//! long as the member has nothing but what it is to have.

use std::sync::Arc;

use super::assignment::Assignment;
use super::assignor::Assignor;
use super::config::ConsumerGroupConfig;
use super::error::ConsumerGroupError;
use super::member::{
    CurrentAssignment, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Member, MetadataUpdate,
};
use super::records::ConsumerGroupRecord;
use super::step::Step;
use super::{ConsumerGroup, Context, Decision};

/// From this version on members make their ids themselves.
const CLIENT_MAKES_MEMBER_ID: i16 = 1;

/// A heartbeat. `None` leaves what is known as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRequest {
    pub version: i16,
    /// Empty when a member of version 0 joins.
    pub member_id: Arc<str>,
    /// 0: joins; -1: leaves; -2: a static member leaves and will be back.
    pub member_epoch: i32,
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    /// Milliseconds; -1 in the protocol is `None` here.
    pub rebalance_timeout_ms: Option<i32>,
    pub subscribed_topic_names: Option<Vec<Arc<str>>>,
    /// Since version 1. Empty: none.
    pub subscribed_topic_regex: Option<Arc<str>>,
    pub server_assignor: Option<Arc<str>>,
    /// What the member has.
    pub owned: Option<Assignment>,
    pub client_id: Arc<str>,
    /// As Java prints an address, with a slash in front.
    pub client_host: Arc<str>,
    /// The id of a member that joins without one; a fresh random one.
    pub new_member_id: Arc<str>,
}

/// The answer, but for throttling and errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatResponse {
    pub member_id: Arc<str>,
    pub member_epoch: i32,
    /// Milliseconds until the next heartbeat.
    pub heartbeat_interval_ms: i32,
    /// `None`: as the member was told before.
    pub assignment: Option<Assignment>,
}

impl HeartbeatRequest {
    /// The rules that need no group.
    ///
    /// # Errors
    /// INVALID_REQUEST or UNSUPPORTED_ASSIGNOR.
    pub fn check(
        &self,
        group_id: &str,
        config: &ConsumerGroupConfig,
    ) -> Result<(), ConsumerGroupError> {
        let invalid = |reason| Err(ConsumerGroupError::InvalidRequest(reason));
        let is_empty = |text: &Option<Arc<str>>| text.as_ref().is_some_and(|text| text.is_empty());
        let needs_member_id = self.version >= CLIENT_MAKES_MEMBER_ID
            || self.member_epoch > JOIN_EPOCH
            || self.member_epoch == LEAVE_EPOCH;
        if needs_member_id && self.member_id.is_empty() {
            return invalid("MemberId can't be empty.");
        }
        if group_id.is_empty() {
            return invalid("GroupId can't be empty.");
        }
        if is_empty(&self.instance_id) {
            return invalid("InstanceId can't be empty.");
        }
        if is_empty(&self.rack_id) {
            return invalid("RackId can't be empty.");
        }
        if self.member_epoch == JOIN_EPOCH {
            if self.rebalance_timeout_ms.is_none() {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if !self.owned.as_ref().is_some_and(Assignment::is_empty) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if self.subscribed_topic_names.is_none() && self.subscribed_topic_regex.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        } else if self.member_epoch == LEAVE_STATIC_EPOCH && self.instance_id.is_none() {
            return invalid("InstanceId can't be null.");
        } else if self.member_epoch < LEAVE_STATIC_EPOCH {
            return invalid("MemberEpoch is invalid.");
        }
        let is_configured = |name: &str| {
            Assignor::named(name).is_some_and(|assignor| config.assignors.contains(&assignor))
        };
        if let Some(name) = &self.server_assignor
            && !is_configured(name)
        {
            let supported: Vec<&str> = config.assignors.iter().map(|a| a.name()).collect();
            return Err(ConsumerGroupError::UnsupportedAssignor {
                name: Arc::clone(name),
                supported: supported.join(", "),
            });
        }
        Ok(())
    }

    /// What it says of its member, in bytes, roughly; 0 when it says nothing new.
    pub(in super::super) fn bytes(&self) -> usize {
        const NAME_OVERHEAD_BYTES: usize = 64;
        let texts = [
            &self.subscribed_topic_regex,
            &self.rack_id,
            &self.instance_id,
            &self.server_assignor,
        ];
        let texts = texts.into_iter().flatten().map(|text| text.len());
        let names = self.subscribed_topic_names.iter().flatten();
        let names = names.map(|name| NAME_OVERHEAD_BYTES + name.len());
        texts.chain(names).sum()
    }

    /// Whether it says all that a member can say; such a request is answered with the whole assignment.
    fn is_full(&self) -> bool {
        let subscribes =
            self.subscribed_topic_names.is_some() || self.subscribed_topic_regex.is_some();
        self.rebalance_timeout_ms.is_some() && subscribes && self.owned.is_some()
    }
}

impl ConsumerGroup {
    /// Decides a heartbeat. A request that joins may come to a group that was not there before.
    ///
    /// # Errors
    /// Kafka's, of which each changes nothing; see [`ConsumerGroupError::code`].
    pub fn heartbeat(
        &self,
        request: &HeartbeatRequest,
        context: &Context<'_>,
    ) -> Result<Decision<HeartbeatResponse>, ConsumerGroupError> {
        request.check(&self.id, context.config)?;
        if self.metadata.epoch == 0 && request.member_epoch != JOIN_EPOCH {
            return Err(ConsumerGroupError::GroupNotFound(Arc::clone(&self.id)));
        }
        match request.member_epoch {
            LEAVE_EPOCH | LEAVE_STATIC_EPOCH => self.leave(request, context),
            _ => self.go_on(request, context),
        }
    }

    fn go_on(
        &self,
        request: &HeartbeatRequest,
        context: &Context<'_>,
    ) -> Result<Decision<HeartbeatResponse>, ConsumerGroupError> {
        let joins = request.member_epoch == JOIN_EPOCH;
        let mut step = Step::new(self, context);
        step.check_room(&request.member_id)?;
        let id = match &*request.member_id {
            "" => &request.new_member_id,
            _ => &request.member_id,
        };
        let found = match &request.instance_id {
            None => step.dynamic_member(id, joins)?,
            Some(instance_id) => step.static_member(id, instance_id, joins, false)?,
        };
        if !joins {
            check_epoch(request, &found.member.current)?;
        }

        let metadata = found.member.metadata.updated(MetadataUpdate {
            instance_id: request.instance_id.as_ref(),
            rack_id: request.rack_id.as_ref(),
            client_id: &request.client_id,
            client_host: &request.client_host,
            subscribed_topic_names: request.subscribed_topic_names.as_deref(),
            subscribed_topic_regex: request.subscribed_topic_regex.as_ref(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            server_assignor: request.server_assignor.as_ref(),
            classic: None,
        });
        let subscribed = step.subscribe(&found, metadata)?;
        let target = step.target(&found, &subscribed);
        let member = step.reconcile(&found, &subscribed, &target, request.owned.as_ref())?;
        step.renew_session(&found.id, &member);

        let current = &member.current;
        let changed = current.assigned != found.member.current.assigned;
        let tells = joins || changed || request.is_full();
        Ok(step.decide(HeartbeatResponse {
            member_id: found.id,
            member_epoch: current.epoch,
            heartbeat_interval_ms: context.config.heartbeat_interval_ms,
            assignment: tells.then(|| current.assigned.clone()),
        }))
    }

    fn leave(
        &self,
        request: &HeartbeatRequest,
        context: &Context<'_>,
    ) -> Result<Decision<HeartbeatResponse>, ConsumerGroupError> {
        let mut step = Step::new(self, context);
        let found = match &request.instance_id {
            None => step.dynamic_member(&request.member_id, false)?,
            Some(instance_id) => {
                step.static_member(&request.member_id, instance_id, false, false)?
            }
        };
        let response = HeartbeatResponse {
            member_id: Arc::clone(&found.id),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        };
        if request.member_epoch == LEAVE_EPOCH {
            return Ok(self.fence([found.id].into(), response, context));
        }
        // It keeps its place until its session ends; what it was giving up is given up.
        let left = CurrentAssignment {
            epoch: LEAVE_STATIC_EPOCH,
            pending_revocation: Assignment::default(),
            ..found.member.current.clone()
        };
        // Whoever comes back in its place counts epochs anew.
        let left = left.since(0);
        step.cancel_deadline(&found.id, super::deadlines::DeadlineKind::Rebalance);
        if left != found.member.current {
            step.record(ConsumerGroupRecord::Current(found.id, Some(left)));
        }
        Ok(step.decide(response))
    }
}

/// A member may come with its epoch, or with the one before when it has nothing but what it is to have: then it never got the
/// response that told it of the newer one.
fn check_epoch(
    request: &HeartbeatRequest,
    current: &CurrentAssignment,
) -> Result<(), ConsumerGroupError> {
    let received = request.member_epoch;
    let missed_response = || {
        let owned = request.owned.as_ref();
        received == current.previous_epoch
            && owned.is_some_and(|owned| owned.is_subset(&current.assigned))
    };
    if received == current.epoch || (received < current.epoch && missed_response()) {
        return Ok(());
    }
    Err(ConsumerGroupError::FencedEpoch {
        received,
        known: current.epoch,
    })
}

impl Member {
    /// The session's end fences a static member that left, too: it keeps its place only so long.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.current.epoch == LEAVE_STATIC_EPOCH
    }
}
