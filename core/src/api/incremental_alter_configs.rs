//! IncrementalAlterConfigs (44): changes single keys of topics, brokers and groups, in effect when it answers.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::Context;
use super::config_resources::{self, Change, Changed, Refused};
use crate::controller::configs::{ConfigChange, ConfigChanges};

pub(super) async fn handle(
    context: &Context,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let changes = request.resources.into_iter().map(change).collect();
    let changed = config_resources::alter(context, changes, request.validate_only).await;
    IncrementalAlterConfigsResponse {
        responses: changed.into_iter().map(response).collect(),
        ..Default::default()
    }
}

fn change(resource: AlterConfigsResource) -> Change {
    let configs: Result<Vec<_>, Refused> = resource.configs.into_iter().map(config).collect();
    Change {
        resource_type: resource.resource_type,
        name: resource.resource_name,
        changes: configs.map(ConfigChanges::Incremental),
    }
}

fn config(config: AlterableConfig) -> Result<(String, ConfigChange), Refused> {
    let value = config.value.map(|value| value.to_string());
    let change = match config.config_operation {
        0 => ConfigChange::Set(value),
        1 => ConfigChange::Delete,
        2 => ConfigChange::Append(value),
        3 => ConfigChange::Subtract(value),
        other => {
            let message = format!("Unknown operation type {other} for {}", config.name);
            return Err((ErrorCode::INVALID_REQUEST, message));
        }
    };
    Ok((config.name.to_string(), change))
}

fn response(changed: Changed) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: changed.error_code,
        error_message: changed.error_message,
        resource_type: changed.resource_type,
        resource_name: changed.name,
    }
}
