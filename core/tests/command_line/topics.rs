//! `rinka topic`, `config` and `cluster` against the real broker.

use serde_json::json;

use crate::run::{fresh_name, rinka, shared, topic};

#[test]
fn a_topic_is_created_listed_described_and_deleted() {
    let name = fresh_name("life");
    let created = rinka(
        shared(),
        &[
            "topic",
            "create",
            &name,
            "--partitions",
            "3",
            "--config",
            "retention.ms=123456",
        ],
    );
    let created = created.succeeded();
    assert_eq!(
        created.output,
        format!("Created {name} with 3 partitions\n")
    );

    let listed = rinka(shared(), &["topic", "list"]).succeeded();
    assert!(listed.output.lines().any(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        cells.starts_with(&[&name, "3", "1"])
    }));
    let pattern = format!("^{name}$");
    let listed = rinka(
        shared(),
        &["topic", "list", "--pattern", &pattern, "-o", "json"],
    );
    let listed = listed.succeeded().json();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["topic"], json!(name));
    assert_eq!(listed[0]["partitions"], 3);
    assert_eq!(listed[0]["offlinePartitions"], 0);
    let id = listed[0]["topicId"].as_str().expect("an id");
    assert_eq!(id.len(), 22, "as Kafka's tools write it: {id}");

    let described = rinka(shared(), &["topic", "describe", &name, "-o", "json"]);
    let described = described.succeeded().json();
    let partitions = described[0]["partitions"].as_array().expect("partitions");
    assert_eq!(partitions.len(), 3);
    assert_eq!(partitions[2]["partition"], 2);
    assert_eq!(partitions[2]["latestOffset"], 0);
    assert_eq!(described[0]["configs"]["retention.ms"], "123456");
    let described = rinka(shared(), &["topic", "describe", &name]).succeeded();
    assert!(described.output.contains("  retention.ms=123456\n"));
    assert!(described.output.contains("PARTITION  LEADER"));

    let deleted = rinka(shared(), &["topic", "delete", &name]).succeeded();
    assert_eq!(deleted.output, format!("Deleted {name}\n"));
    rinka(shared(), &["topic", "describe", &name]).failed(1, "rinka topic create");
}

#[test]
fn what_is_refused_is_said_and_fails() {
    let name = topic("refused", &[]);
    let other = fresh_name("refused");
    // One is there, the other is not: it is made all the same.
    let both = rinka(shared(), &["topic", "create", &name, &other]);
    let both = both.failed(1, "TOPIC_ALREADY_EXISTS");
    assert!(both.output.contains(&format!("Created {other}")));
    assert!(both.remarks.contains("1 of 2 topics were not created"));
    let again = rinka(shared(), &["topic", "create", &name, "--if-not-exists"]);
    assert!(again.succeeded().output.contains("is there already"));

    let invalid = fresh_name("invalid");
    let wrong = ["topic", "create", &invalid, "--config", "retention.ms=soon"];
    rinka(shared(), &wrong).failed(1, "retention.ms");
    rinka(shared(), &["topic", "create", "a/b"]).failed(1, "INVALID_TOPIC_EXCEPTION");

    let gone = fresh_name("gone");
    rinka(shared(), &["topic", "delete", &gone]).failed(1, "there is no topic");
    rinka(shared(), &["topic", "delete", &gone, "--if-exists"]).succeeded();
    let twice = ["topic", "delete", &name, &name];
    rinka(shared(), &twice).failed(2, "twice");
}

#[test]
fn a_dry_run_creates_nothing() {
    let name = fresh_name("dry");
    let dry = rinka(shared(), &["topic", "create", &name, "--dry-run"]).succeeded();
    assert!(dry.output.starts_with("Would create"));
    rinka(shared(), &["topic", "describe", &name]).failed(1, "there is no topic");
}

#[test]
fn settings_come_with_their_source_and_default() {
    let name = topic("settings", &["--config", "max.message.bytes=4096"]);
    let all = rinka(
        shared(),
        &["config", "describe", "--topic", &name, "-o", "json"],
    );
    let all = all.succeeded().json();
    let key = |key: &str| {
        let found = all.iter().find(|config| config["key"] == key);
        found.unwrap_or_else(|| panic!("{key} is not there"))
    };
    assert_eq!(key("max.message.bytes")["value"], "4096");
    assert_eq!(key("max.message.bytes")["source"], "topic");
    assert_eq!(key("max.message.bytes")["default"], "1048588");
    assert_eq!(key("retention.ms")["source"], "default");

    let changed = ["config", "describe", "--topic", &name, "--changed"];
    let changed = rinka(shared(), &changed).succeeded();
    let lines: Vec<&str> = changed.output.lines().collect();
    // Beside it there may be what the brokers were told, and nothing of what nobody has set.
    assert!(lines.len() < 5, "{lines:?}");
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(cells, ["max.message.bytes", "4096", "topic", "1048588"]);

    let one = [
        "config",
        "describe",
        "--topic",
        &name,
        "retention.ms",
        "-o",
        "json",
    ];
    assert_eq!(rinka(shared(), &one).succeeded().json().len(), 1);
    let unknown = ["config", "describe", "--topic", &name, "no.such.key"];
    rinka(shared(), &unknown).failed(1, "no.such.key");
    rinka(shared(), &["config", "describe"]).failed(2, "--topic");
    rinka(shared(), &["config", "describe", "--broker", "4711"])
        .failed(1, "there is no broker 4711");
}

#[test]
fn the_cluster_names_its_brokers() {
    let text = rinka(shared(), &["cluster", "describe"]).succeeded();
    assert!(text.output.starts_with("Cluster "), "{text:?}");
    let cluster = rinka(shared(), &["cluster", "describe", "-o", "json"]);
    let cluster = &cluster.succeeded().json()[0];
    let address = cluster["brokers"][0]["address"]
        .as_str()
        .expect("an address");
    assert_eq!(address, shared());
    assert_eq!(cluster["controllerId"], cluster["brokers"][0]["id"]);
    // Whatever it has of them, asking is no error.
    rinka(shared(), &["cluster", "features"]).succeeded();
}
