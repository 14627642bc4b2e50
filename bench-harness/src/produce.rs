//! The produce run: connections that each keep a number of requests in flight, until the time is over.
//!
//! Batches are made and summed once; of an idempotent producer's only the sequence number and the sum change.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use rinka_net::wire::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use rinka_net::wire::{ApiKey, Records, Text, decode_response, encode_request};
use rinka_storage::record_batch::RecordBatchBuilder;

use crate::client::{Client, Result, Topic};
use crate::cpu;
use crate::report::{Report, histogram};

/// Flexible, and spoken by every broker of the last years.
const VERSION: i16 = 9;

#[derive(Args, Clone, Debug)]
pub(crate) struct Produce {
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    #[arg(long, default_value = "bench")]
    topic: String,
    /// Create the topic, with this many partitions, unless it is there
    #[arg(long)]
    create: bool,
    #[arg(long, default_value_t = 16)]
    partitions: i32,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    #[arg(long, default_value_t = 64)]
    records_per_batch: i32,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// -1: all in-sync replicas, 1: the leader
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    acks: i16,
    /// Number batches as an idempotent producer does
    #[arg(long)]
    idempotent: bool,
    /// The broker's process, to tell its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
}

pub(crate) fn run(work: &Produce) -> Result<()> {
    if !matches!(work.acks, -1 | 1) {
        return Err("--acks is -1 or 1: without answers there is nothing to measure".to_owned());
    }
    let mut client = Client::connect(&work.bootstrap)?;
    if work.create {
        client.create_topic(&work.topic, work.partitions)?;
    }
    let topic = client.topic(&work.topic)?;
    let before = work.pid.and_then(cpu::usage);
    let started = Instant::now();
    let results: Vec<Result<Done>> = std::thread::scope(|scope| {
        let connections: Vec<_> = (0..work.connections)
            .map(|number| {
                scope.spawn({
                    let topic = &topic;
                    move || connection(work, topic, number)
                })
            })
            .collect();
        connections
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err("a connection's thread panicked".to_owned()))
            })
            .collect()
    });
    let took = started.elapsed();
    let after = work.pid.and_then(cpu::usage);
    let mut requests = 0;
    let mut latency = histogram();
    let mut bytes = 0;
    for result in results {
        let done = result?;
        requests += done.requests;
        bytes += done.bytes;
        latency.add(done.latency).expect("the same bounds");
    }
    let records = requests * u64::try_from(work.records_per_batch).unwrap_or(0);
    print!(
        "{}",
        Report {
            requests,
            records,
            bytes,
            took,
            latency: Some(latency),
            broker: before.zip(after)
        }
    );
    Ok(())
}

struct Done {
    requests: u64,
    bytes: u64,
    latency: Histogram<u64>,
}

/// A partition's batch, and the sequence number of the next one.
struct Source {
    partition: i32,
    builder: RecordBatchBuilder,
    sequence: i32,
    /// What is sent again and again where no sequence number changes.
    batch: Bytes,
}

/// One connection: to one broker, over those of its partitions that fall to this connection.
fn connection(work: &Produce, topic: &Topic, number: usize) -> Result<Done> {
    let mut brokers: Vec<&String> = topic.leaders.values().collect();
    brokers.sort();
    brokers.dedup();
    let broker = brokers[number % brokers.len()];
    let of_broker: Vec<i32> = topic
        .leaders
        .iter()
        .filter(|(_, leader)| *leader == broker)
        .map(|(partition, _)| *partition)
        .collect();
    // Connections to one broker share its partitions out: an idempotent producer must be alone with its numbers anyway.
    let mut client = Client::connect(broker)?;
    let producer_id = if work.idempotent {
        client.producer_id()?
    } else {
        -1
    };
    let mut sources: Vec<Source> = of_broker
        .iter()
        .cycle()
        .skip(number)
        .take(of_broker.len())
        .map(|partition| source(work, *partition, producer_id))
        .collect();
    let name = Text::from("rinka-bench");
    let mut done = Done {
        requests: 0,
        bytes: 0,
        latency: histogram(),
    };
    let mut sent: VecDeque<(Instant, u64)> = VecDeque::with_capacity(work.in_flight);
    let end = Instant::now() + Duration::from_secs(work.seconds);
    let mut next = 0;
    loop {
        while sent.len() < work.in_flight && Instant::now() < end {
            let source = &mut sources[next];
            let batch = source.next_batch(producer_id, work.records_per_batch);
            next = (next + 1) % of_broker.len();
            let bytes = batch.len() as u64;
            let request = ProduceRequest {
                acks: work.acks,
                timeout_ms: 30_000,
                topic_data: vec![TopicProduceData {
                    name: Text::from(work.topic.clone()),
                    partition_data: vec![PartitionProduceData {
                        index: source.partition,
                        records: Records(Some(vec![batch])),
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            sent.push_back((Instant::now(), bytes));
            client.send(&encode_request(
                ApiKey::Produce,
                VERSION,
                0,
                Some(&name),
                &request,
            ))?;
        }
        let Some((at, bytes)) = sent.pop_front() else {
            return Ok(done);
        };
        let frame = client.receive()?;
        let micros = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
        done.latency.saturating_record(micros);
        done.requests += 1;
        done.bytes += bytes;
        let (_, response): (_, ProduceResponse) =
            decode_response(ApiKey::Produce, VERSION, frame).map_err(|error| error.to_string())?;
        let mut partitions = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        if let Some(failed) = partitions.find(|partition| partition.error_code.is_error()) {
            return Err(format!(
                "partition {} answered {}",
                failed.index, failed.error_code
            ));
        }
    }
}

/// splitmix64: incompressible, and the same every time.
fn fill(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).to_le_bytes()
    })
    .flatten()
    .take(bytes)
    .collect()
}

fn source(work: &Produce, partition: i32, producer_id: i64) -> Source {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(0);
    let mut builder = RecordBatchBuilder::new();
    for record in 0..work.records_per_batch {
        let seed = (u64::from(partition.cast_unsigned()) << 32) | u64::from(record.cast_unsigned());
        builder.append(now, None, Some(&fill(seed, work.record_bytes)));
    }
    if producer_id >= 0 {
        builder = builder.producer(producer_id, 0, 0);
    }
    let batch = builder.build();
    Source {
        partition,
        builder,
        sequence: 0,
        batch,
    }
}

impl Source {
    fn next_batch(&mut self, producer_id: i64, records: i32) -> Bytes {
        if producer_id < 0 {
            return self.batch.clone();
        }
        let batch = self
            .builder
            .clone()
            .producer(producer_id, 0, self.sequence)
            .build();
        self.sequence = self.sequence.checked_add(records).unwrap_or(0);
        batch
    }
}
