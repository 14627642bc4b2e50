//! A classic group as the other protocol sees it, and one made of what a consumer group leaves (KIP-848).
//!
//! Converts; when a group changes its protocol is decided elsewhere.

use std::sync::Arc;

use bytes::Bytes;

use super::super::consumer::member::ClassicProtocol;
use super::super::consumer::migration::{self, ClassicGroupMember, Downgrade};
use super::super::consumer_protocol::{ProtocolAssignment, Subscription};
use super::super::records::EncodedRecord;
use super::super::request::Time;
use super::super::timers::Alarm;
use super::super::turn::{AppendId, Usage};
use super::member::Protocol;
use super::{ClassicGroup, Member, State};
use crate::coordinator::planted::{Planted, planted};

impl<T> ClassicGroup<T> {
    pub(in super::super) fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// An append on which it depends what members have.
    pub(in super::super) fn append_under_way(&self) -> Option<AppendId> {
        if planted(Planted::UpgradeDuringAssignment) {
            return None;
        }
        let replacing = self.members.values().filter_map(|member| member.replacing);
        self.assigning.into_iter().chain(replacing).max()
    }

    /// With its members; `None` when it has none.
    pub(in super::super) fn to_migration(&self) -> Option<migration::ClassicGroup> {
        if self.members.is_empty() {
            return None;
        }
        let members = self.members.values().map(|member| ClassicGroupMember {
            member_id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            protocols: (member.protocols.iter())
                .map(|protocol| ClassicProtocol {
                    name: protocol.name.clone(),
                    metadata: protocol.metadata.clone(),
                })
                .collect(),
            assignment: self.held_by(member),
        });
        Some(migration::ClassicGroup {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            members: members.collect(),
        })
    }

    /// What the member has. While a rebalance goes on that may be more than its assignment: what it said it has when it joined.
    fn held_by(&self, member: &Member<T>) -> Bytes {
        if self.state == State::Stable || !member.assignment.is_empty() {
            return member.assignment.clone();
        }
        let subscriptions = member.protocols.iter();
        let mut subscriptions =
            subscriptions.filter_map(|protocol| Subscription::decode(&protocol.metadata).ok());
        match subscriptions.find(|subscription| !subscription.owned.is_empty()) {
            Some(subscription) => ProtocolAssignment {
                partitions: subscription.owned,
                user_data: None,
            }
            .encode(0),
            None => Bytes::new(),
        }
    }

    /// A group of those who are left of a consumer group: stable, or with a rebalance to begin with.
    pub(in super::super) fn from_migration(
        id: &Arc<str>,
        Downgrade { group, rebalance }: &Downgrade,
        time: Time,
        usage: &mut Usage,
    ) -> Self {
        let mut classic = Self::new(id.clone(), time.wall_ms);
        classic.generation = group.generation;
        classic.logged = true;
        classic.state = State::Stable;
        let first = || {
            let mut protocols = group.members.iter().flat_map(|member| &member.protocols);
            Some(protocols.next()?.name.clone())
        };
        classic.protocol = group.protocol.clone().or_else(first);
        let protocol_type = group.protocol_type.clone().unwrap_or_default();
        for member in &group.members {
            let protocols = member.protocols.iter();
            let member = Member {
                id: member.member_id.clone(),
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocols: distinct(protocols),
                assignment: member.assignment.clone(),
                is_new: false,
                awaiting_join: None,
                awaiting_sync: None,
                replacing: None,
                session: Alarm::default(),
            };
            classic.insert(member, &protocol_type, None, usage);
        }
        classic.subscribed_topics = classic.read_subscriptions();
        classic.unassigned = *rebalance;
        classic
    }

    /// Its record. Who loads it must know whether the rebalance is still to come: then it names no leader, which no other record of a
    /// group with members does.
    pub(in super::super) fn downgraded_record(mut self) -> EncodedRecord {
        if self.unassigned && !planted(Planted::DowngradeForgetsRebalance) {
            self.leader = None;
        }
        self.record(|member| member.assignment.clone())
    }
}

/// Each name once, as a group counts them.
fn distinct<'p>(protocols: impl Iterator<Item = &'p ClassicProtocol>) -> Vec<Protocol> {
    let mut seen = std::collections::BTreeSet::new();
    protocols
        .filter(|protocol| seen.insert(protocol.name.clone()))
        .map(|protocol| Protocol {
            name: protocol.name.clone(),
            metadata: protocol.metadata.clone(),
        })
        .collect()
}
