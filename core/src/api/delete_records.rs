//! DeleteRecords (21): moves the start of logs up, and answers when that would survive a restart.
//!
//! The files of what lies below go in the background.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rinka_net::wire::ErrorCode;
use rinka_net::wire::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use rinka_storage::offset::Offset;

use super::errors::partition_error;
use super::{Context, topics};
use crate::controller::topic_name;
use crate::shard::Shard;
use crate::shard::mailbox::Lane;
use crate::shard::partition::PartitionError;

/// What a request gives as the offset for "all that is committed".
const HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(
    context: &Context,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let shard = &context.shard;
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let image = Arc::clone(&shard.image.borrow());
    let mut response = DeleteRecordsResponse::default();
    let mut started = Vec::new();
    for (topic_index, topic) in request.topics.into_iter().enumerate() {
        let found = image
            .topic_named(&topic.name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (partition_index, asked) in topic.partitions.iter().enumerate() {
            let mut result = DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: -1,
                ..Default::default()
            };
            let name = if topic_name::is_internal(&topic.name) {
                Err(ErrorCode::INVALID_TOPIC_EXCEPTION)
            } else {
                topics::partition(found, asked.partition_index)
            };
            match name {
                Ok(name) => {
                    let upto = asked.offset;
                    let upto = (upto != HIGH_WATERMARK).then_some(Offset(upto));
                    let work = move |shard: &Rc<Shard>| {
                        let shard = Rc::clone(shard);
                        async move { shard.delete_records(name, upto, timeout).await }
                    };
                    let work = shard.start_on(shard.owner(name), Lane::Read, work).await;
                    started.push(((topic_index, partition_index), work));
                }
                Err(error) => result.error_code = error,
            }
            partitions.push(result);
        }
        response.topics.push(DeleteRecordsTopicResult {
            name: topic.name,
            partitions,
        });
    }
    for ((topic, partition), work) in started {
        let deleted = match work {
            Ok(work) => work.wait().await.unwrap_or(Err(PartitionError::Stopping)),
            Err(_) => Err(PartitionError::Stopping),
        };
        let result = &mut response.topics[topic].partitions[partition];
        match deleted {
            Ok(low_watermark) => result.low_watermark = low_watermark.0,
            Err(error) => result.error_code = partition_error(&error),
        }
    }
    response
}
