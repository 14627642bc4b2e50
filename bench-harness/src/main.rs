//! `rinka-bench`: load for any broker that speaks the Kafka protocol, from batches that are made before the clock starts.
//!
//! Measures and prints; never decides which broker is the better one.

mod affinity;
mod batch;
mod client;
mod compare;
mod consume;
mod cpu;
mod engine;
mod floor;
mod flushes;
mod frame;
mod idle;
mod machine;
mod page;
mod produce;
mod report;
mod result;
mod run;
mod schedule;
mod series;
mod start;
mod summary;
mod topics;
mod verdict;
mod verify;
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "rinka-bench",
    version,
    about = "Load generator for any Kafka-protocol broker",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A workload, open or closed loop, with every record read back; refuses what may not be quoted
    #[command(after_help = "\
Example, 1,000 requests a second against a broker on core 1:
  rinka-bench run --workload perf/workloads/e2e-1k.toml --cpu 0 --pid $(pgrep -x rinka) --data-dir /tmp/speed --json run.json")]
    Run(Box<run::Run>),
    /// Closed loop: each connection keeps a number of produce requests in flight
    #[command(after_help = "\
Example, 64 KiB batches over 16 partitions:
  rinka-bench produce --bootstrap 127.0.0.1:9092 --topic speed --create --partitions 16 --pid $(pgrep -x rinka)")]
    Produce(produce::Produce),
    /// Read a topic from its beginning to the end it had at the start, checking every batch
    Consume(consume::Consume),
    /// Two brokers under the same load, in turns
    Compare(Box<compare::Command>),
    /// What this machine can do at best: sockets, sums, copies, flushed writes, within half a minute
    Floor(floor::Command),
    /// From a broker's start to its first acknowledgement, and its memory then
    Start(start::Command),
    /// Many partitions: how long they take to make, and what each weighs
    Topics(topics::Command),
    /// Consumers that wait for records that do not come: what they cost the broker
    Idle(idle::Command),
    /// Results of runs as one page: table, plots, machine and commands
    Report(page::Command),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(work) => run::run(&work),
        Command::Produce(work) => produce::run(&work),
        Command::Consume(work) => consume::run(&work),
        Command::Compare(command) => compare::run(&command),
        Command::Floor(command) => floor::run(&command),
        Command::Start(command) => start::run(&command),
        Command::Topics(command) => topics::run(&command),
        Command::Idle(command) => idle::run(&command),
        Command::Report(command) => page::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rinka-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
