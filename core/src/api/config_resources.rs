//! What DescribeConfigs, AlterConfigs and IncrementalAlterConfigs share: resources by type and name, and how a change is carried out.
//!
//! Decides only what a name means; which change is right is decided by `controller::configs`.

use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::{alter_configs_error, partition_error};
use crate::controller::configs::{AlterConfigs, ConfigChanges, ConfigResource, alter_configs};
use crate::node::Node;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

/// An error and what the client is told.
pub(super) type Refused = (ErrorCode, String);

fn refuse<T>(message: impl Into<String>) -> Result<T, Refused> {
    Err((ErrorCode::INVALID_REQUEST, message.into()))
}

/// Checks that a broker's name is that of this node: under core routing of any of its shards.
pub(super) fn check_is_this_node(node: &Node, name: &str) -> Result<(), Refused> {
    let Ok(id) = name.parse::<i32>() else {
        return refuse(format!("Node id must be an integer, but it is: {name}"));
    };
    match (0..node.shards).any(|shard| node.broker_id(shard) == id) {
        true => Ok(()),
        false => refuse(format!(
            "Unexpected broker id, expected {} or empty string, but received {name}",
            node.id
        )),
    }
}

/// The resource that is to be changed.
pub(super) fn changeable(
    node: &Node,
    resource_type: i8,
    name: &str,
) -> Result<ConfigResource, Refused> {
    match resource_type {
        TOPIC => Ok(ConfigResource::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(ConfigResource::Broker(None)),
        BROKER => check_is_this_node(node, name).map(|()| ConfigResource::Broker(Some(node.id))),
        GROUP => Ok(ConfigResource::Group(name.to_owned())),
        BROKER_LOGGER => refuse("Log levels are set by RUST_LOG when the broker starts."),
        CLIENT_METRICS => refuse("Client metrics subscriptions are not offered."),
        other => refuse(format!("Unknown resource type {other}")),
    }
}

/// What is to change of one resource, by the request.
pub(super) struct Change {
    pub(super) resource_type: i8,
    pub(super) name: Text,
    pub(super) changes: Result<ConfigChanges, Refused>,
}

/// What became of it.
pub(super) struct Changed {
    pub(super) resource_type: i8,
    pub(super) name: Text,
    pub(super) error_code: ErrorCode,
    pub(super) error_message: Option<Text>,
}

/// Carries out the changes of a request, each resource's by themselves, and answers when they are committed and in effect.
pub(super) async fn alter(
    context: &Context,
    changes: Vec<Change>,
    validate_only: bool,
) -> Vec<Changed> {
    let node = &context.shard.node;
    let mut requests = Vec::new();
    let mut changed = Vec::with_capacity(changes.len());
    // Where the outcome of each request belongs.
    let mut places = Vec::new();
    for change in changes {
        let resource = changeable(node, change.resource_type, &change.name);
        let request = resource.and_then(|resource| {
            let changes = change.changes?;
            Ok(AlterConfigs { resource, changes })
        });
        let (error_code, error_message) = match request {
            Ok(request) => {
                places.push(changed.len());
                requests.push(request);
                (ErrorCode::NONE, None)
            }
            Err((error_code, message)) => (error_code, Some(Text::from(message))),
        };
        changed.push(Changed {
            resource_type: change.resource_type,
            name: change.name,
            error_code,
            error_message,
        });
    }
    if requests.is_empty() {
        return changed;
    }
    let decided = context
        .shard
        .change_metadata(move |image, node| alter_configs(&requests, validate_only, image, node))
        .await;
    match decided {
        Ok(outcomes) => {
            for (place, outcome) in places.into_iter().zip(outcomes) {
                if let Err(error) = outcome {
                    changed[place].error_code = alter_configs_error(&error);
                    changed[place].error_message = Some(Text::from(error.to_string()));
                }
            }
        }
        Err(error) => {
            for place in places {
                changed[place].error_code = partition_error(&error);
            }
        }
    }
    changed
}
