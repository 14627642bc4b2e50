//! `rinka group lag`: how far behind groups are, partition by partition, once or again and again in place.
//!
//! Changes nothing; what cannot be learnt at a look is said and looked for again at the next.

mod rates;
mod screen;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::description::{Description, describe, no_group};
use super::offsets::committed;
use crate::cli::client::{Client, ConnectArguments, Deadline, Mark, Patience, TopicPartition};
use crate::cli::failure::{Failure, Result, failed};
use crate::cli::interrupt::Interrupt;
use crate::cli::moment;
use crate::cli::output::{Colour, Output, OutputArguments, Paint, grouped, printable, remark};
use crate::cli::table::{Cell, Table};
use rates::Rates;
use screen::Screen;

/// How often a wait is left to see whether somebody wants to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Show how far behind groups are; with --watch again and again
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka group lag                             all groups, the furthest behind first
  rinka group lag readers --watch             every 2 seconds, until Ctrl-C
  rinka group lag readers --watch 0.5 --topic orders
  rinka group lag readers --output json | jq -s 'map(.lag) | add'

With --watch, the rate is how many records a second the group commits, between two looks.
A partition without a committed offset has no lag: where its member will begin is not known.")]
pub(crate) struct Lag {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// All groups where none is named
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Only partitions of this topic; may be repeated
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only partitions that are behind
    #[arg(long)]
    behind: bool,
    /// Look again every so many seconds
    #[arg(
        long,
        short,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = crate::cli::client::parse_seconds
    )]
    watch: Option<Duration>,
}

/// One partition of one group.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    group: String,
    topic: String,
    partition: i32,
    committed_offset: Option<i64>,
    end_offset: Option<i64>,
    lag: Option<i64>,
    /// Records a second.
    rate: Option<f64>,
    member_id: Option<String>,
    client_id: Option<String>,
    host: Option<String>,
}

impl Row {
    fn at(&self) -> TopicPartition {
        TopicPartition {
            topic: self.topic.clone(),
            partition: self.partition,
        }
    }
}

pub(super) fn run(arguments: &Lag) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    let mut client = Client::connect(&arguments.connect)?;
    let Some(every) = arguments.watch else {
        let (rows, missing) = look(&mut client, arguments)?;
        let mut out = arguments.output.open();
        // Of groups that are all not there, there is nothing to say but that.
        if !rows.is_empty() || missing.is_empty() {
            print(&mut out, &rows, arguments)?;
        }
        out.finish()?;
        for group in &missing {
            remark(format_args!("rinka: {}", no_group(group)));
        }
        return match missing.len() {
            0 => Ok(()),
            count => failed(format!(
                "{count} of {} groups are not there",
                arguments.groups.len()
            )),
        };
    };
    let mut rates = Rates::default();
    let mut screen = (!arguments.output.is_json())
        .then(|| Screen::open(Paint::of_stdout()))
        .flatten();
    while !interrupt.is_asked() {
        let begun = Instant::now();
        match look(&mut client, arguments) {
            Ok((mut rows, missing)) => {
                for row in &mut rows {
                    let at = (row.group.clone(), row.at());
                    row.rate = row
                        .committed_offset
                        .and_then(|committed| rates.on_offset(at, committed, begun));
                }
                rates.on_look_end();
                show(&mut screen, &rows, &missing, arguments)?;
            }
            // It may come back: whoever watches wants to see that too.
            Err(Failure::Failed(reason) | Failure::Connection(reason)) => match &mut screen {
                Some(screen) => screen.say(&reason)?,
                None => remark(format_args!("rinka: {reason}")),
            },
            Err(failure) => return Err(failure),
        }
        while begun.elapsed() < every && !interrupt.is_asked() {
            std::thread::sleep(LOOK_EVERY.min(every.saturating_sub(begun.elapsed())));
        }
    }
    Ok(())
}

/// All rows, the furthest behind first, and the groups that are not there.
fn look(client: &mut Client, arguments: &Lag) -> Result<(Vec<Row>, Vec<String>)> {
    let deadline = client.deadline();
    let groups: Vec<String> = if arguments.groups.is_empty() {
        let listed = super::list::groups(client, deadline)?.into_values();
        // Share groups have no committed offsets.
        let listed = listed.filter(|group| {
            matches!(
                group.kind.as_str(),
                "" | "classic" | "consumer" | "Classic" | "Consumer"
            )
        });
        listed.map(|group| group.group).collect()
    } else {
        arguments.groups.clone()
    };
    let mut rows = Vec::new();
    let mut missing = Vec::new();
    for group in groups {
        let description = describe(client, &group, deadline)?;
        let committed = committed(client, &group, deadline)?.unwrap_or_default();
        if description.is_none() && committed.is_empty() {
            missing.push(group);
            continue;
        }
        rows.extend(rows_of(&group, description.as_ref(), &committed));
    }
    rows.retain(|row| arguments.topic.is_empty() || arguments.topic.contains(&row.topic));
    add_ends(client, &mut rows, deadline)?;
    rows.retain(|row| !arguments.behind || row.lag.is_some_and(|lag| lag > 0));
    sort(&mut rows);
    Ok((rows, missing))
}

/// What is committed or assigned.
fn rows_of(
    group: &str,
    description: Option<&Description>,
    committed: &BTreeMap<TopicPartition, i64>,
) -> Vec<Row> {
    let assigned = description
        .into_iter()
        .flat_map(|description| &description.members);
    let assigned = assigned.flat_map(|member| member.partitions.iter());
    let all: BTreeSet<&TopicPartition> = committed.keys().chain(assigned).collect();
    let row = |at: &TopicPartition| {
        let member = description.and_then(|description| description.member_of(at));
        Row {
            group: group.to_owned(),
            topic: at.topic.clone(),
            partition: at.partition,
            committed_offset: committed.get(at).copied(),
            end_offset: None,
            lag: None,
            rate: None,
            member_id: member.map(|member| member.member_id.clone()),
            client_id: member.map(|member| member.client_id.clone()),
            host: member.map(|member| member.host.clone()),
        }
    };
    all.into_iter().map(row).collect()
}

fn add_ends(client: &mut Client, rows: &mut [Row], deadline: Deadline) -> Result<()> {
    let wanted: BTreeMap<TopicPartition, Mark> =
        rows.iter().map(|row| (row.at(), Mark::Latest)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let ends = client.offsets(&wanted, Patience::Once, deadline)?;
    for row in rows {
        row.end_offset = match ends.get(&row.at()) {
            Some(Ok(end)) => *end,
            // Without a leader, or deleted.
            _ => None,
        };
        let both = row.end_offset.zip(row.committed_offset);
        // A commit may be ahead of the end that was asked for before it.
        row.lag = both.map(|(end, committed)| end.saturating_sub(committed).max(0));
    }
    Ok(())
}

fn sort(rows: &mut [Row]) {
    rows.sort_by(|left, right| {
        let by_lag = right.lag.cmp(&left.lag);
        let place = |row: &Row| (row.group.clone(), row.topic.clone(), row.partition);
        by_lag.then_with(|| place(left).cmp(&place(right)))
    });
}

fn print(out: &mut Output, rows: &[Row], arguments: &Lag) -> Result<()> {
    if out.is_json() {
        for row in rows {
            out.json(row)?;
        }
        return Ok(());
    }
    for line in lines(rows, arguments, out.paint()) {
        out.line(line)?;
    }
    Ok(())
}

fn show(
    screen: &mut Option<Screen>,
    rows: &[Row],
    missing: &[String],
    arguments: &Lag,
) -> Result<()> {
    let Some(screen) = screen else {
        let mut out = arguments.output.open();
        if !out.is_json() {
            out.line(moment::show(moment::now()))?;
        }
        print(&mut out, rows, arguments)?;
        for group in missing {
            remark(format_args!("rinka: {}", no_group(group)));
        }
        return out.finish();
    };
    let mut head = vec![format!("{}   Ctrl-C ends", moment::show(moment::now()))];
    head.extend(missing.iter().map(|group| no_group(group)));
    let mut table = lines(rows, arguments, screen.paint());
    let total = table.pop();
    screen.paint_over(&head, &table, total.as_deref())
}

/// The table, and below it the total.
fn lines(rows: &[Row], arguments: &Lag, paint: Paint) -> Vec<String> {
    if rows.is_empty() {
        let nothing = if arguments.behind {
            "Nobody is behind"
        } else {
            "Nothing is committed or assigned"
        };
        return vec![nothing.to_owned()];
    }
    let groups: BTreeSet<&String> = rows.iter().map(|row| &row.group).collect();
    let several = groups.len() > 1;
    let watches = arguments.watch.is_some();
    let mut columns = vec!["TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG"];
    if several {
        columns.insert(0, "GROUP");
    }
    if watches {
        columns.push(">RATE/S");
    }
    columns.extend(["MEMBER", "CLIENT", "HOST"]);
    let mut table = Table::new(&columns);
    let number =
        |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    for row in rows {
        let mut cells: Vec<Cell> = Vec::new();
        if several {
            cells.push(row.group.clone().into());
        }
        let lag = row.lag.map_or_else(|| "-".to_owned(), grouped);
        let colour = match row.lag {
            Some(1..) => Colour::Yellow,
            _ => Colour::Plain,
        };
        cells.extend([
            row.topic.clone().into(),
            row.partition.to_string().into(),
            number(row.committed_offset).into(),
            number(row.end_offset).into(),
            Cell::coloured(lag, colour),
        ]);
        if watches {
            cells.push(rate(row.rate).into());
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        cells.extend([
            text(&row.member_id).into(),
            text(&row.client_id).into(),
            text(&row.host).into(),
        ]);
        table.row(cells);
    }
    let mut lines = table.lines(paint);
    lines.push(total(rows, &groups, watches, paint));
    lines
}

fn total(rows: &[Row], groups: &BTreeSet<&String>, watches: bool, paint: Paint) -> String {
    let lag = rows
        .iter()
        .filter_map(|row| row.lag)
        .fold(0, i64::saturating_add);
    let rates: Vec<f64> = rows.iter().filter_map(|row| row.rate).collect();
    let sum = (!rates.is_empty()).then(|| rates.iter().sum());
    let of = match groups.iter().next() {
        Some(group) if groups.len() == 1 => format!("group {}", printable(group)),
        _ => format!("{} groups", groups.len()),
    };
    let speed = if watches {
        format!(", {} records/s", rate(sum))
    } else {
        String::new()
    };
    let (bold, off) = paint.codes(Colour::Bold);
    let partitions = grouped(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    format!(
        "{bold}Total lag {}{off} in {partitions} partitions of {of}{speed}",
        grouped(lag)
    )
}

fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate.abs() < 10.0 => format!("{rate:.1}"),
        Some(rate) => grouped(rate.round() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: &str, partition: i32, lag: Option<i64>, rate: Option<f64>) -> Row {
        Row {
            group: group.to_owned(),
            topic: "t".to_owned(),
            partition,
            committed_offset: lag.map(|lag| 1_000 - lag),
            end_offset: Some(1_000),
            lag,
            rate,
            member_id: None,
            client_id: Some("c".to_owned()),
            host: None,
        }
    }

    fn arguments(watch: Option<Duration>) -> Lag {
        use clap::{FromArgMatches as _, Parser};
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            lag: Lag,
        }
        let matches = <Line as clap::CommandFactory>::command().get_matches_from(["lag"]);
        let mut lag = Line::from_arg_matches(&matches).expect("no arguments").lag;
        lag.watch = watch;
        lag
    }

    #[test]
    fn the_furthest_behind_comes_first_and_the_total_last() {
        let mut rows = vec![
            row("g", 0, Some(5), None),
            row("g", 1, None, None),
            row("g", 2, Some(900), None),
        ];
        sort(&mut rows);
        let lines = lines(&rows, &arguments(None), Paint { on: false });
        assert_eq!(
            lines,
            [
                "TOPIC  PARTITION  COMMITTED   END  LAG  MEMBER  CLIENT  HOST",
                "t              2        100  1000  900  -       c       -",
                "t              0        995  1000    5  -       c       -",
                "t              1          -  1000    -  -       c       -",
                "Total lag 905 in 3 partitions of group g",
            ]
        );
    }

    #[test]
    fn a_watch_shows_rates_and_several_groups_their_names() {
        let rows = vec![
            row("g", 0, Some(5), Some(1_234.5)),
            row("h", 0, Some(3), Some(0.25)),
        ];
        let watch = arguments(Some(Duration::from_secs(2)));
        let lines = lines(&rows, &watch, Paint { on: false });
        assert!(lines[0].starts_with("GROUP  TOPIC") && lines[0].contains("RATE/S"));
        assert!(lines[1].contains("1,235") && lines[2].contains("0.2"));
        assert_eq!(
            lines[3],
            "Total lag 8 in 2 partitions of 2 groups, 1,235 records/s"
        );
    }
}
