//! `rinka group reset-offsets`: moves a group to other offsets, by a plan that is shown first.
//!
//! Executes nothing unless told to, and nothing while the group has members: they would go on from where they are.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde::Serialize;

use super::description::{describe, no_group};
use super::offsets::{Committer, commit, committed};
use crate::cli::client::{
    Client, ConnectArguments, Deadline, Mark, Patience, TopicPartition, explain,
};
use crate::cli::failure::{Result, failed, usage};
use crate::cli::moment;
use crate::cli::output::{Colour, OutputArguments, grouped, printable, remark};
use crate::cli::table::{Cell, Table};

/// Move a group without members to other offsets; only shows the plan without --execute
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka group reset-offsets readers --all-topics --to earliest
  rinka group reset-offsets readers --topic orders --to 2026-01-31T12:00:00Z --execute
  rinka group reset-offsets readers --topic orders:0,1 --to 4711
  rinka group reset-offsets readers --topic orders --shift -100 --execute     back by a hundred

Offsets stay between the ends of each partition. A time is the first record that is not older, or the end.")]
pub(crate) struct ResetOffsets {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Its name
    group: String,
    /// Partitions of this topic, all of them unless some are named; may be repeated
    #[arg(long, value_name = "TOPIC[:PARTITION,...]", value_parser = Scope::parse, required_unless_present = "all_topics")]
    topic: Vec<Scope>,
    /// All that the group has committed
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    /// earliest, latest, an offset, a time (RFC 3339, or milliseconds with `ms`)
    #[arg(long, value_name = "WHERE", value_parser = Target::parse, required_unless_present = "shift")]
    to: Option<Target>,
    /// Forwards by so many records, or backwards
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        conflicts_with = "to"
    )]
    shift: Option<i64>,
    /// Only show the plan: this is the default
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    execute: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    topic: String,
    /// None named: all.
    partitions: BTreeSet<i32>,
}

impl Scope {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let wrong = || "TOPIC, or TOPIC:0,1 for some of its partitions".to_owned();
        // No topic's name has a colon.
        let (topic, partitions) = match text.split_once(':') {
            None => (text, BTreeSet::new()),
            Some((topic, partitions)) => {
                let numbers = partitions.split(',').map(str::parse);
                let numbers: std::result::Result<BTreeSet<i32>, _> = numbers.collect();
                (topic, numbers.map_err(|_| wrong())?)
            }
        };
        if topic.is_empty() || partitions.iter().any(|partition| *partition < 0) {
            return Err(wrong());
        }
        Ok(Self {
            topic: topic.to_owned(),
            partitions,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Earliest,
    Latest,
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
    Shift(i64),
}

impl Target {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let target = match text {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            _ if digits => text.parse().ok().map(Self::Offset),
            _ => moment::parse(text).map(Self::Time),
        };
        target.ok_or_else(|| {
            "earliest, latest, an offset, a time such as 2026-01-31T12:00:00Z, or 1769860800000ms"
                .to_owned()
        })
    }

    /// The offset that a partition is moved to, between its ends; nothing where there is none to move from.
    fn apply(self, current: Option<i64>, ends: Ends) -> Option<i64> {
        let wanted = match self {
            Self::Earliest => ends.earliest,
            Self::Latest => ends.latest,
            Self::Offset(offset) => offset,
            Self::Time(_) => ends.first_after.unwrap_or(ends.latest),
            Self::Shift(by) => current?.saturating_add(by),
        };
        Some(wanted.clamp(ends.earliest, ends.latest.max(ends.earliest)))
    }
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    earliest: i64,
    latest: i64,
    /// Of a time: nothing where no record is that young.
    first_after: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    group: &'a str,
    topic: &'a str,
    partition: i32,
    current_offset: Option<i64>,
    new_offset: i64,
    lag: i64,
    executed: bool,
    error: Option<String>,
}

pub(super) fn run(arguments: &ResetOffsets) -> Result<()> {
    let target = match (arguments.to, arguments.shift) {
        (Some(target), _) => target,
        (None, Some(by)) => Target::Shift(by),
        (None, None) => return usage("--to or --shift says where"),
    };
    let group = &arguments.group;
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let description = describe(&mut client, group, deadline)?;
    let current = committed(&mut client, group, deadline)?.unwrap_or_default();
    // A group comes into being with its first commit: to name topics and a place is enough.
    if description.is_none() && current.is_empty() && arguments.all_topics {
        return failed(no_group(group));
    }
    let members = description.map_or(0, |description| description.members.len());
    if members > 0 {
        return failed(format!(
            "group {} has {members} members, who would go on from where they are: stop them first",
            printable(group)
        ));
    }
    let partitions = partitions(&mut client, arguments, &current, deadline)?;
    if partitions.is_empty() {
        return failed("there is nothing to move");
    }
    let ends = ends(&mut client, &partitions, target, deadline)?;
    let mut plan = BTreeMap::new();
    for (at, ends) in &ends {
        match target.apply(current.get(at).copied(), *ends) {
            Some(offset) => {
                plan.insert(at.clone(), offset);
            }
            None => remark(format_args!(
                "rinka: {at}: nothing was committed, so there is nothing to move from"
            )),
        }
    }
    let refused = if arguments.execute && !plan.is_empty() {
        let committer = Committer {
            group,
            generation: -1,
            member: "",
        };
        commit(&mut client, &committer, &plan, deadline)?
    } else {
        BTreeMap::new()
    };
    let mut out = arguments.output.open();
    let mut table = Table::new(&[
        "TOPIC",
        ">PARTITION",
        ">CURRENT",
        ">NEW",
        ">CHANGE",
        ">LAG THEN",
        "",
    ]);
    for (at, offset) in &plan {
        let before = current.get(at).copied();
        let error = refused.get(at).map(|code| explain(*code, None));
        let lag = ends[at].latest.saturating_sub(*offset).max(0);
        let row = Row {
            group,
            topic: &at.topic,
            partition: at.partition,
            current_offset: before,
            new_offset: *offset,
            lag,
            executed: arguments.execute && error.is_none(),
            error,
        };
        if out.is_json() {
            out.json(&row)?;
            continue;
        }
        let change = before.map(|before| offset.saturating_sub(before));
        let change = change.map_or_else(
            || "-".to_owned(),
            |change| match change {
                1.. => format!("+{}", grouped(change)),
                _ => grouped(change),
            },
        );
        let note = match row.error {
            Some(error) => Cell::coloured(error, Colour::Red),
            None => "".into(),
        };
        table.row([
            at.topic.clone().into(),
            at.partition.to_string().into(),
            before
                .map_or_else(|| "-".to_owned(), |before| before.to_string())
                .into(),
            offset.to_string().into(),
            change.into(),
            grouped(lag).into(),
            note,
        ]);
    }
    if !out.is_json() {
        out.table(&table)?;
        if !arguments.execute {
            out.line("Nothing was changed: --execute does it.")?;
        }
    }
    out.finish()?;
    match refused.len() {
        0 => Ok(()),
        count => failed(format!("{count} of {} offsets were not moved", plan.len())),
    }
}

fn partitions(
    client: &mut Client,
    arguments: &ResetOffsets,
    current: &BTreeMap<TopicPartition, i64>,
    deadline: Deadline,
) -> Result<BTreeSet<TopicPartition>> {
    if arguments.all_topics {
        return Ok(current.keys().cloned().collect());
    }
    let names: BTreeSet<&String> = arguments.topic.iter().map(|scope| &scope.topic).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let metadata = client.existing_topics(&names, deadline)?;
    let mut partitions = BTreeSet::new();
    for scope in &arguments.topic {
        let all: BTreeSet<i32> = metadata.topics[&scope.topic]
            .partitions
            .keys()
            .copied()
            .collect();
        if let Some(missing) = scope.partitions.difference(&all).next() {
            let (topic, count) = (printable(&scope.topic), all.len());
            return usage(format!(
                "topic {topic} has no partition {missing}: it has {count}"
            ));
        }
        let wanted = if scope.partitions.is_empty() {
            &all
        } else {
            &scope.partitions
        };
        partitions.extend(wanted.iter().map(|partition| TopicPartition {
            topic: scope.topic.clone(),
            partition: *partition,
        }));
    }
    Ok(partitions)
}

fn ends(
    client: &mut Client,
    partitions: &BTreeSet<TopicPartition>,
    target: Target,
    deadline: Deadline,
) -> Result<BTreeMap<TopicPartition, Ends>> {
    let mut ask = |mark: Mark| -> Result<BTreeMap<TopicPartition, Option<i64>>> {
        let wanted = partitions.iter().map(|at| (at.clone(), mark)).collect();
        let mut known = BTreeMap::new();
        for (at, answer) in client.offsets(&wanted, Patience::Wait, deadline)? {
            match answer {
                Ok(offset) => known.insert(at, offset),
                Err(code) => return failed(format!("{at}: {}", explain(code, None))),
            };
        }
        Ok(known)
    };
    let earliest = ask(Mark::Earliest)?;
    let latest = ask(Mark::Latest)?;
    let first_after = match target {
        Target::Time(time) => ask(Mark::Time(time))?,
        _ => BTreeMap::new(),
    };
    let of = |offsets: &BTreeMap<TopicPartition, Option<i64>>, at: &TopicPartition| {
        offsets.get(at).copied().flatten()
    };
    let ends = partitions.iter().map(|at| {
        let ends = Ends {
            earliest: of(&earliest, at).unwrap_or(0),
            latest: of(&latest, at).unwrap_or(0),
            first_after: of(&first_after, at),
        };
        (at.clone(), ends)
    });
    Ok(ends.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_between_the_ends() {
        let ends = Ends {
            earliest: 10,
            latest: 20,
            first_after: None,
        };
        let apply = |target: Target| target.apply(Some(15), ends);
        assert_eq!(apply(Target::Earliest), Some(10));
        assert_eq!(apply(Target::Latest), Some(20));
        assert_eq!(apply(Target::Offset(3)), Some(10));
        assert_eq!(apply(Target::Time(7)), Some(20));
        assert_eq!(apply(Target::Shift(-2)), Some(13));
        assert_eq!(apply(Target::Shift(i64::MAX)), Some(20));
        assert_eq!(Target::Shift(1).apply(None, ends), None);
        let found = Ends {
            first_after: Some(12),
            ..ends
        };
        assert_eq!(Target::Time(7).apply(None, found), Some(12));
    }

    #[test]
    fn scopes_and_targets_are_read_as_people_write_them() {
        let scope = |topic: &str, partitions: &[i32]| Scope {
            topic: topic.to_owned(),
            partitions: partitions.iter().copied().collect(),
        };
        assert_eq!(Scope::parse("orders"), Ok(scope("orders", &[])));
        assert_eq!(Scope::parse("orders:1,0"), Ok(scope("orders", &[0, 1])));
        for wrong in ["", ":1", "orders:", "orders:a", "orders:-1"] {
            assert!(Scope::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Target::parse("4711"), Ok(Target::Offset(4_711)));
        assert_eq!(Target::parse("1000ms"), Ok(Target::Time(1_000)));
        assert!(Target::parse("-5").is_err());
        assert!(Target::parse("soon").is_err());
    }
}
