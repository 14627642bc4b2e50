//! OffsetCommit (8): a group's offsets; the answer comes when they are committed.

use std::sync::Arc;

use rinka_net::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::TopicId;

use super::group_coordinator::ask;
use super::{Context, topics};
use crate::coordinator::group::request::{self, OffsetCommitTopic, OffsetToCommit};
use crate::coordinator::group::response::Response;
use crate::shard::mailbox::Lane;

/// The first version that names topics by id.
const TOPIC_IDS: i16 = 10;

/// The first version that says GROUP_ID_NOT_FOUND, and a member's epoch (KIP-848).
const MEMBER_EPOCHS: i16 = 9;

/// Partitions of a topic that exist.
struct Known {
    name: String,
    id: TopicId,
    partitions: Vec<OffsetCommitRequestPartition>,
}

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let OffsetCommitRequest {
        group_id,
        generation_id_or_member_epoch: generation,
        member_id,
        group_instance_id,
        retention_time_ms,
        topics,
    } = request;
    let (mut response, known) = sort(context, version, topics);
    if known.is_empty() {
        return response;
    }
    let id = group_id.clone();
    let committed = ask(context, Lane::Write, &id, move |token, asked| {
        let (coordinator, time, out) = asked;
        let commit = request::OffsetCommitRequest {
            group_id: &group_id,
            generation,
            member_id: &member_id,
            instance_id: group_instance_id.as_deref(),
            retention_ms: (retention_time_ms >= 0).then_some(retention_time_ms),
            reports_unknown_group: version >= MEMBER_EPOCHS,
            topics: known.iter().map(Known::to_commit).collect(),
        };
        coordinator.on_offset_commit(&commit, token, time, out);
    });
    let unfilled = response
        .topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
        .filter(|partition| !partition.error_code.is_error());
    match committed.await {
        Ok(Response::OffsetCommit(topics)) => {
            let results = topics.iter().flat_map(|topic| &topic.partitions);
            for (partition, (_, result)) in unfilled.zip(results) {
                partition.error_code = result.map_or_else(Into::into, |()| ErrorCode::NONE);
            }
        }
        Ok(_) => unfilled.for_each(|it| it.error_code = ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(error) => unfilled.for_each(|it| it.error_code = error),
    }
    response
}

/// The response in the shape of the request, with errors for what does not exist; and what does, in the same order.
fn sort(
    context: &Context,
    version: i16,
    topics: Vec<OffsetCommitRequestTopic>,
) -> (OffsetCommitResponse, Vec<Known>) {
    let image = Arc::clone(&context.shard.image.borrow());
    let mut response = OffsetCommitResponse::default();
    let mut known = Vec::new();
    for topic in topics {
        let found = topics::find(&image, version >= TOPIC_IDS, &topic.name, topic.topic_id);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        let mut exist = Vec::new();
        for partition in topic.partitions {
            let place = topics::partition(found, partition.partition_index);
            partitions.push(OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: place.map_or_else(|error| error, |_| ErrorCode::NONE),
            });
            if place.is_ok() {
                exist.push(partition);
            }
        }
        response.topics.push(OffsetCommitResponseTopic {
            name: Text::from(topic.name.to_string()),
            topic_id: topic.topic_id,
            partitions,
        });
        if let Ok(topic) = found
            && !exist.is_empty()
        {
            known.push(Known {
                name: topic.name.to_string(),
                id: topic.id,
                partitions: exist,
            });
        }
    }
    (response, known)
}

impl Known {
    fn to_commit(&self) -> OffsetCommitTopic<'_> {
        let partitions = self.partitions.iter().map(|partition| OffsetToCommit {
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: partition.committed_metadata.as_deref().unwrap_or_default(),
        });
        OffsetCommitTopic {
            name: &self.name,
            id: Some(self.id),
            partitions: partitions.collect(),
        }
    }
}
