//! ElectLeaders (43): elects the preferred leader or, where none is, any. The controller decides.

use rinka_net::wire::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
    TopicPartitions,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::{elect_leader_error, partition_error};
use crate::controller::elections::{ElectionResult, ElectionType, elect_leaders};

pub(super) async fn handle(
    context: &Context,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let failed = |error_code| ElectLeadersResponse {
        error_code,
        ..Default::default()
    };
    let election = match request.election_type {
        0 => ElectionType::Preferred,
        1 => ElectionType::Unclean,
        other => return unknown_type(other, request.topic_partitions),
    };
    let partitions: Option<Vec<(String, i32)>> = request.topic_partitions.map(|topics| {
        let of_topic = topics.into_iter().flat_map(|topic| {
            let name = topic.topic.to_string();
            let partitions = topic.partitions.into_iter();
            partitions.map(move |partition| (name.clone(), partition))
        });
        of_topic.collect()
    });
    let decided = context
        .shard
        .change_metadata(move |image, _| elect_leaders(election, partitions.as_deref(), image))
        .await;
    match decided {
        Ok(results) => ElectLeadersResponse {
            replica_election_results: by_topic(results),
            ..Default::default()
        },
        Err(error) => failed(partition_error(&error)),
    }
}

fn unknown_type(given: i8, topics: Option<Vec<TopicPartitions>>) -> ElectLeadersResponse {
    let message = Text::from(format!("Unknown election type {given}"));
    let result = |partition_id| PartitionResult {
        partition_id,
        error_code: ErrorCode::INVALID_REQUEST,
        error_message: Some(message.clone()),
    };
    let of_topic = |topic: TopicPartitions| ReplicaElectionResult {
        topic: topic.topic,
        partition_result: topic.partitions.into_iter().map(result).collect(),
    };
    ElectLeadersResponse {
        error_code: ErrorCode::INVALID_REQUEST,
        replica_election_results: topics.into_iter().flatten().map(of_topic).collect(),
        ..Default::default()
    }
}

/// Results of one topic that follow one another become one entry.
fn by_topic(results: Vec<ElectionResult>) -> Vec<ReplicaElectionResult> {
    let mut topics: Vec<ReplicaElectionResult> = Vec::new();
    for result in results {
        let (error_code, error_message) = match result.outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(error) => (
                elect_leader_error(&error),
                Some(Text::from(error.to_string())),
            ),
        };
        let partition = PartitionResult {
            partition_id: result.partition,
            error_code,
            error_message,
        };
        match topics.last_mut() {
            Some(topic) if *topic.topic == result.topic => topic.partition_result.push(partition),
            _ => topics.push(ReplicaElectionResult {
                topic: Text::from(result.topic),
                partition_result: vec![partition],
            }),
        }
    }
    topics
}
