//! The ways between the two protocols while a group has members: a classic group becomes a consumer group when the first
//! member with the newer protocol joins, and a classic one again when the last of them leaves (KIP-848).
//!
//! Converts descriptions of groups. The classic coordinator builds its group from one, and describes its group with one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use rinka_storage::topic_partition::TopicPartition;

use super::assignment::Assignment;
use super::config::ConsumerGroupConfig;
use super::deadlines::{DeadlineChange, Deadlines};
use super::error::ConsumerGroupError;
use super::member::{
    ClassicMember, ClassicProtocol, CurrentAssignment, Member, MemberMetadata, MemberState,
};
use super::records::{ConsumerGroupRecord, GroupMetadata, TargetMetadata};
use super::topics_view::TopicsView;
use super::{ConsumerGroup, Context};
use crate::coordinator::group::consumer_protocol::{
    self, PROTOCOL_TYPE, ProtocolAssignment, Subscription,
};
use crate::coordinator::planted::{Planted, planted};

/// A classic group with members, as far as the other protocol needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroup {
    pub generation: i32,
    /// `consumer`, or the group cannot be converted.
    pub protocol_type: Option<Arc<str>>,
    /// The chosen protocol; `None` while members still join.
    pub protocol: Option<Arc<str>>,
    pub members: Vec<ClassicGroupMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicGroupMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Milliseconds.
    pub session_timeout_ms: i32,
    /// Milliseconds.
    pub rebalance_timeout_ms: i32,
    /// In the order in which the member prefers them.
    pub protocols: Vec<ClassicProtocol>,
    /// ConsumerProtocolAssignment; empty when it has none yet.
    pub assignment: Bytes,
}

/// A classic group that has become a consumer group.
#[derive(Debug)]
pub struct Upgrade {
    /// They make the group, in this order, behind those that delete the classic one and before those of the first heartbeat.
    pub records: Vec<ConsumerGroupRecord>,
    /// The group that they make. The heartbeat that caused the upgrade is decided by it; nothing has changed until all the records
    /// are appended.
    pub group: ConsumerGroup,
    pub deadlines: Deadlines,
}

/// What takes the place of a consumer group: a stable classic group of the members that are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downgrade {
    /// With what its members have, which may not yet be what they were to have.
    pub group: ClassicGroup,
    /// Its members must join anew: one has left or wants other topics, or they were on their way to a target.
    pub rebalance: bool,
}

impl ConsumerGroup {
    /// Makes a consumer group of a classic one, for a heartbeat that joins. An empty classic group needs none of this: it is deleted,
    /// and a new group takes its place. To any other heartbeat a classic group is none that it knows (GROUP_ID_NOT_FOUND).
    ///
    /// # Errors
    /// [`ConsumerGroupError::UpgradeRefused`]: GROUP_ID_NOT_FOUND, as in Kafka.
    pub fn upgrade(
        id: &Arc<str>,
        classic: &ClassicGroup,
        context: &Context<'_>,
    ) -> Result<Upgrade, ConsumerGroupError> {
        let refused = |reason| ConsumerGroupError::UpgradeRefused {
            group_id: Arc::clone(id),
            reason,
        };
        if !context.config.migration_policy.may_upgrade() {
            return Err(refused("online upgrade is disabled"));
        }
        if classic.protocol_type.as_deref() != Some(PROTOCOL_TYPE) {
            return Err(refused(
                "the group does not use the consumer embedded protocol",
            ));
        }
        if classic.members.len() > context.config.members_max {
            return Err(refused(
                "the group size exceeds the consumer group maximum size",
            ));
        }

        // A classic group may be at generation 0 while its first members join; a consumer group that is there is not.
        let epoch = classic.generation.max(1);
        // What two members have stays with the first.
        let mut taken = BTreeSet::new();
        let mut members = Vec::new();
        for member in &classic.members {
            let converted =
                convert(member, classic, context.topics, &mut taken).map_err(refused)?;
            members.push((Arc::clone(&member.member_id), converted));
        }
        let members = members.into_iter().map(|(id, (mut member, claimed))| {
            let claimed = claimed.partitions();
            let unrevoked: Assignment = claimed.filter(|it| taken.insert(*it)).collect();
            if !unrevoked.is_empty() && !planted(Planted::UpgradeForgetsUnrevoked) {
                member.current.state = MemberState::UnrevokedPartitions;
                member.current.pending_revocation = unrevoked;
            }
            member.current = member.current.since(epoch);
            (id, member)
        });
        let members: Vec<(Arc<str>, Member)> = members.collect();
        let names = members.iter();
        let names = names.flat_map(|(_, member)| &member.metadata.subscribed_topic_names);
        let hash = context.topics.hash(names);

        let each = |record: fn(&Arc<str>, &Member) -> ConsumerGroupRecord| {
            members.iter().map(move |(id, member)| record(id, member))
        };
        let mut records = Vec::new();
        records.extend(each(|id, member| {
            ConsumerGroupRecord::Member(Arc::clone(id), Some(Arc::clone(&member.metadata)))
        }));
        records.push(ConsumerGroupRecord::Group(Some(GroupMetadata {
            epoch,
            hash,
        })));
        records.extend(each(|id, member| {
            ConsumerGroupRecord::Target(Arc::clone(id), Some(member.current.assigned.clone()))
        }));
        // What the members had is no assignment of ours: the first one need not wait.
        records.push(ConsumerGroupRecord::TargetEpoch(Some(TargetMetadata {
            epoch,
            timestamp_ms: 0,
        })));
        records.extend(each(|id, member| {
            ConsumerGroupRecord::Current(Arc::clone(id), Some(member.current.clone()))
        }));

        let mut group = Self::new(Arc::clone(id));
        for record in &records {
            group.replay(record);
        }
        let deadlines = Deadlines::restored(&group, context.config, context.now);
        Ok(Upgrade {
            records,
            group,
            deadlines,
        })
    }

    /// The classic group that is left without these members; `None` when the group stays as it is.
    pub(super) fn downgrade_without(
        &self,
        leaving: &BTreeSet<Arc<str>>,
        context: &Context<'_>,
    ) -> Option<Downgrade> {
        let stay = || self.members.iter().filter(|(id, _)| !leaving.contains(*id));
        let count = stay().count();
        let may = context.config.migration_policy.may_downgrade()
            && (1..=context.config.classic_members_max).contains(&count)
            && stay().all(|(_, member)| member.is_classic());
        may.then(|| Downgrade {
            group: describe(self.metadata.epoch, stay(), context.topics),
            rebalance: true,
        })
    }

    /// Whether a member of the classic protocol that takes the place of `replaced` leaves nobody with the newer one.
    pub(super) fn downgrades_by_replacing(
        &self,
        replaced: Option<&Arc<str>>,
        config: &ConsumerGroupConfig,
    ) -> bool {
        let Some(replaced) = replaced else {
            return false;
        };
        config.migration_policy.may_downgrade()
            && self.members.len() <= config.classic_members_max
            && (self.members.iter()).all(|(id, member)| member.is_classic() != (id == replaced))
    }

    /// The classic group in which `joining` has taken the place of `replaced`.
    pub(super) fn downgrade_with<'j>(
        &'j self,
        replaced: Option<&Arc<str>>,
        joining: (&'j Arc<str>, &'j Member),
        rebalance: bool,
        topics: &TopicsView,
    ) -> Downgrade {
        let stay = self.members.iter().filter(|(id, _)| Some(*id) != replaced);
        let epoch = joining.1.current.epoch;
        let unsettled = stay
            .clone()
            .any(|(_, member)| !member.is_reconciled_to(epoch))
            || !joining.1.is_reconciled_to(epoch);
        Downgrade {
            group: describe(
                self.metadata.epoch.max(epoch),
                stay.chain([joining]),
                topics,
            ),
            rebalance: rebalance || unsettled,
        }
    }

    pub(super) fn deadlines_dropped(&self) -> Vec<DeadlineChange> {
        let members = self.members.keys();
        members
            .map(|id| DeadlineChange::CancelAll(Arc::clone(id)))
            .collect()
    }
}

/// The member, and what it said it had when it joined. A cooperative member still has of that what its assignment leaves out, until
/// it joins again.
fn convert(
    member: &ClassicGroupMember,
    classic: &ClassicGroup,
    topics: &TopicsView,
    taken: &mut BTreeSet<TopicPartition>,
) -> Result<(Member, Assignment), &'static str> {
    const MALFORMED: &str = "the embedded consumer protocol is malformed";
    let chosen = classic.protocol.as_ref();
    let protocol = member
        .protocols
        .iter()
        .find(|protocol| chosen.is_none_or(|chosen| protocol.name == *chosen))
        .ok_or(MALFORMED)?;
    let subscription = Subscription::decode(&protocol.metadata).map_err(|_| MALFORMED)?;
    let mut assigned = Assignment::default();
    if !member.assignment.is_empty() {
        let assignment = ProtocolAssignment::decode(&member.assignment).map_err(|_| MALFORMED)?;
        if assignment.user_data.is_some_and(|data| !data.is_empty()) {
            // A custom assignor keeps something there that would be lost.
            return Err("an unsupported custom assignor is in use");
        }
        assigned = partitions_of(&assignment.partitions, topics)
            .partitions()
            .filter(|partition| taken.insert(*partition))
            .collect();
    }
    let claimed = partitions_of(&subscription.owned, topics);
    let metadata = MemberMetadata {
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack.filter(|rack| !rack.is_empty()),
        client_id: Arc::clone(&member.client_id),
        client_host: Arc::clone(&member.client_host),
        subscribed_topic_names: subscription.topics.into_iter().collect(),
        subscribed_topic_regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMember {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
    };
    let epoch = classic.generation.max(1);
    let member = Member {
        metadata: Arc::new(metadata),
        current: CurrentAssignment {
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            assigned,
            ..CurrentAssignment::default()
        },
    };
    Ok((member, claimed))
}

/// Members who do not speak the classic protocol must not be among them.
fn describe<'m>(
    generation: i32,
    members: impl Iterator<Item = (&'m Arc<str>, &'m Member)>,
    topics: &TopicsView,
) -> ClassicGroup {
    let members: Vec<_> = members.collect();
    let classic = |member: &'m Member| member.metadata.classic.as_ref();
    let protocols: Vec<&[ClassicProtocol]> = members
        .iter()
        .filter_map(|(_, member)| classic(member))
        .map(|classic| &*classic.protocols)
        .collect();
    let protocol = chosen_protocol(&protocols);
    let members = members.iter().filter_map(|(id, member)| {
        let ClassicMember {
            session_timeout_ms,
            protocols,
        } = classic(member)?;
        let chosen = protocols
            .iter()
            .find(|p| Some(&p.name) == protocol.as_ref());
        let version = chosen
            .and_then(|protocol| consumer_protocol::version(&protocol.metadata).ok())
            .unwrap_or(0);
        let current = &member.current;
        let held = [&current.assigned, &current.pending_revocation];
        let held = held.into_iter().flat_map(Assignment::partitions).collect();
        Some(ClassicGroupMember {
            member_id: Arc::clone(id),
            instance_id: member.metadata.instance_id.clone(),
            client_id: Arc::clone(&member.metadata.client_id),
            client_host: Arc::clone(&member.metadata.client_host),
            session_timeout_ms: *session_timeout_ms,
            rebalance_timeout_ms: member.metadata.rebalance_timeout_ms,
            protocols: protocols.clone(),
            assignment: assignment_bytes(&held, version, topics),
        })
    });
    ClassicGroup {
        generation,
        protocol_type: Some(PROTOCOL_TYPE.into()),
        members: members.collect(),
        protocol,
    }
}

/// Every member votes for the first of its protocols that all support; most votes win, then the first name.
fn chosen_protocol(members: &[&[ClassicProtocol]]) -> Option<Arc<str>> {
    let all_support = |name: &Arc<str>| {
        let mut members = members.iter();
        members.all(|protocols| protocols.iter().any(|protocol| protocol.name == *name))
    };
    let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for protocols in members {
        let mut names = protocols.iter().map(|protocol| &protocol.name);
        if let Some(name) = names.find(|name| all_support(name)) {
            *votes.entry(name).or_default() += 1;
        }
    }
    let most = *votes.values().max()?;
    let mut votes = votes.into_iter();
    votes
        .find(|(_, count)| *count == most)
        .map(|(name, _)| Arc::clone(name))
}

/// By id; topics that do not exist are left out, and so are partitions that no topic can have.
pub(super) fn partitions_of(
    named: &BTreeMap<Arc<str>, Vec<i32>>,
    topics: &TopicsView,
) -> Assignment {
    let known = named
        .iter()
        .filter_map(|(name, partitions)| Some((topics.id(name)?, partitions)));
    known
        .flat_map(|(topic_id, partitions)| {
            let count = topics.partition_count(topic_id).unwrap_or(0);
            let there = partitions.iter().filter(move |p| (0..count).contains(*p));
            there.map(move |&partition| TopicPartition {
                topic_id,
                partition,
            })
        })
        .collect()
}

/// ConsumerProtocolAssignment by name; topics that do not exist any more are left out.
pub(super) fn assignment_bytes(
    assignment: &Assignment,
    version: i16,
    topics: &TopicsView,
) -> Bytes {
    let named = assignment.topics().filter_map(|(id, partitions)| {
        let name = Arc::clone(topics.name(id)?);
        Some((name, partitions.iter().copied().collect()))
    });
    ProtocolAssignment {
        partitions: named.collect(),
        user_data: None,
    }
    .encode(version)
}
