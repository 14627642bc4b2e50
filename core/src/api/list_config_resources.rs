//! ListConfigResources (74): what has a configuration, by name and type (KIP-1142).

use rinka_net::wire::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::config_resources::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};

const ALL: &[i8] = &[TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub(super) fn handle(
    context: &Context,
    version: i16,
    request: &ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let types = match &request.resource_types[..] {
        // Version 0 is from when there were no others to be listed.
        _ if version == 0 => &[CLIENT_METRICS],
        [] => ALL,
        types => types,
    };
    if types.iter().any(|wanted| !ALL.contains(wanted)) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..Default::default()
        };
    }
    let image = context.shard.image.borrow();
    let node = &context.shard.node;
    let mut config_resources = Vec::new();
    for &resource_type in ALL.iter().filter(|known| types.contains(known)) {
        let names: Vec<String> = match resource_type {
            TOPIC => image.topics().map(|topic| topic.name.to_string()).collect(),
            BROKER | BROKER_LOGGER => node
                .brokers(context.listener, context.local)
                .into_iter()
                .map(|broker| broker.id.to_string())
                .collect(),
            GROUP => image.group_configs().keys().cloned().collect(),
            // There are no subscriptions of client metrics.
            _ => Vec::new(),
        };
        config_resources.extend(names.into_iter().map(|name| ConfigResource {
            resource_name: Text::from(name),
            resource_type,
        }));
    }
    ListConfigResourcesResponse {
        config_resources,
        ..Default::default()
    }
}
