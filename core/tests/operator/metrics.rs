//! `/metrics`, `/healthz` and `/readyz`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::admin::create_topic;
use crate::support::broker::Broker;
use crate::support::wire::Connection;
use crate::{batch, eventually, settings};

/// Status and body of a GET.
pub(crate) fn get(broker: &Broker, path: &str) -> (u16, String) {
    let line = broker
        .printed()
        .into_iter()
        .find(|line| line.contains("metrics and health on"));
    let line = line.expect("it says where the admin port is");
    let address = line.split("http://").nth(1).expect("an address");
    let address = address.trim_end_matches("/metrics");
    let mut stream = TcpStream::connect(address).expect("the admin port listens");
    let within = Some(Duration::from_secs(10));
    stream
        .set_read_timeout(within)
        .expect("a socket takes a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status line");
    (status.parse().expect("a status"), body.to_owned())
}

/// The sum of a name's samples whose labels have all of these.
pub(crate) fn value(page: &str, name: &str, labels: &[&str]) -> f64 {
    let sample = |line: &&str| {
        let (found, _) = line.rsplit_once(' ').unwrap_or_default();
        let (bare, with) = found.split_once('{').unwrap_or((found, ""));
        bare == name && labels.iter().all(|label| with.contains(label))
    };
    let samples: Vec<f64> = page
        .lines()
        .filter(sample)
        .map(|line| {
            line.rsplit_once(' ')
                .expect("a sample")
                .1
                .parse()
                .expect("a number")
        })
        .collect();
    assert!(!samples.is_empty(), "no {name} with {labels:?} in\n{page}");
    samples.iter().sum()
}

#[test]
fn what_an_ack_stood_on_is_told() {
    let broker = Broker::start(settings());
    create_topic(broker.bootstrap(), "safe", 2, &[]);
    create_topic(broker.bootstrap(), "fast", 1, &[("rinka.ack", "written")]);
    let mut connection = Connection::open(broker.bootstrap());
    for round in 0..7 {
        connection.produce("safe", round % 2, batch(3, b"value"));
    }
    for _ in 0..5 {
        connection.produce("fast", 0, batch(1, b"value"));
    }
    let read = connection.fetch("fast", 0, 0);
    let (status, page) = get(&broker, "/metrics");
    assert_eq!(status, 200);
    let acknowledged = |topic: &str, class: &str| {
        let labels = [
            &*format!("topic=\"{topic}\""),
            &*format!("class=\"{class}\""),
        ];
        value(&page, "rinka_acknowledgements_total", &labels)
    };
    assert_eq!(acknowledged("safe", "flushed"), 7.0);
    assert_eq!(acknowledged("safe", "written"), 0.0);
    assert_eq!(acknowledged("fast", "written"), 5.0);
    assert_eq!(acknowledged("fast", "flushed"), 0.0);
    let of_safe = ["topic=\"safe\""];
    let messages = "kafka_server_brokertopicmetrics_messagesin_total";
    assert_eq!(value(&page, messages, &of_safe), 21.0);
    let bytes_out = "kafka_server_brokertopicmetrics_bytesout_total";
    assert_eq!(
        value(&page, bytes_out, &["topic=\"fast\""]),
        read.len() as f64
    );
    assert_eq!(
        value(&page, "kafka_server_replicamanager_partitioncount", &[]),
        4.0
    );
    let produces = ["request=\"Produce\""];
    assert_eq!(
        value(
            &page,
            "kafka_network_requestmetrics_requests_total",
            &produces
        ),
        12.0
    );
    let blocks = value(&page, "rinka_journal_blocks_total", &[]);
    assert_eq!(value(&page, "rinka_flush_seconds_count", &[]), blocks);
    assert!(blocks >= 12.0 && value(&page, "rinka_flush_seconds_sum", &[]) > 0.0);
    assert!(value(&page, "rinka_unwritten_bytes", &[]) > 0.0);
    assert!(value(&page, "process_resident_memory_bytes", &[]) > 1e6);
    assert_eq!(get(&broker, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&broker, "/readyz"), (200, "ready\n".to_owned()));
    assert_eq!(get(&broker, "/elsewhere").0, 404);
}

#[test]
fn rejected_input_is_told_by_kind() {
    let broker = Broker::start(settings());
    let count = |kind: &str| {
        let label = format!("kind=\"{kind}\"");
        value(
            &get(&broker, "/metrics").1,
            "rinka_rejected_input_total",
            &[&label],
        )
    };
    assert_eq!(count("frame_too_large"), 0.0);
    let mut web = TcpStream::connect(broker.bootstrap()).expect("it listens");
    web.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it reads");
    let mut nothing = Vec::new();
    let _ = web.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
    eventually("one frame was too large", || {
        count("frame_too_large") == 1.0
    });
    assert_eq!(count("unknown_api"), 0.0);
}

#[test]
fn what_recovery_did_is_told() {
    let mut broker = Broker::start(settings());
    create_topic(broker.bootstrap(), "safe", 1, &[]);
    let mut connection = Connection::open(broker.bootstrap());
    for _ in 0..10 {
        connection.produce("safe", 0, batch(1, b"value"));
    }
    broker.kill9();
    broker.start_again();
    let page = get(&broker, "/metrics").1;
    assert!(value(&page, "rinka_recovery_blocks", &[]) >= 10.0);
    assert!(value(&page, "rinka_recovery_bytes", &[]) > 500.0);
    assert_eq!(value(&page, "rinka_storage_failed", &[]), 0.0);
}
