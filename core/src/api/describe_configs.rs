//! DescribeConfigs (32): every key of a topic, of this broker or of a group, with source and synonyms.

use rinka_net::wire::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::config_resources::{
    BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC, check_is_this_node,
};
use crate::config::definition::ConfigType;
use crate::config::describe::{
    ConfigEntry, ConfigSource, describe_broker, describe_broker_defaults, describe_group,
    describe_topic,
};
use crate::config::group::GroupOverrides;
use crate::controller::topic_name;

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
                // Empty and not null, as Kafka has it: clients show and compare it.
                Ok(entries) => (ErrorCode::NONE, Some(Text::from("")), entries),
                Err((code, message)) => (code, Some(Text::from(message)), Vec::new()),
            };
            // An empty list means all, as null does: clients without a null send it.
            let keys = resource.configuration_keys.as_deref().unwrap_or_default();
            let wanted = |entry: &ConfigEntry| {
                keys.is_empty() || keys.iter().any(|key| key.as_str() == entry.name)
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
    let config = context.shard.config();
    let name = resource.resource_name.as_str();
    let nameless = |what: &str| {
        (
            ErrorCode::INVALID_REQUEST,
            format!("{what} must not be empty"),
        )
    };
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
            Ok(describe_topic(&topic.overrides, &config))
        }
        BROKER if name.is_empty() => Ok(describe_broker_defaults(&config)),
        BROKER => check_is_this_node(node, name).map(|()| describe_broker(&config)),
        BROKER_LOGGER if name.is_empty() => Err(nameless("Broker id")),
        BROKER_LOGGER => check_is_this_node(node, name).map(|()| vec![root_logger()]),
        GROUP if name.is_empty() => Err(nameless("Group name")),
        GROUP => {
            let image = context.shard.image.borrow();
            let none = GroupOverrides::new();
            let overrides = image.group_configs().get(name).unwrap_or(&none);
            Ok(describe_group(overrides, &config))
        }
        CLIENT_METRICS if name.is_empty() => Err(nameless("Client metrics subscription name")),
        // There is none of any name: Kafka answers with the defaults too.
        CLIENT_METRICS => Ok(client_metrics()),
        other => Err((
            ErrorCode::INVALID_REQUEST,
            format!("Unsupported resource type: {other}"),
        )),
    }
}

/// The one logger: what `RUST_LOG` says of single modules is not told apart.
fn root_logger() -> ConfigEntry {
    ConfigEntry {
        name: "root",
        value: Some(log::max_level().to_string()),
        source: ConfigSource::DynamicBrokerLogger,
        synonyms: Vec::new(),
        config_type: ConfigType::String,
        is_read_only: true,
        is_sensitive: false,
        documentation: "The most that is logged. Set by RUST_LOG when the broker starts.",
    }
}

fn client_metrics() -> Vec<ConfigEntry> {
    let entry = |name, value: &str, config_type| ConfigEntry {
        name,
        value: Some(value.to_owned()),
        source: ConfigSource::Default,
        synonyms: Vec::new(),
        config_type,
        is_read_only: true,
        is_sensitive: false,
        documentation: "Client metrics subscriptions are not offered.",
    };
    vec![
        entry("interval.ms", "300000", ConfigType::Int),
        entry("match", "", ConfigType::List),
        entry("metrics", "", ConfigType::List),
    ]
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
