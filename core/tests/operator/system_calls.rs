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

/// Sent together, then awaited together. A lone request would be counted with the turns of a shard that waits for the disk, which
/// are a matter of time: 150 of 190 calls.
const IN_FLIGHT: u64 = 50;
const ROUNDS: u64 = 10;
const REQUESTS: u64 = IN_FLIGHT * ROUNDS;

/// Twice what was counted (3.8 to 4.3): most are turns of the ring while the disk writes, more on a slow one.
const CALLS_PER_REQUEST_MAX: f64 = 8.0;

/// Receiving and sending: a call for many requests (0.07 counted), where one for each would be 2.
const SOCKET_CALLS_PER_REQUEST_MAX: f64 = 0.5;

/// Of Produce.
const VERSION: i16 = 9;

#[test]
fn a_produce_request_costs_few_system_calls() {
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
    for _ in 0..ROUNDS {
        let send = |_| connection.send(ApiKey::Produce, VERSION, &request);
        let sent: Vec<i32> = (0..IN_FLIGHT).map(send).collect();
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
        ("system calls", calls, CALLS_PER_REQUEST_MAX),
        (
            "calls of sockets",
            socket_calls,
            SOCKET_CALLS_PER_REQUEST_MAX,
        ),
    ] {
        let each = calls as f64 / REQUESTS as f64;
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
