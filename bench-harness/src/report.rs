//! What a run comes to: counts, rates, latencies, errors, the broker's CPU; for people and as JSON.
//!
//! Never averages percentiles, which come from one merged histogram, and never lets a run with an error pass.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::client::Result;
use crate::cpu::Usage;

/// 1 microsecond to 60 seconds, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("constant bounds")
}

#[derive(Debug)]
pub(crate) struct Report {
    run: &'static str,
    /// Acknowledged ones, or answered fetches.
    pub(crate) requests: u64,
    pub(crate) records: u64,
    /// Of batches, their headers included; not of the frames around them.
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    /// In microseconds; a closed loop's: from the send to the answer.
    pub(crate) latency: Option<Histogram<u64>>,
    /// How often, by name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Before and after.
    broker: Option<(Usage, Usage)>,
}

impl Report {
    pub(crate) fn new(run: &'static str) -> Self {
        Self {
            run,
            requests: 0,
            records: 0,
            bytes: 0,
            took: Duration::ZERO,
            latency: None,
            errors: BTreeMap::new(),
            broker: None,
        }
    }

    /// Prints the report and writes it to the file; an error when the run had one.
    pub(crate) fn finish(
        mut self,
        pid: Option<u32>,
        before: Option<Usage>,
        after: Option<Usage>,
        file: Option<&Path>,
    ) -> Result<()> {
        self.broker = before.zip(after);
        if pid.is_some() && self.broker.is_none() {
            self.errors.insert("the broker's process ended".into(), 1);
        }
        if self.requests == 0 {
            self.errors.insert("no request was answered".into(), 1);
        }
        print!("{self}");
        if let Some(file) = file {
            let command: Vec<String> = std::env::args().skip(1).collect();
            std::fs::write(file, self.json(&command.join(" ")))
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        match self.errors.values().sum::<u64>() {
            0 => Ok(()),
            count => Err(format!("{count} errors: the figures are no result")),
        }
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// In milliseconds, from p50 to the largest, with their names.
    fn latencies(&self) -> Option<[(&'static str, f64); 5]> {
        let latency = self.latency.as_ref()?;
        let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        Some([
            ("p50", at(0.5)),
            ("p90", at(0.9)),
            ("p99", at(0.99)),
            ("p99.9", at(0.999)),
            ("max", latency.max() as f64 / 1e3),
        ])
    }

    fn cost(&self) -> Option<Cost> {
        let (before, after) = self.broker?;
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let per = |count: u64, unit: f64| (count > 0).then(|| cpu * unit / count as f64);
        Some(Cost {
            cpu,
            per_gb: per(self.bytes, 1e9),
            micros_per_request: per(self.requests, 1e6),
            peak_mib: after.peak_kib as f64 / 1024.0,
        })
    }

    fn json(&self, command: &str) -> String {
        let mut out = String::new();
        let number = |value: Option<f64>| value.map_or("null".to_owned(), |v| format!("{v:.4}"));
        let _ = write!(
            out,
            "{{\n  \"run\": {}, \"command\": {},\n  \"requests\": {}, \"records\": {}, \"bytes\": {}, \"seconds\": {:.4},\n  \
             \"requests_per_second\": {:.2}, \"records_per_second\": {:.2}, \"mb_per_second\": {:.3},\n",
            quoted(self.run),
            quoted(command),
            self.requests,
            self.records,
            self.bytes,
            self.took.as_secs_f64(),
            self.per_second(self.requests),
            self.per_second(self.records),
            self.per_second(self.bytes) / 1e6,
        );
        out.push_str("  \"latency_ms\": ");
        match (self.latencies(), &self.latency) {
            (Some(latencies), Some(latency)) => {
                out.push('{');
                for (name, value) in latencies {
                    let _ = write!(out, "\"{name}\": {value:.3}, ");
                }
                let _ = write!(out, "\"samples\": {}}}", latency.len());
            }
            _ => out.push_str("null"),
        }
        out.push_str(",\n  \"broker\": ");
        match self.cost() {
            Some(cost) => {
                let _ = write!(
                    out,
                    "{{\"cpu_seconds\": {:.2}, \"cpu_seconds_per_gb\": {}, \"cpu_us_per_request\": {}, \"peak_rss_mib\": {:.1}}}",
                    cost.cpu,
                    number(cost.per_gb),
                    number(cost.micros_per_request),
                    cost.peak_mib
                );
            }
            None => out.push_str("null"),
        }
        let errors: Vec<String> = self
            .errors
            .iter()
            .map(|(name, count)| format!("{}: {count}", quoted(name)))
            .collect();
        let _ = write!(out, ",\n  \"errors\": {{{}}}\n}}\n", errors.join(", "));
        out
    }
}

struct Cost {
    cpu: f64,
    per_gb: Option<f64>,
    micros_per_request: Option<f64>,
    peak_mib: f64,
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} requests, {} records, {:.1} MB in {:.2} s: {:.0} requests/s, {:.0} records/s, {:.1} MB/s",
            self.requests,
            self.records,
            self.bytes as f64 / 1e6,
            self.took.as_secs_f64(),
            self.per_second(self.requests),
            self.per_second(self.records),
            self.per_second(self.bytes) / 1e6,
        )?;
        if let (Some(latencies), Some(latency)) = (self.latencies(), &self.latency) {
            let values: Vec<String> = latencies
                .iter()
                .map(|(name, value)| format!("{name} {value:.3}"))
                .collect();
            let samples = latency.len();
            writeln!(
                out,
                "latency in ms: {} ({samples} samples)",
                values.join(", ")
            )?;
        }
        if let Some(cost) = self.cost() {
            writeln!(
                out,
                "broker: {:.2} CPU-seconds, {:.2} per GB, {:.1} us per request, peak memory since its start {:.0} MiB",
                cost.cpu,
                cost.per_gb.unwrap_or(f64::NAN),
                cost.micros_per_request.unwrap_or(f64::NAN),
                cost.peak_mib,
            )?;
        }
        for (name, count) in &self.errors {
            writeln!(out, "error: {name}: {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut latency = histogram();
        for micros in 1..=1000 {
            latency.record(micros * 10).expect("within bounds");
        }
        let usage = |seconds| Usage {
            cpu: Duration::from_secs(seconds),
            peak_kib: 2048,
        };
        Report {
            requests: 1000,
            records: 64_000,
            bytes: 2_000_000_000,
            took: Duration::from_secs(4),
            latency: Some(latency),
            broker: Some((usage(1), usage(3))),
            ..Report::new("produce")
        }
    }

    #[test]
    fn rates_and_costs() {
        let text = report().to_string();
        assert!(
            text.contains("250 requests/s, 16000 records/s, 500.0 MB/s"),
            "{text}"
        );
        assert!(text.contains("p50 5.00"), "{text}");
        assert!(
            text.contains("2.00 CPU-seconds, 1.00 per GB, 2000.0 us per request"),
            "{text}"
        );
        assert!(text.contains("2 MiB"), "{text}");
    }

    #[test]
    fn percentiles_are_of_the_merged_samples() {
        let mut fast = histogram();
        let mut slow = histogram();
        fast.record_n(1_000, 99).expect("within bounds");
        slow.record_n(1_000_000, 1).expect("within bounds");
        fast.add(slow).expect("the same bounds");
        let latencies = Report {
            latency: Some(fast),
            ..report()
        }
        .latencies()
        .expect("there are samples");
        let near = |index: usize, expected: f64| {
            let (name, value) = latencies[index];
            assert!((value / expected - 1.0).abs() < 0.001, "{name} {value}");
        };
        near(2, 1.0);
        near(3, 1_000.0);
        near(4, 1_000.0);
    }

    #[test]
    fn json_says_the_same() {
        let mut report = report();
        report.errors.insert("a \"name\"\n".to_owned(), 2);
        let text = report.json("produce --topic t");
        for part in [
            "\"run\": \"produce\", \"command\": \"produce --topic t\"",
            "\"requests\": 1000, \"records\": 64000, \"bytes\": 2000000000, \"seconds\": 4.0000",
            "\"mb_per_second\": 500.000",
            "\"samples\": 1000}",
            "\"cpu_seconds\": 2.00, \"cpu_seconds_per_gb\": 1.0000, \"cpu_us_per_request\": 2000.0000",
            "\"errors\": {\"a \\\"name\\\"\\u000a\": 2}",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(
            Report::new("consume")
                .json("")
                .contains("\"latency_ms\": null")
        );
    }

    #[test]
    fn an_error_fails_the_run() {
        assert!(report().finish(None, None, None, None).is_ok());
        let mut failed = report();
        failed.errors.insert("CORRUPT_MESSAGE".to_owned(), 1);
        assert!(failed.finish(None, None, None, None).is_err());
        assert!(report().finish(Some(1), None, None, None).is_err());
        assert!(
            Report::new("produce")
                .finish(None, None, None, None)
                .is_err()
        );
    }
}
