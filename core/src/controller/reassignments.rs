//! Puts partitions on other brokers when an operator asks for it (KIP-455).
//!
//! Never moves a record: the brokers of a partition can be put into another order, which changes who leads it by preference, and
//! stay the same ones until brokers copy from each other.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{InvalidAssignment, ReassignmentError};
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
) -> Decision<Vec<ReassignmentResult>> {
    let mut counts: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for asked in reassignments {
        *counts.entry((&asked.topic, asked.partition)).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut response = Vec::with_capacity(reassignments.len());
    for asked in reassignments {
        let outcome = match counts[&(asked.topic.as_str(), asked.partition)] {
            1 => reassign(asked, allow_replication_factor_change, image),
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
    match placement::place_manually(image, asked.partition, replicas, None) {
        // Who is fenced now may hold it all the same.
        Ok(_) | Err(InvalidAssignment::AllFenced(_)) => {}
        Err(error) => return Err(ReassignmentError::InvalidAssignment(error)),
    }
    let (current, requested) = (state.replicas.len(), replicas.len());
    if !allow_replication_factor_change && current != requested {
        return Err(ReassignmentError::ReplicationFactor { current, requested });
    }
    let brokers = |replicas: &[i32]| replicas.iter().copied().collect::<BTreeSet<i32>>();
    if brokers(&state.replicas) != brokers(replicas) {
        return Err(ReassignmentError::NotHere {
            current: state.replicas.clone(),
        });
    }
    if state.replicas == *replicas {
        return Ok(None);
    }
    Ok(Some(MetadataRecord::PartitionChanged {
        id: topic.id,
        partition: asked.partition,
        state: PartitionState {
            replicas: replicas.clone(),
            partition_epoch: state.partition_epoch + 1,
            ..state.clone()
        },
    }))
}

#[cfg(test)]
mod tests {
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
        let mut image = with_topics(&cluster(3), &["a"]);
        let id = created(&image, "a").id;
        let before = PartitionState::new(vec![1, 2], vec![1, 2]);
        let change = MetadataRecord::PartitionChanged {
            id,
            partition: 0,
            state: before.clone(),
        };
        topics::replay_decided(&mut image, &[change]);
        let decision =
            alter_partition_reassignments(&[request], allow_replication_factor_change, &image);
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
        let decision = alter_partition_reassignments(&twice, true, &image);
        let refused = decision
            .response
            .iter()
            .filter(|result| result.outcome == Err(ReassignmentError::Duplicate));
        assert_eq!((refused.count(), decision.records.len()), (2, 0));
    }
}
