//! `rinka-bench floor`: what this machine can do at best, and how far from it a result is.
//!
//! Never speaks to a broker; what it measures is one thread, one socket and one file, with plain system calls.

mod distance;
mod measure;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

pub(crate) use distance::{Distance, Measured, distance};

use crate::affinity::Cores;
use crate::client::Result;

/// Blocks of a journal, small to large.
const WRITE_BYTES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

#[derive(Args)]
pub(crate) struct Command {
    /// Folder on the disk to measure; holds a file of 64 MiB meanwhile
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Cores of what stands for the broker: the writer, and the side of the socket that answers
    #[arg(long)]
    cpu: Option<Cores>,
    /// Cores of what stands for the client
    #[arg(long)]
    client_cpu: Option<Cores>,
    /// Moments instead of seconds: to try the tool, no result
    #[arg(long)]
    quick: bool,
    /// Also write it as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The machine's best, in one minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Floor {
    /// Always `floor`, by which a file of it is known.
    pub(crate) kind: String,
    /// 100 bytes to another thread over the loopback and back.
    pub(crate) round_trip_us: Percentiles,
    pub(crate) stream_mb_per_second: f64,
    /// Of 64 KiB in the cache.
    pub(crate) crc32c_gb_per_second: f64,
    /// 16 KiB again and again.
    pub(crate) copy_hot_gb_per_second: f64,
    /// 128 MiB to another 128 MiB.
    pub(crate) copy_cold_gb_per_second: f64,
    /// One at a time, `O_DIRECT | O_DSYNC`, over zeros that are on the disk already; empty where the file system has no `O_DIRECT`.
    pub(crate) flushed_writes: Vec<Write>,
    /// 4 KiB, `O_DIRECT` alone.
    pub(crate) write_us: Option<Percentiles>,
    /// The `fdatasync` behind it.
    pub(crate) flush_us: Option<Percentiles>,
    pub(crate) system_call_ns: f64,
    pub(crate) clock_ns: f64,
    /// How it was measured, and what could not be.
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) samples: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) bytes: u64,
    pub(crate) latency_us: Percentiles,
    pub(crate) mb_per_second: f64,
}

impl Percentiles {
    /// Of durations in any order; `None` of none.
    fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        // The smallest sample that so large a part of them does not exceed.
        let at = |percent: usize| {
            let rank = (samples.len() * percent).div_ceil(100).max(1);
            samples.get(rank - 1).map(|took| took.as_secs_f64() * 1e6)
        };
        Some(Self {
            p50: at(50)?,
            p99: at(99)?,
            samples: samples.len() as u64,
        })
    }
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let floor = measure::floor(command)?;
    print!("{floor}");
    if let Some(file) = &command.json {
        let text = serde_json::to_string_pretty(&floor).map_err(|error| error.to_string())?;
        std::fs::write(file, text + "\n")
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(())
}

impl fmt::Display for Floor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut latency = |name: &str, at: &Percentiles, more: &str| {
            writeln!(
                out,
                "{name:<38} p50 {:>8.1} us   p99 {:>8.1} us{more}",
                at.p50, at.p99
            )
        };
        latency("loopback round trip, 100 B", &self.round_trip_us, "")?;
        for write in &self.flushed_writes {
            let name = format!("write O_DIRECT|O_DSYNC, {} KiB", write.bytes >> 10);
            let rate = format!("   {:>7.0} MB/s", write.mb_per_second);
            latency(&name, &write.latency_us, &rate)?;
        }
        if let Some(write) = &self.write_us {
            latency("write O_DIRECT, 4 KiB", write, "")?;
        }
        if let Some(flush) = &self.flush_us {
            latency("fdatasync behind it", flush, "")?;
        }
        for (name, value, unit) in [
            ("loopback stream", self.stream_mb_per_second, "MB/s"),
            ("CRC-32C, 64 KiB", self.crc32c_gb_per_second, "GB/s"),
            ("copy, hot", self.copy_hot_gb_per_second, "GB/s"),
            ("copy, cold", self.copy_cold_gb_per_second, "GB/s"),
            ("system call", self.system_call_ns, "ns"),
            ("clock", self.clock_ns, "ns"),
        ] {
            writeln!(out, "{name:<38} {value:>12.1} {unit}")?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) fn example() -> Floor {
    let latency = |p50| Percentiles {
        p50,
        p99: p50 * 2.0,
        samples: 1000,
    };
    let write = |bytes, p50| Write {
        bytes,
        latency_us: latency(p50),
        mb_per_second: bytes as f64 / p50,
    };
    Floor {
        kind: "floor".into(),
        round_trip_us: latency(50.0),
        stream_mb_per_second: 2000.0,
        crc32c_gb_per_second: 30.0,
        copy_hot_gb_per_second: 150.0,
        copy_cold_gb_per_second: 19.0,
        flushed_writes: vec![
            write(4 << 10, 70.0),
            write(64 << 10, 130.0),
            write(1 << 20, 800.0),
        ],
        write_us: Some(latency(35.0)),
        flush_us: Some(latency(35.0)),
        system_call_ns: 128.0,
        clock_ns: 22.0,
        notes: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_that_was_taken() {
        let micros = |values: &[u64]| values.iter().copied().map(Duration::from_micros).collect();
        assert_eq!(Percentiles::of(vec![]), None);
        let one = Percentiles::of(micros(&[7])).expect("a sample");
        assert_eq!((one.p50, one.p99, one.samples), (7.0, 7.0, 1));
        // The 99th of a hundred is the last but one: a single straggler does not move it.
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let hundred = Percentiles::of(micros(&hundred)).expect("samples");
        assert_eq!((hundred.p50, hundred.p99), (50.0, 99.0));
    }

    #[test]
    fn a_quick_floor_has_every_figure() {
        let dir = tempfile::tempdir().expect("a folder");
        let floor = measure::floor(&Command {
            dir: dir.path().to_owned(),
            cpu: None,
            client_cpu: None,
            quick: true,
            json: None,
        })
        .expect("a floor");
        let direct = floor.notes.iter().all(|note| !note.contains("refuses"));
        assert_eq!(floor.flushed_writes.len(), if direct { 5 } else { 0 });
        assert_eq!(floor.flush_us.is_some(), direct);
        for figure in [
            floor.round_trip_us.p50,
            floor.stream_mb_per_second,
            floor.crc32c_gb_per_second,
            floor.copy_hot_gb_per_second,
            floor.copy_cold_gb_per_second,
            floor.system_call_ns,
            floor.clock_ns,
        ] {
            assert!(figure.is_finite() && figure > 0.0, "{floor:?}");
        }
        assert_eq!(
            dir.path().read_dir().expect("the folder").count(),
            0,
            "the file is gone again"
        );
        let text = serde_json::to_string(&floor).expect("JSON");
        let read: Floor = serde_json::from_str(&text).expect("a floor");
        assert_eq!(read.kind, "floor");
        assert_eq!(read.flushed_writes.len(), floor.flushed_writes.len());
    }
}
