//! `rinka produce` and `rinka consume` against the real broker: what goes in comes out, from where and until where it was asked for.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::run::{Running, fresh_name, rinka, rinka_with, shared, topic};

fn produce(topic: &str, arguments: &[&str], lines: &str) {
    let all = [&["produce", topic], arguments].concat();
    rinka_with(shared(), &all, lines.as_bytes()).succeeded();
}

fn consume(topic: &str, arguments: &[&str]) -> String {
    let all = [&["consume", topic], arguments].concat();
    rinka(shared(), &all).succeeded().output
}

fn objects(topic: &str, arguments: &[&str]) -> Vec<Value> {
    let all = [
        &["consume", topic, "--until", "end", "--output", "json"],
        arguments,
    ]
    .concat();
    rinka(shared(), &all).succeeded().json()
}

#[test]
fn lines_come_back_in_order() {
    let name = topic("lines", &[]);
    let lines: String = (0..5_000).map(|n| format!("line {n}\n")).collect();
    let produced = rinka_with(shared(), &["produce", &name], lines.as_bytes()).succeeded();
    assert!(
        produced.remarks.starts_with("5,000 records ("),
        "{produced:?}"
    );
    assert_eq!(consume(&name, &["--until", "end"]), lines);
    // The last needs no line feed, and an empty one is a record too.
    produce(&name, &["--quiet"], "\nlast");
    assert_eq!(
        consume(&name, &["--from", "-2", "--until", "end"]),
        "\nlast\n"
    );
}

#[test]
fn every_codec_comes_back() {
    let name = topic("codecs", &["--partitions", "2"]);
    let mut expected = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: Vec<String> = (0..300).map(|n| format!("{codec} {n}")).collect();
        produce(
            &name,
            &["--compression", codec, "--partition", "1"],
            &lines.join("\n"),
        );
        expected.extend(lines);
    }
    let read = consume(&name, &["--until", "end", "--partition", "1"]);
    assert_eq!(read.lines().collect::<Vec<_>>(), expected);
    assert_eq!(consume(&name, &["--until", "end", "--partition", "0"]), "");
}

#[test]
fn keys_go_where_kafkas_partitioner_has_them() {
    let name = topic("keys", &["--partitions", "8"]);
    produce(
        &name,
        &["--key-separator", ":"],
        "abc:1\nfoobar:2\n21:3\nabc:4\n",
    );
    let partition_of: BTreeMap<String, i64> = objects(&name, &[])
        .iter()
        .map(|record| {
            let key = record["key"].as_str().expect("a key").to_owned();
            (key, record["partition"].as_i64().expect("a number"))
        })
        .collect();
    // The positive parts of Kafka's own test vectors for murmur2, modulo 8.
    let expected = [
        ("21", (-973_932_308_i64 & 0x7FFF_FFFF) % 8),
        ("abc", 479_470_107 % 8),
        ("foobar", (-790_332_482_i64 & 0x7FFF_FFFF) % 8),
    ];
    let expected = expected.map(|(key, partition)| (key.to_owned(), partition));
    assert_eq!(partition_of, BTreeMap::from(expected));
}

#[test]
fn what_consume_writes_produce_takes_back() {
    let (from, to) = (topic("from", &[]), topic("to", &[]));
    let lines = [
        json!({"key": "k", "value": "v", "timestamp": 1_700_000_000_000_i64,
            "headers": [{"key": "h", "value": "x"}, {"key": "b", "valueBase64": "/wA="}, {"key": "n", "value": null}]}),
        json!({"keyBase64": "/w==", "valueBase64": "AP8=", "timestamp": 1_700_000_000_001_i64}),
        json!({"key": "gone", "value": null, "timestamp": "2023-11-14T22:13:20.002Z"}),
        json!({"value": {"nested": [1, 2]}, "timestamp": 1_700_000_000_003_i64}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    produce(&from, &["--json"], &lines.join("\n"));
    let first = rinka(
        shared(),
        &["consume", &from, "--until", "end", "-o", "json"],
    )
    .succeeded();
    produce(&to, &["--json"], &first.output);
    let without_topic = |mut records: Vec<Value>| {
        for record in &mut records {
            record.as_object_mut().expect("an object").remove("topic");
        }
        records
    };
    let (first, second) = (
        without_topic(first.json()),
        without_topic(objects(&to, &[])),
    );
    assert_eq!(first, second);
    assert_eq!(
        first[0]["headers"][1],
        json!({"key": "b", "valueBase64": "/wA="})
    );
    assert_eq!(first[1]["keyBase64"], "/w==");
    assert_eq!(first[2]["value"], Value::Null);
    assert_eq!(first[2]["timestamp"], 1_700_000_000_002_i64);
    assert_eq!(first[3]["value"], "{\"nested\":[1,2]}");
}

#[test]
fn fields_are_printed_before_the_value() {
    let name = topic("fields", &[]);
    let line = r#"{"key":"k","value":"{\"a\":[1]}","headers":{"h":"x"},"timestamp":1000}"#;
    produce(&name, &["--json", "--header", "i=y"], line);
    let fields = "topic,partition,offset,timestamp,key,headers";
    assert_eq!(
        consume(&name, &["--until", "end", "--print", fields]),
        format!("{name}\t0\t0\t1970-01-01T00:00:01.000Z\tk\th=x,i=y\t{{\"a\":[1]}}\n")
    );
    assert_eq!(
        consume(&name, &["--until", "end", "--decode", "json"]),
        "{\n  \"a\": [\n    1\n  ]\n}\n"
    );
}

#[test]
fn reading_begins_and_ends_where_it_is_told_to() {
    let name = topic("places", &[]);
    let lines: Vec<String> = (0..20)
        .map(|n| json!({"value": n, "timestamp": 1_000_000 + n * 1_000}).to_string())
        .collect();
    // Several batches, so that offsets fall into them and between them.
    for part in lines.chunks(7) {
        produce(
            &name,
            &["--json", "--compression", "zstd"],
            &part.join("\n"),
        );
    }
    let values = |from: &str, until: &str| -> Vec<i64> {
        let read = consume(&name, &["--from", from, "--until", until]);
        read.lines()
            .map(|line| line.parse().expect("a number"))
            .collect()
    };
    assert_eq!(values("earliest", "end"), (0..20).collect::<Vec<_>>());
    assert_eq!(values("5", "9"), [5, 6, 7, 8]);
    assert_eq!(values("-3", "end"), [17, 18, 19]);
    assert_eq!(values("-300", "2"), [0, 1]);
    assert_eq!(values("1003000ms", "1005000ms"), [3, 4]);
    assert_eq!(values("1970-01-01T00:16:58Z", "end"), [18, 19]);
    assert_eq!(values("latest", "end"), [0_i64; 0]);
    assert_eq!(values("99", "end"), [0_i64; 0]);
    let some = consume(&name, &["--from", "10", "--max", "2"]);
    assert_eq!(some, "10\n11\n");
}

#[test]
fn a_pattern_follows_new_topics_until_it_is_interrupted() {
    let prefix = fresh_name("pattern");
    let (first, second, other) = (
        format!("{prefix}-a"),
        format!("{prefix}-b"),
        format!("other-{prefix}"),
    );
    rinka(shared(), &["topic", "create", &first, &other]).succeeded();
    produce(&other, &[], "unwanted\n");
    produce(&first, &[], "from the first\n");
    let pattern = format!("^{prefix}-");
    let arguments = ["consume", "--pattern", &pattern, "--print", "topic"];
    let mut running = Running::start(shared(), &arguments);
    running.wait_for(&format!("{first}\tfrom the first\n"));
    rinka(shared(), &["topic", "create", &second]).succeeded();
    produce(&second, &[], "from the second\n");
    running.wait_for(&format!("{second}\tfrom the second\n"));
    produce(&first, &[], "and more\n");
    running.wait_for(&format!("{first}\tand more\n"));
    assert_eq!(running.interrupt(), 0);
}

#[test]
fn several_topics_are_read_together() {
    let (one, two) = (topic("one", &["--partitions", "2"]), topic("two", &[]));
    produce(&one, &["--partition", "1"], "a\n");
    produce(&two, &[], "b\n");
    let read = rinka(shared(), &["consume", &one, &two, "--until", "end"]).succeeded();
    let mut lines: Vec<&str> = read.output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a", "b"]);
}

#[test]
fn lines_that_cannot_be_written_are_named_and_the_others_are_written() {
    let small = topic("small", &["--config", "max.message.bytes=600"]);
    let long = "x".repeat(2_000);
    let lines = format!("one\n{long}\nthree\n{long}\n{long}\nsix\n");
    let printed = rinka_with(shared(), &["produce", &small], lines.as_bytes());
    let printed = printed.failed(1, "line 2: MESSAGE_TOO_LARGE");
    assert!(
        printed.remarks.contains("lines 4-5: MESSAGE_TOO_LARGE"),
        "{printed:?}"
    );
    assert!(
        printed.remarks.contains("3 lines were not written"),
        "{printed:?}"
    );
    assert_eq!(consume(&small, &["--until", "end"]), "one\nthree\nsix\n");

    let compacted = topic("compacted", &["--config", "cleanup.policy=compact"]);
    let lines = "{\"key\":\"a\",\"value\":\"1\"}\n{\"value\":\"no key\"}\n{\"key\":\"b\",\"value\":\"2\"}\nnonsense\n{\"key\":\"c\",\"value\":\"3\",\"partition\":7}\n";
    let arguments = ["produce", &compacted, "--json", "--partition", "0"];
    let printed = rinka_with(shared(), &arguments, lines.as_bytes());
    let printed = printed.failed(1, "line 2: INVALID_RECORD");
    assert!(
        printed.remarks.contains("line 4: it is no such object"),
        "{printed:?}"
    );
    assert!(
        printed.remarks.contains("line 5: there is no partition 7"),
        "{printed:?}"
    );
    assert_eq!(consume(&compacted, &["--until", "end"]), "1\n2\n");
}

#[test]
fn much_is_sent_in_many_batches() {
    let name = topic("much", &["--partitions", "4"]);
    let line = "y".repeat(1_000);
    let count = 12_000;
    let lines = format!("{line}\n").repeat(count);
    let printed = rinka_with(shared(), &["produce", &name, "-z", "lz4"], lines.as_bytes());
    assert!(printed.succeeded().remarks.starts_with("12,000 records"));
    let read = objects(&name, &[]);
    assert_eq!(read.len(), count);
    // Without keys they stay together for a batch, and each batch goes elsewhere.
    let partitions: std::collections::BTreeSet<i64> = read
        .iter()
        .map(|record| record["partition"].as_i64().expect("a number"))
        .collect();
    assert_eq!(partitions.len(), 4);
}

#[test]
fn a_file_is_read_and_acks_may_be_less() {
    let name = topic("file", &[]);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, b"k=v\nk=NIL\n").expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let arguments = ["produce", &name, "--file", path, "-k", "=", "--null", "NIL"];
    for acks in ["1", "0", "all"] {
        let all = [&arguments[..], &["--acks", acks]].concat();
        rinka(shared(), &all).succeeded();
    }
    // Nobody waits for those without an ack; all there is of them came before what was acknowledged on its own connection.
    let read = consume(&name, &["--max", "6", "--print", "key"]);
    assert_eq!(read, "k\tv\nk\tnull\n".repeat(3));
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let name = topic("head", &[]);
    produce(&name, &[], &"a line that fills the pipe\n".repeat(50_000));
    let script = format!(
        "'{rinka}' consume {name} 2>errors-of-{name} | head -n 1; test ! -s errors-of-{name} && rm errors-of-{name}",
        rinka = env!("CARGO_BIN_EXE_rinka"),
    );
    let output = Command::new("timeout")
        .args(["60", "bash", "-o", "pipefail", "-c", &script])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env("RINKA_BOOTSTRAP", shared())
        .stdin(Stdio::null())
        .output()
        .expect("there is a bash");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"a line that fills the pipe\n");
}
