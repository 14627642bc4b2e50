//! What a run comes to: counts, rates, latencies, the broker's CPU.
//!
//! Percentiles come from one merged histogram, never from averages of several.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cpu::Usage;

/// 1 microsecond to 60 seconds, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("constant bounds")
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    /// In microseconds; a closed loop's: from the send to the answer.
    pub(crate) latency: Option<Histogram<u64>>,
    /// Before and after.
    pub(crate) broker: Option<(Usage, Usage)>,
}

impl Report {
    fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.took.as_secs_f64()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        writeln!(
            out,
            "{} requests, {} records, {:.1} MB in {seconds:.2} s: {:.0} requests/s, {:.0} records/s, {:.1} MB/s",
            self.requests,
            self.records,
            self.bytes as f64 / 1e6,
            self.requests as f64 / seconds,
            self.records as f64 / seconds,
            self.megabytes_per_second(),
        )?;
        if let Some(latency) = &self.latency {
            let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
            writeln!(
                out,
                "latency in ms: p50 {:.3}, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3} ({} samples)",
                at(0.5),
                at(0.9),
                at(0.99),
                at(0.999),
                latency.max() as f64 / 1000.0,
                latency.len(),
            )?;
        }
        if let Some((before, after)) = &self.broker {
            let cpu = (after.cpu - before.cpu).as_secs_f64();
            writeln!(
                out,
                "broker: {cpu:.2} CPU-seconds, {:.2} per GB, {:.1} us per request, peak memory {:.0} MiB",
                cpu * 1e9 / self.bytes.max(1) as f64,
                cpu * 1e6 / self.requests.max(1) as f64,
                after.peak_kib as f64 / 1024.0,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_costs() {
        let mut latency = histogram();
        for micros in 1..=1000 {
            latency.record(micros * 10).expect("within bounds");
        }
        let usage = |seconds| Usage {
            cpu: Duration::from_secs(seconds),
            peak_kib: 2048,
        };
        let report = Report {
            requests: 1000,
            records: 64_000,
            bytes: 2_000_000_000,
            took: Duration::from_secs(4),
            latency: Some(latency),
            broker: Some((usage(1), usage(3))),
        };
        let text = report.to_string();
        assert!(
            text.contains("250 requests/s, 16000 records/s, 500.0 MB/s"),
            "{text}"
        );
        assert!(text.contains("p50 5.00"), "{text}");
        assert!(
            text.contains(
                "2.00 CPU-seconds, 1.00 per GB, 2000.0 us per request, peak memory 2 MiB"
            ),
            "{text}"
        );
    }
}
