//! FindCoordinator (10): which broker coordinates a group or a transactional id.
//!
//! Groups and transactions are not offered yet; a client that asks for their coordinator is sent to a live broker, whose
//! ApiVersions then tells it so plainly, where an error here would make it ask again for ever.

use rinka_net::wire::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;

pub(super) fn handle(
    context: &Context,
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let brokers = context.shard.node.brokers(context.listener, context.local);
    let known_type = (0..=1).contains(&request.key_type);
    let of = |key: &Text| {
        // Any function will do as long as it gives the same broker every time.
        let broker = &brokers[crc(key.as_bytes()) % brokers.len()];
        match known_type {
            true => Coordinator {
                key: key.clone(),
                node_id: broker.id,
                host: Text::from(broker.host.clone()),
                port: broker.port.into(),
                ..Default::default()
            },
            false => Coordinator {
                key: key.clone(),
                node_id: -1,
                port: -1,
                error_code: ErrorCode::INVALID_REQUEST,
                error_message: Some(Text::from("This type of coordinator is not offered.")),
                ..Default::default()
            },
        }
    };
    if version >= 4 {
        let coordinators = request.coordinator_keys.iter().map(of).collect();
        return FindCoordinatorResponse {
            coordinators,
            ..Default::default()
        };
    }
    let found = of(&request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

fn crc(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum: usize, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    })
}
