//! Carries a run out: one thread, one clock, all producers and consumers on sockets that never block it.
//!
//! An open loop never waits for an answer: what is due and cannot be sent yet queues here, without bound, and its latency counts
//! from the time it was due. Never decides whether the figures count.

mod connection;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Interest, Poll, Token};
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use rinka_net::wire::produce::ProduceResponse;
use rinka_net::wire::{ApiKey, Text, decode_response, encode_request};
use rinka_storage::record_batch::{RecordBatchHeader, verify_crc};

use self::connection::Connection;
use crate::client::Topic;
use crate::flushes::FlushesNeeded;
use crate::frame::{PRODUCE_VERSION, ProduceFrame, Shape};
use crate::result::{Flow, Latency, SecondLatency};
use crate::schedule::Arrivals;
use crate::series::Series;
use crate::verify::{Place, Verifier};

/// The last version that names topics.
const FETCH_VERSION: i16 = 12;

/// A request without an answer for so long has failed.
const ANSWER_WITHIN: u64 = 60 * NANOS;

/// What an open loop could not send so long after its end is given up, and the run with it.
const SENT_WITHIN: u64 = 5 * NANOS;
const NANOS: u64 = 1_000_000_000;

/// Frames are put together up to here, so that small ones share a call.
const SEND_BYTES: usize = 64 << 10;

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) topic_name: String,
    pub(crate) topic: Topic,
    pub(crate) run: u64,
    /// `None` is a closed loop.
    pub(crate) arrivals: Option<Arrivals>,
    /// Of a connection; `None` is no limit.
    pub(crate) in_flight: Option<usize>,
    pub(crate) producers: Vec<ProducerPlan>,
    /// Read while producers write.
    pub(crate) consumers: usize,
    /// Bytes asked for per partition and request.
    pub(crate) fetch_bytes: i32,
    /// The offset where this run begins, by partition.
    pub(crate) begin_offsets: Vec<i64>,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Ask the sockets without ever sleeping.
    pub(crate) spin: bool,
}

/// One connection, and what it sends in turn.
#[derive(Debug)]
pub(crate) struct ProducerPlan {
    pub(crate) broker: String,
    /// With their partitions.
    pub(crate) frames: Vec<(i32, ProduceFrame)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) measured_seconds: f64,
    pub(crate) produced: Flow,
    pub(crate) consumed: Flow,
    pub(crate) publish: Option<Latency>,
    pub(crate) publish_seconds: Vec<Option<SecondLatency>>,
    pub(crate) end_to_end: Option<Latency>,
    pub(crate) end_to_end_seconds: Vec<Option<SecondLatency>>,
    /// From due to sent.
    pub(crate) send_delay: Option<Latency>,
    /// Requests and bytes acknowledged in each second.
    pub(crate) acked_seconds: Vec<(u64, u64)>,
    /// Batches due in the measured time.
    pub(crate) offered: u64,
    pub(crate) flushes_needed: u64,
    /// In batches, of the whole run.
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) verifiers: Vec<Verifier>,
}

/// Counts that another thread may show.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Since someone last looked, in microseconds.
    pub(crate) slowest: AtomicU64,
    /// Due and not sent.
    pub(crate) backlog: AtomicU64,
}

/// The moments at which counters of the machine are read.
pub(crate) trait Observer {
    fn begin(&mut self);
    fn end(&mut self);
}

#[derive(Debug)]
enum Role {
    Producer(Producer),
    Consumer(Consumer),
}

#[derive(Debug)]
struct Producer {
    frames: Vec<(i32, ProduceFrame)>,
    turn: usize,
    /// Intended times of what is not sent yet.
    due: VecDeque<u64>,
    /// In the order of the requests, which is that of the answers.
    sent: VecDeque<Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    correlation: i32,
    partition: i32,
    stream: usize,
    number: u64,
    intended: u64,
    at: u64,
}

#[derive(Debug)]
struct Consumer {
    verifier: usize,
    partitions: Vec<i32>,
    /// A request is under way.
    asked: bool,
}

pub(crate) struct Engine<'live> {
    plan: Plan,
    shape: Shape,
    poll: Poll,
    connections: Vec<(Connection, Role)>,
    producers: usize,
    next_producer: usize,
    next_due: Option<u64>,
    began: Instant,
    /// Milliseconds since 1970 when it began.
    began_ms: i64,
    warm: u64,
    end: u64,
    /// Whether consumers ask for more.
    reading: bool,
    /// The clock of this turn.
    now: u64,
    publish: Series,
    end_to_end: Series,
    send_delay: Series,
    flushes: FlushesNeeded,
    done: Outcome,
    live: &'live Live,
}

impl<'live> Engine<'live> {
    /// Connects; the clock starts with [`Engine::run`].
    pub(crate) fn new(mut plan: Plan, live: &'live Live) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let first = plan
            .producers
            .first()
            .and_then(|producer| producer.frames.first());
        let shape = first
            .ok_or("no producer has a partition")?
            .1
            .shape()
            .clone();
        let streams = plan
            .producers
            .iter()
            .map(|producer| producer.frames.len())
            .sum();
        let mut connections = Vec::new();
        for producer in std::mem::take(&mut plan.producers) {
            let role = Role::Producer(Producer {
                frames: producer.frames,
                turn: connections.len(),
                due: Default::default(),
                sent: Default::default(),
            });
            connections.push((Connection::open(&producer.broker)?, role));
        }
        let producers = connections.len();
        // A run without consumers is read back when it is over.
        let verifiers: Vec<Verifier> = (0..plan.consumers.max(1))
            .map(|_| Verifier::new(streams, plan.begin_offsets.clone()))
            .collect();
        for verifier in 0..verifiers.len() {
            for broker in plan.topic.brokers() {
                let consumer = Consumer {
                    verifier,
                    partitions: plan.topic.led_by(broker).collect(),
                    asked: false,
                };
                connections.push((Connection::open(broker)?, Role::Consumer(consumer)));
            }
        }
        for (number, (connection, _)) in connections.iter_mut().enumerate() {
            poll.registry()
                .register(
                    connection.stream(),
                    Token(number),
                    Interest::READABLE | Interest::WRITABLE,
                )
                .map_err(|error| error.to_string())?;
        }
        let warm = plan.warm_up.as_nanos() as u64;
        Ok(Self {
            end: warm + plan.measured.as_nanos() as u64,
            warm,
            shape,
            poll,
            connections,
            producers,
            next_producer: 0,
            next_due: None,
            began: Instant::now(),
            began_ms: 0,
            reading: plan.consumers > 0,
            now: 0,
            publish: Series::new(),
            end_to_end: Series::new(),
            send_delay: Series::new(),
            flushes: FlushesNeeded::default(),
            done: Outcome {
                verifiers,
                ..Outcome::default()
            },
            live,
            plan,
        })
    }

    pub(crate) fn run(
        mut self,
        began_ms: i64,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, String> {
        self.began = Instant::now();
        self.began_ms = began_ms;
        self.next_due = self.plan.arrivals.as_mut().and_then(Iterator::next);
        let mut events = Events::with_capacity(1024);
        let mut observing = false;
        while self.tick() < self.end && self.done.produced.errors.is_empty() {
            if !observing && self.now >= self.warm {
                observer.begin();
                observing = true;
            }
            self.make_due();
            self.turn(&mut events)?;
        }
        let end = self.now.min(self.end);
        if observing {
            observer.end();
        }
        self.end = end;
        self.done.measured_seconds = end.saturating_sub(self.warm) as f64 / 1e9;
        self.drain(&mut events)?;
        self.read_to_the_end(&mut events)?;
        Ok(self.finish())
    }

    fn tick(&mut self) -> u64 {
        self.now = self.began.elapsed().as_nanos() as u64;
        self.now
    }

    /// What is due goes to the connections in turn; in a closed loop an answer makes the next request due.
    fn make_due(&mut self) {
        if let Some(arrivals) = &mut self.plan.arrivals {
            while let Some(due) = self
                .next_due
                .filter(|due| *due <= self.now && *due < self.end)
            {
                let (_, role) = &mut self.connections[self.next_producer];
                if let Role::Producer(producer) = role {
                    producer.due.push_back(due);
                }
                self.done.offered += u64::from(due >= self.warm);
                self.next_producer = (self.next_producer + 1) % self.producers;
                self.next_due = arrivals.next();
            }
            return;
        }
        let limit = self.plan.in_flight.unwrap_or(1);
        for (_, role) in &mut self.connections[..self.producers] {
            if let Role::Producer(producer) = role {
                while producer.sent.len() + producer.due.len() < limit {
                    producer.due.push_back(self.now);
                }
            }
        }
    }

    /// Sends what can be sent, and takes what has come.
    fn turn(&mut self, events: &mut Events) -> Result<(), String> {
        let mut backlog = 0;
        for number in 0..self.connections.len() {
            self.send(number)?;
            if let Role::Producer(producer) = &self.connections[number].1 {
                backlog += producer.due.len() as u64;
            }
        }
        self.live.backlog.store(backlog, Ordering::Relaxed);
        match self.poll.poll(events, Some(self.patience())) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(error.to_string());
            }
            _ => {}
        }
        for event in events.iter() {
            let number = event.token().0;
            if event.is_writable() {
                self.connections[number].0.can_write();
            }
            if event.is_readable() || event.is_read_closed() {
                self.receive(number)?;
            }
        }
        Ok(())
    }

    /// How long to sleep at most: the kernel wakes us up to a millisecond late.
    fn patience(&self) -> Duration {
        if self.plan.spin {
            return Duration::ZERO;
        }
        let until = self
            .next_due
            .unwrap_or(u64::MAX)
            .min(self.end)
            .saturating_sub(self.now);
        match until / 1_000_000 {
            0 if self.now < self.end => Duration::ZERO,
            millis => Duration::from_millis(millis.saturating_sub(1).min(10)),
        }
    }

    fn send(&mut self, number: usize) -> Result<(), String> {
        let (connection, role) = &mut self.connections[number];
        let failed = |error: io::Error| format!("the broker takes no more: {error}");
        loop {
            if !connection.flush().map_err(failed)? {
                return Ok(());
            }
            match role {
                Role::Producer(producer) => {
                    let limit = self.plan.in_flight.unwrap_or(usize::MAX);
                    while connection.pending() < SEND_BYTES && producer.sent.len() < limit {
                        let Some(intended) = producer.due.pop_front() else {
                            break;
                        };
                        let now = self.began.elapsed().as_nanos() as u64;
                        // A closed loop's request is meant to be sent when it is sent.
                        let intended = if self.plan.arrivals.is_some() {
                            intended
                        } else {
                            now
                        };
                        let frames = producer.frames.len();
                        let (partition, frame) = &mut producer.frames[producer.turn % frames];
                        producer.turn = (producer.turn + 1) % frames;
                        let correlation = connection.next_correlation();
                        let stream = frame.stream() as usize;
                        let timestamp = self.began_ms + (intended / 1_000_000) as i64;
                        let (bytes, batch) = frame.next(correlation, intended, timestamp);
                        connection.push(bytes);
                        self.done.sent += 1;
                        if let Some(since) = intended.checked_sub(self.warm) {
                            let delay = now.saturating_sub(intended) / 1_000;
                            self.send_delay.record((since / NANOS) as usize, delay);
                        }
                        producer.sent.push_back(Sent {
                            correlation,
                            partition: *partition,
                            stream,
                            number: batch,
                            intended,
                            at: now,
                        });
                    }
                }
                Role::Consumer(consumer) if self.reading && !consumer.asked => {
                    let correlation = connection.next_correlation();
                    let verifier = &self.done.verifiers[consumer.verifier];
                    let request = fetch(&self.plan, &consumer.partitions, verifier);
                    let name = Text::from("rinka-bench");
                    let parts = encode_request(
                        ApiKey::Fetch,
                        FETCH_VERSION,
                        correlation,
                        Some(&name),
                        &request,
                    );
                    parts.iter().for_each(|part| connection.push(part));
                    consumer.asked = true;
                    // The next request begins with another partition, so that none is always first.
                    consumer.partitions.rotate_left(1);
                }
                Role::Consumer(_) => {}
            }
            if connection.pending() == 0 {
                return Ok(());
            }
        }
    }

    fn receive(&mut self, number: usize) -> Result<(), String> {
        loop {
            let (connection, _) = &mut self.connections[number];
            let more = connection
                .fill()
                .map_err(|error| format!("the broker does not answer: {error}"))?;
            // After the call that brought the bytes, before the work on them.
            self.tick();
            while let Some(frame) = self.connections[number].0.frame()? {
                match &mut self.connections[number].1 {
                    Role::Producer(producer) => {
                        let sent = producer.sent.pop_front().ok_or("an answer to no request")?;
                        self.on_produced(frame, sent)?;
                    }
                    Role::Consumer(_) => self.on_fetched(number, frame)?,
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn is_measured(&self) -> bool {
        (self.warm..self.end).contains(&self.now)
    }

    fn on_produced(&mut self, frame: Bytes, sent: Sent) -> Result<(), String> {
        let offset = match acknowledged(frame, &sent) {
            Ok(offset) => offset,
            Err(error) => {
                *self.done.produced.errors.entry(error).or_default() += 1;
                return Ok(());
            }
        };
        self.done.acked += 1;
        let place = Place {
            stream: sent.stream,
            number: sent.number,
            offset,
        };
        for verifier in &mut self.done.verifiers {
            verifier.on_acked(place);
        }
        let bytes = self.shape.batch_bytes();
        let micros = self.now.saturating_sub(sent.intended) / 1_000;
        self.live.requests.fetch_add(1, Ordering::Relaxed);
        self.live.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.live.slowest.fetch_max(micros, Ordering::Relaxed);
        if let Some(since) = sent.intended.checked_sub(self.warm) {
            self.publish.record((since / NANOS) as usize, micros);
        }
        if self.is_measured() {
            let flow = &mut self.done.produced;
            flow.requests += 1;
            flow.records += self.shape.records();
            flow.bytes += bytes;
            let second = ((self.now - self.warm) / NANOS) as usize;
            let seconds = &mut self.done.acked_seconds;
            seconds.resize(seconds.len().max(second + 1), (0, 0));
            seconds[second].0 += 1;
            seconds[second].1 += bytes;
            if sent.at >= self.warm {
                self.flushes.on_acked(sent.at, self.now);
            }
        }
        Ok(())
    }

    fn on_fetched(&mut self, number: usize, frame: Bytes) -> Result<(), String> {
        let Role::Consumer(consumer) = &mut self.connections[number].1 else {
            unreachable!("only consumers fetch");
        };
        if !std::mem::take(&mut consumer.asked) {
            return Err("an answer to no fetch".to_owned());
        }
        let verifier = consumer.verifier;
        let (_, response): (i32, FetchResponse) =
            decode_response(ApiKey::Fetch, FETCH_VERSION, frame)
                .map_err(|error| format!("an answer to a fetch that cannot be read: {error}"))?;
        if response.error_code.is_error() {
            return Err(format!("fetch: {}", response.error_code));
        }
        let mut brought = false;
        for data in response
            .responses
            .iter()
            .flat_map(|topic| &topic.partitions)
        {
            let partition = data.partition_index;
            if data.error_code.is_error() {
                return Err(format!("fetch: partition {partition}: {}", data.error_code));
            }
            for records in data.records.0.iter().flatten() {
                brought |= self.on_records(verifier, partition as usize, records);
            }
        }
        if brought && (self.is_measured() || self.plan.consumers == 0) {
            self.done.consumed.requests += 1;
        }
        Ok(())
    }

    /// Whether there was a whole batch.
    fn on_records(&mut self, verifier: usize, partition: usize, records: &[u8]) -> bool {
        let mut rest = records;
        let measured = self.is_measured() || self.plan.consumers == 0;
        while let Ok(header) = RecordBatchHeader::parse(rest) {
            // The last batch of an answer may be cut off.
            let Some((batch, behind)) = rest.split_at_checked(header.size_in_bytes()) else {
                break;
            };
            rest = behind;
            let verifier = &mut self.done.verifiers[verifier];
            let offset = header.base_offset.0;
            let stamp = self
                .shape
                .stamp(batch)
                .filter(|stamp| stamp.run == self.plan.run);
            let (Ok(_), Some(stamp)) = (verify_crc(batch), stamp) else {
                verifier.on_damaged(|| {
                    format!("partition {partition} offset {offset}: not what was sent")
                });
                verifier.pass_over(partition, header.end_offset().0);
                continue;
            };
            let place = Place {
                stream: stamp.stream as usize,
                number: stamp.number,
                offset,
            };
            verifier.on_read(partition, place, self.shape.records());
            if self.plan.consumers > 0
                && let Some(since) = stamp.intended.checked_sub(self.warm)
            {
                let micros = self.now.saturating_sub(stamp.intended) / 1_000;
                self.end_to_end.record((since / NANOS) as usize, micros);
            }
            if measured {
                self.done.consumed.records += self.shape.records();
                self.done.consumed.bytes += batch.len() as u64;
            }
        }
        rest.len() < records.len()
    }

    /// Awaits the answers that are due, and sends what an open loop still has to send.
    fn drain(&mut self, events: &mut Events) -> Result<(), String> {
        let ended = self.tick();
        let failed = !self.done.produced.errors.is_empty();
        loop {
            let mut open = 0;
            let mut given_up = 0;
            let late = self.now > ended + SENT_WITHIN;
            for (_, role) in &mut self.connections {
                if let Role::Producer(producer) = role {
                    // A closed loop owes nobody what it did not send; a run that failed sends no more.
                    let owed = self.plan.arrivals.is_some() && !failed;
                    if owed && late {
                        given_up += producer.due.len() as u64;
                    }
                    if !owed || late {
                        producer.due.clear();
                    }
                    open += producer.sent.len() + producer.due.len();
                }
            }
            if given_up > 0 {
                let name = "due and never sent".to_owned();
                self.done.produced.errors.insert(name, given_up);
            }
            if open == 0 {
                return Ok(());
            }
            if self.tick() > ended + ANSWER_WITHIN {
                let name = "no answer within a minute".to_owned();
                self.done.produced.errors.insert(name, open as u64);
                return Ok(());
            }
            self.turn(events)?;
        }
    }

    /// Until every acknowledged batch is read, or nothing more comes.
    fn read_to_the_end(&mut self, events: &mut Events) -> Result<(), String> {
        self.reading = true;
        let began = self.tick();
        let mut read = 0;
        let mut progress = began;
        while !self.done.verifiers.iter().all(Verifier::has_read_all) {
            self.tick();
            self.turn(events)?;
            let now_read = self.done.verifiers.iter().map(Verifier::read_back).sum();
            if now_read > read {
                read = now_read;
                progress = self.now;
            } else if self.now > progress + 10 * NANOS {
                // What is missing is lost, and counted so.
                break;
            }
        }
        if self.plan.consumers == 0 {
            let seconds = (self.tick() - began) as f64 / 1e9;
            rates(&mut self.done.consumed, seconds);
        }
        Ok(())
    }

    fn finish(mut self) -> Outcome {
        let seconds = self.done.measured_seconds;
        rates(&mut self.done.produced, seconds);
        if self.plan.consumers > 0 {
            rates(&mut self.done.consumed, seconds);
        }
        if self.plan.arrivals.is_some() && self.done.offered > 0 {
            let share = self.done.produced.requests as f64 / self.done.offered as f64;
            self.done.produced.achieved_share = Some(share);
        }
        (self.done.publish, self.done.publish_seconds) = self.publish.finish();
        (self.done.end_to_end, self.done.end_to_end_seconds) = self.end_to_end.finish();
        self.done.send_delay = self.send_delay.finish().0;
        self.done.flushes_needed = self.flushes.count();
        self.done
    }
}

fn rates(flow: &mut Flow, seconds: f64) {
    let rate = |count: u64| {
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    };
    flow.requests_per_second = rate(flow.requests);
    flow.records_per_second = rate(flow.records);
    flow.bytes_per_second = rate(flow.bytes);
}

fn fetch(plan: &Plan, partitions: &[i32], verifier: &Verifier) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic: Text::from(plan.topic_name.clone()),
            partitions: partitions
                .iter()
                .map(|partition| FetchPartition {
                    partition: *partition,
                    fetch_offset: verifier.next_offset(*partition as usize),
                    partition_max_bytes: plan.fetch_bytes,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The offset, if this is an answer to this request, about this partition and no other, without an error.
fn acknowledged(frame: Bytes, sent: &Sent) -> Result<i64, String> {
    let (correlation, response): (i32, ProduceResponse) =
        decode_response(ApiKey::Produce, PRODUCE_VERSION, frame)
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
        (Some(answer), None) if answer.index == sent.partition && answer.base_offset >= 0 => {
            Ok(answer.base_offset)
        }
        _ => Err("answer that acknowledges something else".to_owned()),
    }
}
