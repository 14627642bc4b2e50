//! `rinka produce`: lines become records of a topic, in batches, each acknowledged before the next of its partition is sent.
//!
//! Never loses count: every line is sent, or named with the reason.

mod input;
mod partitioner;
mod sender;
mod tally;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rinka_storage::compression::Codec;

use super::client::{Client, ConnectArguments};
use super::failure::{Failure, Result, failed};
use super::interrupt::Interrupt;
use super::moment;
use super::output::remark;
use input::{Input, LineFormat};
use partitioner::Partitioner;
use sender::{Sender, SenderOptions};

/// How often a wait for input is left to see whether somebody wants to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Write lines to a topic, one record each
#[derive(Args)]
#[command(after_help = "\
Examples:
  echo hello | rinka produce greetings
  rinka produce orders --file orders.txt --key-separator : --compression zstd
  rinka produce orders --header source=import --partition 3 < lines.txt
  echo '{\"key\": \"a\", \"value\": {\"n\": 1}}' | rinka produce orders --json
  rinka consume old --until end --output json | rinka produce new --json

A record with a key goes to the partition that Kafka's default partitioner gives it (murmur2);
others stay with one partition for a batch. With --acks all, batches are sent again without
doubles. The topic is made on demand where the broker allows that.

An object of --json has any of key, value, headers, partition, timestamp (milliseconds or
RFC 3339); keyBase64 and valueBase64 are for bytes that are no text. A value that is no string
is written as the JSON it is; null is a tombstone.

Exit code: 1 when any line was not acknowledged; the lines are named.")]
pub(crate) struct Produce {
    #[command(flatten)]
    connect: ConnectArguments,
    /// Where the records go
    topic: String,
    /// Read this file instead of the standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Each line is a JSON object
    #[arg(long, conflicts_with_all = ["key_separator", "null"])]
    json: bool,
    /// What stands between key and value of a line [default: lines have no keys]
    #[arg(long, short, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_separator: Option<String>,
    /// A key for every record that has none
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Keys and values of this text are null: a null value is a tombstone
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// A header for every record; may be repeated
    #[arg(long, short = 'H', value_name = "KEY=VALUE", value_parser = super::topic::parse_setting)]
    header: Vec<(String, String)>,
    /// The partition of every record that does not name one
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// What an acknowledgement stands on
    #[arg(long, value_enum, default_value_t = Acks::All)]
    acks: Acks,
    /// How batches are packed
    #[arg(long, short = 'z', value_enum, default_value_t = Compression::None)]
    compression: Compression,
    /// No progress and no final count
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Acks {
    /// All in-sync replicas
    #[value(alias = "-1")]
    All,
    /// The leader
    #[value(name = "1")]
    Leader,
    /// Nothing: the broker does not answer, and what it refuses is lost unseen
    #[value(name = "0")]
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

pub(crate) fn run(arguments: Produce) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    let (source, bytes): (Box<dyn Read + Send>, Option<u64>) = match &arguments.file {
        Some(path) => match File::open(path) {
            Ok(file) => {
                let length = file.metadata().ok().map(|file| file.len());
                (Box::new(file), length)
            }
            Err(error) => return failed(format!("cannot read {}: {error}", path.display())),
        },
        None => (Box::new(io::stdin()), None),
    };
    let typed = arguments.file.is_none() && io::stdin().is_terminal();
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let metadata = client.topic_on_demand(&arguments.topic, deadline)?;
    let partitions: Vec<i32> = metadata.topics[&arguments.topic]
        .partitions
        .keys()
        .copied()
        .collect();
    let seed = u64::try_from(moment::now()).unwrap_or(0);
    let Some(partitioner) = Partitioner::new(partitions, seed) else {
        return failed("the topic has no partitions");
    };
    let options = SenderOptions {
        topic: arguments.topic.clone(),
        acks: match arguments.acks {
            Acks::All => -1,
            Acks::Leader => 1,
            Acks::None => 0,
        },
        codec: match arguments.compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip,
            Compression::Snappy => Codec::Snappy,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd,
        },
    };
    let format = LineFormat {
        json: arguments.json,
        key_separator: arguments.key_separator.map(String::into_bytes),
        key: arguments.key.map(String::into_bytes),
        null: arguments.null.map(String::into_bytes),
        headers: arguments.header,
        partition: arguments.partition,
    };
    let sender = Sender::new(client, metadata, partitioner, options)?;
    let progress = progress(!arguments.quiet && !typed, bytes);
    if typed && !arguments.quiet {
        remark("One record a line; end with Ctrl-D.");
    }
    let begun = Instant::now();
    let mut producing = Producing {
        sender,
        format,
        progress,
        interrupt,
    };
    let ended = producing.run(source);
    producing.progress.finish_and_clear();
    let tally = producing.sender.into_tally();
    tally.report(arguments.quiet, &arguments.topic, begun.elapsed());
    ended?;
    match tally.failed() {
        0 => Ok(()),
        1 => failed("1 line was not written"),
        count => failed(format!("{count} lines were not written")),
    }
}

struct Producing {
    sender: Sender,
    format: LineFormat,
    progress: ProgressBar,
    interrupt: Interrupt,
}

impl Producing {
    /// Until the input ends, somebody asks to end, or nothing more can be sent. What was read is sent in each case but the last.
    fn run(&mut self, source: Box<dyn Read + Send>) -> Result<()> {
        let input = Input::begin(source);
        loop {
            let lines = match input.lines.try_recv() {
                Ok(lines) => lines,
                Err(_) => {
                    // Nothing more is there at the moment: what there is need not wait for it.
                    self.flush()?;
                    match input.lines.recv_timeout(LOOK_EVERY) {
                        Ok(lines) => lines,
                        Err(RecvTimeoutError::Timeout) if self.interrupt.is_asked() => {
                            return Ok(());
                        }
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                }
            };
            for (number, line) in lines.map_err(Failure::Failed)? {
                self.progress.inc(line.len() as u64 + 1);
                match self.format.parse(&line, moment::now()) {
                    Ok(record) => self.sender.add(number, record),
                    Err(reason) => self.sender.refuse(number, &reason),
                }
                if self.sender.is_full() {
                    self.flush()?;
                }
            }
            if self.interrupt.is_asked() {
                return self.flush();
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        let result = self.sender.flush();
        let sent = self.sender.sent();
        self.progress
            .set_message(super::output::counted(sent, "record"));
        result
    }
}

/// On the standard error where that is a terminal. `bytes` are in the input, where that is known.
fn progress(wanted: bool, bytes: Option<u64>) -> ProgressBar {
    if !wanted || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match bytes {
        Some(_) => "{bar:30} {percent}%  {msg}  {bytes_per_sec}",
        None => "{spinner} {msg}  {bytes}  {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    let bar = bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style)
}
