//! ListOffsets (2): marks of a log, and the first record at or after a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use rinka_net::wire::ErrorCode;
use rinka_net::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use rinka_storage::topic_partition::TopicPartition;

use super::errors::partition_error;
use super::{Context, topics};
use crate::shard::Shard;
use crate::shard::mailbox::Lane;
use crate::shard::offset_lookup::OffsetQuery;
use crate::shard::partition::PartitionError;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let image = Arc::clone(&context.shard.image.borrow());
    let mut response = ListOffsetsResponse::default();
    for topic in request.topics {
        let found = image
            .topic_named(&topic.name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<i32> = topic
            .partitions
            .iter()
            .map(|part| part.partition_index)
            .filter(|index| !seen.insert(*index))
            .collect();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        let mut told = BTreeSet::new();
        for partition in topic.partitions {
            let index = partition.partition_index;
            let asked = if twice.contains(&index) {
                // Told of once.
                if !told.insert(index) {
                    continue;
                }
                Err(ErrorCode::INVALID_REQUEST)
            } else {
                // Whether there is such a question comes before whether there is such a partition.
                query(version, partition.timestamp)
                    .ok_or(ErrorCode::UNSUPPORTED_VERSION)
                    .and_then(|query| Ok((topics::partition(found, index)?, query)))
            };
            partitions.push(match asked {
                Ok((name, query)) => ask(context, name, &partition, query).await,
                Err(error) => failed(index, error),
            });
        }
        response.topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions,
        });
    }
    response
}

/// `None`: no such question in this version.
fn query(version: i16, timestamp: i64) -> Option<OffsetQuery> {
    Some(match (timestamp, version) {
        (-1, _) => OffsetQuery::Latest,
        (-2, _) => OffsetQuery::Earliest,
        (-3, 7..) => OffsetQuery::MaxTimestamp,
        // Nothing is tiered: all there is is local.
        (-4, 8..) => OffsetQuery::Earliest,
        // ... and nothing waits to be: both are answered with no offset.
        (-5, 9..) | (-6, 11..) => OffsetQuery::LatestTiered,
        (timestamp @ 0.., _) => OffsetQuery::AtOrAfter(timestamp),
        _ => return None,
    })
}

fn failed(partition_index: i32, error_code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index,
        error_code,
        ..Default::default()
    }
}

async fn ask(
    context: &Context,
    name: TopicPartition,
    partition: &ListOffsetsPartition,
    query: OffsetQuery,
) -> ListOffsetsPartitionResponse {
    let index = partition.partition_index;
    let believed = partition.current_leader_epoch;
    let shard: &std::rc::Rc<Shard> = &context.shard;
    let started = shard
        .start_on(shard.owner(name), Lane::Read, move |shard| {
            let shard = std::rc::Rc::clone(shard);
            async move { shard.look_up_offset(name, believed, query).await }
        })
        .await;
    let answer = match started {
        Ok(started) => started
            .wait()
            .await
            .unwrap_or(Err(PartitionError::Stopping)),
        Err(_) => Err(PartitionError::Stopping),
    };
    match answer {
        Ok(found) => ListOffsetsPartitionResponse {
            partition_index: index,
            timestamp: found.timestamp,
            offset: found.offset.map_or(-1, |offset| offset.0),
            leader_epoch: found.leader_epoch.map_or(-1, |epoch| epoch.0),
            ..Default::default()
        },
        Err(error) => failed(index, partition_error(&error)),
    }
}
