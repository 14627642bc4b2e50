//! `rinka config`: the keys of topics, brokers and groups, where each value comes from, and changing them (IncrementalAlterConfigs).
//!
//! Changes the named keys alone; the broker judges their values.

use clap::{Args, Subcommand};
use rinka_net::wire::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse,
};
use rinka_net::wire::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use serde::Serialize;

use super::client::{
    Address, Attempt, Client, ConnectArguments, Deadline, explain, is_passing, no_topic,
};
use super::failure::{Result, failed, usage};
use super::output::{Colour, Output, OutputArguments, printable};
use super::table::{Cell, Table};
use super::topic::parse_setting;

/// Describe and change the settings of topics, brokers and groups
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  rinka config describe --topic orders --changed
  rinka config set --topic orders retention.ms=86400000
  rinka config delete --topic orders retention.ms")]
pub(crate) enum Config {
    /// Show keys with their values, where each comes from, and the default
    #[command(after_help = "\
Examples:
  rinka config describe --topic greetings
  rinka config describe --topic greetings retention.ms max.message.bytes
  rinka config describe --broker 1 --changed                       what somebody has set
  rinka config describe --group readers
  rinka config describe --topic greetings --output json | jq -r 'select(.source != \"default\").key'")]
    Describe(Describe),
    /// Set keys; those that are not named stay as they are
    #[command(after_help = "\
Examples:
  rinka config set --topic greetings retention.ms=3600000
  rinka config set --broker 1 log.retention.ms=3600000
  rinka config set --all-brokers log.retention.ms=3600000          what brokers have where they have nothing of their own
  rinka config set --group readers consumer.session.timeout.ms=60000
  rinka config set --topic greetings retention.ms=abc --dry-run    asks the broker whether it would")]
    Set(Set),
    /// Give keys back to what they are without being set
    #[command(after_help = "\
Examples:
  rinka config delete --topic greetings retention.ms
  rinka config delete --broker 1 log.retention.ms")]
    Delete(Delete),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct ResourceArguments {
    /// A topic's settings
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// A broker's settings
    #[arg(long, value_name = "ID")]
    broker: Option<i32>,
    /// Settings of all brokers that have nothing of their own
    #[arg(long)]
    all_brokers: bool,
    /// A group's settings: they hold for members that speak the newer protocol (KIP-848)
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

impl ResourceArguments {
    fn resource(&self) -> Resource {
        match (&self.topic, &self.group, self.broker) {
            (Some(topic), _, _) => Resource::Topic(topic.clone()),
            (None, Some(group), _) => Resource::Group(group.clone()),
            (None, None, id) => Resource::Broker(id),
        }
    }
}

#[derive(Args)]
pub(crate) struct Describe {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    resource: ResourceArguments,
    /// Only keys that somebody has set
    #[arg(long)]
    changed: bool,
    /// Only these keys
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Set {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    resource: ResourceArguments,
    /// Only ask whether the broker would
    #[arg(long)]
    dry_run: bool,
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
}

#[derive(Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    resource: ResourceArguments,
    /// Only ask whether the broker would
    #[arg(long)]
    dry_run: bool,
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

/// Whose settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Topic(String),
    /// Without a number: what all brokers have that have nothing of their own.
    Broker(Option<i32>),
    Group(String),
}

impl Resource {
    fn number(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
            Self::Group(_) => 32,
        }
    }

    fn name(&self) -> Text {
        match self {
            Self::Topic(name) | Self::Group(name) => Text::from(name.clone()),
            Self::Broker(id) => Text::from(id.map_or_else(String::new, |id| id.to_string())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Topic(name) => format!("topic {}", printable(name)),
            Self::Broker(Some(id)) => format!("broker {id}"),
            Self::Broker(None) => "all brokers".to_owned(),
            Self::Group(name) => format!("group {}", printable(name)),
        }
    }

    /// A broker's own settings are known to itself alone.
    fn holder(&self, client: &mut Client, deadline: Deadline) -> Result<Address> {
        let Self::Broker(Some(id)) = self else {
            return client.any(deadline);
        };
        let metadata = client.metadata(Some(&[]), deadline)?;
        match metadata.brokers.get(id) {
            Some(address) => Ok(address.clone()),
            None => {
                let known: Vec<String> = metadata.brokers.keys().map(i32::to_string).collect();
                let known = known.join(", ");
                failed(format!("there is no broker {id}; there are: {known}"))
            }
        }
    }
}

/// One key, as the broker tells it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    pub(super) key: String,
    /// Nothing where the broker does not show it.
    pub(super) value: Option<String>,
    source: &'static str,
    /// What it would be without being set, where the broker says that.
    default: Option<String>,
    read_only: bool,
    sensitive: bool,
}

/// The source of what nobody has set, by its number in the protocol.
const DEFAULT_CONFIG: i8 = 5;

fn source_name(number: i8) -> &'static str {
    match number {
        1 => "topic",
        2 => "broker",
        3 => "all brokers",
        4 => "server.properties",
        DEFAULT_CONFIG => "default",
        6 => "broker logger",
        7 => "client metrics",
        8 => "group",
        _ => "unknown",
    }
}

impl Described {
    fn new(config: DescribeConfigsResourceResult) -> Self {
        let default = config
            .synonyms
            .iter()
            .find(|synonym| synonym.source == DEFAULT_CONFIG);
        let default = default.and_then(|synonym| synonym.value.as_ref());
        let default = default.map(ToString::to_string);
        let value = config.value.map(|value| value.to_string());
        Self {
            key: config.name.to_string(),
            default: match config.config_source {
                DEFAULT_CONFIG => default.or_else(|| value.clone()),
                _ => default,
            },
            value,
            source: source_name(config.config_source),
            read_only: config.read_only,
            sensitive: config.is_sensitive,
        }
    }

    fn is_changed(&self) -> bool {
        self.source != source_name(DEFAULT_CONFIG)
    }

    /// Whether it is the topic that has it.
    pub(super) fn is_set_here(&self) -> bool {
        self.source == source_name(1)
    }
}

pub(crate) fn run(arguments: Config) -> Result<()> {
    match arguments {
        Config::Describe(arguments) => describe(&arguments),
        Config::Set(arguments) => {
            let change = |(key, value)| Change::Set(key, value);
            let changes: Vec<Change> = arguments.settings.into_iter().map(change).collect();
            let resource = arguments.resource.resource();
            let (connect, output) = (&arguments.connect, arguments.output);
            change_and_report(connect, output, &resource, &changes, arguments.dry_run)
        }
        Config::Delete(arguments) => {
            let changes: Vec<Change> = arguments.keys.into_iter().map(Change::Delete).collect();
            let resource = arguments.resource.resource();
            let (connect, output) = (&arguments.connect, arguments.output);
            change_and_report(connect, output, &resource, &changes, arguments.dry_run)
        }
    }
}

fn describe(arguments: &Describe) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let resource = arguments.resource.resource();
    let mut configs = describe_resource(&mut client, &resource, &arguments.keys, deadline)?;
    for key in &arguments.keys {
        if !configs.iter().any(|config| config.key == *key) {
            let shown = resource.shown();
            return failed(format!("{shown} has no key {}", printable(key)));
        }
    }
    if arguments.changed {
        configs.retain(Described::is_changed);
    }
    configs.sort_by(|left, right| left.key.cmp(&right.key));
    let mut out = arguments.output.open();
    let mut table = Table::new(&["KEY", "VALUE", "SOURCE", "DEFAULT"]);
    for config in &configs {
        if out.is_json() {
            out.json(config)?;
            continue;
        }
        let changed = if config.is_changed() {
            Colour::Bold
        } else {
            Colour::Plain
        };
        let value = match &config.value {
            Some(value) => Cell::coloured(value.clone(), changed),
            None if config.sensitive => Cell::coloured("(hidden)", Colour::Dim),
            None => Cell::coloured("(unset)", Colour::Dim),
        };
        let default = config.default.clone().unwrap_or_default();
        table.row([
            config.key.clone().into(),
            value,
            config.source.into(),
            Cell::coloured(default, Colour::Dim),
        ]);
    }
    if !out.is_json() {
        if table.is_empty() {
            out.line(format_args!("Nothing is set for {}", resource.shown()))?;
        } else {
            out.table(&table)?;
        }
    }
    out.finish()
}

/// The keys of a resource; all where none are named.
pub(super) fn describe_resource(
    client: &mut Client,
    resource: &Resource,
    keys: &[String],
    deadline: Deadline,
) -> Result<Vec<Described>> {
    let keys = keys.iter().cloned().map(Text::from);
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: resource.number(),
            resource_name: resource.name(),
            configuration_keys: (keys.len() > 0).then(|| keys.collect()),
        }],
        include_synonyms: true,
        include_documentation: false,
    };
    client.retrying(deadline, |client| {
        let holder = resource.holder(client, deadline)?;
        let response: DescribeConfigsResponse =
            client.call(&holder, ApiKey::DescribeConfigs, &request, deadline)?;
        let Some(result) = response.results.into_iter().next() else {
            return failed("the broker says nothing of the settings");
        };
        let verdict = judged(resource, result.error_code, result.error_message.as_deref())?;
        Ok(match verdict {
            Some(reason) => Attempt::Again(reason),
            None => Attempt::Done(result.configs.into_iter().map(Described::new).collect()),
        })
    })
}

/// Nothing where all is well, a reason to ask again, or a failure.
fn judged(resource: &Resource, code: ErrorCode, message: Option<&str>) -> Result<Option<String>> {
    let shown = resource.shown();
    match (code, resource) {
        (ErrorCode::NONE, _) => Ok(None),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Resource::Topic(name)) => failed(no_topic(name)),
        _ if is_passing(code) => Ok(Some(format!("{shown}: {}", explain(code, message)))),
        _ => failed(format!("{shown}: {}", explain(code, message))),
    }
}

/// What becomes of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Set(String, String),
    Delete(String),
}

impl Change {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Set(key, _) | Self::Delete(key) => key,
        }
    }

    pub(super) fn report(
        &self,
        out: &mut Output,
        resource: &Resource,
        dry_run: bool,
    ) -> Result<()> {
        let value = match self {
            Self::Set(_, value) => Some(value.as_str()),
            Self::Delete(_) => None,
        };
        if out.is_json() {
            return out.json(&serde_json::json!({
                "resource": resource.shown(), "key": self.key(), "value": value, "dryRun": dry_run,
            }));
        }
        let (shown, key) = (resource.shown(), printable(self.key()));
        let would = if dry_run { "Would have " } else { "Now has " };
        match value {
            Some(value) => out.line(format_args!("{would}{key}={}: {shown}", printable(value))),
            None => out.line(format_args!("{would}{key} unset: {shown}")),
        }
    }
}

fn change_and_report(
    connect: &ConnectArguments,
    output: OutputArguments,
    resource: &Resource,
    changes: &[Change],
    dry_run: bool,
) -> Result<()> {
    for (index, change) in changes.iter().enumerate() {
        if changes[..index]
            .iter()
            .any(|other| other.key() == change.key())
        {
            return usage(format!("key {} is named twice", printable(change.key())));
        }
    }
    let mut client = Client::connect(connect)?;
    let deadline = client.deadline();
    change_resource(&mut client, resource, changes, dry_run, deadline)?;
    let mut out = output.open();
    for change in changes {
        change.report(&mut out, resource, dry_run)?;
    }
    out.finish()
}

/// Changes keys of a resource, all of them or none.
pub(super) fn change_resource(
    client: &mut Client,
    resource: &Resource,
    changes: &[Change],
    dry_run: bool,
    deadline: Deadline,
) -> Result<()> {
    let configs = changes.iter().map(|change| match change {
        Change::Set(key, value) => AlterableConfig {
            name: Text::from(key.clone()),
            config_operation: 0,
            value: Some(Text::from(value.clone())),
        },
        Change::Delete(key) => AlterableConfig {
            name: Text::from(key.clone()),
            config_operation: 1,
            value: None,
        },
    });
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: resource.number(),
            resource_name: resource.name(),
            configs: configs.collect(),
        }],
        validate_only: dry_run,
    };
    client.retrying(deadline, |client| {
        let holder = resource.holder(client, deadline)?;
        let response: IncrementalAlterConfigsResponse =
            client.call(&holder, ApiKey::IncrementalAlterConfigs, &request, deadline)?;
        let Some(result) = response.responses.first() else {
            return failed("the broker says nothing of the change");
        };
        let verdict = judged(resource, result.error_code, result.error_message.as_deref())?;
        Ok(verdict.map_or(Attempt::Done(()), Attempt::Again))
    })
}
