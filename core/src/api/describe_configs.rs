//! DescribeConfigs (32): every key of a topic or of this broker, with source and synonyms.

use rinka_net::wire::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use crate::config::describe::{ConfigEntry, describe_broker, describe_topic};
use crate::controller::topic_name;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub(super) fn handle(
    context: &Context,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request
        .resources
        .iter()
        .map(|resource| {
            let described = describe(context, resource);
            let (error_code, error_message, entries) = match described {
                Ok(entries) => (ErrorCode::NONE, None, entries),
                Err((code, message)) => (code, Some(Text::from(message)), Vec::new()),
            };
            let wanted = |entry: &ConfigEntry| match &resource.configuration_keys {
                Some(keys) => keys.iter().any(|key| key.as_str() == entry.name),
                None => true,
            };
            DescribeConfigsResult {
                error_code,
                error_message,
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                configs: entries
                    .into_iter()
                    .filter(wanted)
                    .map(|entry| {
                        result(
                            entry,
                            request.include_synonyms,
                            request.include_documentation,
                        )
                    })
                    .collect(),
            }
        })
        .collect();
    DescribeConfigsResponse {
        results,
        ..Default::default()
    }
}

fn describe(
    context: &Context,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
    let node = &context.shard.node;
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            if let Err(error) = topic_name::validate(name) {
                return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, error.to_string()));
            }
            let image = context.shard.image.borrow();
            let topic = image.topic_named(name).ok_or_else(|| {
                (
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.message().to_owned(),
                )
            })?;
            Ok(describe_topic(&topic.overrides, &node.config))
        }
        // An empty name asks for the cluster-wide defaults, of which none are set here.
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER => {
            let known = (0..node.shards).any(|shard| node.broker_id(shard).to_string() == name);
            if known {
                Ok(describe_broker(&node.config))
            } else {
                let message = format!(
                    "Unexpected broker id, expected {}, but received {name}",
                    node.id
                );
                Err((ErrorCode::INVALID_REQUEST, message))
            }
        }
        other => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Unsupported resource type: {other}"),
        )),
    }
}

fn result(
    entry: ConfigEntry,
    synonyms: bool,
    documentation: bool,
) -> DescribeConfigsResourceResult {
    let shown = if synonyms { entry.synonyms } else { Vec::new() };
    DescribeConfigsResourceResult {
        name: Text::from(entry.name),
        value: entry.value.map(Text::from),
        read_only: entry.is_read_only,
        config_source: entry.source as i8,
        is_sensitive: entry.is_sensitive,
        synonyms: shown
            .into_iter()
            .map(|synonym| DescribeConfigsSynonym {
                name: Text::from(synonym.name),
                value: synonym.value.map(Text::from),
                source: synonym.source as i8,
            })
            .collect(),
        config_type: entry.config_type as i8,
        documentation: documentation.then(|| Text::from(entry.documentation)),
    }
}
