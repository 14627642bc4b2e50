//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup of members who speak the classic protocol inside a consumer group (KIP-848, on-line
//! migration).
//!
//! To such a member the group looks as if somebody else led it: it joins, is told its epoch as the generation, and gets with SyncGroup
//! what the broker has assigned. It moves towards its target with each join; a heartbeat tells it when to join again.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::assignment::Assignment;
use super::deadlines::{DeadlineChange, DeadlineKind, deadline, rebalance_timeout};
use super::error::ConsumerGroupError;
use super::member::{ClassicMember, ClassicProtocol, Member, MemberState, MetadataUpdate};
use super::migration::{assignment_bytes, partitions_of};
use super::planted::{Planted, planted};
use super::step::Step;
use super::{ConsumerGroup, Context, Decision};
use crate::coordinator::group::consumer_protocol::{self, PROTOCOL_TYPE, Subscription};

/// From this version on a dynamic member must come back with the id it was given.
const MEMBER_ID_REQUIRED: i16 = 4;

/// JoinGroup (11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    pub version: i16,
    /// Empty: not known yet.
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    /// Milliseconds.
    pub session_timeout_ms: i32,
    /// Milliseconds; of version 0 the session timeout.
    pub rebalance_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    /// In the order in which the member prefers them.
    pub protocols: Vec<ClassicProtocol>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// The id of a member that joins without one; a fresh random one.
    pub new_member_id: Arc<str>,
}

/// No member leads, and none is told of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinResponse {
    pub member_id: Arc<str>,
    pub generation: i32,
    pub protocol: Arc<str>,
}

/// What SyncGroup (14) says of its member; the assignment of a leader is of no interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// ConsumerProtocolAssignment in the version of the member's subscription.
    Assignment(Bytes),
    /// The member must join again (27).
    RebalanceInProgress,
}

/// What Heartbeat (12) says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicHeartbeat {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassicHeartbeatOutcome {
    Fine,
    /// The member must join again (27).
    RebalanceInProgress,
}

/// A member that LeaveGroup (13) names; an administrator may name an instance alone, with an empty member id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaver {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
}

impl ConsumerGroup {
    /// Decides JoinGroup of a member who speaks the classic protocol. It is answered at once.
    ///
    /// # Errors
    /// Kafka's; [`ConsumerGroupError::MemberIdRequired`] holds the id to come back with.
    pub fn classic_join(
        &self,
        request: &JoinRequest,
        context: &Context<'_>,
    ) -> Result<Decision<JoinResponse>, ConsumerGroupError> {
        let mut step = Step::new(self, context);
        let is_unknown = request.member_id.is_empty();
        let id = if is_unknown {
            &request.new_member_id
        } else {
            &request.member_id
        };
        step.check_room(id)?;
        let protocol = self.common_protocol(request)?;
        if request.version >= MEMBER_ID_REQUIRED && is_unknown && request.instance_id.is_none() {
            return Err(ConsumerGroupError::MemberIdRequired(Arc::clone(id)));
        }
        let subscription = Subscription::decode(&protocol.metadata)
            .map_err(|_| ConsumerGroupError::MalformedSubscription)?;

        // An id that is not known may be one that was given out just now. A member that has something was fenced and does not
        // know it: it must give up what others may have by now.
        let may_create = subscription.owned.is_empty();
        let found = match &request.instance_id {
            None => step.dynamic_member(id, may_create)?,
            Some(instance_id) => step.static_member(id, instance_id, is_unknown, true)?,
        };
        let no_regex = Arc::from("");
        let metadata = found.member.metadata.updated(MetadataUpdate {
            instance_id: request.instance_id.as_ref(),
            rack_id: subscription.rack.as_ref().filter(|rack| !rack.is_empty()),
            client_id: &request.client_id,
            client_host: &request.client_host,
            subscribed_topic_names: Some(&subscription.topics),
            subscribed_topic_regex: Some(&no_regex),
            rebalance_timeout_ms: Some(request.rebalance_timeout_ms),
            server_assignor: None,
            classic: Some(ClassicMember {
                session_timeout_ms: request.session_timeout_ms,
                protocols: request.protocols.clone(),
            }),
        });
        let subscribed = step.subscribe(&found, metadata)?;
        let owned = partitions_of(&subscription.owned, context.topics);
        let respond = |member: &Member| JoinResponse {
            member_id: Arc::clone(&found.id),
            generation: member.current.epoch,
            protocol: Arc::clone(&protocol.name),
        };

        if self.downgrades_by_replacing(step.replaced(), context.config) {
            let member = if subscribed.changed {
                Member {
                    metadata: Arc::clone(&subscribed.metadata),
                    current: found.member.current.clone(),
                }
            } else {
                let target = step.target(&found, &subscribed);
                step.reconcile(&found, &subscribed, &target, Some(&owned))?
            };
            let downgrade = self.downgrade_with(
                step.replaced(),
                (&found.id, &member),
                subscribed.changed,
                context.topics,
            );
            let response = JoinResponse {
                generation: downgrade.group.generation,
                ..respond(&member)
            };
            step.remove(&found.id);
            let mut decision = step.decide(response);
            decision.records.extend(self.tombstones());
            decision.deadlines.extend(self.deadlines_dropped());
            decision.downgrade = Some(downgrade);
            return Ok(decision);
        }

        let target = step.target(&found, &subscribed);
        let member = step.reconcile(&found, &subscribed, &target, Some(&owned))?;
        step.cancel_deadline(&found.id, DeadlineKind::Join);
        step.cancel_deadline(&found.id, DeadlineKind::Rebalance);
        step.renew_session(&found.id, &member);
        step.change_deadline(DeadlineChange::Set(
            deadline(&found.id, &member, DeadlineKind::Sync),
            context.now + rebalance_timeout(&member),
        ));
        let response = respond(&member);
        Ok(step.decide(response))
    }

    /// Decides SyncGroup of such a member. Changes no record.
    ///
    /// # Errors
    /// Kafka's.
    pub fn classic_sync(
        &self,
        request: &SyncRequest,
        context: &Context<'_>,
    ) -> Result<Decision<SyncOutcome>, ConsumerGroupError> {
        let instance_id = request.instance_id.as_ref();
        let (id, member, classic) =
            self.classic_member(&request.member_id, instance_id, request.generation)?;
        let protocol = classic.protocols.first();
        let differs = |given: &Option<Arc<str>>, own: Option<&str>| {
            given.as_deref().is_some_and(|given| Some(given) != own)
        };
        if differs(&request.protocol_type, Some(PROTOCOL_TYPE))
            || differs(&request.protocol, protocol.map(|protocol| &*protocol.name))
        {
            return Err(ConsumerGroupError::InconsistentProtocol);
        }
        let mut step = Step::new(self, context);
        // One that must give up partitions has joined already; it is told of the next rebalance when it has.
        if self.metadata.epoch > member.current.epoch
            && member.current.state != MemberState::UnrevokedPartitions
        {
            self.expect_join(&mut step, id, member, context);
            return Ok(step.decide(SyncOutcome::RebalanceInProgress));
        }
        step.cancel_deadline(id, DeadlineKind::Sync);
        step.renew_session(id, member);
        let version = protocol
            .and_then(|protocol| consumer_protocol::version(&protocol.metadata).ok())
            .unwrap_or(0);
        let bytes = assignment_bytes(&member.current.assigned, version, context.topics);
        Ok(step.decide(SyncOutcome::Assignment(bytes)))
    }

    /// Decides Heartbeat of such a member. Notices when topics have changed, since nobody else may be there to.
    ///
    /// # Errors
    /// Kafka's.
    pub fn classic_heartbeat(
        &self,
        request: &ClassicHeartbeat,
        context: &Context<'_>,
    ) -> Result<Decision<ClassicHeartbeatOutcome>, ConsumerGroupError> {
        let instance_id = request.instance_id.as_ref();
        let (id, member, _) =
            self.classic_member(&request.member_id, instance_id, request.generation)?;
        let mut step = Step::new(self, context);
        step.renew_session(id, member);
        let hash = self.subscription_hash(context.topics);
        let changed = hash != self.metadata.hash && !planted(Planted::TopicChangesIgnored);
        if changed {
            step.bump(hash);
        }
        let must_join = changed
            || member.current.epoch < self.metadata.epoch
            || match member.current.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(id, member),
                MemberState::Stable | MemberState::Unknown => false,
            };
        if must_join {
            self.expect_join(&mut step, id, member, context);
            return Ok(step.decide(ClassicHeartbeatOutcome::RebalanceInProgress));
        }
        Ok(step.decide(ClassicHeartbeatOutcome::Fine))
    }

    /// Decides LeaveGroup, for members of either protocol: an administrator may remove anyone. One result for each, in order.
    pub fn classic_leave(
        &self,
        leavers: &[Leaver],
        context: &Context<'_>,
    ) -> Decision<Vec<Result<(), ConsumerGroupError>>> {
        let mut leaving = BTreeSet::new();
        let results = leavers
            .iter()
            .map(|leaver| {
                let id = self.identify(&leaver.member_id, leaver.instance_id.as_ref())?;
                leaving.insert(Arc::clone(id));
                Ok(())
            })
            .collect();
        self.fence(leaving, results, context)
    }

    /// The first protocol of the request, if any of its protocols is supported by all members who speak the classic protocol.
    fn common_protocol<'r>(
        &self,
        request: &'r JoinRequest,
    ) -> Result<&'r ClassicProtocol, ConsumerGroupError> {
        let members = self.members.values();
        let classic: Vec<_> = members
            .filter_map(|m| m.metadata.classic.as_ref())
            .collect();
        let all_support = |name: &Arc<str>| {
            let mut members = classic.iter();
            members.all(|member| member.protocols.iter().any(|other| other.name == *name))
        };
        let mut protocols = request.protocols.iter();
        let is_common = protocols.any(|protocol| all_support(&protocol.name));
        match request.protocols.first() {
            Some(first) if is_common && *request.protocol_type == *PROTOCOL_TYPE => Ok(first),
            _ => Err(ConsumerGroupError::InconsistentProtocol),
        }
    }

    fn identify(
        &self,
        member_id: &Arc<str>,
        instance_id: Option<&Arc<str>>,
    ) -> Result<&Arc<str>, ConsumerGroupError> {
        let Some(instance_id) = instance_id else {
            self.known_member(member_id)?;
            let known = self.members.get_key_value(member_id);
            return Ok(known.expect("looked up one line above").0);
        };
        let owner = self
            .static_members
            .get(instance_id)
            .ok_or_else(|| ConsumerGroupError::UnknownInstance(Arc::clone(instance_id)))?;
        if !member_id.is_empty() && owner != member_id {
            return Err(ConsumerGroupError::FencedInstance {
                instance_id: Arc::clone(instance_id),
                owner: Arc::clone(owner),
            });
        }
        Ok(owner)
    }

    fn classic_member(
        &self,
        member_id: &Arc<str>,
        instance_id: Option<&Arc<str>>,
        generation: i32,
    ) -> Result<(&Arc<str>, &Member, &ClassicMember), ConsumerGroupError> {
        let id = self.identify(member_id, instance_id)?;
        let member = self.known_member(id)?;
        let Some(classic) = &member.metadata.classic else {
            return Err(ConsumerGroupError::NotClassic(Arc::clone(id)));
        };
        if member.current.epoch != generation {
            return Err(ConsumerGroupError::IllegalGeneration {
                received: generation,
                known: member.current.epoch,
            });
        }
        Ok((id, member, classic))
    }

    fn expect_join(
        &self,
        step: &mut Step<'_>,
        id: &Arc<str>,
        member: &Member,
        context: &Context<'_>,
    ) {
        step.change_deadline(DeadlineChange::SetIfAbsent(
            deadline(id, member, DeadlineKind::Join),
            context.now + rebalance_timeout(member),
        ));
    }

    /// Whether something that the member is to have is still with another one.
    fn waits_for_others(&self, id: &Arc<str>, member: &Member) -> bool {
        let target: Assignment = self.target(id);
        target.partitions().any(|partition| {
            !member.current.assigned.contains(partition) && self.owners.contains_key(&partition)
        })
    }
}
