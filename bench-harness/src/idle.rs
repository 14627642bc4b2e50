//! The `idle` command: consumers that wait for records that do not come, and what they cost the broker.
//!
//! Each has a fetch parked at the topic's end all the time; it brings nothing, and the next one follows.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use clap::Args;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchTopic};
use rinka_net::wire::{ApiKey, Text, encode_request};

use crate::client::{Client, Mark, Result};
use crate::machine;

/// By topic name, and spoken by every broker of the last years.
const VERSION: i16 = 11;

/// Events taken at a time.
const EVENTS: usize = 1024;

#[derive(Args)]
#[command(after_help = "\
Example:
  rinka-bench idle --consumers 1000 --create --pid $(pgrep -x rinka)")]
pub(crate) struct Command {
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    #[arg(long, default_value = "quiet")]
    topic: String,
    /// Create the topic unless it is there
    #[arg(long)]
    create: bool,
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Connections, each with a fetch of one partition
    #[arg(long, default_value_t = 1000)]
    consumers: usize,
    /// `fetch.max.wait.ms`; 500 is what Kafka's clients have
    #[arg(long, default_value_t = 500)]
    wait_ms: i32,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The broker's process, to tell its CPU time
    #[arg(long)]
    pid: Option<u32>,
}

/// A connection whose answers are only counted.
struct Consumer {
    stream: TcpStream,
    request: Vec<u8>,
    /// Bytes of the answer that have come.
    answer: Vec<u8>,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let mut client = Client::connect(&command.bootstrap)?;
    if command.create {
        client.create_topic(&command.topic, command.partitions)?;
    }
    let topic = client.topic(&command.topic)?;
    let ends = topic.offsets(&command.topic, Mark::Latest)?;
    let partitions: Vec<(i32, String)> = topic.leaders.into_iter().collect();
    let failed = |error: std::io::Error| error.to_string();
    let mut poll = Poll::new().map_err(failed)?;
    let mut consumers = Vec::with_capacity(command.consumers);
    for number in 0..command.consumers {
        let (partition, leader) = &partitions[number % partitions.len()];
        let stream = std::net::TcpStream::connect(leader)
            .map_err(|error| format!("consumer {number} cannot connect: {error}"))?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry()
            .register(&mut stream, Token(number), Interest::READABLE)
            .map_err(failed)?;
        let mut consumer = Consumer {
            stream,
            request: fetch(command, *partition, ends[partition]),
            answer: Vec::new(),
        };
        consumer.ask()?;
        consumers.push(consumer);
    }
    // The first round is not counted: connections are young, and rooms for reading still change.
    serve(&mut poll, &mut consumers, Duration::from_secs(2))?;
    let before = command.pid.and_then(machine::process);
    let begun = Instant::now();
    let answers = serve(
        &mut poll,
        &mut consumers,
        Duration::from_secs(command.seconds),
    )?;
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{} consumers: {:.0} fetches/s brought nothing",
        consumers.len(),
        answers as f64 / took
    );
    if let (Some(before), Some(after)) = (before, command.pid.and_then(machine::process)) {
        let used = after.since(&before);
        let cpu = used.user_seconds + used.system_seconds;
        println!(
            "broker: {:.2} % of a core, {:.1} us a fetch, {:.0} context switches/s, {:.1} MiB resident",
            100.0 * cpu / took,
            1e6 * cpu / (answers as f64).max(1.0),
            (used.switches_voluntary + used.switches_involuntary) as f64 / took,
            after.rss_bytes as f64 / machine::MIB
        );
    }
    Ok(())
}

fn fetch(command: &Command, partition: i32, offset: i64) -> Vec<u8> {
    let request = FetchRequest {
        replica_id: -1,
        max_wait_ms: command.wait_ms,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: Text::from(command.topic.clone()),
            partitions: vec![FetchPartition {
                partition,
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let name = Text::from("rinka-bench");
    encode_request(ApiKey::Fetch, VERSION, 0, Some(&name), &request).concat()
}

/// Counts answers until the time is over, and asks again after each.
fn serve(poll: &mut Poll, consumers: &mut [Consumer], time: Duration) -> Result<u64> {
    let mut events = Events::with_capacity(EVENTS);
    let end = Instant::now() + time;
    let mut answers = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(answers);
        }
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(|error| error.to_string())?,
        }
        for event in &events {
            answers += consumers[event.token().0].receive()?;
        }
    }
}

impl Consumer {
    fn ask(&mut self) -> Result<()> {
        // So few bytes always find room in a socket that has nothing else to send.
        self.stream
            .write_all(&self.request)
            .map_err(|error| format!("the broker takes no fetch: {error}"))
    }

    fn receive(&mut self) -> Result<u64> {
        let mut part = [0; 4096];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => return Err("the broker ended a connection".to_owned()),
                Ok(bytes) => self.answer.extend_from_slice(&part[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let Some(length) = self.answer.first_chunk::<4>() else {
            return Ok(0);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if self.answer.len() < 4 + length {
            return Ok(0);
        }
        self.answer.clear();
        self.ask()?;
        Ok(1)
    }
}
