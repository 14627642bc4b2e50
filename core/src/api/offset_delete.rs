//! OffsetDelete (47): a group forgets offsets.

use std::sync::Arc;

use rinka_net::wire::ErrorCode;
use rinka_net::wire::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use super::group_coordinator::ask;
use super::{Context, topics};
use crate::coordinator::group::request;
use crate::coordinator::group::response::Response;
use crate::shard::mailbox::Lane;

pub(super) async fn handle(
    context: &Context,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let image = Arc::clone(&context.shard.image.borrow());
    let group_id = request.group_id.clone();
    let mut response = OffsetDeleteResponse::default();
    let mut known: Vec<(String, Vec<i32>)> = Vec::new();
    for topic in request.topics {
        let found = image.topic_named(&topic.name);
        let found = found.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let mut exist = Vec::new();
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            let place = topics::partition(found, partition_index);
            if place.is_ok() {
                exist.push(partition_index);
            }
            partitions.push(OffsetDeleteResponsePartition {
                partition_index,
                error_code: place.map_or_else(|error| error, |_| ErrorCode::NONE),
            });
        }
        known.push((topic.name.to_string(), exist));
        response.topics.push(OffsetDeleteResponseTopic {
            name: topic.name,
            partitions,
        });
    }
    let id = group_id.clone();
    let deleted = ask(context, Lane::Write, &id, move |token, asked| {
        let (coordinator, time, out) = asked;
        let topics = known.iter();
        let topics = topics.map(|(name, partitions)| (name.as_str(), partitions.clone()));
        let delete = request::OffsetDeleteRequest {
            group_id: &group_id,
            topics: topics.collect(),
        };
        coordinator.on_offset_delete(&delete, token, time, out);
    });
    let failed = |error_code| OffsetDeleteResponse {
        error_code,
        ..Default::default()
    };
    match deleted.await {
        Ok(Response::OffsetDelete(Ok(topics))) => {
            let unfilled = response
                .topics
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
                .filter(|partition| !partition.error_code.is_error());
            let results = topics.iter().flat_map(|topic| &topic.partitions);
            for (partition, (_, result)) in unfilled.zip(results) {
                partition.error_code = result.map_or_else(Into::into, |()| ErrorCode::NONE);
            }
            response
        }
        Ok(Response::OffsetDelete(Err(error))) => failed(error.into()),
        Ok(_) => failed(ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(error) => failed(error),
    }
}
