//! kcat's lists and queries: brokers and partitions (`-L`), offsets by time (`-Q`).

use std::collections::BTreeSet;
use std::process::Stdio;

use rinka_storage::record_batch::RecordBatchBuilder;
use serde_json::Value;

use super::{client, wall_clock};
use crate::driver::bounded;
use crate::support::admin::create_topic;
use crate::support::broker::Broker;
use crate::support::toolchain::skip;
use crate::support::wire::Connection;

const PARTITIONS: i32 = 3;

/// What kcat lists is what was made, and where a time is in a partition it finds.
pub(crate) fn lists_and_queries(routing: &str) {
    if let Err(absent) = client() {
        return skip(&absent);
    }
    let Some(broker) = crate::start(routing) else {
        return;
    };
    let topic = format!("kcat-metadata-{}-{}", std::process::id(), wall_clock());
    create_topic(
        broker.bootstrap(),
        &topic,
        PARTITIONS,
        &[("retention.ms", "-1")],
    );
    check_list(&broker, routing, &topic);
    check_offsets(&broker, &topic);
}

fn check_list(broker: &Broker, routing: &str, topic: &str) {
    let listed = kcat(broker, &["-L", "-J", "-t", topic]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let ids = |list: &Value| -> BTreeSet<i64> {
        let list = list.as_array().expect("a list").iter();
        list.map(|one| one["id"].as_i64().expect("a number"))
            .collect()
    };
    let brokers = ids(&listed["brokers"]);
    assert_eq!(brokers.len(), if routing == "core" { 2 } else { 1 });
    let controller = listed["controllerid"].as_i64().expect("a number");
    assert!(brokers.contains(&controller), "{listed}");
    assert_eq!(listed["topics"][0]["topic"], topic);
    let partitions = listed["topics"][0]["partitions"].as_array();
    let partitions = partitions.expect("a list");
    let numbers: Vec<i64> = partitions
        .iter()
        .map(|one| one["partition"].as_i64().expect("a number"))
        .collect();
    assert!(numbers.into_iter().eq(0..i64::from(PARTITIONS)), "{listed}");
    for partition in partitions {
        let leader = partition["leader"].as_i64().expect("a number");
        assert!(brokers.contains(&leader), "{listed}");
        for replicas in ["replicas", "isrs"] {
            assert_eq!(ids(&partition[replicas]), BTreeSet::from([leader]));
        }
    }
}

/// Ten records, at 1, 1001, 2001, ... ms.
fn check_offsets(broker: &Broker, topic: &str) {
    let mut batch = RecordBatchBuilder::new();
    for number in 0..10 {
        batch.append(1 + 1_000 * number, None, Some(b"value"));
    }
    Connection::open(broker.bootstrap()).produce(topic, 1, batch.build());
    // The first, the end, the first at that time or later, and none so late: the end.
    for (time, offset) in [(-2, 0), (-1, 10), (4_500, 5), (5_001, 5), (9_002, -1)] {
        let asked = format!("{topic}:1:{time}");
        let told = kcat(broker, &["-Q", "-t", &asked]);
        let expected = format!("{topic} [1] offset {offset}");
        assert_eq!(told.trim_end(), expected, "at {time}");
    }
}

fn kcat(broker: &Broker, arguments: &[&str]) -> String {
    let output = bounded("kcat")
        .args(["-b", broker.bootstrap()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("kcat is on PATH");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kcat {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
