//! CreateTopics (19): the controller decides; the answer comes when every shard has the partitions.

use std::collections::BTreeMap;

use rinka_net::wire::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::TopicId;
use uuid::Uuid;

use super::Context;
use super::errors::{create_topic_error, partition_error};
use crate::controller::topics::{Assignment, CreateTopicResult, NewTopic, create_topics};

pub(super) async fn handle(
    context: &Context,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let names: Vec<Text> = request
        .topics
        .iter()
        .map(|topic| topic.name.clone())
        .collect();
    let topics: Vec<NewTopic> = request.topics.into_iter().map(new_topic).collect();
    let validate_only = request.validate_only;
    let decided = context
        .shard
        .change_metadata(move |image, node| {
            let (config, brokers) = (node.config_at(image), node.shown_brokers());
            create_topics(&topics, validate_only, image, &config, &brokers)
        })
        .await;
    let topics = match decided {
        Ok(results) => results.into_iter().map(result).collect(),
        Err(error) => {
            let failed = |name| CreatableTopicResult {
                name,
                error_code: partition_error(&error),
                ..Default::default()
            };
            let names: BTreeMap<Text, ()> = names.into_iter().map(|name| (name, ())).collect();
            names.into_keys().map(failed).collect()
        }
    };
    CreateTopicsResponse {
        topics,
        ..Default::default()
    }
}

fn new_topic(topic: CreatableTopic) -> NewTopic {
    NewTopic {
        name: topic.name.to_string(),
        id: TopicId(Uuid::new_v4()),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .into_iter()
            .map(|assignment| Assignment {
                partition: assignment.partition_index,
                replicas: assignment.broker_ids,
            })
            .collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|config| {
                (
                    config.name.to_string(),
                    config.value.map(|value| value.to_string()),
                )
            })
            .collect(),
    }
}

fn result(result: CreateTopicResult) -> CreatableTopicResult {
    let name = Text::from(result.name);
    match result.outcome {
        Ok(created) => CreatableTopicResult {
            name,
            topic_id: created.id.0,
            num_partitions: created.partitions,
            replication_factor: created.replication_factor,
            configs: Some(
                created
                    .configs
                    .into_iter()
                    .map(|config| CreatableTopicConfigs {
                        name: Text::from(config.name),
                        value: config.value.map(Text::from),
                        read_only: config.is_read_only,
                        config_source: config.source as i8,
                        is_sensitive: config.is_sensitive,
                    })
                    .collect(),
            ),
            ..Default::default()
        },
        Err(error) => CreatableTopicResult {
            name,
            error_code: create_topic_error(&error),
            error_message: Some(Text::from(error.to_string())),
            topic_config_error_code: ErrorCode::NONE,
            configs: Some(Vec::new()),
            ..Default::default()
        },
    }
}
