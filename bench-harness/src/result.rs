//! The one file that a run leaves: what was asked, of whom, on which machine, what came of it, and whether that counts.
//!
//! Plain data. Never computes a figure from another run, and never averages: percentiles are read from one merged histogram.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Goes up when a field changes its meaning or goes away; a new field that may be absent does not change it.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RunResult {
    pub(crate) format_version: u32,
    pub(crate) tool_version: String,
    pub(crate) command: Vec<String>,
    /// When the run began, in milliseconds since 1970.
    pub(crate) began_ms: i64,
    pub(crate) workload: Workload,
    pub(crate) broker: Broker,
    pub(crate) machine: Machine,
    /// From the end of the warm-up to the end of the schedule; the figures below are of this time unless they say otherwise.
    pub(crate) measured_seconds: f64,
    pub(crate) produced: Flow,
    pub(crate) consumed: Flow,
    /// Acknowledgement minus the intended time (open loop) or the send (closed loop).
    pub(crate) publish: Option<Latency>,
    /// Consumption minus the intended time (open loop) or the send (closed loop).
    pub(crate) end_to_end: Option<Latency>,
    /// From the intended time until the request was handed to the socket: what the client itself or its limit of requests in flight cost.
    pub(crate) send_delay: Option<Latency>,
    pub(crate) seconds: Vec<Second>,
    pub(crate) verification: Option<Verification>,
    pub(crate) broker_use: Option<ProcessUse>,
    pub(crate) client_use: Option<ProcessUse>,
    pub(crate) device: Option<DeviceUse>,
    pub(crate) noise: Noise,
    pub(crate) verdict: Verdict,
}

/// What was to be done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) shows: String,
    pub(crate) flatters: String,
    pub(crate) durability: Durability,
    pub(crate) schedule: Schedule,
    /// Requests a second; none in a closed loop.
    pub(crate) offered_requests_per_second: Option<f64>,
    pub(crate) partitions: u32,
    pub(crate) connections: u32,
    /// Requests of a connection that await their answer; 0 is no limit.
    pub(crate) in_flight: u32,
    pub(crate) records_per_batch: u32,
    pub(crate) record_bytes: u32,
    pub(crate) consumers: u32,
    pub(crate) acks: i16,
    pub(crate) idempotent: bool,
    pub(crate) warm_up_seconds: f64,
    pub(crate) seconds: f64,
}

/// What an acknowledgement survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// In the memory of in-sync replicas.
    Mem,
    /// The end of every broker's process.
    #[default]
    Kill,
    /// The loss of power: flushed before the acknowledgement.
    Power,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Schedule {
    /// Waits for answers: tells the most that a broker takes.
    #[default]
    Closed,
    /// Equal distances.
    Constant,
    /// Independent arrivals.
    Poisson,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Broker {
    pub(crate) address: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// As given on the command line of the tool.
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) pid: Option<u32>,
    pub(crate) command: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cpus: u32,
    pub(crate) memory_bytes: u64,
    /// Of the broker's data, as in `/sys/block`.
    pub(crate) device: String,
    /// As the kernel lists them (`0-1`, `1`).
    pub(crate) broker_cpus: String,
    pub(crate) client_cpus: String,
    /// Of the tool's sources, when it runs in them.
    pub(crate) commit: String,
}

/// One direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Flow {
    /// Acknowledged, or fetches that brought records.
    pub(crate) requests: u64,
    pub(crate) records: u64,
    /// Of batches with their headers; not of the frames around them.
    pub(crate) bytes: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) records_per_second: f64,
    pub(crate) bytes_per_second: f64,
    /// Of what the schedule wanted; none in a closed loop and for consumers.
    pub(crate) achieved_share: Option<f64>,
    /// How often, by name.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// All in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Latency {
    pub(crate) samples: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    #[serde(rename = "p99.9")]
    pub(crate) p99_9: u64,
    #[serde(rename = "p99.99")]
    pub(crate) p99_99: u64,
    pub(crate) max: u64,
    /// Value and count of every bucket that is not empty, ascending; three digits.
    pub(crate) histogram: Vec<(u64, u64)>,
}

/// Of one second of the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Second {
    /// From the end of the warm-up.
    pub(crate) second: u32,
    /// Acknowledged, or fetched when the run has consumers only.
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) publish: Option<SecondLatency>,
    pub(crate) end_to_end: Option<SecondLatency>,
}

/// All in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SecondLatency {
    pub(crate) samples: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// Counts of records, the warm-up's included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Verification {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Once for every consumer.
    pub(crate) read_back: u64,
    /// Acknowledged and not read back.
    pub(crate) lost: u64,
    pub(crate) duplicate: u64,
    pub(crate) out_of_order: u64,
    /// A wrong sum, or a payload that nobody sent.
    pub(crate) damaged: u64,
    /// The first few, in words.
    pub(crate) examples: Vec<String>,
}

/// What a process used within the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ProcessUse {
    pub(crate) user_seconds: f64,
    pub(crate) system_seconds: f64,
    /// Since the process began.
    pub(crate) rss_peak_bytes: u64,
    /// Resident when it was looked at.
    pub(crate) rss_bytes: u64,
    pub(crate) switches_voluntary: u64,
    pub(crate) switches_involuntary: u64,
}

/// What the device of the broker's data did within the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DeviceUse {
    pub(crate) flushes: u64,
    pub(crate) writes: u64,
    pub(crate) bytes_written: u64,
    pub(crate) bytes_read: u64,
    /// So many at least, if every acknowledgement came after a flush that began after its request.
    pub(crate) flushes_needed: u64,
}

/// How quiet the machine was within the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Noise {
    /// How late a sleep of a millisecond ends.
    pub(crate) hiccup_p50_us: u64,
    pub(crate) hiccup_p99_9_us: u64,
    pub(crate) hiccup_max_us: u64,
    pub(crate) hiccup_samples: u64,
    pub(crate) steal_share: f64,
    /// Share of the time in which some task waited, where the kernel tells.
    pub(crate) pressure_cpu_share: Option<f64>,
    pub(crate) pressure_io_share: Option<f64>,
    pub(crate) pressure_memory_share: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Verdict {
    /// The figures may be quoted.
    pub(crate) accepted: bool,
    /// Why not.
    pub(crate) refused: Vec<String>,
    /// Faults that were allowed on the command line: quote them with the figures.
    pub(crate) marks: Vec<String>,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            samples: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: histogram.max(),
            histogram: histogram
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        }
    }
}

impl SecondLatency {
    /// `None` of nothing.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            samples: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        })
    }
}

impl RunResult {
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("plain data without keys that are no text") + "\n"
    }

    /// A file of a newer format is not guessed at.
    #[allow(dead_code, reason = "for those who read files: a report, a comparison")]
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let result: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match result.format_version {
            FORMAT_VERSION => Ok(result),
            other => Err(format!("format {other}; this tool reads {FORMAT_VERSION}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_as_it_was_written() {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 3).expect("constant bounds");
        for value in [1, 20, 20, 300, 4_000_000] {
            histogram.record(value).expect("within bounds");
        }
        let result = RunResult {
            format_version: FORMAT_VERSION,
            publish: Some(Latency::of(&histogram)),
            seconds: vec![Second {
                publish: SecondLatency::of(&histogram),
                ..Second::default()
            }],
            verification: Some(Verification::default()),
            ..RunResult::default()
        };
        assert_eq!(RunResult::parse(&result.json()), Ok(result.clone()));

        let other = RunResult {
            format_version: FORMAT_VERSION + 1,
            ..result
        };
        assert!(RunResult::parse(&other.json()).is_err());
        assert!(RunResult::parse("{}").is_err());
    }

    #[test]
    fn a_histogram_can_be_made_again_from_its_pairs() {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 3).expect("constant bounds");
        for value in (1..100_000).step_by(7) {
            histogram.record(value).expect("within bounds");
        }
        let latency = Latency::of(&histogram);
        let mut again = Histogram::new_with_bounds(1, 60_000_000, 3).expect("constant bounds");
        for (value, count) in &latency.histogram {
            again.record_n(*value, *count).expect("within bounds");
        }
        assert_eq!(Latency::of(&again), latency);
    }
}
