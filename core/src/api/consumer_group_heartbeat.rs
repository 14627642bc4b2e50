//! ConsumerGroupHeartbeat (68): joins, goes on, and leaves in groups of KIP-848's protocol.

use std::sync::Arc;

use rinka_net::wire::consumer_group_heartbeat as wire;
use rinka_net::wire::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

use super::Context;
use super::group_coordinator::{ask, client_host, text};
use crate::coordinator::group::consumer::assignment::Assignment;
use crate::coordinator::group::consumer::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use crate::coordinator::group::response::{ConsumerHeartbeatRefused, Response};
use crate::shard::mailbox::Lane;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    client_id: Text,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let group_id = request.group_id.to_string();
    let id = group_id.clone();
    let heartbeat = owned(version, &client_id, client_host(context), &request);
    drop(request);
    let beaten = ask(context, Lane::Read, &group_id, move |token, asked| {
        let (coordinator, time, out) = asked;
        coordinator.on_consumer_heartbeat(&id, &heartbeat, token, time, out);
    });
    match beaten.await {
        Ok(Response::ConsumerHeartbeat(Ok(response))) => accepted(&response),
        Ok(Response::ConsumerHeartbeat(Err(refused))) => match refused {
            ConsumerHeartbeatRefused::Group(error) => failed(error.code(), error.to_string()),
            ConsumerHeartbeatRefused::Coordinator(error) => failed(error.into(), error.to_string()),
        },
        Ok(_) => failed_with(ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(error) => failed_with(error),
    }
}

fn owned(
    version: i16,
    client_id: &Text,
    client_host: String,
    request: &ConsumerGroupHeartbeatRequest,
) -> HeartbeatRequest {
    let copied = |text: &Text| -> Arc<str> { text.as_str().into() };
    let names = request.subscribed_topic_names.as_ref();
    HeartbeatRequest {
        version,
        member_id: copied(&request.member_id),
        member_epoch: request.member_epoch,
        instance_id: request.instance_id.as_ref().map(copied),
        rack_id: request.rack_id.as_ref().map(copied),
        rebalance_timeout_ms: (request.rebalance_timeout_ms != -1)
            .then_some(request.rebalance_timeout_ms),
        subscribed_topic_names: names.map(|names| names.iter().map(copied).collect()),
        subscribed_topic_regex: request.subscribed_topic_regex.as_ref().map(copied),
        server_assignor: request.server_assignor.as_ref().map(copied),
        owned: request.topic_partitions.as_deref().map(assignment),
        client_id: copied(client_id),
        client_host: client_host.into(),
        new_member_id: Uuid::new_v4().to_string().into(),
    }
}

fn assignment(topics: &[wire::TopicPartitions]) -> Assignment {
    let partitions = topics.iter().flat_map(|topic| {
        let topic_id = TopicId(topic.topic_id);
        let partitions = topic.partitions.iter();
        partitions.map(move |&partition| TopicPartition {
            topic_id,
            partition,
        })
    });
    partitions.collect()
}

fn accepted(response: &HeartbeatResponse) -> ConsumerGroupHeartbeatResponse {
    let told = |assignment: &Assignment| wire::Assignment {
        topic_partitions: assignment
            .topics()
            .map(|(id, partitions)| wire::TopicPartitions {
                topic_id: id.0,
                partitions: partitions.iter().copied().collect(),
            })
            .collect(),
    };
    ConsumerGroupHeartbeatResponse {
        member_id: Some(text(&response.member_id)),
        member_epoch: response.member_epoch,
        heartbeat_interval_ms: response.heartbeat_interval_ms,
        assignment: response.assignment.as_ref().map(told),
        ..Default::default()
    }
}

fn failed(error_code: ErrorCode, message: String) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code,
        error_message: Some(Text::from(message)),
        ..Default::default()
    }
}

fn failed_with(error_code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    failed(error_code, error_code.message().to_owned())
}
