//! AlterPartitionReassignments (45): which brokers hold a partition, and in which order. The controller decides.

use rinka_net::wire::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::{partition_error, reassignment_error};
use crate::controller::reassignments::{
    Reassignment, ReassignmentResult, alter_partition_reassignments,
};

pub(super) async fn handle(
    context: &Context,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let allow_replication_factor_change = request.allow_replication_factor_change;
    let reassignments = request.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        let partitions = topic.partitions.into_iter();
        partitions.map(move |partition| Reassignment {
            topic: name.clone(),
            partition: partition.partition_index,
            replicas: partition.replicas,
        })
    });
    let reassignments: Vec<Reassignment> = reassignments.collect();
    let decided = context
        .shard
        .change_metadata(move |image, node| {
            let (may_change, brokers) = (allow_replication_factor_change, node.shown_brokers());
            alter_partition_reassignments(&reassignments, may_change, image, &brokers)
        })
        .await;
    let response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change,
        ..Default::default()
    };
    match decided {
        Ok(results) => AlterPartitionReassignmentsResponse {
            responses: by_topic(results),
            ..response
        },
        Err(error) => AlterPartitionReassignmentsResponse {
            error_code: partition_error(&error),
            ..response
        },
    }
}

/// Results of one topic that follow one another become one entry.
fn by_topic(results: Vec<ReassignmentResult>) -> Vec<ReassignableTopicResponse> {
    let mut topics: Vec<ReassignableTopicResponse> = Vec::new();
    for result in results {
        let (error_code, error_message) = match result.outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(error) => (
                reassignment_error(&error),
                Some(Text::from(error.to_string())),
            ),
        };
        let partition = ReassignablePartitionResponse {
            partition_index: result.partition,
            error_code,
            error_message,
        };
        match topics.last_mut() {
            Some(topic) if *topic.name == result.topic => topic.partitions.push(partition),
            _ => topics.push(ReassignableTopicResponse {
                name: Text::from(result.topic),
                partitions: vec![partition],
            }),
        }
    }
    topics
}
