//! The tools that need no broker, on what a real broker left behind: `rinka dump` beside Kafka's own DumpLogSegments, and
//! `rinka doctor` on directories that are whole and on ones that were damaged on purpose.
//!
//! - `cargo test -p rinka-core --test offline -- --nocapture`
//! - `KAFKA_JARS`: where the jars of Apache Kafka are; fetched with mvn when it is not set.

mod dump;
mod kafka;
mod load;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::broker::{Broker, BrokerSettings};

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) findings: String,
}

impl Printed {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        Self {
            code: output.status.code().expect("it ended by itself"),
            output: String::from_utf8(output.stdout).expect("UTF-8"),
            findings: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// Runs one of Rinka's tools.
pub(crate) fn rinka(tool: &str, options: &[&str], files: &[PathBuf]) -> Printed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rinka"));
    Printed::of(command.arg(tool).args(options).args(files))
}

/// A broker that was filled and has stopped in good order.
pub(crate) fn stopped_broker() -> Broker {
    let mut broker = Broker::start(BrokerSettings::new("node"));
    load::create_topics(&broker);
    load::fill(&broker);
    let ended = broker.terminate();
    assert!(ended.status.success(), "{ended:?}");
    broker
}
