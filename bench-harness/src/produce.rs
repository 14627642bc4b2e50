//! The produce run: connections that each keep a number of requests in flight, until the time is over.
//!
//! Never counts a request that was not acknowledged; the first error ends the run on every connection and fails it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use rinka_net::wire::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use rinka_net::wire::{ApiKey, Records, Text, decode_response, encode_request};

use crate::batch::{Batch, Tail};
use crate::client::{Client, Mark, Result, Topic};
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
    /// Create the topic unless it is there
    #[arg(long)]
    create: bool,
    /// Partitions the topic has; another number fails the run
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// At least one for each address that leads partitions
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Requests in flight on each connection; an idempotent producer may have 5
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    in_flight: u32,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 1024)]
    record_bytes: usize,
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(i32).range(1..))]
    records_per_batch: i32,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
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
    /// Write the result to this file as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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
    if topic.leaders.len() != work.partitions.cast_unsigned() as usize {
        let has = topic.leaders.len();
        return Err(format!("topic {} has {has} partitions", work.topic));
    }
    // Until everyone leads what it is said to lead.
    topic.offsets(&work.topic, Mark::Latest)?;
    let connections = connect(work, &topic)?;
    let before = cpu::before(work.pid)?;
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let end = started + Duration::from_secs(work.seconds);
    let results: Vec<Done> = std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .into_iter()
            .map(|connection| scope.spawn(|| connection.run(work, end, &stop)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a connection's thread panicked"))
            .collect()
    });
    let took = started.elapsed();
    let after = work.pid.and_then(cpu::usage);
    let mut report = Report::new("produce");
    let mut latency = histogram();
    for done in results {
        report.requests += done.requests;
        report.bytes += done.bytes;
        latency.add(done.latency).expect("the same bounds");
        for (name, count) in done.errors {
            *report.errors.entry(name).or_default() += count;
        }
    }
    report.records = report.requests * u64::from(work.records_per_batch.cast_unsigned());
    report.took = took;
    report.latency = Some(latency);
    report.finish(work.pid, before, after, work.json.as_deref())
}

/// One batch and its acknowledgement.
pub(crate) fn produce_one(
    client: &mut Client,
    topic: &str,
    partition: i32,
    batch: &mut Batch,
) -> Result<()> {
    let records = batch.next(now());
    let sent = Sent {
        at: Instant::now(),
        bytes: records.len() as u64,
        partition,
        correlation: 1,
    };
    let request = request(-1, &Text::from(topic.to_owned()), partition, records);
    let name = Text::from("rinka-bench");
    let number = sent.correlation;
    client.send(encode_request(
        ApiKey::Produce,
        VERSION,
        number,
        Some(&name),
        &request,
    ))?;
    check(client.receive()?, &sent)
}

struct Done {
    requests: u64,
    bytes: u64,
    latency: Histogram<u64>,
    errors: BTreeMap<String, u64>,
}

/// A connection to one broker, and the batches for all partitions which that one leads.
struct Connection {
    client: Client,
    /// By partition. Connections share partitions: each has a producer id, and so sequence numbers, of its own.
    batches: Vec<(i32, Batch)>,
}

/// Makes connections and batches, before the clock starts.
fn connect(work: &Produce, topic: &Topic) -> Result<Vec<Connection>> {
    let brokers = topic.brokers();
    if (work.connections as usize) < brokers.len() {
        return Err(format!(
            "{} addresses lead partitions: with fewer --connections some would get no load",
            brokers.len()
        ));
    }
    let mut tail: Option<Arc<Tail>> = None;
    (0..work.connections as usize)
        .map(|number| {
            let broker = brokers[number % brokers.len()];
            let mut client = Client::connect(broker)?;
            let producer_id = work.idempotent.then(|| client.producer_id()).transpose()?;
            let mut batches: Vec<(i32, Batch)> = topic
                .led_by(broker)
                .map(|partition| {
                    let batch = Batch::new(
                        partition,
                        work.records_per_batch,
                        work.record_bytes,
                        producer_id,
                        &mut tail,
                    );
                    (partition, batch)
                })
                .collect();
            // Not all connections begin with the same partition.
            let partitions = batches.len();
            batches.rotate_left(number % partitions);
            Ok(Connection { client, batches })
        })
        .collect()
}

/// A request without its answer yet.
struct Sent {
    at: Instant,
    bytes: u64,
    partition: i32,
    correlation: i32,
}

impl Connection {
    fn run(mut self, work: &Produce, end: Instant, stop: &AtomicBool) -> Done {
        let mut done = Done {
            requests: 0,
            bytes: 0,
            latency: histogram(),
            errors: BTreeMap::new(),
        };
        let name = Text::from("rinka-bench");
        let topic = Text::from(work.topic.clone());
        let depth = work.in_flight as usize;
        let mut sent: VecDeque<Sent> = VecDeque::with_capacity(depth);
        let mut correlation = 0_i32;
        let mut next = 0;
        loop {
            while sent.len() < depth && Instant::now() < end && !stop.load(Ordering::Relaxed) {
                let partitions = self.batches.len();
                let (partition, batch) = &mut self.batches[next];
                next = (next + 1) % partitions;
                correlation = correlation.wrapping_add(1);
                let at = Instant::now();
                let records = batch.next(now());
                sent.push_back(Sent {
                    at,
                    bytes: records.len() as u64,
                    partition: *partition,
                    correlation,
                });
                let request = request(work.acks, &topic, *partition, records);
                let frame =
                    encode_request(ApiKey::Produce, VERSION, correlation, Some(&name), &request);
                if let Err(error) = self.client.send(frame) {
                    return fail(done, error, stop);
                }
            }
            let Some(oldest) = sent.pop_front() else {
                return done;
            };
            let frame = match self.client.receive() {
                Ok(frame) => frame,
                Err(error) => return fail(done, error, stop),
            };
            let micros = u64::try_from(oldest.at.elapsed().as_micros()).unwrap_or(u64::MAX);
            match check(frame, &oldest) {
                Ok(()) => {
                    done.latency.saturating_record(micros);
                    done.requests += 1;
                    done.bytes += oldest.bytes;
                }
                // What is in flight is still awaited, so that every error is counted.
                Err(error) => done = fail(done, error, stop),
            }
        }
    }
}

fn fail(mut done: Done, error: String, stop: &AtomicBool) -> Done {
    stop.store(true, Ordering::Relaxed);
    *done.errors.entry(error).or_default() += 1;
    done
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(0)
}

fn request(acks: i16, topic: &Text, partition: i32, records: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic.clone(),
            partition_data: vec![PartitionProduceData {
                index: partition,
                records: Records(Some(vec![records])),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// An acknowledgement is an answer to this request, about this partition and no other, with an offset and without an error.
fn check(frame: Bytes, sent: &Sent) -> Result<()> {
    let (correlation, response): (i32, ProduceResponse) =
        decode_response(ApiKey::Produce, VERSION, frame)
            .map_err(|error| format!("answer that cannot be read: {error}"))?;
    if correlation != sent.correlation {
        return Err("answer to another request".to_owned());
    }
    let mut partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    match (partitions.next(), partitions.next()) {
        (Some(answer), None) if answer.error_code.is_error() => {
            Err(answer.error_code.name().to_owned())
        }
        (Some(answer), None) if answer.index == sent.partition && answer.base_offset >= 0 => Ok(()),
        _ => Err("answer that acknowledges something else".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rinka_net::wire::produce::{PartitionProduceResponse, TopicProduceResponse};
    use rinka_net::wire::{ErrorCode, encode_response};

    use super::*;

    fn checked(partitions: Vec<PartitionProduceResponse>) -> Result<()> {
        let response = ProduceResponse {
            responses: vec![TopicProduceResponse {
                partition_responses: partitions,
                ..Default::default()
            }],
            ..Default::default()
        };
        let frame = encode_response(ApiKey::Produce, VERSION, 9, &response).concat();
        let sent = Sent {
            at: Instant::now(),
            bytes: 1,
            partition: 2,
            correlation: 9,
        };
        check(Bytes::from(frame).slice(4..), &sent)
    }

    #[test]
    fn only_an_acknowledgement_of_the_request_counts() {
        let answer = |index, error_code| PartitionProduceResponse {
            index,
            error_code,
            ..Default::default()
        };
        assert_eq!(checked(vec![answer(2, ErrorCode::NONE)]), Ok(()));
        assert!(checked(vec![]).is_err());
        assert!(checked(vec![answer(1, ErrorCode::NONE)]).is_err());
        assert!(checked(vec![answer(2, ErrorCode::NONE), answer(2, ErrorCode::NONE)]).is_err());
        assert_eq!(
            checked(vec![answer(2, ErrorCode::CORRUPT_MESSAGE)]),
            Err("CORRUPT_MESSAGE".to_owned())
        );
    }
}
