//! Puts the replicas of new partitions on brokers.
//!
//! Striped from a start that differs from topic to topic: leaders go round the brokers, followers onto the next ones. Never
//! looks at how full a broker is or in which rack it stands.

use std::collections::BTreeMap;

use super::error::{InvalidAssignment, TooFewBrokers};
use super::shown_brokers::ShownBrokers;
use crate::metadata::image::MetadataImage;
use crate::metadata::topic::PartitionState;

/// `count` partitions, the first of them numbered `first`. `start` is any number, the same for all partitions of a topic.
pub(super) fn place(
    image: &MetadataImage,
    start: u128,
    first: usize,
    count: usize,
    replication_factor: i16,
) -> Result<Vec<PartitionState>, TooFewBrokers> {
    // Those that may lead come first, so that a fenced one is used only when there are too few.
    let (alive, fenced): (Vec<i32>, Vec<i32>) = image
        .brokers()
        .keys()
        .partition(|&&node| is_alive(image, node));
    let brokers: Vec<i32> = alive.iter().chain(&fenced).copied().collect();
    let too_few = TooFewBrokers {
        replication_factor,
        broker_count: brokers.len(),
        all_fenced: alive.is_empty() && !fenced.is_empty(),
    };
    let width = usize::try_from(replication_factor).map_err(|_| too_few)?;
    if width > brokers.len() || alive.is_empty() {
        return Err(too_few);
    }
    // With replicas for all of the alive, the ring is just them; else all are needed.
    let ring = if width <= alive.len() {
        &alive
    } else {
        &brokers
    };
    let start = usize::try_from(start % ring.len() as u128).expect("less than a length");
    let states = (first..first + count).map(|partition| {
        let leader = start + partition;
        let replicas = (0..width)
            .map(|step| ring[(leader + step) % ring.len()])
            .collect();
        with_alive_in_sync(image, replicas)
    });
    Ok(states.collect())
}

/// A partition on the brokers that the client named. Of a node it may name any shard: which one owns the partition is not up to it.
pub(super) fn place_manually(
    image: &MetadataImage,
    brokers: &ShownBrokers,
    partition: i32,
    replicas: &[i32],
    width_before: Option<usize>,
) -> Result<PartitionState, InvalidAssignment> {
    if replicas.is_empty() {
        return Err(InvalidAssignment::NoReplicas);
    }
    let mut seen = BTreeMap::new();
    for &broker in replicas {
        let node = brokers.node_of(broker);
        if !image.brokers().contains_key(&node) {
            return Err(InvalidAssignment::UnknownBroker(broker));
        }
        match seen.insert(node, broker) {
            None => {}
            Some(other) if other == broker => {
                return Err(InvalidAssignment::DuplicateBroker(broker));
            }
            Some(other) => return Err(InvalidAssignment::SameNode([other, broker])),
        }
    }
    let count = replicas.len();
    if let Some(before) = width_before
        && before != count
    {
        return Err(InvalidAssignment::Uneven { count, before });
    }
    let nodes = replicas.iter().map(|&broker| brokers.node_of(broker));
    let state = with_alive_in_sync(image, nodes.collect());
    match state.leader {
        Some(_) => Ok(state),
        None => Err(InvalidAssignment::AllFenced(partition)),
    }
}

fn with_alive_in_sync(image: &MetadataImage, replicas: Vec<i32>) -> PartitionState {
    let in_sync = replicas
        .iter()
        .copied()
        .filter(|&node| is_alive(image, node))
        .collect();
    PartitionState::new(replicas, in_sync)
}

fn is_alive(image: &MetadataImage, node: i32) -> bool {
    image
        .brokers()
        .get(&node)
        .is_some_and(|broker| !broker.fenced)
}
