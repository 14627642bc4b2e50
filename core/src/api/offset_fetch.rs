//! OffsetFetch (9): what groups have committed.

use std::sync::Arc;

use rinka_net::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::TopicId;
use uuid::Uuid;

use super::Context;
use super::group_coordinator::read;
use crate::coordinator::group::request;
use crate::coordinator::group::response::FetchedTopic;
use crate::metadata::image::MetadataImage;

/// The first version that asks for many groups.
const MANY: i16 = 8;

/// The first version that names topics by id.
const TOPIC_IDS: i16 = 10;

/// The first version with an error for all of a group.
const GROUP_ERROR: i16 = 2;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if version >= MANY {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            groups.push(fetch(context, version, group, stable).await);
        }
        return OffsetFetchResponse {
            groups,
            ..Default::default()
        };
    }
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics: request.topics,
        ..Default::default()
    };
    let fetched = fetch(context, version, group, stable).await;
    OffsetFetchResponse {
        topics: fetched.topics,
        error_code: fetched.error_code,
        ..Default::default()
    }
}

async fn fetch(
    context: &Context,
    version: i16,
    group: OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let image = Arc::clone(&context.shard.image.borrow());
    let group_id = group.group_id.clone();
    let by_id = version >= TOPIC_IDS;
    // Names in the order of the request; `None`: there is no topic of that id.
    let wanted: Option<Vec<(Option<String>, OffsetFetchRequestTopic)>> =
        group.topics.map(|topics| {
            let topics = topics.into_iter();
            let named = topics.map(|topic| (name_of(&image, by_id, &topic), topic));
            named.collect()
        });
    let known: Option<Vec<(String, Vec<i32>)>> = wanted.as_ref().map(|wanted| {
        let known = wanted.iter();
        let known = known
            .filter_map(|(name, topic)| Some((name.clone()?, topic.partition_indexes.clone())));
        known.collect()
    });
    let (id, member_id, member_epoch) = (group.group_id, group.member_id, group.member_epoch);
    let fetched = read(context, &group_id, move |coordinator| {
        coordinator.check_offset_fetch(&id, member_id.as_deref(), member_epoch)?;
        let topics = known.as_ref().map(|known| {
            let known = known.iter();
            let known = known.map(|(name, partitions)| (name.as_str(), partitions.clone()));
            known.collect()
        });
        Ok(coordinator.offset_fetch(&request::OffsetFetchRequest {
            group_id: &id,
            topics,
            require_stable,
        }))
    });
    let fetched = match fetched.await {
        Ok(fetched) => fetched
            .map_err(|error: crate::coordinator::group::error::GroupError| ErrorCode::from(error)),
        Err(error) => Err(error),
    };
    let topics = match (&fetched, wanted) {
        (Ok(fetched), None) => all(&image, by_id, fetched),
        (Ok(fetched), Some(wanted)) => in_order(fetched, wanted),
        // Where there is no place for the group's error, each partition says it.
        (Err(error), Some(wanted)) if version < GROUP_ERROR => {
            let failed = wanted.into_iter().map(|(_, topic)| failed(topic, *error));
            failed.collect()
        }
        (Err(_), _) => Vec::new(),
    };
    OffsetFetchResponseGroup {
        group_id,
        topics,
        error_code: fetched.err().unwrap_or(ErrorCode::NONE),
    }
}

fn name_of(image: &MetadataImage, by_id: bool, topic: &OffsetFetchRequestTopic) -> Option<String> {
    match by_id {
        true => Some(image.topic(TopicId(topic.topic_id))?.name.to_string()),
        false => Some(topic.name.to_string()),
    }
}

fn in_order(
    fetched: &[FetchedTopic],
    wanted: Vec<(Option<String>, OffsetFetchRequestTopic)>,
) -> Vec<OffsetFetchResponseTopic> {
    let mut fetched = fetched.iter();
    let topics = wanted.into_iter().map(|(name, topic)| match name {
        None => failed(topic, ErrorCode::UNKNOWN_TOPIC_ID),
        Some(_) => {
            let fetched = fetched.next();
            OffsetFetchResponseTopic {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions: fetched.map(partitions).unwrap_or_default(),
            }
        }
    });
    topics.collect()
}

/// By id only those that still exist can be named.
fn all(
    image: &MetadataImage,
    by_id: bool,
    fetched: &[FetchedTopic],
) -> Vec<OffsetFetchResponseTopic> {
    let topics = fetched.iter().filter_map(|topic| {
        let id = image.topic_named(&topic.name).map(|topic| topic.id.0);
        Some(OffsetFetchResponseTopic {
            name: Text::from(topic.name.to_string()),
            topic_id: match by_id {
                true => id?,
                false => Uuid::nil(),
            },
            partitions: partitions(topic),
        })
    });
    topics.collect()
}

fn partitions(topic: &FetchedTopic) -> Vec<OffsetFetchResponsePartition> {
    let partitions = topic.partitions.iter();
    let partitions = partitions.map(|fetched| OffsetFetchResponsePartition {
        partition_index: fetched.partition,
        committed_offset: fetched.offset,
        committed_leader_epoch: fetched.leader_epoch,
        metadata: Some(Text::from(fetched.metadata.to_string())),
        error_code: ErrorCode::NONE,
    });
    partitions.collect()
}

fn failed(topic: OffsetFetchRequestTopic, error_code: ErrorCode) -> OffsetFetchResponseTopic {
    let partitions = topic.partition_indexes.into_iter();
    let partitions = partitions.map(|partition_index| OffsetFetchResponsePartition {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Text::default()),
        error_code,
    });
    OffsetFetchResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}
