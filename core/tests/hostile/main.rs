//! What a stranger can send to the port: every row of the table of hostile input that concerns the APIs there are, on raw sockets
//! against the real binary. Each row states the exact answer, or the end of the connection and its time; after each the broker
//! is alive and serves others. The attacks measure what others notice meanwhile.
//!
//! Rows that concern what is not built: 2, 48-50 (SASL), 51 (TLS), 43-45 (groups), and of 47 the timeout (transactions).
//!
//! - `cargo test -p rinka-core --test hostile -- --nocapture`
//! - `RINKA_HOSTILE_ROWS=28,29`: these rows only.

mod attack;
mod fetch;
mod frames;
mod limits;
mod peer;
mod produce;
#[path = "../support/mod.rs"]
mod support;
mod topics;
mod well_behaved;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use support::broker::{Broker, BrokerSettings};
use well_behaved::WellBehaved;

/// One at a time: bounds of time and memory are asserted.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A row of the table.
struct Row {
    number: u8,
    text: &'static str,
    check: fn(&Stage),
}

/// Shorter than a struct literal in a table.
const fn row(number: u8, text: &'static str, check: fn(&Stage)) -> Row {
    Row {
        number,
        text,
        check,
    }
}

/// What a row plays on.
struct Stage {
    broker: Mutex<Broker>,
    bootstrap: String,
}

impl Stage {
    fn start(settings: BrokerSettings) -> Self {
        let broker = Broker::start(settings);
        Self {
            bootstrap: broker.bootstrap().to_owned(),
            broker: Mutex::new(broker),
        }
    }

    fn connect(&self) -> peer::Peer {
        peer::Peer::connect(&self.bootstrap)
    }

    fn broker(&self) -> std::sync::MutexGuard<'_, Broker> {
        self.broker
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The memory that the broker has in use now, in MiB.
    fn resident_mib(&self) -> u64 {
        self.status_mib("VmRSS:")
    }

    /// The most that it has had in use while `run` ran, in MiB, and how much it was before.
    fn peak_mib(&self, run: impl FnOnce()) -> Memory {
        let before = self.resident_mib();
        // 5 makes the kernel forget the peak so far.
        std::fs::write(format!("/proc/{}/clear_refs", self.broker().pid()), "5")
            .expect("a child of ours");
        run();
        let peak = self.status_mib("VmHWM:");
        Memory { before, peak }
    }

    fn status_mib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.broker().pid()))
            .expect("the broker runs");
        let line = status.lines().find(|line| line.starts_with(field));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.expect("a line of it").parse::<u64>().expect("a number") / 1024
    }
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    before: u64,
    peak: u64,
}

impl Memory {
    #[track_caller]
    fn assert_grew_less_than(self, mib: u64) {
        assert!(self.peak < self.before + mib, "{self:?}, in MiB");
    }
}

/// Runs each row, also after one that failed; then says all that failed, by number and text.
fn play(settings: BrokerSettings, rows: &[Row]) {
    let _turn = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let only: Option<Vec<u8>> = std::env::var("RINKA_HOSTILE_ROWS")
        .ok()
        .map(|text| text.split(',').filter_map(|row| row.parse().ok()).collect());
    let stage = Stage::start(settings);
    WellBehaved::new(&stage.bootstrap).round_trip();
    let mut failed = Vec::new();
    for row in rows {
        if only
            .as_ref()
            .is_some_and(|only| !only.contains(&row.number))
        {
            continue;
        }
        let began = Instant::now();
        let played = catch_unwind(AssertUnwindSafe(|| {
            (row.check)(&stage);
            stage.broker().assert_running();
            // The kernel deals connections to the shards by chance: four reach both of two, most of the time.
            for _ in 0..4 {
                WellBehaved::connect(&stage.bootstrap).round_trip();
            }
        }));
        let _ = writeln!(
            std::io::stderr(),
            "row {:2} {} {:?}, {} MiB: {}",
            row.number,
            if played.is_ok() { "ok" } else { "FAILED" },
            began.elapsed(),
            stage.resident_mib(),
            row.text
        );
        if played.is_err() {
            failed.push(format!("row {}: {}", row.number, row.text));
        }
    }
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
}

fn settings() -> BrokerSettings {
    BrokerSettings::new("node")
}

#[test]
fn bytes_that_are_no_request() {
    play(settings(), frames::ROWS);
}

#[test]
fn batches_that_no_producer_sends() {
    play(settings(), produce::ROWS);
}

#[test]
fn fetches_that_no_consumer_sends() {
    play(settings(), fetch::ROWS);
}

#[test]
fn topics_that_nobody_wants() {
    play(
        settings().with("auto.create.topics.enable", "true"),
        topics::ROWS,
    );
}

#[test]
fn peers_that_are_slow_or_many() {
    play(limits::settings(), limits::ROWS);
}
