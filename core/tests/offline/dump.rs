//! `rinka dump` beside Kafka's own tool, over what a broker left behind: line for line the same.
//!
//! What is printed is not normalised: both are given the same paths, and print the same words. Of Kafka's findings one is left out,
//! which it has for every segment of every broker that does not begin at offset 0: that its first offset does not follow -1.

use std::path::{Path, PathBuf};

use crate::support::broker::{Broker, BrokerSettings};
use crate::support::toolchain::skip;
use crate::{kafka, load, rinka, whole, whole_copy};

/// The files of all partitions with one of these extensions, in order.
fn files(data: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (topic, partitions) in load::TOPICS {
        for partition in 0..*partitions {
            let folder = data.join(format!("{topic}-{partition}"));
            for entry in std::fs::read_dir(&folder).expect("a partition's directory") {
                let path = entry.expect("readable").path();
                let extension = path.extension().unwrap_or_default().to_string_lossy();
                if extensions.contains(&&*extension) {
                    files.push(path);
                }
            }
        }
    }
    files.sort();
    assert!(files.len() > 3, "there are files to compare: {files:?}");
    files
}

/// Both tools over the same files; `least`: so many lines there must be, or too little was compared.
fn compare(files: &[PathBuf], options: &[&str], least: usize) {
    let theirs = match kafka::dump(files, options) {
        Ok(theirs) => theirs,
        Err(absent) => return skip(&absent),
    };
    assert_eq!(theirs.code, 0, "{theirs:?}");
    let findings: Vec<&str> = theirs
        .findings
        .lines()
        .filter(|line| !line.starts_with("Non-consecutive offsets in "))
        .filter(|line| !line.starts_with("  -1 is followed by "))
        .collect();
    assert!(
        findings.is_empty(),
        "Kafka's tool finds something wrong with our files: {findings:?}"
    );
    let ours = rinka("dump", options, files);
    assert_eq!(ours.code, 0, "{}", ours.findings);
    assert_eq!(ours.findings, "");
    let pairs = theirs.output.split('\n').zip(ours.output.split('\n'));
    for (number, (theirs, ours)) in pairs.enumerate() {
        assert_eq!(ours, theirs, "line {} with {options:?}", number + 1);
    }
    assert_eq!(ours.output.len(), theirs.output.len());
    let lines = ours.output.lines().count();
    assert!(lines >= least, "only {lines} lines with {options:?}");
}

fn dumped(options: &[&str], file: &Path) -> String {
    let printed = rinka("dump", options, &[file.to_owned()]);
    assert_eq!((printed.code, &*printed.findings), (0, ""), "{file:?}");
    printed.output
}

#[test]
fn segments_and_indexes_are_printed_as_kafka_prints_them() {
    let data = whole();
    compare(&files(data, &["log", "index", "timeindex"]), &[], 400);
    compare(&files(data, &["log"]), &["--deep-iteration"], 2_000);
    compare(&files(data, &["log"]), &["--print-data-log"], 2_000);
    compare(
        &files(data, &["log"]),
        &["--print-data-log", "--skip-record-metadata"],
        2_000,
    );
    let indexes = files(data, &["index", "timeindex"]);
    compare(&indexes, &["--index-sanity-check"], 8);
    compare(&indexes, &["--verify-index-only"], 4);
}

#[test]
fn journals_checkpoints_and_the_metadata_log_are_printed() {
    let data = whole();
    let metadata = dumped(
        &["--cluster-metadata-decoder"],
        &data.join("__cluster_metadata-0/00000000000000000000.log"),
    );
    let created = metadata
        .lines()
        .find_map(|line| line.split_once("payload: {\"type\":\"TopicCreated\",\"data\":"))
        .expect("topics were created");
    let (id, name) = created.1.split_once("\",\"name\":\"").expect("an id");
    assert!(name.starts_with("codecs\""), "{metadata}");
    let id = id.strip_prefix("{\"id\":\"").expect("an id").to_owned();

    let mut broker = Broker::start_on(whole_copy(), BrokerSettings::new("node"));
    let data = broker.directory().to_owned();
    // Its journal holds what no segment has yet, and says where it belongs.
    load::fill(&broker);
    broker.kill9();
    let base = dumped(&[], &data.join("rinka/base.checkpoint"));
    let log = format!("topicId: {id} partition: 0 startOffset: 0 endOffset: ");
    let (_, rest) = base.split_once(&log).expect("the topic's log");
    let end: i64 = rest
        .split(' ')
        .next()
        .and_then(|end| end.parse().ok())
        .expect("an offset");
    assert!(end > 100, "{base}");
    assert!(base.contains("| producerId: 0 producerEpoch: 0 firstSequence: 22 lastSequence: 23 "));

    let mut journal = String::new();
    for shard in 0..2 {
        let path = data.join(format!("rinka/journal-{shard}/000.journal"));
        journal.push_str(&dumped(&[], &path));
    }
    let entry = format!("| kind: append topicId: {id} partition: 0 segment: 0 position: ");
    let first = journal
        .lines()
        .filter(|line| line.contains("isvalid: true"))
        .find(|line| line.starts_with(&entry) && line.contains(&format!("baseOffset: {end} ")));
    assert!(
        first.is_some(),
        "the first append after offset {end} is in the journal"
    );
    assert!(
        journal.contains("| kind: reference topicId: "),
        "a large batch is referred to"
    );
    let first = journal.lines().nth(1).expect("a block");
    assert!(
        first.starts_with("generation: 2 sequence: 1 position: 0 used: "),
        "{first}"
    );
}

#[test]
fn damage_is_shown() {
    let directory = whole_copy();
    let path = directory.path().join("stamped-0/00000000000000000000.log");
    let whole = std::fs::read(&path).expect("a segment");
    let batches = dumped(&[], &path).lines().count() - 2;

    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    std::fs::write(&path, &flipped).expect("written");
    let printed = rinka("dump", &["--print-data-log"], &[&path]);
    let valid = printed.output.matches("isvalid: true").count();
    assert_eq!(valid, batches - 1, "{}", printed.output);
    assert!(printed.output.contains("isvalid: false"));
    assert!(
        printed.findings.contains("its records are not shown"),
        "{}",
        printed.findings
    );

    std::fs::write(&path, &whole[..whole.len() - 5]).expect("written");
    let printed = rinka("dump", &[], &[&path]);
    let end = printed.output.lines().last().expect("a line");
    assert!(
        end.starts_with("Found ")
            && end.ends_with(" invalid bytes at the end of 00000000000000000000.log"),
        "{end}"
    );

    // An entry that says the first batch of a segment begins elsewhere.
    let index = path.with_extension("index");
    let mut bytes = std::fs::read(&index).expect("an index");
    bytes[7] ^= 1;
    std::fs::write(&index, &bytes).expect("written");
    let printed = rinka("dump", &["--verify-index-only"], &[&index]);
    assert!(
        printed.findings.starts_with("Mismatches in :"),
        "{}",
        printed.findings
    );
    std::fs::write(&index, &bytes[..bytes.len() - 1]).expect("written");
    let printed = rinka("dump", &["--index-sanity-check"], &[index]);
    assert_eq!(printed.code, 1);
    assert!(
        printed.findings.contains("failed the sanity check"),
        "{}",
        printed.findings
    );

    let absent = rinka("dump", &[], &[path.with_file_name("absent.log")]);
    assert_eq!(absent.code, 1);
    assert!(
        absent.findings.contains("there is no "),
        "{}",
        absent.findings
    );
}

#[test]
fn json_has_an_object_a_line() {
    let files = files(whole(), &["log", "index", "timeindex"]);
    let text = rinka("dump", &["--print-data-log"], &files);
    let json = rinka("dump", &["--print-data-log", "--output=json"], &files);
    let kind = |line: &str| {
        let rest = line
            .strip_prefix("{\"type\":\"")
            .filter(|_| line.ends_with('}'));
        let kind = rest.and_then(|rest| rest.split('"').next());
        kind.unwrap_or_else(|| panic!("no object: {line}"))
            .to_owned()
    };
    assert_eq!(json.output.lines().count(), text.output.lines().count());
    for (text, json) in text.output.lines().zip(json.output.lines()) {
        let expected = match text.split(' ').next().expect("a word") {
            "Dumping" => "file",
            "Log" => "log",
            "baseOffset:" => "batch",
            "|" => "record",
            "offset:" => "offsetIndexEntry",
            "timestamp:" => "timeIndexEntry",
            other => panic!("{other}"),
        };
        assert_eq!(kind(json), expected, "{json}");
    }
    let batch = json
        .output
        .lines()
        .find(|line| line.starts_with("{\"type\":\"batch\""))
        .expect("a batch");
    assert!(
        batch.starts_with("{\"type\":\"batch\",\"baseOffset\":0,\"lastOffset\":"),
        "{batch}"
    );
    assert!(
        batch.contains("\"timestampType\":\"CreateTime\",\"timestamp\":"),
        "{batch}"
    );
}
