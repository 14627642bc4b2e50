//! `rinka topic describe`: partitions with leaders, replicas, offsets and sizes, and the settings that are not the default.
//!
//! Changes nothing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde::Serialize;
use uuid::Uuid;

use crate::cli::client::{
    Client, ConnectArguments, Deadline, Mark, PartitionMetadata, Patience, TopicPartition,
};
use crate::cli::config::{Described, Resource, describe_resource};
use crate::cli::failure::Result;
use crate::cli::output::{Colour, Output, OutputArguments, grouped, printable, size};
use crate::cli::table::{Cell, Table};

/// Describe topics: leaders, replicas, offsets and sizes of their partitions, settings that are not the default
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka topic describe greetings
  rinka topic describe greetings orders --output json
  rinka topic describe greetings --output json | jq '.partitions[].latestOffset'

All settings, the defaults too: rinka config describe --topic NAME")]
pub(crate) struct Describe {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Their names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    topic: &'a str,
    topic_id: Option<String>,
    internal: bool,
    partitions: Vec<Partition>,
    configs: BTreeMap<String, Option<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partition {
    partition: i32,
    leader: i32,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline_replicas: Vec<i32>,
    earliest_offset: Option<i64>,
    latest_offset: Option<i64>,
    size_bytes: Option<i64>,
}

/// A topic's id as Kafka's tools write it.
pub(super) fn topic_id(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

pub(super) fn run(arguments: &Describe) -> Result<()> {
    super::no_doubles(&arguments.topics)?;
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let metadata = client.existing_topics(&arguments.topics, deadline)?;
    let sizes = client.log_dirs(&metadata, deadline)?.sizes();
    let mut out = arguments.output.open();
    for (index, name) in arguments.topics.iter().enumerate() {
        let topic = &metadata.topics[name];
        let earliest = ends(
            &mut client,
            name,
            topic.partitions.keys(),
            Mark::Earliest,
            deadline,
        )?;
        let latest = ends(
            &mut client,
            name,
            topic.partitions.keys(),
            Mark::Latest,
            deadline,
        )?;
        let partition = |(number, partition): (&i32, &PartitionMetadata)| {
            let at = TopicPartition {
                topic: name.clone(),
                partition: *number,
            };
            Partition {
                partition: *number,
                leader: partition.leader,
                leader_epoch: partition.leader_epoch,
                replicas: partition.replicas.clone(),
                isr: partition.isr.clone(),
                offline_replicas: partition.offline.clone(),
                earliest_offset: earliest.get(&at).copied(),
                latest_offset: latest.get(&at).copied(),
                size_bytes: sizes.get(&at).copied(),
            }
        };
        let described =
            describe_resource(&mut client, &Resource::Topic(name.clone()), &[], deadline)?;
        let row = Row {
            topic: name,
            topic_id: (!topic.id.is_nil()).then(|| topic_id(topic.id)),
            internal: topic.is_internal,
            partitions: topic.partitions.iter().map(partition).collect(),
            configs: described
                .into_iter()
                .filter(Described::is_set_here)
                .map(|config| (config.key, config.value))
                .collect(),
        };
        if out.is_json() {
            out.json(&row)?;
        } else {
            if index > 0 {
                out.line("")?;
            }
            print(&mut out, &row)?;
        }
    }
    out.finish()
}

/// An end of each partition; of one that does not tell, nothing.
fn ends<'a>(
    client: &mut Client,
    topic: &str,
    partitions: impl Iterator<Item = &'a i32>,
    mark: Mark,
    deadline: Deadline,
) -> Result<BTreeMap<TopicPartition, i64>> {
    let at = |partition: &i32| TopicPartition {
        topic: topic.to_owned(),
        partition: *partition,
    };
    let wanted = partitions.map(|partition| (at(partition), mark)).collect();
    let answers = client.offsets(&wanted, Patience::Once, deadline)?;
    let known = answers.into_iter().filter_map(|(at, answer)| {
        let offset = answer.ok().flatten()?;
        Some((at, offset))
    });
    Ok(known.collect())
}

fn print(out: &mut Output, row: &Row<'_>) -> Result<()> {
    let paint = out.paint();
    let (bold, off) = paint.codes(Colour::Bold);
    let id = row.topic_id.as_deref().unwrap_or("none");
    out.line(format_args!(
        "{bold}{}{off}  id {id}, {} partitions",
        printable(row.topic),
        row.partitions.len()
    ))?;
    let mut table = Table::new(&[
        ">PARTITION",
        ">LEADER",
        ">EPOCH",
        "REPLICAS",
        "IN SYNC",
        ">EARLIEST",
        ">LATEST",
        ">RECORDS",
        ">SIZE",
    ]);
    let offset =
        |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
    for partition in &row.partitions {
        let leader = if partition.leader < 0 {
            Cell::coloured("none", Colour::Red)
        } else {
            partition.leader.to_string().into()
        };
        let behind = partition.isr.len() < partition.replicas.len();
        let colour = if behind {
            Colour::Yellow
        } else {
            Colour::Plain
        };
        let span = partition.latest_offset.zip(partition.earliest_offset);
        let records = span.map(|(latest, earliest)| latest.saturating_sub(earliest));
        table.row([
            partition.partition.to_string().into(),
            leader,
            partition.leader_epoch.to_string().into(),
            ids(&partition.replicas).into(),
            Cell::coloured(ids(&partition.isr), colour),
            offset(partition.earliest_offset).into(),
            offset(partition.latest_offset).into(),
            records.map_or_else(|| "-".to_owned(), grouped).into(),
            partition
                .size_bytes
                .map_or_else(|| "-".to_owned(), size)
                .into(),
        ]);
    }
    out.table(&table)?;
    if row.configs.is_empty() {
        return out.line("Settings: all as the broker has them by default");
    }
    out.line("Settings:")?;
    for (key, value) in &row.configs {
        let value = value.as_deref().unwrap_or("(hidden)");
        out.line(format_args!("  {}={}", printable(key), printable(value)))?;
    }
    Ok(())
}

fn ids(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(",")
}
