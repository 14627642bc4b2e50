//! What must hold of a group, by name.
//!
//! Judges by what members believe after the responses they got, not by what the coordinator believes of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rinka_storage::topic_partition::TopicPartition;

use super::super::assignment::Assignment;
use super::super::member::MemberState;
use super::super::{ConsumerGroup, GroupState, regex};
use super::client::Client;
use super::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invariant {
    /// No two members have a partition at a time, unless the coordinator has fenced one of them, which does not know it yet.
    OnePartitionOneOwner,
    /// At rest every partition of every topic that is subscribed to is with a member who subscribes to it.
    EveryPartitionOwnedWhenStable,
    /// Without faults a group comes to rest.
    RebalanceTerminates,
    /// Neither the group's epoch nor its target's goes back, nor that of a member as it is told.
    EpochsNeverRegress,
    /// The log makes the group that wrote it, compacted or not.
    ReplayRestoresTheGroup,
    /// A commit with an old epoch of a member counts only for what nobody else has had since.
    OldCommitsNeverOvertake,
    /// No member keeps others waiting for longer than its rebalance timeout.
    RevokersAreFenced,
    /// Nothing is answered with an error that no well-behaved member can cause.
    NoUnexpectedError,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) invariant: Invariant,
    pub(super) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.invariant, self.what)
    }
}

pub(super) fn violation<T>(invariant: Invariant, what: String) -> Result<T, Violation> {
    Err(Violation { invariant, what })
}

/// After every event.
pub(super) fn always(world: &World) -> Result<(), Violation> {
    let mut owners: BTreeMap<TopicPartition, &Arc<str>> = BTreeMap::new();
    for client in world
        .clients
        .iter()
        .filter(|client| counts(client, &world.group))
    {
        // Of a topic that is gone there is nothing to read.
        let exists = |partition: &TopicPartition| world.topics.name(partition.topic_id).is_some();
        for partition in client.owned.partitions().filter(exists) {
            if let Some(other) = owners.insert(partition, &client.id) {
                return violation(
                    Invariant::OnePartitionOneOwner,
                    format!("{partition} is with {other} and {}", client.id),
                );
            }
        }
    }
    Ok(())
}

/// Whether what the client believes matters: it lives, and is not fenced.
pub(super) fn counts(client: &Client, group: &ConsumerGroup) -> bool {
    let member = group.member(&client.id);
    client.is_alive() && member.is_some_and(|member| !member.has_left())
}

pub(super) fn same_group(group: &ConsumerGroup, replayed: &ConsumerGroup) -> Result<(), Violation> {
    let parts = |group: &ConsumerGroup| {
        let mut owners: Vec<_> = group.owners.iter().collect();
        owners.sort();
        let targets: BTreeMap<_, _> = group
            .targets
            .iter()
            .filter(|(_, t)| !t.is_empty())
            .collect();
        format!(
            "{:#?}",
            (
                group.metadata,
                &group.members,
                group.target,
                targets,
                &group.regexes,
                &group.static_members,
                owners,
                &group.regex_subscribers,
            )
        )
    };
    let (group, replayed) = (parts(group), parts(replayed));
    if group == replayed {
        return Ok(());
    }
    let differ = group.lines().zip(replayed.lines()).find(|(a, b)| a != b);
    violation(Invariant::ReplayRestoresTheGroup, format!("{differ:?}"))
}

pub(super) fn epochs(before: (i32, i32), group: &ConsumerGroup) -> Result<(), Violation> {
    let after = (group.epoch(), group.target_epoch());
    if after.0 < before.0 || after.1 < before.1 {
        return violation(
            Invariant::EpochsNeverRegress,
            format!("from {before:?} to {after:?}"),
        );
    }
    Ok(())
}

/// Once nothing has gone wrong for long enough.
pub(super) fn at_rest(world: &World) -> Result<(), Violation> {
    let group = &world.group;
    let alive: Vec<&Client> = world.clients.iter().filter(|c| c.is_alive()).collect();
    if group.epoch() == 0 || world.classic.is_some() {
        // Members of the classic protocol alone do not make such a group.
        return Ok(());
    }
    let expected = if alive.is_empty() {
        GroupState::Empty
    } else {
        GroupState::Stable
    };
    let state = group.state();
    if state != expected || group.members().len() != alive.len() {
        return violation(
            Invariant::RebalanceTerminates,
            format!(
                "{state:?} with {} of {} members: {group:#?}",
                group.members().len(),
                alive.len()
            ),
        );
    }
    for client in &alive {
        let member = group.member(&client.id);
        let Some(member) = member.filter(|member| {
            member.current.epoch == client.epoch
                && member.current.state == MemberState::Stable
                && member.current.assigned == client.owned
        }) else {
            return violation(
                Invariant::RebalanceTerminates,
                format!("{client:#?} is known as {member:#?}"),
            );
        };
        if member.current.epoch != group.epoch() {
            return violation(
                Invariant::RebalanceTerminates,
                format!(
                    "{} at {}, the group at {}",
                    client.id,
                    client.epoch,
                    group.epoch()
                ),
            );
        }
    }
    let all = |client: &Client| -> Assignment {
        let names = match client.regex() {
            Some(pattern) => regex::resolve(pattern, &world.topics),
            None => client.names().iter().cloned().collect(),
        };
        let ids = names.iter().filter_map(|name| world.topics.id(name));
        ids.flat_map(|topic_id| {
            let count = world.topics.partition_count(topic_id).unwrap_or(0);
            (0..count).map(move |partition| TopicPartition {
                topic_id,
                partition,
            })
        })
        .collect()
    };
    let mut owned = Assignment::default();
    let mut subscribed = Assignment::default();
    for client in &alive {
        let subscription = all(client);
        if !client.owned.is_subset(&subscription) {
            return violation(
                Invariant::EveryPartitionOwnedWhenStable,
                format!("{client:#?} has what it does not want"),
            );
        }
        subscription.partitions().for_each(|partition| {
            subscribed.insert(partition);
        });
        client.owned.partitions().for_each(|partition| {
            owned.insert(partition);
        });
    }
    if owned != subscribed {
        return violation(
            Invariant::EveryPartitionOwnedWhenStable,
            format!("{owned:?} of {subscribed:?}"),
        );
    }
    Ok(())
}
