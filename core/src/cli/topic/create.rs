//! `rinka topic create`: new topics, with partitions, replicas and settings.
//!
//! What is not said is left to the broker's defaults.

use clap::Args;
use rinka_net::wire::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use serde::Serialize;

use super::each::{self, Reported};
use crate::cli::client::{Client, ConnectArguments, explain};
use crate::cli::failure::Result;
use crate::cli::output::{OutputArguments, counted, printable};

/// Create topics
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka topic create greetings
  rinka topic create orders --partitions 12 --config retention.ms=86400000
  rinka topic create users --config cleanup.policy=compact --if-not-exists
  rinka topic create big --partitions 100000 --dry-run     asks the broker whether it would")]
pub(crate) struct Create {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Names of the new topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Partitions of each [default: the broker's num.partitions]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Replicas of each partition [default: the broker's default.replication.factor]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication: Option<i16>,
    /// Set one of the topic's keys; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_setting)]
    config: Vec<(String, String)>,
    /// A topic that is there already is no error
    #[arg(long)]
    if_not_exists: bool,
    /// Only ask whether the broker would create it
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    topic: &'a str,
    created: bool,
    dry_run: bool,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    error: Option<String>,
}

pub(super) fn run(arguments: &Create) -> Result<()> {
    each::no_doubles(&arguments.topics)?;
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let response: CreateTopicsResponse = each::ask_controller(
        &mut client,
        ApiKey::CreateTopics,
        deadline,
        |timeout_ms| request(arguments, timeout_ms),
        |response: &CreateTopicsResponse| {
            let topics = response.topics.iter();
            topics.map(|topic| topic.error_code).collect()
        },
    )?;
    each::report(&arguments.topics, &arguments.output, "created", |name| {
        let mut topics = response.topics.iter();
        let result = topics.find(|topic| *topic.name == *name)?;
        Some(reported(arguments, name, result))
    })
}

fn request(arguments: &Create, timeout_ms: i32) -> CreateTopicsRequest {
    let configs = arguments.config.iter();
    let configs = configs.map(|(key, value)| CreatableTopicConfig {
        name: Text::from(key.clone()),
        value: Some(Text::from(value.clone())),
    });
    let configs: Vec<CreatableTopicConfig> = configs.collect();
    let topics = arguments.topics.iter().map(|name| CreatableTopic {
        name: Text::from(name.clone()),
        num_partitions: arguments.partitions.unwrap_or(-1),
        replication_factor: arguments.replication.unwrap_or(-1),
        configs: configs.clone(),
        ..Default::default()
    });
    CreateTopicsRequest {
        validate_only: arguments.dry_run,
        topics: topics.collect(),
        timeout_ms,
    }
}

fn reported<'t>(
    arguments: &Create,
    name: &'t str,
    result: &CreatableTopicResult,
) -> Reported<Row<'t>> {
    let code = result.error_code;
    let there = code == ErrorCode::TOPIC_ALREADY_EXISTS && arguments.if_not_exists;
    let error = (code.is_error() && !there).then(|| explain(code, result.error_message.as_deref()));
    let row = Row {
        topic: name,
        created: !code.is_error() && !arguments.dry_run,
        dry_run: arguments.dry_run,
        partitions: Some(result.num_partitions).filter(|count| *count > 0),
        replication_factor: Some(result.replication_factor).filter(|count| *count > 0),
        error: error.clone(),
    };
    let shown = printable(name);
    let told = match (error, arguments.dry_run) {
        (Some(error), _) => Err(error),
        (None, _) if there => Ok(format!("{shown} is there already")),
        (None, dry_run) => {
            let verb = if dry_run { "Would create" } else { "Created" };
            let partitions = row.partitions.map_or_else(String::new, |count| {
                format!(" with {}", counted(count.into(), "partition"))
            });
            Ok(format!("{verb} {shown}{partitions}"))
        }
    };
    Reported { row, told }
}
