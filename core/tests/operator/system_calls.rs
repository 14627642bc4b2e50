//! System calls of a produce request, counted by strace while a fixed load runs: a bound that no busy machine moves far.
//!
//! Never a time. perf/README.md says what to do when the bound is exceeded.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use bytes::Bytes;
use rinka_net::wire::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use rinka_net::wire::{ApiKey, ErrorCode, Records, Text};

use crate::support::broker::{Broker, BrokerSettings};
use crate::support::toolchain::{Absent, need, skip};
use crate::support::{admin, wire::Connection};

/// So many requests are sent together, then awaited together.
struct Load {
    in_flight: u64,
    rounds: u64,
    /// Of all kinds, the ticks of the shard while the load runs among them.
    calls_max: f64,
    /// Receiving and sending.
    socket_calls_max: f64,
}

/// A call for many requests: bounds about twice what was counted (0.47; 0.08).
const TOGETHER: Load = Load {
    in_flight: 50,
    rounds: 10,
    calls_max: 1.0,
    socket_calls_max: 0.5,
};

/// One at a time: it is received, written and flushed, answered, and the core sleeps two or three times (4.6 counted; 2.0).
const ALONE: Load = Load {
    in_flight: 1,
    rounds: 300,
    calls_max: 10.0,
    socket_calls_max: 2.5,
};

/// Of Produce.
const VERSION: i16 = 9;

#[test]
fn produce_requests_that_come_together_cost_few_system_calls() {
    count(&TOGETHER);
}

#[test]
fn a_lone_produce_request_costs_few_system_calls() {
    count(&ALONE);
}

fn count(load: &Load) {
    const SUITE: &str = "system calls of a produce request";
    if let Err(absent) = need(SUITE, &["strace"]) {
        return skip(&absent);
    }
    let broker = Broker::start(
        BrokerSettings::new("node")
            .with("rinka.shards", "1")
            .with("rinka.spin.us", "0"),
    );
    if !broker.is_rinka() {
        return;
    }
    admin::create_topic(broker.bootstrap(), "counted", 1, &[]);
    let mut connection = Connection::open(broker.bootstrap());
    let batch = crate::batch(1, &[7; 100]);
    // The first ones open files.
    for _ in 0..20 {
        connection.produce("counted", 0, batch.clone());
    }
    let counts = broker.directory().join("system-calls");
    let mut strace = Command::new("strace")
        .args(["-f", "-c", "-U", "calls,name", "-o"])
        .arg(&counts)
        .args(["-p", &broker.pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace");
    let mut said = BufReader::new(strace.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("strace says something");
    if !line.contains("attached") {
        let _ = strace.wait();
        return skip(&Absent {
            suite: SUITE,
            missing: format!("strace may not attach: {line}"),
            impossible: true,
        });
    }
    let request = request(batch);
    for _ in 0..load.rounds {
        let send = |_| connection.send(ApiKey::Produce, VERSION, &request);
        let sent: Vec<i32> = (0..load.in_flight).map(send).collect();
        for correlation in sent {
            let answer: ProduceResponse = connection.receive(ApiKey::Produce, VERSION, correlation);
            let partition = &answer.responses[0].partition_responses[0];
            assert_eq!(partition.error_code, ErrorCode::NONE);
        }
    }
    // Told to end it lets go of the broker and writes its table.
    let interrupted = Command::new("kill")
        .args(["-s", "INT", &strace.id().to_string()])
        .status();
    assert!(interrupted.expect("kill").success());
    strace.wait().expect("strace ends");
    let table = std::fs::read_to_string(&counts).expect("strace's table");
    let calls = total(&table, |_| true);
    let of_sockets = |name: &str| name.starts_with("recv") || name.starts_with("send");
    let socket_calls = total(&table, of_sockets);
    assert!(socket_calls > 0, "no answer without a call: {table}");
    for (what, calls, bound) in [
        ("system calls", calls, load.calls_max),
        ("calls of sockets", socket_calls, load.socket_calls_max),
    ] {
        let each = calls as f64 / (load.in_flight * load.rounds) as f64;
        println!("{each:.2} {what} a request, bound {bound}");
        assert!(
            each <= bound,
            "{each:.2} {what} a request, bound {bound}; perf/README.md says what to do\n{table}"
        );
    }
}

fn request(batch: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: Text::from("counted"),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Records(Some(vec![batch])),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Of the lines `calls name`, without the one that is their sum.
fn total(table: &str, counts: impl Fn(&str) -> bool) -> u64 {
    let lines = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (count, name) = (words.next()?.parse::<u64>().ok()?, words.next()?);
        (name != "total" && counts(name)).then_some(count)
    });
    lines.sum()
}

#[test]
fn a_table_is_summed_without_its_sum() {
    let table = "  calls syscall\n------- --------------\n    412 io_uring_enter\n      8 read\n------- --------------\n    420 total\n";
    assert_eq!(total(table, |_| true), 420);
    assert_eq!(total(table, |name| name == "read"), 8);
    assert_eq!(total("nothing", |_| true), 0);
}
