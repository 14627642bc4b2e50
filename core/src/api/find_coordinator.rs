//! FindCoordinator (10): which broker coordinates a group or a transactional id. The first one who asks for a group's makes
//! `__consumer_offsets`.
//!
//! Transactions are not offered yet; a client that asks for their coordinator is sent to a live broker, whose
//! ApiVersions then tells it so plainly, where an error here would make it ask again for ever.

use std::sync::Arc;

use rinka_net::wire::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::TopicId;
use uuid::Uuid;

use super::Context;
use crate::controller::error::CreateTopicError;
use crate::controller::topic_name::CONSUMER_OFFSETS;
use crate::controller::topics::auto_create_topic;
use crate::node::BrokerAddress;
use crate::shard::coordinator::partition_of_group;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let brokers = context.shard.node.brokers(context.listener, context.local);
    let created = match request.key_type {
        GROUP => create_offsets_topic(context).await,
        _ => Ok(()),
    };
    let of = |key: &Text| {
        let found = match request.key_type {
            GROUP => created.and_then(|()| of_group(context, key, &brokers)),
            // Any function will do as long as it gives the same broker every time.
            TRANSACTION => Ok(&brokers[crc(key.as_bytes()) % brokers.len()]),
            _ => Err((
                ErrorCode::INVALID_REQUEST,
                ErrorCode::INVALID_REQUEST.message(),
            )),
        };
        match found {
            Ok(broker) => Coordinator {
                key: key.clone(),
                node_id: broker.id,
                host: Text::from(broker.host.clone()),
                port: broker.port.into(),
                ..Default::default()
            },
            Err((error_code, message)) => Coordinator {
                key: key.clone(),
                node_id: -1,
                port: -1,
                error_code,
                error_message: Some(Text::from(message)),
                ..Default::default()
            },
        }
    };
    if version >= 4 {
        // Here Kafka's messages are empty.
        let silent = |found: Coordinator| Coordinator {
            error_message: Some(Text::default()),
            ..found
        };
        let coordinators = request.coordinator_keys.iter().map(of).map(silent);
        return FindCoordinatorResponse {
            coordinators: coordinators.collect(),
            ..Default::default()
        };
    }
    let found = of(&request.key);
    let message = found.error_message;
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: Some(message.unwrap_or_else(|| Text::from("NONE"))),
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

const UNAVAILABLE: (ErrorCode, &str) = (
    ErrorCode::COORDINATOR_NOT_AVAILABLE,
    "The coordinator is not available.",
);

/// The broker that leads the group's partition.
fn of_group<'b>(
    context: &Context,
    group_id: &str,
    brokers: &'b [BrokerAddress],
) -> Result<&'b BrokerAddress, (ErrorCode, &'static str)> {
    let shard = &context.shard;
    let name = partition_of_group(&shard.image.borrow(), group_id).ok_or(UNAVAILABLE)?;
    let id = shard.node.broker_id(shard.owner(name));
    let broker = brokers.iter().find(|broker| broker.id == id);
    broker.ok_or(UNAVAILABLE)
}

async fn create_offsets_topic(context: &Context) -> Result<(), (ErrorCode, &'static str)> {
    let shard = &context.shard;
    let image = Arc::clone(&shard.image.borrow());
    if image.topic_named(CONSUMER_OFFSETS).is_some() {
        return Ok(());
    }
    let id = TopicId(Uuid::new_v4());
    let created = shard.change_metadata(move |image, node| {
        auto_create_topic(CONSUMER_OFFSETS, id, image, &node.config)
    });
    match created.await {
        // Or somebody else asked for it in the same moment.
        Ok(Ok(_) | Err(CreateTopicError::Exists(_))) => Ok(()),
        Ok(Err(error)) => {
            log::error!("{CONSUMER_OFFSETS} cannot be created: {error}");
            Err(UNAVAILABLE)
        }
        Err(_) => Err(UNAVAILABLE),
    }
}

fn crc(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum: usize, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    })
}
