//! AlterConfigs (33): sets all keys of topics, brokers and groups at once; those that are not named go back to their defaults.

use rinka_net::wire::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::Context;
use super::config_resources::{self, Change, Changed};
use crate::controller::configs::ConfigChanges;

pub(super) async fn handle(
    context: &Context,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let changes = request.resources.into_iter().map(change).collect();
    let changed = config_resources::alter(context, changes, request.validate_only).await;
    AlterConfigsResponse {
        responses: changed.into_iter().map(response).collect(),
        ..Default::default()
    }
}

fn change(resource: AlterConfigsResource) -> Change {
    let configs = resource.configs.into_iter().map(|config| {
        let value = config.value.map(|value| value.to_string());
        (config.name.to_string(), value)
    });
    Change {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        changes: Ok(ConfigChanges::Replace(configs.collect())),
    }
}

fn response(changed: Changed) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: changed.error_code,
        error_message: changed.error_message,
        resource_type: changed.resource_type,
        resource_name: changed.name,
    }
}
