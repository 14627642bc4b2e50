//! `rinka topic list`: a line for each topic, with its size where brokers tell it.
//!
//! Changes nothing.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use crate::cli::client::{Client, ConnectArguments, TopicMetadata};
use crate::cli::failure::{Failure, Result, failed};
use crate::cli::output::{Colour, OutputArguments, grouped, printable, size};
use crate::cli::table::{Cell, Table};

/// List the topics with their partitions, replicas and sizes
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka topic list
  rinka topic list --internal                        those of the brokers' own too
  rinka topic list --pattern '^orders'
  rinka topic list --output json | jq -r .topic")]
pub(crate) struct List {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Topics of the brokers' own too
    #[arg(long)]
    internal: bool,
    /// Only topics in whose name this regular expression is found
    #[arg(long, value_name = "REGEX")]
    pattern: Option<regex::Regex>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    topic: &'a str,
    topic_id: Option<String>,
    internal: bool,
    partitions: usize,
    replication_factor: usize,
    under_replicated_partitions: usize,
    offline_partitions: usize,
    size_bytes: Option<i64>,
}

pub(super) fn run(arguments: &List) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let metadata = client.metadata(None, deadline)?;
    let log_dirs = match client.log_dirs(&metadata, deadline) {
        Ok(log_dirs) => log_dirs,
        // The sizes are an extra: whatever is wrong with them does not hide the list.
        Err(Failure::ReaderGone) => return Ok(()),
        Err(_) => Default::default(),
    };
    let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
    for (at, bytes) in log_dirs.sizes() {
        let total = sizes.entry(at.topic).or_default();
        *total = total.saturating_add(bytes);
    }
    let mut out = arguments.output.open();
    let mut table = Table::new(&["TOPIC", ">PARTITIONS", ">REPLICAS", ">SIZE", "STATE"]);
    let mut refused = Vec::new();
    for (name, topic) in &metadata.topics {
        let shown = arguments
            .pattern
            .as_ref()
            .is_none_or(|pattern| pattern.is_match(name));
        if (topic.is_internal && !arguments.internal) || !shown {
            continue;
        }
        if topic.error.is_error() {
            refused.push(format!("{}: {}", printable(name), topic.error));
        }
        let row = row(name, topic, sizes.get(name).copied());
        if out.is_json() {
            out.json(&row)?;
            continue;
        }
        let bytes = row.size_bytes.map_or_else(|| "-".to_owned(), size);
        table.row([
            name.clone().into(),
            grouped(row.partitions as i64).into(),
            row.replication_factor.to_string().into(),
            bytes.into(),
            state(&row),
        ]);
    }
    if !out.is_json() {
        if table.is_empty() {
            out.line("No topics: `rinka topic create NAME` makes one.")?;
        } else {
            out.table(&table)?;
        }
    }
    out.finish()?;
    if refused.is_empty() {
        return Ok(());
    }
    failed(refused.join("; "))
}

fn row<'a>(name: &'a str, topic: &TopicMetadata, size_bytes: Option<i64>) -> Row<'a> {
    let partitions = topic.partitions.values();
    Row {
        topic: name,
        topic_id: (!topic.id.is_nil()).then(|| super::describe::topic_id(topic.id)),
        internal: topic.is_internal,
        partitions: topic.partitions.len(),
        replication_factor: partitions
            .clone()
            .map(|partition| partition.replicas.len())
            .max()
            .unwrap_or(0),
        under_replicated_partitions: partitions
            .clone()
            .filter(|partition| partition.isr.len() < partition.replicas.len())
            .count(),
        offline_partitions: partitions.filter(|partition| partition.leader < 0).count(),
        size_bytes,
    }
}

fn state(row: &Row<'_>) -> Cell {
    if row.offline_partitions > 0 {
        let text = format!("{} without a leader", row.offline_partitions);
        Cell::coloured(text, Colour::Red)
    } else if row.under_replicated_partitions > 0 {
        let text = format!("{} under-replicated", row.under_replicated_partitions);
        Cell::coloured(text, Colour::Yellow)
    } else {
        "ok".into()
    }
}
