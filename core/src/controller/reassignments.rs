//! Puts partitions on other brokers when an operator asks for it (KIP-455).
//!
//! Never moves a record: the brokers of a partition can be put into another order, which changes who leads it by preference, and
//! stay the same ones until brokers copy from each other. Under core routing that goes for the shards of a node too: which one has a
//! partition follows from the partition.

use std::collections::BTreeMap;

use rinka_storage::topic_partition::TopicPartition;

use super::error::{InvalidAssignment, ReassignmentError};
use super::shown_brokers::ShownBrokers;
use super::{Decision, placement};
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::PartitionState;

/// A partition and the brokers that are to hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    pub topic: String,
    pub partition: i32,
    /// The first is preferred as leader; `None` ends a move that is under way.
    pub replicas: Option<Vec<i32>>,
}

/// What became of one partition of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReassignmentResult {
    pub topic: String,
    pub partition: i32,
    pub outcome: Result<(), ReassignmentError>,
}

/// One result for each partition of the request, in its order.
pub fn alter_partition_reassignments(
    reassignments: &[Reassignment],
    allow_replication_factor_change: bool,
    image: &MetadataImage,
    brokers: &ShownBrokers,
) -> Decision<Vec<ReassignmentResult>> {
    let mut counts: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for asked in reassignments {
        *counts.entry((&asked.topic, asked.partition)).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut response = Vec::with_capacity(reassignments.len());
    for asked in reassignments {
        let outcome = match counts[&(asked.topic.as_str(), asked.partition)] {
            1 => reassign(asked, allow_replication_factor_change, image, brokers),
            // Each would be decided on the same state.
            _ => Err(ReassignmentError::Duplicate),
        };
        response.push(ReassignmentResult {
            topic: asked.topic.clone(),
            partition: asked.partition,
            outcome: outcome.map(|record| records.extend(record)),
        });
    }
    Decision { records, response }
}

fn reassign(
    asked: &Reassignment,
    allow_replication_factor_change: bool,
    image: &MetadataImage,
    brokers: &ShownBrokers,
) -> Result<Option<MetadataRecord>, ReassignmentError> {
    let topic = image
        .topic_named(&asked.topic)
        .ok_or_else(|| ReassignmentError::UnknownTopic(asked.topic.clone()))?;
    let state =
        topic
            .partition(asked.partition)
            .ok_or_else(|| ReassignmentError::UnknownPartition {
                topic: asked.topic.clone(),
                partition: asked.partition,
            })?;
    let replicas = asked
        .replicas
        .as_ref()
        .ok_or(ReassignmentError::NotInProgress)?;
    match placement::place_manually(image, brokers, asked.partition, replicas, None) {
        // Who is fenced now may hold it all the same.
        Ok(_) | Err(InvalidAssignment::AllFenced(_)) => {}
        Err(error) => return Err(ReassignmentError::InvalidAssignment(error)),
    }
    let (current, requested) = (state.replicas.len(), replicas.len());
    if !allow_replication_factor_change && current != requested {
        return Err(ReassignmentError::ReplicationFactor { current, requested });
    }
    let at = TopicPartition {
        topic_id: topic.id,
        partition: asked.partition,
    };
    // Tools compare what they asked for with what they are shown, so that another shard of the same node is another broker.
    let shown: Vec<i32> = (state.replicas.iter())
        .map(|&node| brokers.id_of(node, at))
        .collect();
    let is_shown = |id: &i32| shown.contains(id);
    // None is named twice, so that as many are the same ones.
    if current != requested || !replicas.iter().all(is_shown) {
        return Err(ReassignmentError::NotHere { current: shown });
    }
    if shown == *replicas {
        return Ok(None);
    }
    let nodes = replicas.iter().map(|&id| brokers.node_of(id));
    Ok(Some(MetadataRecord::PartitionChanged {
        id: topic.id,
        partition: asked.partition,
        state: PartitionState {
            replicas: nodes.collect(),
            partition_epoch: state.partition_epoch + 1,
            ..state.clone()
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::super::shown_brokers::tests::{one_broker, two_shards};
    use super::super::topics;
    use super::super::topics::tests::{cluster, created, with_topics};
    use super::*;

    fn request(partition: i32, replicas: Option<&[i32]>) -> Reassignment {
        Reassignment {
            topic: "a".to_owned(),
            partition,
            replicas: replicas.map(<[i32]>::to_vec),
        }
    }

    /// Of three brokers, 1 and 2 hold the partition; the replicas it has afterwards, or why it was refused.
    fn check(
        request: Reassignment,
        allow_replication_factor_change: bool,
        expected: Result<&[i32], &str>,
    ) {
        check_of(
            &one_broker(),
            request,
            allow_replication_factor_change,
            expected,
        );
    }

    fn check_of(
        brokers: &ShownBrokers,
        request: Reassignment,
        allow_replication_factor_change: bool,
        expected: Result<&[i32], &str>,
    ) {
        let mut image = with_topics(&cluster(3), &["a"]);
        let id = created(&image, "a").id;
        let before = PartitionState::new(vec![1, 2], vec![1, 2]);
        let change = MetadataRecord::PartitionChanged {
            id,
            partition: 0,
            state: before.clone(),
        };
        topics::replay_decided(&mut image, &[change]);
        let decision = alter_partition_reassignments(
            &[request],
            allow_replication_factor_change,
            &image,
            brokers,
        );
        topics::replay_decided(&mut image, &decision.records);
        let after = created(&image, "a").partition(0).unwrap();
        let outcome = decision.response[0].outcome.as_ref();
        match (outcome, expected) {
            (Ok(()), Ok(replicas)) => {
                assert_eq!(after.replicas, replicas);
                let changed = i32::from(before.replicas != replicas);
                assert_eq!(after.partition_epoch, changed);
                // Who leads goes on, until an election is asked for.
                assert_eq!((after.leader, after.leader_epoch.0), (Some(1), 0));
                assert_eq!(after.isr, before.isr);
            }
            (Err(error), Err(text)) => {
                assert!(error.to_string().contains(text), "{error}, not {text}");
                assert_eq!(*after, before);
            }
            (seen, expected) => panic!("{seen:?}, not {expected:?}"),
        }
    }

    #[test]
    fn replicas_come_into_another_order_and_stay_where_they_are() {
        check(request(0, Some(&[1, 2])), true, Ok(&[1, 2]));
        check(request(0, Some(&[2, 1])), true, Ok(&[2, 1]));
        check(request(0, Some(&[2, 3])), true, Err("stay [1, 2]"));
    }

    #[test]
    fn of_the_shards_of_a_node_the_one_that_is_shown_is_the_broker() {
        // Topic 1000 begins at shard 0, the one that keeps the node's id.
        let first = two_shards();
        check_of(&first, request(0, Some(&[2, 1])), true, Ok(&[2, 1]));
        check_of(
            &first,
            request(0, Some(&[10_001, 2])),
            true,
            Err("stay [1, 2]"),
        );
        // With three shards it begins at shard 1.
        let second = ShownBrokers::new(1, vec![1, 10_001, 20_001]);
        check_of(&second, request(0, Some(&[10_001, 2])), true, Ok(&[1, 2]));
        check_of(&second, request(0, Some(&[2, 10_001])), true, Ok(&[2, 1]));
        check_of(
            &second,
            request(0, Some(&[2, 1])),
            true,
            Err("stay [10001, 2]"),
        );
        check_of(
            &second,
            request(0, Some(&[2])),
            true,
            Err("stay [10001, 2]"),
        );
        let both = Err("10001 and 1, which are shards of one node");
        check_of(&second, request(0, Some(&[10_001, 1])), true, both);
    }

    #[test]
    fn refusals() {
        check(request(0, None), true, Err("No partition reassignment"));
        check(request(7, None), true, Err("Unable to find partition a:7."));
        check(request(0, Some(&[])), true, Err("empty replica list"));
        check(request(0, Some(&[1, 1])), true, Err("more than once"));
        check(request(0, Some(&[9])), true, Err("includes broker 9"));
        check(request(0, Some(&[1])), false, Err("changed from 2 to 1"));
        let other = Reassignment {
            topic: "b".to_owned(),
            ..request(0, None)
        };
        check(other, true, Err("Unable to find a topic named b."));
    }

    #[test]
    fn a_partition_that_is_named_twice_is_refused_twice() {
        let image = with_topics(&cluster(1), &["a"]);
        let twice = [request(0, Some(&[1])), request(0, Some(&[1]))];
        let decision = alter_partition_reassignments(&twice, true, &image, &one_broker());
        let refused = decision
            .response
            .iter()
            .filter(|result| result.outcome == Err(ReassignmentError::Duplicate));
        assert_eq!((refused.count(), decision.records.len()), (2, 0));
    }
}
