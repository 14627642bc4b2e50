//! The `start` command: from a broker's start to its first acknowledgement, and what it weighs then.
//!
//! The clock begins before the process does, and ends with an acknowledged record. Never looks at what the broker prints.

use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::affinity::{Cores, pinned};
use crate::batch::{Batch, Tail};
use crate::client::{Client, Result};
use crate::machine::{self, MIB};
use crate::produce::produce_one;

/// Between two tries to connect: what a start seems to take longer at most.
const TRY_EVERY: Duration = Duration::from_micros(500);

#[derive(Args)]
#[command(after_help = "\
Example, an empty directory, then the same one after kill -9:
  rinka-bench start --cpu 1 --kill -- target/release/rinka serve --set log.dirs=/tmp/fresh
  rinka-bench start --cpu 1 --kill -- target/release/rinka serve --set log.dirs=/tmp/fresh")]
pub(crate) struct Command {
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// Gets the record; created with one partition unless it is there
    #[arg(long, default_value = "first-ack")]
    topic: String,
    /// Cores of the broker
    #[arg(long)]
    cpu: Option<Cores>,
    /// The broker gets so long
    #[arg(long, default_value_t = 300)]
    within_seconds: u64,
    /// Look at its memory this long after the acknowledgement
    #[arg(long, default_value_t = 0)]
    settle_seconds: u64,
    /// End it with kill -9 [SIGTERM, and wait]
    #[arg(long)]
    kill: bool,
    /// Leave it running
    #[arg(long, conflicts_with = "kill")]
    leave: bool,
    /// The broker's command
    #[arg(last = true, required = true)]
    broker: Vec<String>,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    if Client::connect(&command.bootstrap).is_ok() {
        return Err(format!(
            "something answers at {} already",
            command.bootstrap
        ));
    }
    let mut process = Process::new(&command.broker[0]);
    process
        .args(&command.broker[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let begun = Instant::now();
    let child = pinned(command.cpu.as_ref(), || process.spawn())?
        .map_err(|error| format!("{}: {error}", command.broker[0]))?;
    let mut broker = Broker { child, ours: true };
    let acknowledged = first_acknowledgement(command, begun, &mut broker.child)?;
    let pid = broker.child.id();
    let used = || machine::process(pid).ok_or("the broker is gone");
    let at_once = used()?;
    std::thread::sleep(Duration::from_secs(command.settle_seconds));
    println!(
        "first acknowledgement after {:.0} ms; {:.2} CPU-seconds until then; {:.1} MiB resident, {:.1} MiB at most",
        acknowledged.as_secs_f64() * 1e3,
        at_once.user_seconds + at_once.system_seconds,
        used()?.rss_bytes as f64 / MIB,
        at_once.rss_peak_bytes as f64 / MIB
    );
    broker.ours = !command.leave;
    if command.leave || command.kill {
        return Ok(());
    }
    broker.end()
}

/// Ended when this is dropped, unless it is left running.
struct Broker {
    child: Child,
    ours: bool,
}

impl Broker {
    fn end(&mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        self.ours = false;
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.ours {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How long it took. Tries again and again, whatever the broker says meanwhile.
fn first_acknowledgement(command: &Command, begun: Instant, child: &mut Child) -> Result<Duration> {
    let mut tail: Option<Arc<Tail>> = None;
    let mut batch = Batch::new(0, 1, 100, None, &mut tail);
    let mut attempt = || -> Result<()> {
        let mut client = Client::connect(&command.bootstrap)?;
        client.create_topic(&command.topic, 1)?;
        let topic = client.topic(&command.topic)?;
        let leader = topic
            .leaders
            .get(&0)
            .ok_or("the topic has no partition 0")?;
        produce_one(&mut Client::connect(leader)?, &command.topic, 0, &mut batch)
    };
    loop {
        let error = match attempt() {
            Ok(()) => return Ok(begun.elapsed()),
            Err(error) => error,
        };
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("the broker ended: {status}"));
        }
        if begun.elapsed() > Duration::from_secs(command.within_seconds) {
            return Err(format!("no acknowledgement in time: {error}"));
        }
        std::thread::sleep(TRY_EVERY);
    }
}
