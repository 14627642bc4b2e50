//! OffsetForLeaderEpoch (23): where an epoch ended, so that a consumer finds out whether its log was cut.

use std::rc::Rc;
use std::sync::Arc;

use rinka_net::wire::ErrorCode;
use rinka_net::wire::offset_for_leader_epoch::{
    LeaderEpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
};
use rinka_storage::leader_epoch::LeaderEpoch;

use super::errors::partition_error;
use super::{Context, topics};
use crate::shard::mailbox::Lane;
use crate::shard::partition::PartitionError;

pub(super) async fn handle(
    context: &Context,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let shard = &context.shard;
    let image = Arc::clone(&shard.image.borrow());
    let mut response = OffsetForLeaderEpochResponse::default();
    for topic in request.topics {
        let found = image
            .topic_named(&topic.topic)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let failed = |error_code| LeaderEpochEndOffset {
                error_code,
                partition: asked.partition,
                ..Default::default()
            };
            let name = match topics::partition(found, asked.partition) {
                Ok(name) => name,
                Err(error) => {
                    partitions.push(failed(error));
                    continue;
                }
            };
            let (believed, epoch) = (asked.current_leader_epoch, LeaderEpoch(asked.leader_epoch));
            let started = shard
                .start_on(shard.owner(name), Lane::Read, move |shard| {
                    let shard = Rc::clone(shard);
                    std::future::ready(shard.end_of_epoch(name, believed, epoch))
                })
                .await;
            let answer = match started {
                Ok(started) => started
                    .wait()
                    .await
                    .unwrap_or(Err(PartitionError::Stopping)),
                Err(_) => Err(PartitionError::Stopping),
            };
            partitions.push(match answer {
                Ok(Some((epoch, end))) => LeaderEpochEndOffset {
                    partition: asked.partition,
                    leader_epoch: epoch.0,
                    end_offset: end.0,
                    ..Default::default()
                },
                Ok(None) => failed(ErrorCode::NONE),
                Err(error) => failed(partition_error(&error)),
            });
        }
        response.topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions,
        });
    }
    response
}
