//! DescribeCluster (60): cluster id, controller, brokers.

use rinka_net::wire::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::metadata::CLUSTER_OPERATIONS;

/// The endpoint type of brokers.
const BROKERS: i8 = 1;

/// That of controllers, which have no listener here.
const CONTROLLERS: i8 = 2;

pub(super) fn handle(
    context: &Context,
    version: i16,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let node = &context.shard.node;
    let mismatch = match request.endpoint_type {
        _ if version < 1 => None,
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER".to_owned(),
        )),
        other => Some((
            ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
            format!("Unsupported endpoint type {other}"),
        )),
    };
    if let Some((error_code, message)) = mismatch {
        return DescribeClusterResponse {
            error_code,
            error_message: Some(Text::from(message)),
            endpoint_type: BROKERS,
            ..Default::default()
        };
    }
    let rack = node.config.rack.clone().map(Text::from);
    DescribeClusterResponse {
        cluster_id: Text::from(node.cluster_id.clone()),
        controller_id: node.broker_id(0),
        brokers: node
            .brokers(context.listener, context.local)
            .into_iter()
            .map(|broker| DescribeClusterBroker {
                broker_id: broker.id,
                host: Text::from(broker.host),
                port: broker.port.into(),
                rack: rack.clone(),
                is_fenced: false,
            })
            .collect(),
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..Default::default()
    }
}
