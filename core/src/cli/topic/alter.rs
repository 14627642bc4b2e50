//! `rinka topic alter`: more partitions, other settings.
//!
//! Says before it adds partitions what that does to keyed records, and asks nothing.

use clap::Args;
use rinka_net::wire::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use rinka_net::wire::{ApiKey, Text};

use super::each;
use crate::cli::client::{Client, ConnectArguments, Deadline, explain};
use crate::cli::config::{Change, Resource, change_resource};
use crate::cli::failure::{Result, failed, usage};
use crate::cli::output::{OutputArguments, remark};
use crate::cli::output::{counted, printable};

/// Change a topic: add partitions, set or unset its keys
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka topic alter orders --partitions 24
  rinka topic alter orders --config retention.ms=3600000 --config max.message.bytes=2097152
  rinka topic alter orders --delete-config retention.ms          back to the broker's default
  rinka topic alter orders --partitions 24 --dry-run             asks the broker whether it would

The replication of a topic stays as it was created: it cannot be changed here. Partitions can only be
added. Which partition a key goes to depends on their number: records of one
key that come later may then be in another partition than those before.")]
pub(crate) struct Alter {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Its name
    topic: String,
    /// Partitions that the topic shall have then
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Cannot be changed; here so that it can be said
    #[arg(long, short, value_name = "N", hide = true)]
    replication: Option<String>,
    /// Set one of the topic's keys; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_setting)]
    config: Vec<(String, String)>,
    /// Give one of the topic's keys back to the broker's default; may be repeated
    #[arg(long, value_name = "KEY")]
    delete_config: Vec<String>,
    /// Only ask whether the broker would
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Alter) -> Result<()> {
    if arguments.replication.is_some() {
        return usage(
            "the replication of a topic cannot be changed here: it stays as the topic was created",
        );
    }
    let changes: Vec<Change> = arguments
        .config
        .iter()
        .map(|(key, value)| Change::Set(key.clone(), value.clone()))
        .chain(arguments.delete_config.iter().cloned().map(Change::Delete))
        .collect();
    if changes.is_empty() && arguments.partitions.is_none() {
        return usage("nothing to change: --partitions, --config or --delete-config say what");
    }
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let metadata = client.existing_topics(std::slice::from_ref(&arguments.topic), deadline)?;
    let shown = printable(&arguments.topic);
    let verb = if arguments.dry_run {
        "Would have"
    } else {
        "Has"
    };
    let mut out = arguments.output.open();
    if let Some(count) = arguments.partitions {
        let before = metadata.topics[&arguments.topic].partitions.len();
        add_partitions(&mut client, arguments, count, deadline)?;
        let keyed = "records of one key may go to another partition from now on";
        if out.is_json() {
            out.json(&serde_json::json!({
                "topic": arguments.topic, "partitions": count, "partitionsBefore": before, "dryRun": arguments.dry_run,
            }))?;
        } else {
            let partitions = counted(count.into(), "partition");
            out.line(format_args!(
                "{verb} {partitions}, before {before}: {shown}"
            ))?;
            remark(format_args!("Note: {keyed}"));
        }
    }
    if !changes.is_empty() {
        let resource = Resource::Topic(arguments.topic.clone());
        change_resource(
            &mut client,
            &resource,
            &changes,
            arguments.dry_run,
            deadline,
        )?;
        for change in &changes {
            change.report(&mut out, &resource, arguments.dry_run)?;
        }
    }
    out.finish()
}

fn add_partitions(
    client: &mut Client,
    arguments: &Alter,
    count: i32,
    deadline: Deadline,
) -> Result<()> {
    let response: CreatePartitionsResponse = each::ask_controller(
        client,
        ApiKey::CreatePartitions,
        deadline,
        |timeout_ms| CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: Text::from(arguments.topic.clone()),
                count,
                assignments: None,
            }],
            validate_only: arguments.dry_run,
            timeout_ms,
        },
        |response: &CreatePartitionsResponse| {
            let results = response.results.iter();
            results.map(|result| result.error_code).collect()
        },
    )?;
    let Some(result) = response.results.first() else {
        return failed("the broker says nothing of the topic");
    };
    if !result.error_code.is_error() {
        return Ok(());
    }
    let text = explain(result.error_code, result.error_message.as_deref());
    failed(format!("topic {}: {text}", printable(&arguments.topic)))
}
