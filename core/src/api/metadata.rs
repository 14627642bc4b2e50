//! Metadata (3): brokers, topics and leaders as the client's listener sees them; creates topics that are asked for by name,
//! where that is allowed.

use std::sync::Arc;

use rinka_net::wire::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
    MetadataTopic,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

use super::Context;
use super::errors::{create_topic_error, partition_error};
use crate::controller::error::CreateTopicError;
use crate::controller::topic_name;
use crate::controller::topics::auto_create_topic;
use crate::metadata::topic::Topic;
use crate::shard::Shard;

/// The first version that asks for topics by their ids.
const BY_ID: i16 = 12;

/// Topics that one request may create by asking for them.
const AUTO_CREATED_MAX: usize = 100;

/// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: without an authorizer all are allowed.
pub(super) const TOPIC_OPERATIONS: i32 =
    1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// The same for a cluster.
pub(super) const CLUSTER_OPERATIONS: i32 =
    1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: MetadataRequest,
) -> MetadataResponse {
    // The fields for ids are two versions older than their meaning.
    let by_id = |topic: &MetadataRequestTopic| topic.name.is_none() || !topic.topic_id.is_nil();
    if version < BY_ID && request.topics.iter().flatten().any(by_id) {
        return refused(request.topics);
    }
    let node = &context.shard.node;
    // Version 0 has no null: there an empty list means all.
    let wanted = request
        .topics
        .filter(|topics| version > 0 || !topics.is_empty());
    let mut topics: Vec<MetadataTopic> = match wanted {
        None => {
            let image = Arc::clone(&context.shard.image.borrow());
            image
                .topics()
                .map(|topic| describe(context, topic))
                .collect()
        }
        // As soon as one topic is asked for by its id, ids count and names do not: Kafka's own client sends an empty name beside each.
        Some(wanted) if wanted.iter().any(|topic| !topic.topic_id.is_nil()) => {
            let image = Arc::clone(&context.shard.image.borrow());
            wanted
                .iter()
                .filter(|topic| !topic.topic_id.is_nil())
                .map(|topic| match image.topic(TopicId(topic.topic_id)) {
                    Some(topic) => describe(context, topic),
                    None => failed(None, topic.topic_id, ErrorCode::UNKNOWN_TOPIC_ID),
                })
                .collect()
        }
        Some(wanted) => {
            let may_create =
                request.allow_auto_topic_creation && node.config.auto_create_topics_enable;
            let mut created = 0;
            let mut topics = Vec::with_capacity(wanted.len());
            for topic in wanted {
                topics.push(find_or_create(context, topic, may_create, &mut created).await);
            }
            topics
        }
    };
    if request.include_topic_authorized_operations {
        // Kafka tells what would be allowed of topics that are not there, too.
        for topic in &mut topics {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    let rack = node.config.rack.clone().map(Text::from);
    MetadataResponse {
        brokers: node
            .brokers(context.listener, context.local)
            .into_iter()
            .map(|broker| MetadataBroker {
                node_id: broker.id,
                host: Text::from(broker.host),
                port: broker.port.into(),
                rack: rack.clone(),
            })
            .collect(),
        cluster_id: Some(Text::from(node.cluster_id.clone())),
        controller_id: node.broker_id(0),
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..Default::default()
    }
}

fn refused(topics: Option<Vec<MetadataRequestTopic>>) -> MetadataResponse {
    let topics = topics.into_iter().flatten();
    let invalid = ErrorCode::INVALID_REQUEST;
    MetadataResponse {
        topics: topics
            .map(|topic| failed(topic.name, topic.topic_id, invalid))
            .collect(),
        ..Default::default()
    }
}

fn failed(name: Option<Text>, topic_id: Uuid, error_code: ErrorCode) -> MetadataTopic {
    MetadataTopic {
        error_code,
        name,
        topic_id,
        ..Default::default()
    }
}

async fn find_or_create(
    context: &Context,
    wanted: MetadataRequestTopic,
    may_create: bool,
    created: &mut usize,
) -> MetadataTopic {
    let image = Arc::clone(&context.shard.image.borrow());
    let Some(name) = wanted.name else {
        // Neither a name nor an id.
        return failed(None, wanted.topic_id, ErrorCode::UNKNOWN_TOPIC_ID);
    };
    if let Some(topic) = image.topic_named(&name) {
        return describe(context, topic);
    }
    let error = if topic_name::validate(&name).is_err() {
        ErrorCode::INVALID_TOPIC_EXCEPTION
    } else if may_create && *created < AUTO_CREATED_MAX {
        *created += 1;
        match create(context, name.to_string()).await {
            // Told of when it is asked for again, as Kafka does: who looks whether a topic is gone is not told of the one that
            // its question made.
            Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Err(error) => error,
        }
    } else {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    };
    failed(Some(name), Uuid::nil(), error)
}

async fn create(context: &Context, name: String) -> Result<(), ErrorCode> {
    let shard = &context.shard;
    let id = TopicId(Uuid::new_v4());
    let created = shard
        .change_metadata(move |image, node| {
            auto_create_topic(&name, id, image, &node.config_at(image))
        })
        .await
        .map_err(|error| partition_error(&error))?;
    match created {
        // Or somebody else asked for it in the same moment.
        Ok(_) | Err(CreateTopicError::Exists(_)) => Ok(()),
        Err(error) => Err(create_topic_error(&error)),
    }
}

fn describe(context: &Context, topic: &Topic) -> MetadataTopic {
    let shard = &context.shard;
    let partitions = topic.partitions.iter().map(|(index, state)| {
        let broker = |id: &i32| broker_of(shard, topic, index, *id);
        MetadataPartition {
            error_code: if state.leader.is_some() {
                ErrorCode::NONE
            } else {
                ErrorCode::LEADER_NOT_AVAILABLE
            },
            partition_index: index,
            leader_id: state.leader.as_ref().map_or(-1, broker),
            leader_epoch: state.leader_epoch.0,
            replica_nodes: state.replicas.iter().map(broker).collect(),
            isr_nodes: state.isr.iter().map(broker).collect(),
            offline_replicas: Vec::new(),
        }
    });
    MetadataTopic {
        error_code: ErrorCode::NONE,
        name: Some(Text::from(topic.name.to_string())),
        topic_id: topic.id.0,
        is_internal: topic_name::is_internal(&topic.name),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

/// The broker that a client knows a replica's node as. Under core routing the shard that owns the partition; replicas live where
/// their leader says.
pub(super) fn broker_of(shard: &Shard, topic: &Topic, partition: i32, node_id: i32) -> i32 {
    if node_id != shard.node.id {
        return node_id;
    }
    let name = TopicPartition {
        topic_id: topic.id,
        partition,
    };
    shard.node.broker_id(shard.owner(name))
}
