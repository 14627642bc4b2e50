//! `rinka group describe`: the state of groups, their members, and which partitions each has.
//!
//! Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use super::description::{Description, describe, no_group};
use crate::cli::client::{Client, ConnectArguments, TopicPartition};
use crate::cli::failure::{Result, failed};
use crate::cli::output::{Colour, Output, OutputArguments, counted, printable, remark};
use crate::cli::table::{Cell, Table};

/// Describe groups: state, members, assigned partitions
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka group describe readers
  rinka group describe readers --output json | jq '.members[].host'

Offsets and lag: rinka group lag GROUP")]
pub(crate) struct Describe {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
}

pub(super) fn run(arguments: &Describe) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let mut out = arguments.output.open();
    let mut missing = 0;
    for (index, group) in arguments.groups.iter().enumerate() {
        let Some(description) = describe(&mut client, group, deadline)? else {
            missing += 1;
            remark(format_args!("rinka: {}", no_group(group)));
            continue;
        };
        if out.is_json() {
            out.json(&description)?;
        } else {
            if index > 0 {
                out.line("")?;
            }
            print(&mut out, &description)?;
        }
    }
    out.finish()?;
    match missing {
        0 => Ok(()),
        _ => failed(format!(
            "{missing} of {} groups are not there",
            arguments.groups.len()
        )),
    }
}

fn print(out: &mut Output, description: &Description) -> Result<()> {
    let (bold, off) = out.paint().codes(Colour::Bold);
    let epoch = description
        .epoch
        .map_or_else(String::new, |epoch| format!(", epoch {epoch}"));
    out.line(format_args!(
        "{bold}{}{off}  {}, {}{epoch}, assignor {}, coordinator {}",
        printable(&description.group),
        description.kind,
        printable(&description.state),
        or_none(&description.assignor),
        printable(&description.coordinator),
    ))?;
    if description.members.is_empty() {
        return out.line("No members");
    }
    let mut table = Table::new(&[
        "MEMBER",
        "CLIENT",
        "HOST",
        "INSTANCE",
        ">PARTITIONS",
        "ASSIGNED",
    ]);
    for member in &description.members {
        let assigned = if member.unreadable {
            Cell::coloured("(cannot be read)", Colour::Red)
        } else {
            shown(&member.partitions).into()
        };
        table.row([
            member.member_id.clone().into(),
            member.client_id.clone().into(),
            member.host.clone().into(),
            or_none(member.instance_id.as_deref().unwrap_or_default()).into(),
            member.partitions.len().to_string().into(),
            assigned,
        ]);
    }
    out.table(&table)?;
    let members = i64::try_from(description.members.len()).unwrap_or(i64::MAX);
    out.line(counted(members, "member"))
}

fn or_none(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        printable(text)
    }
}

/// `orders:0-3,7 users:1`
fn shown(partitions: &BTreeSet<TopicPartition>) -> String {
    let mut topics: BTreeMap<&str, Vec<(i32, i32)>> = BTreeMap::new();
    for at in partitions {
        let runs = topics.entry(&at.topic).or_default();
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(at.partition) => *last = at.partition,
            _ => runs.push((at.partition, at.partition)),
        }
    }
    let run = |(first, last): &(i32, i32)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let topic = |(topic, runs): (&str, Vec<(i32, i32)>)| {
        let runs: Vec<String> = runs.iter().map(run).collect();
        format!("{topic}:{}", runs.join(","))
    };
    let topics: Vec<String> = topics.into_iter().map(topic).collect();
    topics.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_shown_as_runs() {
        let at = |topic: &str, partition| TopicPartition {
            topic: topic.to_owned(),
            partition,
        };
        let partitions = [0, 1, 2, 3, 7, i32::MAX].map(|partition| at("orders", partition));
        let mut partitions: BTreeSet<_> = partitions.into();
        partitions.insert(at("users", 1));
        assert_eq!(shown(&partitions), "orders:0-3,7,2147483647 users:1");
        assert_eq!(shown(&BTreeSet::new()), "");
    }
}
