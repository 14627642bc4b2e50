//! Creates and deletes topics, each topic of a request by itself: one that is refused keeps no other from succeeding.
//!
//! Never invents a topic's id: it comes with the request.

use std::collections::{BTreeMap, BTreeSet};

use rinka_storage::topic_partition::TopicId;

use super::error::{CreateTopicError, DeleteTopicError, InvalidAssignment};
use super::shown_brokers::ShownBrokers;
use super::{Decision, placement, topic_name};
use crate::config::broker::{BrokerConfig, InternalTopicConfig};
use crate::config::describe::{ConfigEntry, describe_topic};
use crate::config::topic::{self, InvalidConfig, TopicOverrides};
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::PartitionState;

/// The most partitions that one request may create: its records must fit one append to the metadata log.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    /// What the topic's id will be: new and random.
    pub id: TopicId,
    /// -1: as many as `num.partitions`.
    pub partitions: i32,
    /// -1: as many as `default.replication.factor`.
    pub replication_factor: i16,
    /// If there are any, the two numbers above must be -1.
    pub assignments: Vec<Assignment>,
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    #[must_use]
    pub fn new(name: &str, id: TopicId) -> Self {
        Self {
            name: name.to_owned(),
            id,
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// The brokers of one partition, as the client wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub partition: i32,
    pub replicas: Vec<i32>,
}

/// What became of one topic of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTopicResult {
    pub name: String,
    pub outcome: Result<CreatedTopic, CreateTopicError>,
}

/// A topic as it was, or with `validate_only` would be, created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
    pub configs: Vec<ConfigEntry>,
}

/// One result for each name of the request, in its order.
pub fn create_topics(
    topics: &[NewTopic],
    validate_only: bool,
    image: &MetadataImage,
    config: &BrokerConfig,
    brokers: &ShownBrokers,
) -> Decision<Vec<CreateTopicResult>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let total = topics.iter().fold(0, |total: usize, topic| {
        total.saturating_add(partitions_asked_for(topic, config))
    });

    // Grows with each topic that succeeds, so that the next one is checked against it too.
    let mut next_image = image.clone();
    let mut records = Vec::new();
    let mut response = Vec::new();
    for topic in topics {
        let outcome = match counts.remove(topic.name.as_str()) {
            // Answered at its first appearance.
            None => continue,
            Some(2..) => Err(CreateTopicError::Duplicate),
            Some(_) if total > PARTITIONS_PER_REQUEST_MAX => {
                Err(CreateTopicError::TooManyPartitions)
            }
            Some(_) => create_topic(topic, &next_image, config, |topic| {
                match topic.assignments.is_empty() {
                    true => place(topic, &next_image, config),
                    false => place_manually(topic, &next_image, brokers),
                }
            }),
        };
        let outcome = outcome.map(|(created, of_topic)| {
            replay_decided(&mut next_image, &of_topic);
            records.extend(of_topic);
            created
        });
        response.push(CreateTopicResult {
            name: topic.name.clone(),
            outcome,
        });
    }
    if validate_only {
        records.clear();
    }
    Decision { records, response }
}

/// Creates the topic that a client asked for by name only. The broker's own topics get the shape that their configuration gives.
///
/// Whether `auto.create.topics.enable` holds is for the caller to ask: it does not apply to the broker's own topics.
pub fn auto_create_topic(
    name: &str,
    id: TopicId,
    image: &MetadataImage,
    config: &BrokerConfig,
) -> Decision<Result<CreatedTopic, CreateTopicError>> {
    let topic = match name {
        topic_name::CONSUMER_OFFSETS => consumer_offsets(id, image, config),
        topic_name::TRANSACTION_STATE => transaction_state(id, image, config),
        _ => NewTopic::new(name, id),
    };
    match create_topic(&topic, image, config, |topic| place(topic, image, config)) {
        Ok((created, records)) => Decision {
            records,
            response: Ok(created),
        },
        Err(error) => Decision {
            records: Vec::new(),
            response: Err(error),
        },
    }
}

/// How a client names a topic to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicReference {
    Name(String),
    Id(TopicId),
    /// Refused, since they could be two topics.
    NameAndId(String, TopicId),
    Nothing,
}

/// What became of one topic of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTopicResult {
    /// As the request named it.
    pub topic: TopicReference,
    /// The topic's name and id, of which the request knew one.
    pub outcome: Result<(String, TopicId), DeleteTopicError>,
}

/// One result for each topic of the request, in its order. What is given twice is deleted not at all, and told of once.
pub fn delete_topics(
    topics: &[TopicReference],
    image: &MetadataImage,
    config: &BrokerConfig,
) -> Decision<Vec<DeleteTopicResult>> {
    let mut given = BTreeSet::new();
    let twice: BTreeSet<_> = topics
        .iter()
        .filter(|topic| !given.insert(*topic))
        .collect();
    let mut told = BTreeSet::new();
    // A name that is given beside its id, wherever in the request that is, loses to it.
    let ids = topics.iter().filter(|topic| !twice.contains(topic));
    let ids: BTreeSet<TopicId> = ids
        .filter_map(|topic| match topic {
            TopicReference::Id(id) => Some(*id),
            _ => None,
        })
        .collect();
    let mut records = Vec::new();
    let once = topics.iter().filter(|topic| told.insert(*topic));
    let response = once.map(|reference| {
        let outcome = if config.delete_topic_enable {
            find(reference, twice.contains(reference), &ids, image)
        } else {
            Err(DeleteTopicError::Disabled)
        };
        if let Ok((_, id)) = outcome {
            records.push(MetadataRecord::TopicDeleted { id });
        }
        DeleteTopicResult {
            topic: reference.clone(),
            outcome,
        }
    });
    let response = response.collect();
    Decision { records, response }
}

fn find(
    reference: &TopicReference,
    is_twice: bool,
    ids: &BTreeSet<TopicId>,
    image: &MetadataImage,
) -> Result<(String, TopicId), DeleteTopicError> {
    let topic = match reference {
        TopicReference::NameAndId(..) => return Err(DeleteTopicError::NameAndId),
        TopicReference::Nothing => return Err(DeleteTopicError::NeitherNameNorId),
        TopicReference::Name(_) if is_twice => return Err(DeleteTopicError::DuplicateName),
        TopicReference::Id(_) if is_twice => return Err(DeleteTopicError::DuplicateId),
        TopicReference::Name(name) => {
            let topic = image.topic_named(name);
            let topic = topic.ok_or(DeleteTopicError::UnknownName)?;
            if ids.contains(&topic.id) {
                return Err(DeleteTopicError::NameOfGivenId);
            }
            topic
        }
        TopicReference::Id(id) => image.topic(*id).ok_or(DeleteTopicError::UnknownId)?,
    };
    Ok((topic.name.as_ref().to_owned(), topic.id))
}

/// An upper bound that needs no check of the topic first: a wrong number is refused later by itself.
fn partitions_asked_for(topic: &NewTopic, config: &BrokerConfig) -> usize {
    let asked_for = match topic.partitions {
        -1 => config.num_partitions,
        partitions => partitions,
    };
    match topic.assignments.len() {
        0 => usize::try_from(asked_for).unwrap_or(0),
        count => count,
    }
}

fn create_topic(
    topic: &NewTopic,
    image: &MetadataImage,
    config: &BrokerConfig,
    place: impl FnOnce(&NewTopic) -> Result<Vec<PartitionState>, CreateTopicError>,
) -> Result<(CreatedTopic, Vec<MetadataRecord>), CreateTopicError> {
    check_name(topic, image)?;
    let overrides = new_overrides(&topic.configs)?;
    topic::validate(&overrides, config).map_err(CreateTopicError::InvalidConfig)?;
    let partitions = place(topic)?;

    let created = CreatedTopic {
        id: topic.id,
        partitions: i32::try_from(partitions.len()).expect("at most 10,000"),
        replication_factor: i16::try_from(partitions[0].replicas.len())
            .map_err(|_| CreateTopicError::InvalidReplicationFactor)?,
        configs: describe_topic(&overrides, config),
    };
    let mut records = vec![MetadataRecord::TopicCreated {
        id: topic.id,
        name: topic.name.clone(),
        partitions,
    }];
    records.extend(
        overrides
            .into_iter()
            .map(|(key, value)| MetadataRecord::TopicConfigSet {
                id: topic.id,
                key,
                value: Some(value),
            }),
    );
    Ok((created, records))
}

fn check_name(topic: &NewTopic, image: &MetadataImage) -> Result<(), CreateTopicError> {
    let name = &topic.name;
    topic_name::validate(name).map_err(CreateTopicError::InvalidName)?;
    if name == topic_name::CLUSTER_METADATA {
        return Err(CreateTopicError::Reserved(name.clone()));
    }
    if image.topic_named(name).is_some() {
        return Err(CreateTopicError::Exists(name.clone()));
    }
    if let Some(existing) = image.collision_with(name) {
        return Err(CreateTopicError::NameCollides {
            name: name.clone(),
            existing: existing.to_owned(),
        });
    }
    if topic.id == TopicId::ZERO || image.topic(topic.id).is_some() {
        return Err(CreateTopicError::IdInUse(topic.id));
    }
    Ok(())
}

/// The last of two values for one key counts, as in Kafka, which reads them into a map.
fn new_overrides(configs: &[(String, Option<String>)]) -> Result<TopicOverrides, CreateTopicError> {
    let known = configs.iter().filter(|(key, _)| !topic::is_forgotten(key));
    known
        .map(|(key, value)| match value {
            Some(value) => Ok((key.clone(), value.clone())),
            None => Err(CreateTopicError::InvalidConfig(InvalidConfig::NullValue(
                key.clone(),
            ))),
        })
        .collect()
}

fn place(
    topic: &NewTopic,
    image: &MetadataImage,
    config: &BrokerConfig,
) -> Result<Vec<PartitionState>, CreateTopicError> {
    let replication_factor = match topic.replication_factor {
        -1 => config.default_replication_factor,
        asked_for @ 1.. => asked_for,
        _ => return Err(CreateTopicError::InvalidReplicationFactor),
    };
    let count = match topic.partitions {
        -1 => config.num_partitions,
        asked_for @ 1.. => asked_for,
        _ => return Err(CreateTopicError::InvalidPartitions),
    };
    let count = usize::try_from(count).expect("both are 1 or more");
    if count > PARTITIONS_PER_REQUEST_MAX {
        return Err(CreateTopicError::TooManyPartitions);
    }
    placement::place(image, topic.id.0.as_u128(), 0, count, replication_factor)
        .map_err(CreateTopicError::TooFewBrokers)
}

fn place_manually(
    topic: &NewTopic,
    image: &MetadataImage,
    brokers: &ShownBrokers,
) -> Result<Vec<PartitionState>, CreateTopicError> {
    if topic.replication_factor != -1 {
        return Err(CreateTopicError::AssignmentWithReplicationFactor);
    }
    if topic.partitions != -1 {
        return Err(CreateTopicError::AssignmentWithPartitions);
    }
    let mut states = BTreeMap::new();
    let mut width = None;
    for assignment in &topic.assignments {
        let partition = assignment.partition;
        if states.contains_key(&partition) {
            return Err(CreateTopicError::InvalidAssignment(
                InvalidAssignment::DuplicatePartition(partition),
            ));
        }
        let replicas = &assignment.replicas;
        let state = placement::place_manually(image, brokers, partition, replicas, width)
            .map_err(CreateTopicError::InvalidAssignment)?;
        width = Some(assignment.replicas.len());
        states.insert(partition, state);
    }
    if states.keys().copied().ne((0..).take(states.len())) {
        return Err(CreateTopicError::InvalidAssignment(InvalidAssignment::Gap));
    }
    Ok(states.into_values().collect())
}

fn consumer_offsets(id: TopicId, image: &MetadataImage, config: &BrokerConfig) -> NewTopic {
    let shape = &config.offsets.topic;
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", shape.segment_bytes.to_string()),
    ];
    internal_topic(topic_name::CONSUMER_OFFSETS, id, shape, configs, image)
}

fn transaction_state(id: TopicId, image: &MetadataImage, config: &BrokerConfig) -> NewTopic {
    let shape = &config.transaction.topic;
    let min_insync_replicas = config
        .transaction
        .min_insync_replicas
        .unwrap_or_else(|| i32::from(replicas_up_to(2, image)));
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "uncompressed".to_owned()),
        ("min.insync.replicas", min_insync_replicas.to_string()),
        ("segment.bytes", shape.segment_bytes.to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ];
    internal_topic(topic_name::TRANSACTION_STATE, id, shape, configs, image)
}

fn internal_topic<const N: usize>(
    name: &str,
    id: TopicId,
    shape: &InternalTopicConfig,
    configs: [(&str, String); N],
    image: &MetadataImage,
) -> NewTopic {
    NewTopic {
        partitions: shape.partitions,
        replication_factor: shape
            .replication_factor
            .unwrap_or_else(|| replicas_up_to(3, image)),
        configs: configs
            .map(|(key, value)| (key.to_owned(), Some(value)))
            .into(),
        ..NewTopic::new(name, id)
    }
}

/// Kafka's own defaults ask for three nodes, and a node that was just tried out is one.
fn replicas_up_to(wanted: i16, image: &MetadataImage) -> i16 {
    let brokers = i16::try_from(image.brokers().len()).unwrap_or(i16::MAX);
    wanted.min(brokers).max(1)
}

pub(super) fn replay_decided(image: &mut MetadataImage, records: &[MetadataRecord]) {
    for record in records {
        image
            .replay(record)
            .expect("what was decided on an image follows from it");
    }
}

#[cfg(test)]
pub(super) mod tests;
