//! A named workload: what it shows, whom it flatters, and its shape, from a small TOML file that the command line may override.
//!
//! Only says what is to be done; a key that nobody knows is an error.

use serde::Deserialize;

use crate::frame::STAMP_BYTES;
use crate::result::{Durability, Schedule, Workload};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    /// In a sentence.
    shows: String,
    /// Which design looks better here than elsewhere.
    flatters: String,
    #[serde(default)]
    durability: Durability,
    schedule: Schedule,
    /// In an open loop, of all connections together.
    requests_per_second: Option<f64>,
    partitions: u32,
    connections: u32,
    #[serde(default)]
    in_flight: u32,
    records_per_batch: u32,
    record_bytes: u32,
    #[serde(default)]
    consumers: u32,
    #[serde(default = "all")]
    acks: i16,
    #[serde(default)]
    idempotent: bool,
    warm_up_seconds: f64,
    seconds: f64,
}

fn all() -> i16 {
    -1
}

/// What a file says.
pub(crate) fn parse(text: &str) -> Result<Workload, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(Workload {
        name: file.name,
        shows: file.shows,
        flatters: file.flatters,
        durability: file.durability,
        schedule: file.schedule,
        offered_requests_per_second: file.requests_per_second,
        partitions: file.partitions,
        connections: file.connections,
        in_flight: file.in_flight,
        records_per_batch: file.records_per_batch,
        record_bytes: file.record_bytes,
        consumers: file.consumers,
        acks: file.acks,
        idempotent: file.idempotent,
        warm_up_seconds: file.warm_up_seconds,
        seconds: file.seconds,
    })
}

/// What cannot be done is told before anything is.
pub(crate) fn check(workload: &Workload) -> Result<(), String> {
    let Workload {
        partitions,
        connections,
        records_per_batch,
        ..
    } = *workload;
    let open = workload.schedule != Schedule::Closed;
    let rate = workload.offered_requests_per_second;
    let complaint = if partitions == 0 || connections == 0 || records_per_batch == 0 {
        "partitions, connections and records per batch are 1 at least"
    } else if partitions > 1_000_000 || records_per_batch > 100_000 {
        "at most 1,000,000 partitions and 100,000 records per batch"
    } else if workload.record_bytes < STAMP_BYTES as u32 {
        "a record has 32 bytes at least: its stamp"
    } else if u64::from(workload.record_bytes) * u64::from(records_per_batch) > 64 << 20 {
        "a batch has 64 MiB at most"
    } else if !matches!(workload.acks, -1 | 1) {
        "acks is -1 or 1: without answers there is nothing to measure"
    } else if open && !rate.is_some_and(|rate| rate > 0.0 && rate.is_finite()) {
        "an open loop needs a rate above 0"
    } else if !open && rate.is_some() {
        "a closed loop has no rate"
    } else if !open && workload.in_flight == 0 {
        "a closed loop needs a limit of requests in flight"
    } else if workload.idempotent && !(1..=5).contains(&workload.in_flight) {
        "an idempotent producer has 1 to 5 requests in flight"
    } else if !(workload.seconds > 0.0
        && workload.seconds <= 1e6
        && (0.0..=1e6).contains(&workload.warm_up_seconds))
    {
        "seconds is above 0, warm-up 0 at least"
    } else {
        return Ok(());
    };
    Err(format!("workload {}: {complaint}", workload.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file beside the tool, by its name.
    fn files() -> Vec<(String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../perf/workloads");
        let entries = std::fs::read_dir(folder).expect("the folder of workloads");
        entries
            .map(|entry| {
                let path = entry.expect("a readable folder").path();
                let name = path
                    .file_stem()
                    .expect("a file")
                    .to_string_lossy()
                    .into_owned();
                (
                    name,
                    std::fs::read_to_string(&path).expect("a readable file"),
                )
            })
            .collect()
    }

    #[test]
    fn the_named_workloads_can_be_run() {
        let files = files();
        assert!(files.len() > 5);
        for (name, text) in files {
            let workload = parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(workload.name, name);
            assert_eq!(check(&workload), Ok(()));
            assert!(
                workload.shows.len() > 10 && workload.flatters.len() > 10,
                "{name}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let (_, text) = &files()[0];
        assert!(parse(&format!("unknown = 1\n{text}")).is_err());
        let right = parse(text).expect("a workload");
        let wrong: [fn(&mut Workload); 6] = [
            |workload| workload.partitions = 0,
            |workload| workload.record_bytes = 31,
            |workload| workload.acks = 0,
            |workload| {
                workload.schedule = Schedule::Poisson;
                workload.offered_requests_per_second = Some(0.0);
            },
            |workload| {
                workload.schedule = Schedule::Closed;
                workload.offered_requests_per_second = None;
                workload.in_flight = 0;
            },
            |workload| workload.seconds = f64::NAN,
        ];
        for change in wrong {
            let mut workload = right.clone();
            change(&mut workload);
            assert!(check(&workload).is_err(), "{workload:?}");
        }
    }
}
