//! Adds partitions to topics.
//!
//! Never takes one away and never moves one.

use std::collections::BTreeMap;

use super::error::{CreatePartitionsError, InvalidAssignment};
use super::shown_brokers::ShownBrokers;
use super::topics::PARTITIONS_PER_REQUEST_MAX;
use super::{Decision, placement};
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::{PartitionState, Topic};

/// A topic that is to have more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    pub topic: String,
    /// How many it is to have, those it has included.
    pub total: i32,
    /// The brokers of each new partition; `None`: the controller chooses.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// What became of one topic of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePartitionsResult {
    pub topic: String,
    pub outcome: Result<(), CreatePartitionsError>,
}

/// One result for each name of the request, in its order.
pub fn create_partitions(
    topics: &[NewPartitions],
    validate_only: bool,
    image: &MetadataImage,
    brokers: &ShownBrokers,
) -> Decision<Vec<CreatePartitionsResult>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in topics {
        *counts.entry(&topic.topic).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut response = Vec::new();
    let mut budget = PARTITIONS_PER_REQUEST_MAX;
    for topic in topics {
        let outcome = match counts.remove(topic.topic.as_str()) {
            None => continue,
            Some(2..) => Err(CreatePartitionsError::Duplicate),
            Some(_) => add_partitions(topic, image, brokers, &mut budget),
        };
        response.push(CreatePartitionsResult {
            topic: topic.topic.clone(),
            outcome: outcome.map(|record| records.push(record)),
        });
    }
    if validate_only {
        records.clear();
    }
    Decision { records, response }
}

fn add_partitions(
    request: &NewPartitions,
    image: &MetadataImage,
    brokers: &ShownBrokers,
    budget: &mut usize,
) -> Result<MetadataRecord, CreatePartitionsError> {
    let topic = image
        .topic_named(&request.topic)
        .ok_or(CreatePartitionsError::UnknownTopic)?;
    let current = topic.partition_count();
    let added = usize::try_from(request.total)
        .ok()
        .and_then(|total| total.checked_sub(current))
        .filter(|&added| added > 0)
        .ok_or_else(|| CreatePartitionsError::NotMore {
            name: request.topic.clone(),
            current,
            requested: request.total,
        })?;
    *budget = budget
        .checked_sub(added)
        .ok_or(CreatePartitionsError::TooManyPartitions)?;

    let partitions = match &request.assignments {
        None => {
            let width = i16::try_from(topic.replication_factor()).unwrap_or(i16::MAX);
            placement::place(image, topic.id.0.as_u128(), current, added, width)
                .map_err(CreatePartitionsError::TooFewBrokers)?
        }
        Some(assignments) => place_manually(topic, added, assignments, image, brokers)
            .map_err(CreatePartitionsError::InvalidAssignment)?,
    };
    Ok(MetadataRecord::PartitionsAdded {
        id: topic.id,
        first: i32::try_from(current).expect("less than the total, which is an i32"),
        partitions,
    })
}

fn place_manually(
    topic: &Topic,
    added: usize,
    assignments: &[Vec<i32>],
    image: &MetadataImage,
    brokers: &ShownBrokers,
) -> Result<Vec<PartitionState>, InvalidAssignment> {
    if assignments.len() != added {
        return Err(InvalidAssignment::WrongCount {
            given: assignments.len(),
            needed: added,
        });
    }
    let width = Some(topic.replication_factor()).filter(|&width| width > 0);
    let first = topic.partition_count();
    let numbers = (first..).map(|number| i32::try_from(number).unwrap_or(i32::MAX));
    numbers
        .zip(assignments)
        .map(|(number, replicas)| {
            placement::place_manually(image, brokers, number, replicas, width)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::shown_brokers::tests::two_shards;
    use super::super::topics;
    use super::super::topics::tests::{cluster, created, with_topics};
    use super::*;

    fn request(topic: &str, total: i32) -> NewPartitions {
        NewPartitions {
            topic: topic.to_owned(),
            total,
            assignments: None,
        }
    }

    fn check(request: NewPartitions, expected: Result<usize, &str>) {
        let image = with_topics(&cluster(2), &["a"]);
        let decision = create_partitions(&[request], false, &image, &two_shards());
        let mut after = image.clone();
        topics::replay_decided(&mut after, &decision.records);
        let outcome = decision.response[0].outcome.clone();
        let seen = outcome
            .map(|()| created(&after, "a").partition_count())
            .map_err(|error| error.to_string());
        assert_eq!(seen, expected.map_err(str::to_owned));
    }

    #[test]
    fn partitions_are_added_behind_those_there_are() {
        check(request("a", 5), Ok(5));
        check(
            NewPartitions {
                assignments: Some(vec![vec![1]]),
                ..request("a", 2)
            },
            Ok(2),
        );
        check(
            NewPartitions {
                assignments: Some(vec![vec![10_001], vec![2]]),
                ..request("a", 3)
            },
            Ok(3),
        );
    }

    #[test]
    fn refusals() {
        check(request("a", 1), Err("Topic already has 1 partition(s)."));
        check(
            request("a", -1),
            Err("The topic a currently has 1 partition(s); -1 would not be an increase."),
        );
        check(
            request("b", 3),
            Err("This server does not host this topic-partition."),
        );
        check(
            request("a", 10_002),
            Err("Excessively large number of partitions per request."),
        );
        check(
            NewPartitions {
                assignments: Some(vec![vec![1]]),
                ..request("a", 3)
            },
            Err(
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
            ),
        );
        check(
            NewPartitions {
                assignments: Some(vec![vec![1, 2]]),
                ..request("a", 2)
            },
            Err(
                "The manual partition assignment includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s).",
            ),
        );
    }

    #[test]
    fn validate_only_and_duplicates_write_nothing() {
        let image = with_topics(&cluster(1), &["a"]);
        let validated = create_partitions(&[request("a", 5)], true, &image, &two_shards());
        assert!(validated.records.is_empty() && validated.response[0].outcome.is_ok());
        let twice = create_partitions(
            &[request("a", 5), request("a", 6)],
            false,
            &image,
            &two_shards(),
        );
        assert!(twice.records.is_empty());
        assert_eq!(twice.response.len(), 1);
    }
}
