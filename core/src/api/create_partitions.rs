//! CreatePartitions (37): the controller decides; the answer comes when every shard has the partitions.

use std::collections::BTreeSet;

use rinka_net::wire::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::{create_partitions_error, partition_error};
use crate::controller::partitions::{CreatePartitionsResult, NewPartitions, create_partitions};

pub(super) async fn handle(
    context: &Context,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let names: BTreeSet<Text> = request
        .topics
        .iter()
        .map(|topic| topic.name.clone())
        .collect();
    let topics: Vec<NewPartitions> = request.topics.into_iter().map(new_partitions).collect();
    let validate_only = request.validate_only;
    let decided = context
        .shard
        .change_metadata(move |image, node| {
            create_partitions(&topics, validate_only, image, &node.shown_brokers())
        })
        .await;
    let results = match decided {
        Ok(results) => results.into_iter().map(result).collect(),
        Err(error) => names
            .into_iter()
            .map(|name| CreatePartitionsTopicResult {
                name,
                error_code: partition_error(&error),
                error_message: None,
            })
            .collect(),
    };
    CreatePartitionsResponse {
        results,
        ..Default::default()
    }
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    NewPartitions {
        topic: topic.name.to_string(),
        total: topic.count,
        assignments: topic.assignments.map(|assignments| {
            assignments
                .into_iter()
                .map(|assignment| assignment.broker_ids)
                .collect()
        }),
    }
}

fn result(result: CreatePartitionsResult) -> CreatePartitionsTopicResult {
    let (error_code, error_message) = match result.outcome {
        Ok(()) => (ErrorCode::NONE, None),
        Err(error) => (
            create_partitions_error(&error),
            Some(Text::from(error.to_string())),
        ),
    };
    CreatePartitionsTopicResult {
        name: Text::from(result.topic),
        error_code,
        error_message,
    }
}
