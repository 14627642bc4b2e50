//! The `run` command: a workload against a broker, its figures, and whether they count.
//!
//! Puts the parts together; never touches a figure between the engine and the file.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rinka_net::wire::Text;

use crate::client::{Client, Mark, Result, Topic};
use crate::engine::{Engine, Live, Observer, Outcome, Plan, ProducerPlan};
use crate::frame::{ProduceFrame, Template};
use crate::machine::{self, Device, FlushCount, NoiseWatch};
use crate::result::{
    Broker, DeviceUse, Durability, FORMAT_VERSION, ProcessUse, RunResult, Schedule, Second,
    Workload,
};
use crate::schedule::Arrivals;
use crate::{summary, verdict, workload};

#[derive(Args, Clone, Debug)]
pub(crate) struct Run {
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// What to do; the options below override its keys
    #[arg(
        long,
        value_name = "FILE",
        default_value = "perf/workloads/e2e-1k.toml"
    )]
    workload: PathBuf,
    /// A topic that is used and kept [default: one of this run, deleted at its end]
    #[arg(long)]
    topic: Option<String>,
    /// What an acknowledgement survives, as the broker is configured; `power` is proven by the device's flushes
    #[arg(long, value_enum)]
    durability: Option<Durability>,
    #[arg(long, value_enum)]
    schedule: Option<Schedule>,
    /// Requests a second of all connections together, in an open loop
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long)]
    partitions: Option<u32>,
    #[arg(long)]
    connections: Option<u32>,
    /// Requests of a connection without an answer yet; 0: no limit
    #[arg(long)]
    in_flight: Option<u32>,
    #[arg(long)]
    records_per_batch: Option<u32>,
    #[arg(long)]
    record_bytes: Option<u32>,
    /// Groups that read everything at the tail; 0: read back once when the load is over
    #[arg(long)]
    consumers: Option<u32>,
    /// -1: all in-sync replicas, 1: the leader
    #[arg(long, allow_hyphen_values = true)]
    acks: Option<i16>,
    /// Number batches as an idempotent producer does
    #[arg(long)]
    idempotent: bool,
    #[arg(long)]
    warm_up_seconds: Option<f64>,
    #[arg(long)]
    seconds: Option<f64>,
    /// Of random arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Bytes asked for per partition and fetch
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(i32).range(1..))]
    fetch_bytes: i32,
    /// Bind the tool to this core
    #[arg(long)]
    cpu: Option<usize>,
    /// Sleep when nothing is due, instead of asking the sockets all the time: costs latency, saves a core
    #[arg(long)]
    park: bool,
    /// The broker's process, to tell its CPU time, memory and context switches
    #[arg(long)]
    pid: Option<u32>,
    /// The broker's name and version for the result
    #[arg(long, default_value = "")]
    broker_name: String,
    #[arg(long, default_value = "")]
    broker_version: String,
    /// A setting of the broker for the result; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    broker_config: Vec<String>,
    /// Where the broker's data is: tells the device whose writes and flushes are counted
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// That device by its name in /sys/block
    #[arg(long, conflicts_with = "data_dir")]
    device: Option<String>,
    /// A machine that is not quiet marks the result instead of refusing it
    #[arg(long)]
    allow_noise: bool,
    /// Write the result to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(work: &Run) -> Result<()> {
    let workload = shape(work)?;
    let began_ms = now_ms();
    let device = device(work)?;
    if work.pid.is_some_and(|pid| machine::process(pid).is_none()) {
        return Err("--pid: no such process".to_owned());
    }
    let broker = broker(work)?;
    let mut client = Client::connect(&work.bootstrap)?;
    let topic_name = match &work.topic {
        Some(name) => name.clone(),
        None => format!("bench-{}-{began_ms}", workload.name),
    };
    client.create_topic(&topic_name, workload.partitions as i32)?;
    let topic = client.topic(&topic_name)?;
    if topic.leaders.len() != workload.partitions as usize {
        let has = topic.leaders.len();
        return Err(format!("topic {topic_name} has {has} partitions"));
    }

    let mut watch = Watch {
        noise: NoiseWatch::start(),
        pid: work.pid,
        device: device.clone(),
        before: Counters::default(),
        after: Counters::default(),
    };
    let live = Arc::new(Live::default());
    let progress = Progress::start(&workload, Arc::clone(&live));
    bind(work.cpu)?;
    let plan = plan(work, &workload, topic_name.clone(), topic, began_ms as u64)?;
    let outcome = Engine::new(plan, &live).and_then(|engine| engine.run(began_ms, &mut watch));
    progress.finish();
    if work.topic.is_none() {
        // The figures stand, whatever becomes of the topic.
        if let Err(error) = client.delete_topic(&topic_name) {
            eprintln!("rinka-bench: {error}");
        }
    }
    let outcome = outcome?;

    let flush_count = device.as_ref().map(Device::flush_count);
    let mut result = assemble(workload, outcome, watch);
    result.began_ms = began_ms;
    result.broker = broker;
    result.machine.device = device.map(|device| device.name()).unwrap_or_default();
    result.machine.broker_cpus = work.pid.map(machine::cpus_allowed).unwrap_or_default();
    result.machine.client_cpus = work.cpu.map_or_else(
        || machine::cpus_allowed(std::process::id()),
        |cpu| cpu.to_string(),
    );
    finish(work, result, flush_count)
}

fn finish(work: &Run, mut result: RunResult, flush_count: Option<FlushCount>) -> Result<()> {
    result.verdict = verdict::judge(&result, flush_count, work.allow_noise);
    if work.pid.is_some() && result.broker_use.is_none() {
        result
            .verdict
            .refused
            .push("the broker's process ended".to_owned());
        result.verdict.accepted = false;
    }
    print!("{}", summary::text(&result));
    if let Some(file) = &work.json {
        std::fs::write(file, result.json())
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    match result.verdict.accepted {
        true => Ok(()),
        false => Err("refused: the figures are no result".to_owned()),
    }
}

/// The file's shape with the command line's changes.
fn shape(work: &Run) -> Result<Workload> {
    let file = &work.workload;
    let what = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| what(&error))?;
    let mut workload = workload::parse(&text).map_err(|error| what(&error))?;
    fn change<T: Copy>(place: &mut T, value: Option<T>) {
        *place = value.unwrap_or(*place);
    }
    change(&mut workload.durability, work.durability);
    change(&mut workload.schedule, work.schedule);
    change(&mut workload.partitions, work.partitions);
    change(&mut workload.connections, work.connections);
    change(&mut workload.in_flight, work.in_flight);
    change(&mut workload.records_per_batch, work.records_per_batch);
    change(&mut workload.record_bytes, work.record_bytes);
    change(&mut workload.consumers, work.consumers);
    change(&mut workload.acks, work.acks);
    change(&mut workload.warm_up_seconds, work.warm_up_seconds);
    change(&mut workload.seconds, work.seconds);
    workload.idempotent |= work.idempotent;
    if workload.schedule == Schedule::Closed && work.rate.is_none() {
        workload.offered_requests_per_second = None;
    }
    workload.offered_requests_per_second = work.rate.or(workload.offered_requests_per_second);
    workload::check(&workload)?;
    Ok(workload)
}

fn device(work: &Run) -> Result<Option<Device>> {
    match (&work.device, &work.data_dir) {
        (Some(name), _) => Device::named(name).map(Some),
        (None, Some(directory)) => Device::of(directory).map(Some),
        (None, None) => Ok(None),
    }
}

fn broker(work: &Run) -> Result<Broker> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("--broker-config {text}: KEY=VALUE is needed")),
    };
    let config: Result<BTreeMap<String, String>> = work.broker_config.iter().map(pair).collect();
    Ok(Broker {
        address: work.bootstrap.clone(),
        name: work.broker_name.clone(),
        version: work.broker_version.clone(),
        config: config?,
        pid: work.pid,
        command: work.pid.map(machine::command).unwrap_or_default(),
    })
}

fn bind(cpu: Option<usize>) -> Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return Err(format!("--cpu {cpu}: no such core"));
    }
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).map_err(|error| format!("--cpu {cpu}: {error}"))
}

fn plan(
    work: &Run,
    workload: &Workload,
    topic_name: String,
    topic: Topic,
    run: u64,
) -> Result<Plan> {
    let brokers = topic.brokers();
    if (workload.connections as usize) < brokers.len() {
        return Err(format!(
            "{} addresses lead partitions: with fewer connections some would get no load",
            brokers.len()
        ));
    }
    let template = Template {
        topic: Text::from(topic_name.clone()),
        acks: workload.acks,
        records: workload.records_per_batch,
        record_bytes: workload.record_bytes as usize,
        run,
    };
    let mut streams = 0;
    let mut producers = Vec::new();
    for number in 0..workload.connections as usize {
        let broker = brokers[number % brokers.len()];
        let producer_id = match workload.idempotent {
            true => Some(Client::connect(broker)?.producer_id()?),
            false => None,
        };
        let frames = topic.led_by(broker).map(|partition| {
            streams += 1;
            (
                partition,
                ProduceFrame::new(&template, partition, streams - 1, producer_id),
            )
        });
        producers.push(ProducerPlan {
            broker: broker.to_owned(),
            frames: frames.collect(),
        });
    }
    let mut begin_offsets = vec![0; topic.leaders.len()];
    for (partition, offset) in topic.offsets(&topic_name, Mark::Latest)? {
        let place = begin_offsets.get_mut(partition as usize);
        *place.ok_or("a partition whose number is too large")? = offset;
    }
    let rate = workload.offered_requests_per_second.unwrap_or(1.0);
    Ok(Plan {
        run,
        arrivals: match workload.schedule {
            Schedule::Closed => None,
            Schedule::Constant => Some(Arrivals::constant(rate)),
            Schedule::Poisson => Some(Arrivals::poisson(rate, work.seed)),
        },
        in_flight: (workload.in_flight > 0).then_some(workload.in_flight as usize),
        producers,
        consumers: workload.consumers as usize,
        fetch_bytes: work.fetch_bytes,
        begin_offsets,
        warm_up: Duration::from_secs_f64(workload.warm_up_seconds),
        measured: Duration::from_secs_f64(workload.seconds),
        spin: !work.park,
        topic_name,
        topic,
    })
}

#[derive(Debug, Default)]
struct Counters {
    broker: Option<ProcessUse>,
    client: Option<ProcessUse>,
    device: Option<DeviceUse>,
}

struct Watch {
    noise: NoiseWatch,
    pid: Option<u32>,
    device: Option<Device>,
    before: Counters,
    after: Counters,
}

impl Watch {
    fn counters(&self) -> Counters {
        Counters {
            broker: self.pid.and_then(machine::process),
            client: machine::process(std::process::id()),
            device: self.device.as_ref().and_then(Device::counts),
        }
    }
}

impl Observer for Watch {
    fn begin(&mut self) {
        self.before = self.counters();
        self.noise.begin();
    }

    fn end(&mut self) {
        self.noise.end();
        self.after = self.counters();
    }
}

fn assemble(workload: Workload, outcome: Outcome, watch: Watch) -> RunResult {
    let Watch {
        noise,
        before,
        after,
        ..
    } = watch;
    let used = |before: Option<ProcessUse>, after: Option<ProcessUse>| Some(after?.since(&before?));
    let records = u64::from(workload.records_per_batch);
    let (sent, acked) = (outcome.sent * records, outcome.acked * records);
    let verification = outcome
        .verifiers
        .into_iter()
        .map(|verifier| verifier.finish(sent, acked, records))
        .reduce(|mut all, one| {
            all.add(one);
            all
        });
    let device = after
        .device
        .zip(before.device)
        .map(|(after, before)| DeviceUse {
            flushes_needed: outcome.flushes_needed,
            ..after.since(&before)
        });
    let seconds = outcome
        .acked_seconds
        .iter()
        .enumerate()
        .map(|(second, (requests, bytes))| Second {
            second: second as u32,
            requests: *requests,
            bytes: *bytes,
            publish: outcome.publish_seconds.get(second).copied().flatten(),
            end_to_end: outcome.end_to_end_seconds.get(second).copied().flatten(),
        });
    RunResult {
        format_version: FORMAT_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: std::env::args().collect(),
        machine: machine::describe(),
        measured_seconds: outcome.measured_seconds,
        seconds: seconds.collect(),
        produced: outcome.produced,
        consumed: outcome.consumed,
        publish: outcome.publish,
        end_to_end: outcome.end_to_end,
        send_delay: outcome.send_delay,
        verification,
        broker_use: used(before.broker, after.broker),
        client_use: used(before.client, after.client),
        device,
        noise: noise.finish(),
        workload,
        ..RunResult::default()
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(0)
}

/// A line on a terminal, drawn by a thread of its own: the one that measures never waits for it.
struct Progress {
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    fn start(workload: &Workload, live: Arc<Live>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&ended);
        let seconds = (workload.warm_up_seconds + workload.seconds).ceil() as u64;
        let name = workload.name.clone();
        let thread = std::io::stderr().is_terminal().then(|| {
            std::thread::spawn(move || {
                let style =
                    ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} s  {msg}");
                let style = style.expect("a constant template").progress_chars("=> ");
                let bar = ProgressBar::new(seconds)
                    .with_style(style)
                    .with_prefix(name);
                let mut before = (0, 0);
                for second in 0.. {
                    let requests = live.requests.load(Ordering::Relaxed);
                    let bytes = live.bytes.load(Ordering::Relaxed);
                    let slowest = live.slowest.swap(0, Ordering::Relaxed);
                    let backlog = live.backlog.load(Ordering::Relaxed);
                    bar.set_position(second.min(seconds));
                    bar.set_message(format!(
                        "{} requests/s, {:.1} MB/s, slowest {:.2} ms, {backlog} waiting",
                        requests - before.0,
                        (bytes - before.1) as f64 / 1e6,
                        slowest as f64 / 1e3,
                    ));
                    before = (requests, bytes);
                    std::thread::park_timeout(Duration::from_secs(1));
                    if of_thread.load(Ordering::Relaxed) {
                        break;
                    }
                }
                bar.finish_and_clear();
            })
        });
        Self { ended, thread }
    }

    fn finish(self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread {
            thread.thread().unpark();
            thread.join().expect("it only draws");
        }
    }
}
