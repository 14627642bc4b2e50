//! `rinka dump` beside Kafka's own tool, over what a broker left behind: line for line the same.
//!
//! What is printed is not normalised: both are given the same paths, and print the same words. Of Kafka's findings one is left out,
//! which it has for every segment of every broker that does not begin at offset 0: that its first offset does not follow -1.

use std::path::{Path, PathBuf};

use crate::support::toolchain::skip;
use crate::{Printed, kafka, load, rinka, stopped_broker};

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

#[test]
fn segments_and_indexes_are_printed_as_kafka_prints_them() {
    let broker = stopped_broker();
    let data = broker.directory();
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
