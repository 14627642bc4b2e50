//! What became of the lines: how many were written, and which were not and why.
//!
//! Keeps ranges of lines, a bounded number of them; the count is always whole.

use std::time::Duration;

use crate::cli::output::{counted, printable, remark, size};

/// Ranges that are kept; later ones are only counted.
const RANGES_MAX: usize = 1_000;

/// Ranges that are printed.
const RANGES_SHOWN: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: i64,
    bytes: i64,
    failed: i64,
    ranges: Vec<Range>,
}

#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    reason: String,
}

impl Tally {
    pub(super) fn on_written(&mut self, records: usize, bytes: usize) {
        self.sent += i64::try_from(records).unwrap_or(i64::MAX);
        self.bytes += i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    pub(super) fn on_failed(&mut self, line: u64, reason: &str) {
        self.failed += 1;
        if let Some(range) = self.ranges.last_mut()
            && range.last + 1 == line
            && range.reason == reason
        {
            range.last = line;
        } else if self.ranges.len() < RANGES_MAX {
            self.ranges.push(Range {
                first: line,
                last: line,
                reason: reason.to_owned(),
            });
        }
    }

    pub(super) fn sent(&self) -> i64 {
        self.sent
    }

    pub(super) fn failed(&self) -> i64 {
        self.failed
    }

    pub(super) fn report(&self, quiet: bool, topic: &str, took: Duration) {
        for line in self.lines() {
            remark(format_args!("rinka: {line}"));
        }
        if !quiet {
            remark(format_args!(
                "{} ({}) written to {} in {:.1} s",
                counted(self.sent, "record"),
                size(self.bytes),
                printable(topic),
                took.as_secs_f64()
            ));
        }
    }

    fn lines(&self) -> Vec<String> {
        let line = |range: &Range| {
            let Range {
                first,
                last,
                reason,
            } = range;
            if first == last {
                format!("line {first}: {reason}")
            } else {
                format!("lines {first}-{last}: {reason}")
            }
        };
        let mut lines: Vec<String> = self.ranges.iter().take(RANGES_SHOWN).map(line).collect();
        if self.ranges.len() > RANGES_SHOWN {
            lines.push("and more, not named here".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_lines_are_named_as_ranges() {
        let mut tally = Tally::default();
        tally.on_written(10, 100);
        for line in [3, 4, 5, 7] {
            tally.on_failed(line, "too large");
        }
        tally.on_failed(8, "no key");
        assert_eq!(
            tally.lines(),
            [
                "lines 3-5: too large",
                "line 7: too large",
                "line 8: no key"
            ]
        );
        assert_eq!((tally.sent(), tally.failed()), (10, 5));
        for line in 0..5_000 {
            tally.on_failed(line * 2 + 100, "other");
        }
        assert_eq!(tally.lines().len(), RANGES_SHOWN + 1);
        assert_eq!(tally.ranges.len(), RANGES_MAX);
        assert_eq!(tally.failed(), 5_005);
    }
}
