//! The `topics` command: many partitions, how long they take to make and what each weighs.
//!
//! Writes nothing to them: idle ones are what it is about.

use std::time::Instant;

use clap::Args;

use crate::client::{Client, Result};
use crate::machine::{self, MIB};

#[derive(Args)]
#[command(after_help = "\
Example, 100,000 partitions:
  rinka-bench topics --topics 10 --partitions 10000 --pid $(pgrep -x rinka)")]
pub(crate) struct Command {
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// Topics to create, one after another
    #[arg(long, default_value_t = 10)]
    topics: usize,
    /// Of each
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Their names begin with it
    #[arg(long, default_value = "idle")]
    prefix: String,
    /// The broker's process, to tell its memory
    #[arg(long)]
    pid: Option<u32>,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let resident = || {
        let process = command.pid.and_then(machine::process)?;
        Some(process.rss_bytes as f64)
    };
    let mut client = Client::connect(&command.bootstrap)?;
    let before = resident();
    let begun = Instant::now();
    for number in 0..command.topics {
        let name = format!("{}-{number}", command.prefix);
        client.create_topic(&name, command.partitions)?;
        // With a leader for each: only then is it there.
        client.topic(&name)?;
    }
    let took = begun.elapsed();
    let partitions = command.topics * command.partitions.cast_unsigned() as usize;
    println!(
        "{partitions} partitions in {} topics: {:.2} s",
        command.topics,
        took.as_secs_f64()
    );
    if let (Some(before), Some(after)) = (before, resident()) {
        println!(
            "broker: {:.1} MiB resident before, {:.1} MiB after: {:.2} KiB a partition",
            before / MIB,
            after / MIB,
            (after - before) / 1024.0 / partitions as f64
        );
    }
    Ok(())
}
