//! Finds the topic that a request names, by name or by id, and the partition's place.
//!
//! Only looks into the image.

use std::sync::Arc;

use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

use crate::metadata::image::MetadataImage;
use crate::metadata::topic::Topic;

/// The topic of a request, which has names up to some version and ids from there on.
pub(super) fn find<'a>(
    image: &'a MetadataImage,
    by_id: bool,
    name: &Text,
    id: Uuid,
) -> Result<&'a Arc<Topic>, ErrorCode> {
    if by_id {
        image.topic(TopicId(id)).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
    } else {
        image
            .topic_named(name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }
}

/// One partition of a topic that was found.
pub(super) fn partition(
    topic: Result<&Arc<Topic>, ErrorCode>,
    partition: i32,
) -> Result<TopicPartition, ErrorCode> {
    let topic = topic?;
    match topic.partition(partition) {
        Some(_) => Ok(TopicPartition {
            topic_id: topic.id,
            partition,
        }),
        None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    }
}
