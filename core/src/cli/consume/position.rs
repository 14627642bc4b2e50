//! Where consuming begins and ends, as people write it, and the offsets that this is.
//!
//! An offset outside of what a partition has is brought to its nearest end, and that is said.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::client::{Client, Mark, Patience, TopicPartition, explain};
use crate::cli::failure::{Result, failed};
use crate::cli::moment;
use crate::cli::output::remark;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Earliest,
    Latest,
    Offset(i64),
    /// So many of each partition.
    Last(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// As it is in the beginning.
    End,
    /// The first that is not wanted.
    Offset(i64),
    /// Milliseconds since 1970; records of that time or later are not wanted.
    Time(i64),
}

impl Start {
    /// # Errors
    /// A sentence that says what can be written.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse::<i64>().ok().filter(|_| digits(text));
        let start = match text {
            "earliest" | "beginning" | "start" => Some(Self::Earliest),
            "latest" | "end" => Some(Self::Latest),
            _ => match text.strip_prefix('-') {
                Some(last) => number(last).map(Self::Last),
                None => number(text)
                    .map(Self::Offset)
                    .or_else(|| moment::parse(text).map(Self::Time)),
            },
        };
        start.ok_or_else(|| {
            "earliest, latest, an offset, -N for the last N, a time such as 2026-01-31T12:00:00Z, or 1769860800000ms"
                .to_owned()
        })
    }
}

impl Until {
    /// # Errors
    /// A sentence that says what can be written.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        match Start::parse(text) {
            Ok(Start::Latest) => Ok(Self::End),
            Ok(Start::Offset(offset)) => Ok(Self::Offset(offset)),
            Ok(Start::Time(time)) => Ok(Self::Time(time)),
            _ => Err(
                "end, an offset, a time such as 2026-01-31T12:00:00Z, or 1769860800000ms"
                    .to_owned(),
            ),
        }
    }
}

/// What a mark is in each partition; nothing where no record is that young.
fn ask<'a>(
    client: &mut Client,
    partitions: impl Iterator<Item = &'a TopicPartition>,
    mark: Mark,
) -> Result<BTreeMap<TopicPartition, Option<i64>>> {
    let wanted = partitions.map(|at| (at.clone(), mark)).collect();
    let deadline = client.deadline();
    let mut offsets = BTreeMap::new();
    for (at, answer) in client.offsets(&wanted, Patience::Wait, deadline)? {
        match answer {
            Ok(offset) => offsets.insert(at, offset),
            Err(code) => return failed(format!("{at}: {}", explain(code, None))),
        };
    }
    Ok(offsets)
}

pub(super) fn resolve(
    client: &mut Client,
    partitions: &BTreeSet<TopicPartition>,
    start: Start,
) -> Result<BTreeMap<TopicPartition, i64>> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let earliest = match start {
        Start::Latest | Start::Time(_) => BTreeMap::new(),
        _ => ask(client, partitions.iter(), Mark::Earliest)?,
    };
    let latest = match start {
        Start::Earliest => BTreeMap::new(),
        _ => ask(client, partitions.iter(), Mark::Latest)?,
    };
    let first_after = match start {
        Start::Time(time) => ask(client, partitions.iter(), Mark::Time(time))?,
        _ => BTreeMap::new(),
    };
    let of = |offsets: &BTreeMap<TopicPartition, Option<i64>>, at: &TopicPartition| {
        offsets.get(at).copied().flatten()
    };
    let mut positions = BTreeMap::new();
    for at in partitions {
        let ends = (of(&earliest, at).unwrap_or(0), of(&latest, at).unwrap_or(0));
        let position = place(start, ends, of(&first_after, at));
        if let Start::Offset(offset) = start
            && offset != position
        {
            remark(format_args!(
                "rinka: {at} has no offset {offset}; beginning at {position}"
            ));
        }
        positions.insert(at.clone(), position);
    }
    Ok(positions)
}

/// The offset to begin at, between the ends of a partition.
fn place(start: Start, (earliest, latest): (i64, i64), first_after: Option<i64>) -> i64 {
    match start {
        Start::Earliest => earliest,
        Start::Latest => latest,
        Start::Offset(offset) => offset.clamp(earliest, latest.max(earliest)),
        Start::Last(count) => latest.saturating_sub(count).max(earliest),
        Start::Time(_) => first_after.unwrap_or(latest),
    }
}

/// Where partitions end: none where it is not known yet, as a time that has not come.
pub(super) fn ends(
    client: &mut Client,
    positions: &BTreeMap<TopicPartition, i64>,
    until: Option<Until>,
) -> Result<BTreeMap<TopicPartition, i64>> {
    let Some(until) = until else {
        return Ok(BTreeMap::new());
    };
    if positions.is_empty() {
        return Ok(BTreeMap::new());
    }
    if let Until::Offset(end) = until {
        let ends = positions.keys().map(|at| (at.clone(), end));
        return Ok(ends.collect());
    }
    if matches!(until, Until::Time(time) if time > moment::now()) {
        return Ok(BTreeMap::new());
    }
    let latest = ask(client, positions.keys(), Mark::Latest)?;
    let first_after = match until {
        Until::Time(time) => ask(client, positions.keys(), Mark::Time(time))?,
        _ => BTreeMap::new(),
    };
    let ends = latest.into_iter().map(|(at, latest)| {
        let first_after = first_after.get(&at).copied().flatten();
        let end = first_after.or(latest).unwrap_or(0);
        (at, end)
    });
    Ok(ends.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_ends_are_read_as_people_write_them() {
        for (text, expected) in [
            ("earliest", Some(Start::Earliest)),
            ("latest", Some(Start::Latest)),
            ("0", Some(Start::Offset(0))),
            ("4711", Some(Start::Offset(4_711))),
            ("-10", Some(Start::Last(10))),
            ("1970-01-01T00:00:01Z", Some(Start::Time(1_000))),
            ("1000ms", Some(Start::Time(1_000))),
            ("+5", None),
            ("--5", None),
            ("-", None),
            ("-earliest", None),
            ("99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(Start::parse(text).ok(), expected, "{text:?}");
        }
        for (text, expected) in [
            ("end", Some(Until::End)),
            ("7", Some(Until::Offset(7))),
            ("7ms", Some(Until::Time(7))),
            ("earliest", None),
            ("-7", None),
        ] {
            assert_eq!(Until::parse(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_partition_does_not_have_is_its_nearest_end() {
        let at = |start| place(start, (10, 20), Some(15));
        assert_eq!(at(Start::Offset(5)), 10);
        assert_eq!(at(Start::Offset(12)), 12);
        assert_eq!(at(Start::Offset(99)), 20);
        assert_eq!(at(Start::Last(3)), 17);
        assert_eq!(at(Start::Last(i64::MAX)), 10);
        assert_eq!(at(Start::Time(0)), 15);
        assert_eq!(place(Start::Time(0), (10, 20), None), 20);
        // Ends that contradict each other, as only a broken broker has them.
        assert_eq!(place(Start::Offset(5), (20, 10), None), 20);
    }
}
