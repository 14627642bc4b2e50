//! How far a result is from the floor: the figure, what the machine could do at best, and the ratio of the two.
//!
//! Never a judgement between brokers; a floor names the parts it is the sum of.

use super::Floor;
use crate::result::{Durability, RunResult, Schedule};

/// What of a result is held against the floor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The acknowledgement waits for a flush: class `power`.
    pub(crate) flushed: bool,
    /// Of one request's batches.
    pub(crate) request_bytes: u64,
    pub(crate) ack_p50_us: Option<f64>,
    pub(crate) mb_per_second: Option<f64>,
}

impl Measured {
    pub(crate) fn of(run: &RunResult) -> Self {
        let produced = &run.produced;
        // An open loop's rate is what was asked for, not what could be had.
        let closed = run.workload.schedule == Schedule::Closed;
        Self {
            flushed: run.workload.durability == Durability::Power,
            request_bytes: produced.bytes.checked_div(produced.requests).unwrap_or(0),
            ack_p50_us: run.publish.as_ref().map(|latency| latency.p50 as f64),
            mb_per_second: closed.then_some(produced.bytes_per_second / 1e6),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distance {
    pub(crate) what: &'static str,
    /// What the floor is made of.
    pub(crate) of: String,
    pub(crate) floor: f64,
    /// How many times worse the result is: 1 is the floor, whichever direction is better.
    pub(crate) times: f64,
}

impl Distance {
    pub(crate) fn sentence(&self) -> String {
        format!("{}: {:.1}x the floor, {}", self.what, self.times, self.of)
    }
}

/// Nothing where the result or the floor lacks a part.
pub(crate) fn distance(result: &Measured, floor: &Floor) -> Vec<Distance> {
    let mut distances = Vec::new();
    if let Some(p50) = result.ack_p50_us
        && let Some((best, of)) = ack(result, floor)
    {
        distances.push(Distance {
            what: "ack p50",
            of,
            floor: best,
            times: p50 / best,
        });
    }
    if let Some(rate) = result.mb_per_second.filter(|rate| *rate > 0.0)
        && let Some((best, of)) = throughput(result, floor)
    {
        distances.push(Distance {
            what: "MB/s",
            of,
            floor: best,
            times: best / rate,
        });
    }
    distances
}

/// A round trip, and for a flushed ack the smallest measured write that the request fits in.
fn ack(result: &Measured, floor: &Floor) -> Option<(f64, String)> {
    let trip = floor.round_trip_us.p50;
    if !result.flushed {
        return Some((trip, format!("{trip:.0} us: a round trip")));
    }
    let write = floor
        .flushed_writes
        .iter()
        .find(|write| write.bytes >= result.request_bytes)
        .or(floor.flushed_writes.last())?;
    let best = trip + write.latency_us.p50;
    let of = format!(
        "{best:.0} us: a round trip and a flushed write of {} KiB",
        write.bytes >> 10
    );
    Some((best, of))
}

/// The socket's rate; with flushes the disk's if that is less, in the blocks it likes best, since a journal may gather.
fn throughput(result: &Measured, floor: &Floor) -> Option<(f64, String)> {
    let stream = floor.stream_mb_per_second;
    let writes = floor.flushed_writes.iter().map(|write| write.mb_per_second);
    match writes.reduce(f64::max) {
        None if result.flushed => None,
        Some(disk) if result.flushed && disk < stream => {
            Some((disk, format!("{disk:.0} MB/s: flushed writes")))
        }
        _ => Some((stream, format!("{stream:.0} MB/s: a loopback stream"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn check(flushed: bool, request_bytes: u64, expected: [(f64, f64); 2]) {
        let result = Measured {
            flushed,
            request_bytes,
            ack_p50_us: Some(360.0),
            mb_per_second: Some(500.0),
        };
        let found: Vec<(f64, f64)> = distance(&result, &example())
            .iter()
            .map(|distance| (distance.floor, distance.times))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_flushed_ack_needs_a_trip_and_a_write_that_holds_it() {
        // 1 MiB in 800 us is 1311 MB/s, less than the stream's 2000.
        let disk = 1_048_576.0 / 800.0;
        check(true, 100, [(120.0, 3.0), (disk, disk / 500.0)]);
        check(true, 5000, [(180.0, 2.0), (disk, disk / 500.0)]);
        check(
            true,
            9 << 20,
            [(850.0, 360.0 / 850.0), (disk, disk / 500.0)],
        );
    }

    #[test]
    fn an_ack_from_memory_needs_a_trip_only() {
        check(false, 5000, [(50.0, 7.2), (2000.0, 4.0)]);
    }

    #[test]
    fn what_was_not_measured_is_no_distance() {
        let mut floor = example();
        floor.flushed_writes.clear();
        let mut result = Measured {
            flushed: true,
            request_bytes: 100,
            ack_p50_us: Some(100.0),
            mb_per_second: Some(1.0),
        };
        assert_eq!(distance(&result, &floor), []);
        result.flushed = false;
        let sentences: Vec<String> = distance(&result, &floor)
            .iter()
            .map(Distance::sentence)
            .collect();
        assert_eq!(sentences[0], "ack p50: 2.0x the floor, 50 us: a round trip");
        result.ack_p50_us = None;
        result.mb_per_second = None;
        assert_eq!(distance(&result, &floor), []);
    }
}
