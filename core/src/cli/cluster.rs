//! `rinka cluster`: brokers, features, the metadata quorum, disks. Shows what brokers say of themselves.
//!
//! Changes nothing.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use rinka_net::wire::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, PartitionRequest, ReplicaState, TopicRequest,
};
use rinka_net::wire::{ApiKey, Text};
use serde::Serialize;

use super::client::{Attempt, Client, ConnectArguments, explain, is_passing};
use super::failure::{Result, failed};
use super::moment;
use super::output::{Colour, OutputArguments, counted, grouped, printable, remark, size};
use super::table::{Cell, Table};

/// The topic whose one partition the quorum keeps.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Show brokers, features, the metadata quorum and disks
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  rinka cluster describe
  rinka cluster quorum
  rinka cluster log-dirs")]
pub(crate) enum Cluster {
    /// Show the cluster's id, its controller and its brokers
    #[command(after_help = "\
Examples:
  rinka cluster describe
  rinka cluster describe --bootstrap kafka-1:9092,kafka-2:9092
  rinka cluster describe --output json | jq -r '.brokers[].address'")]
    Describe(ClusterArguments),
    /// Show features with the levels that are supported and the one in force
    #[command(after_help = "\
Examples:
  rinka cluster features
  rinka cluster features --output json | jq -r 'select(.feature == \"metadata.version\").level'")]
    Features(ClusterArguments),
    /// Show the metadata quorum: leader, voters and observers, and how far behind each is
    #[command(after_help = "\
Examples:
  rinka cluster quorum
  rinka cluster quorum --output json | jq 'select(.lag > 0)'")]
    Quorum(ClusterArguments),
    /// Show every broker's log directories, what they hold and how much room is left
    #[command(after_help = "\
Examples:
  rinka cluster log-dirs
  rinka cluster log-dirs --output json | jq 'select(.usableBytes < 1e9)'")]
    LogDirs(ClusterArguments),
}

#[derive(Args)]
pub(crate) struct ClusterArguments {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) fn run(arguments: Cluster) -> Result<()> {
    match arguments {
        Cluster::Describe(arguments) => describe(&arguments),
        Cluster::Features(arguments) => features(&arguments),
        Cluster::Quorum(arguments) => quorum(&arguments),
        Cluster::LogDirs(arguments) => log_dirs(&arguments),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    cluster_id: Option<String>,
    controller_id: i32,
    topics: usize,
    partitions: usize,
    under_replicated_partitions: usize,
    offline_partitions: usize,
    brokers: Vec<Broker>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Broker {
    id: i32,
    address: String,
    rack: Option<String>,
    leaders: usize,
    replicas: usize,
}

fn describe(arguments: &ClusterArguments) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let metadata = client.metadata(None, deadline)?;
    let partitions = || {
        metadata
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values())
    };
    let described = Description {
        cluster_id: metadata.cluster_id.clone(),
        controller_id: metadata.controller_id,
        topics: metadata.topics.len(),
        partitions: partitions().count(),
        under_replicated_partitions: partitions()
            .filter(|partition| partition.isr.len() < partition.replicas.len())
            .count(),
        offline_partitions: partitions()
            .filter(|partition| partition.leader < 0)
            .count(),
        brokers: metadata
            .brokers
            .iter()
            .map(|(id, address)| Broker {
                id: *id,
                address: address.to_string(),
                rack: metadata.racks.get(id).cloned(),
                leaders: partitions()
                    .filter(|partition| partition.leader == *id)
                    .count(),
                replicas: partitions()
                    .filter(|partition| partition.replicas.contains(id))
                    .count(),
            })
            .collect(),
    };
    let mut out = arguments.output.open();
    if out.is_json() {
        out.json(&described)?;
        return out.finish();
    }
    let id = described.cluster_id.as_deref().unwrap_or("unknown");
    out.line(format_args!("Cluster {}", printable(id)))?;
    out.line(format_args!(
        "{}, {}; {} under-replicated, {} without a leader",
        counted(described.topics as i64, "topic"),
        counted(described.partitions as i64, "partition"),
        described.under_replicated_partitions,
        described.offline_partitions
    ))?;
    let mut table = Table::new(&[">BROKER", "ADDRESS", "RACK", ">LEADS", ">REPLICAS", "ROLE"]);
    for broker in described.brokers {
        let role = if broker.id == described.controller_id {
            "controller"
        } else {
            ""
        };
        table.row([
            broker.id.to_string().into(),
            broker.address.into(),
            broker.rack.unwrap_or_else(|| "-".to_owned()).into(),
            grouped(broker.leaders as i64).into(),
            grouped(broker.replicas as i64).into(),
            role.into(),
        ]);
    }
    out.table(&table)?;
    out.finish()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeatureRow {
    feature: String,
    supported_min: Option<i16>,
    supported_max: Option<i16>,
    level: Option<i16>,
}

fn features(arguments: &ClusterArguments) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let any = client.any(deadline)?;
    let (supported, finalized) = client.features(&any, deadline)?;
    let names: BTreeSet<&String> = supported
        .iter()
        .map(|feature| &feature.name)
        .chain(finalized.iter().map(|feature| &feature.name))
        .collect();
    let mut out = arguments.output.open();
    let mut table = Table::new(&["FEATURE", ">SUPPORTED FROM", ">TO", ">IN FORCE"]);
    let shown =
        |level: Option<i16>| level.map_or_else(|| "-".to_owned(), |level| level.to_string());
    for name in names {
        let range = supported.iter().find(|feature| feature.name == *name);
        let level = finalized.iter().find(|feature| feature.name == *name);
        let row = FeatureRow {
            feature: name.clone(),
            supported_min: range.map(|range| range.min),
            supported_max: range.map(|range| range.max),
            level: level.map(|feature| feature.level),
        };
        if out.is_json() {
            out.json(&row)?;
            continue;
        }
        table.row([
            row.feature.into(),
            shown(row.supported_min).into(),
            shown(row.supported_max).into(),
            shown(row.level).into(),
        ]);
    }
    if !out.is_json() {
        if table.is_empty() {
            out.line("The broker names no features.")?;
        } else {
            out.table(&table)?;
        }
    }
    out.finish()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QuorumRow {
    replica: i32,
    role: &'static str,
    leader_epoch: i32,
    log_end_offset: i64,
    lag: Option<i64>,
    high_watermark: i64,
    last_fetch_timestamp: Option<i64>,
    last_caught_up_timestamp: Option<i64>,
}

fn quorum(arguments: &ClusterArguments) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let request = DescribeQuorumRequest {
        topics: vec![TopicRequest {
            topic_name: Text::from(METADATA_TOPIC),
            partitions: vec![PartitionRequest::default()],
        }],
    };
    let partition = client.retrying(deadline, |client| {
        let any = client.any(deadline)?;
        let response: DescribeQuorumResponse =
            client.call(&any, ApiKey::DescribeQuorum, &request, deadline)?;
        let partition = response
            .topics
            .into_iter()
            .next()
            .and_then(|topic| topic.partitions.into_iter().next());
        let code = match &partition {
            Some(partition) if !response.error_code.is_error() => partition.error_code,
            _ => response.error_code,
        };
        if is_passing(code) {
            return Ok(Attempt::Again(explain(
                code,
                response.error_message.as_deref(),
            )));
        }
        if code.is_error() {
            return failed(explain(code, response.error_message.as_deref()));
        }
        match partition {
            Some(partition) => Ok(Attempt::Done(partition)),
            None => failed("the broker says nothing of its quorum"),
        }
    })?;
    let leader = partition.leader_id;
    let leader_end = partition
        .current_voters
        .iter()
        .find(|voter| voter.replica_id == leader)
        .map(|voter| voter.log_end_offset);
    let known = |number: i64| Some(number).filter(|number| *number >= 0);
    let row = |role: &'static str, state: &ReplicaState| QuorumRow {
        replica: state.replica_id,
        role: if state.replica_id == leader {
            "leader"
        } else {
            role
        },
        leader_epoch: partition.leader_epoch,
        log_end_offset: state.log_end_offset,
        lag: leader_end.map(|end| end.saturating_sub(state.log_end_offset).max(0)),
        high_watermark: partition.high_watermark,
        last_fetch_timestamp: known(state.last_fetch_timestamp),
        last_caught_up_timestamp: known(state.last_caught_up_timestamp),
    };
    let voters = partition
        .current_voters
        .iter()
        .map(|state| row("voter", state));
    let observers = partition
        .observers
        .iter()
        .map(|state| row("observer", state));
    let mut out = arguments.output.open();
    if !out.is_json() {
        out.line(format_args!(
            "Leader {leader} in epoch {}, high watermark {}",
            partition.leader_epoch, partition.high_watermark
        ))?;
    }
    let mut table = Table::new(&[">REPLICA", "ROLE", ">LOG END", ">LAG", "CAUGHT UP AT"]);
    for row in voters.chain(observers) {
        if out.is_json() {
            out.json(&row)?;
            continue;
        }
        let caught_up = row.last_caught_up_timestamp.map(moment::show);
        table.row([
            row.replica.to_string().into(),
            row.role.into(),
            row.log_end_offset.to_string().into(),
            row.lag.map_or_else(|| "-".to_owned(), grouped).into(),
            caught_up.unwrap_or_else(|| "-".to_owned()).into(),
        ]);
    }
    if !out.is_json() {
        out.table(&table)?;
    }
    out.finish()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogDirRow {
    broker: i32,
    directory: String,
    partitions: usize,
    size_bytes: i64,
    usable_bytes: Option<i64>,
    total_bytes: Option<i64>,
    error: Option<String>,
}

fn log_dirs(arguments: &ClusterArguments) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let metadata = client.metadata(Some(&[]), deadline)?;
    let found = client.log_dirs(&metadata, deadline)?;
    let mut out = arguments.output.open();
    let mut table = Table::new(&[
        ">BROKER",
        "DIRECTORY",
        ">PARTITIONS",
        ">SIZE",
        ">FREE",
        ">OF",
        "STATE",
    ]);
    let known = |bytes: i64| Some(bytes).filter(|bytes| *bytes >= 0);
    for (broker, directories) in &found.brokers {
        for directory in directories {
            let partitions = directory.topics.iter().flat_map(|topic| &topic.partitions);
            let sizes: Vec<i64> = partitions
                .map(|partition| partition.partition_size.max(0))
                .collect();
            let row = LogDirRow {
                broker: *broker,
                directory: directory.log_dir.to_string(),
                partitions: sizes.len(),
                size_bytes: sizes
                    .iter()
                    .fold(0, |sum: i64, size| sum.saturating_add(*size)),
                usable_bytes: known(directory.usable_bytes),
                total_bytes: known(directory.total_bytes),
                error: directory
                    .error_code
                    .is_error()
                    .then(|| explain(directory.error_code, None)),
            };
            if out.is_json() {
                out.json(&row)?;
                continue;
            }
            let state = match &row.error {
                Some(error) => Cell::coloured(error.clone(), Colour::Red),
                None => "ok".into(),
            };
            let bytes = |bytes: Option<i64>| bytes.map_or_else(|| "-".to_owned(), size);
            table.row([
                row.broker.to_string().into(),
                row.directory.into(),
                grouped(row.partitions as i64).into(),
                size(row.size_bytes).into(),
                bytes(row.usable_bytes).into(),
                bytes(row.total_bytes).into(),
                state,
            ]);
        }
    }
    if !out.is_json() && !table.is_empty() {
        out.table(&table)?;
    }
    out.finish()?;
    for (broker, reason) in &found.silent {
        remark(format_args!("rinka: broker {broker}: {reason}"));
    }
    if found.silent.is_empty() {
        return Ok(());
    }
    failed(format!(
        "{} of {} brokers did not say what they hold",
        found.silent.len(),
        metadata.brokers.len()
    ))
}
