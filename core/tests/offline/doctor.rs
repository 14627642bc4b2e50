//! `rinka doctor` on directories that are whole, on ones that kill -9 left, and on copies that were damaged one way each.

use std::fs;
use std::path::Path;

use rinka_storage::record_batch::batches;

use crate::support::broker::{Broker, BrokerSettings};
use crate::support::wire::Connection;
use crate::{Printed, load, rinka, whole, whole_copy};

fn doctor(data: &Path, options: &[&str]) -> Printed {
    let options = [&["--data"], &[data.to_str().expect("UTF-8")], options].concat();
    rinka("doctor", &options, &[] as &[&str])
}

#[track_caller]
fn assert_clean(data: &Path) -> String {
    let printed = doctor(data, &["--strict"]);
    assert_eq!(printed.code, 0, "{}", printed.output);
    assert!(
        printed.output.ends_with(": 0 problems, 0 warnings\n"),
        "{}",
        printed.output
    );
    printed.output
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file is there");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

/// Damages a copy; the doctor must say `expected` of it, and end with `code`, strict or not as `options` say.
#[track_caller]
fn check(damage: impl FnOnce(&Path), options: &[&str], expected: &str, code: i32) {
    let directory = whole_copy();
    damage(directory.path());
    let printed = doctor(directory.path(), options);
    assert!(
        printed.output.contains(expected),
        "{expected:?} is not in\n{}",
        printed.output
    );
    assert_eq!(printed.code, code, "{}", printed.output);
}

const SEGMENT: &str = "codecs-0/00000000000000000000.log";
const INDEX: &str = "codecs-0/00000000000000000000.index";
const TIME_INDEX: &str = "codecs-0/00000000000000000000.timeindex";

#[test]
fn a_directory_left_in_good_order_is_clean() {
    let report = assert_clean(whole());
    assert!(report.starts_with("5 logs, 7 segments, 3"), "{report}");
}

#[test]
fn a_directory_after_kill_9_is_clean() {
    let mut broker = Broker::start(BrokerSettings::new("node"));
    load::create_topics(&broker);
    load::fill(&broker);
    broker.kill9();
    let report = assert_clean(broker.directory());
    assert!(!report.contains(" 0 journal blocks to replay"), "{report}");
    // And once more with a checkpoint below the journal.
    broker.start_again();
    load::fill(&broker);
    let beside = doctor(broker.directory(), &[]);
    assert!(
        beside.output.contains("a broker runs on this directory"),
        "{}",
        beside.output
    );
    let refused = doctor(broker.directory(), &["--repair"]);
    assert_eq!(refused.code, 2, "{}", refused.output);
    assert!(refused.output.contains("so nothing is repaired"));
    // Segments that are on their way out, and one that starts in its middle.
    Connection::open(broker.bootstrap()).delete_records("rolled", 0, 255);
    broker.kill9();
    assert_clean(broker.directory());
}

#[test]
fn damaged_segments_are_found() {
    let flip = |data: &Path| edit(&data.join(SEGMENT), |bytes| bytes[1000] ^= 1);
    let expected = "offset 22): the CRC of the batch does not hold";
    check(flip, &[], expected, 2);
    let cut = |data: &Path| edit(&data.join(SEGMENT), |bytes| bytes.truncate(5000));
    check(cut, &[], " bytes, and the checkpoint says ", 2);
    let remove = |data: &Path| fs::remove_file(data.join(SEGMENT)).expect("removed");
    check(remove, &[], "the segment is missing", 2);
    // Outside the CRC: only the order of the offsets shows it.
    let shift = |data: &Path| {
        edit(&data.join(SEGMENT), |bytes| {
            let second = batches(bytes)
                .next()
                .expect("a batch")
                .expect("whole")
                .1
                .len();
            bytes[second + 7] += 1;
        });
    };
    check(shift, &[], "the batch there begins with offset ", 2);
    let longer = |data: &Path| {
        let path = data.join("rolled-0/00000000000000000000.log");
        edit(&path, |bytes| bytes.push(0));
    };
    check(longer, &["--strict"], "harmless", 1);
    check(longer, &[], "harmless", 0);
}

#[test]
fn damaged_indexes_are_found() {
    let garbage = |data: &Path| edit(&data.join(INDEX), |bytes| bytes[20] ^= 0x55);
    check(
        garbage,
        &[],
        "codecs-0/00000000000000000000.index: its entry",
        2,
    );
    let off = |data: &Path| edit(&data.join(INDEX), |bytes| bytes[7] ^= 1);
    check(off, &[], ", where no batch begins", 2);
    let other = |data: &Path| edit(&data.join(INDEX), |bytes| bytes[3] += 1);
    check(other, &[], " points to the batch that ends with ", 2);
    let time = |data: &Path| edit(&data.join(TIME_INDEX), |bytes| bytes[7] ^= 1);
    check(
        time,
        &[],
        "codecs-0/00000000000000000000.timeindex: its entry",
        2,
    );
    let missing = |data: &Path| fs::remove_file(data.join(INDEX)).expect("removed");
    check(missing, &["--strict"], "it is missing; ", 1);
    check(missing, &[], "it is missing; ", 0);
    let short = |data: &Path| edit(&data.join(INDEX), |bytes| bytes.truncate(16));
    check(
        short,
        &["--strict"],
        "it has 2 entries, and the checkpoint says ",
        1,
    );
}

#[test]
fn damaged_checkpoints_and_properties_are_found() {
    let base = "rinka/base.checkpoint";
    let flip = |data: &Path| edit(&data.join(base), |bytes| bytes[13] ^= 1);
    check(flip, &[], "its checksum does not hold", 2);
    let remove = |data: &Path| fs::remove_file(data.join(base)).expect("removed");
    check(remove, &[], "the checkpoint is missing", 2);
    let properties = "meta.properties";
    let foreign = |data: &Path| fs::write(data.join(properties), "version=1\n").expect("written");
    check(foreign, &[], "was written by another program", 2);
    let other = |data: &Path| {
        let path = data.join(properties);
        let text = fs::read_to_string(&path).expect("there");
        let (before, after) = text.split_once("cluster.id=").expect("a cluster");
        fs::write(path, format!("{before}cluster.id=X{after}")).expect("written");
    };
    check(other, &[], "the metadata log says ", 2);
    let metadata = "__cluster_metadata-0/00000000000000000000.log";
    let record = |data: &Path| edit(&data.join(metadata), |bytes| bytes[70] ^= 1);
    check(record, &[], "the CRC of the batch does not hold", 2);
}

#[test]
fn damaged_journals_are_found() {
    let mut broker = Broker::start(BrokerSettings::new("node"));
    load::create_topics(&broker);
    load::fill(&broker);
    broker.kill9();
    let path = broker.directory().join("rinka/journal-0/000.journal");
    let before = fs::read(&path).expect("a journal");
    // The first block: later ones are there, so it is no torn end.
    edit(&path, |bytes| bytes[100] ^= 1);
    let printed = doctor(broker.directory(), &[]);
    assert_eq!(printed.code, 2, "{}", printed.output);
    assert!(
        printed.output.contains("block 1 at byte 0 of "),
        "{}",
        printed.output
    );
    // The last block torn: it was never acknowledged.
    let last = before
        .chunks(4096)
        .rposition(|block| block.starts_with(b"RKJ1"))
        .expect("a block");
    fs::write(&path, &before).expect("written");
    edit(&path, |bytes| bytes[last * 4096 + 100] ^= 1);
    assert_clean(broker.directory());
}

#[test]
fn what_should_not_be_there_is_found_and_removed() {
    let directory = whole_copy();
    let data = directory.path();
    let deleted = data.join("AAAAAAAAAAAAAAAAAAAAAw-0-delete");
    fs::create_dir(&deleted).expect("made");
    fs::write(deleted.join("00000000000000000000.log"), "x").expect("written");
    let temporary = data.join("rinka/base.checkpoint.tmp");
    fs::write(&temporary, "x").expect("written");
    let unknown = data.join("codecs-0/notes.txt");
    fs::write(&unknown, "x").expect("written");
    let printed = doctor(data, &["--strict"]);
    assert_eq!(printed.code, 1, "{}", printed.output);
    for expected in [
        "what is left of a deleted partition",
        "being replaced",
        "an unknown file",
    ] {
        assert!(printed.output.contains(expected), "{}", printed.output);
    }
    let printed = doctor(data, &["--strict", "--repair"]);
    assert_eq!(printed.code, 1, "{}", printed.output);
    assert!(
        !deleted.exists() && !temporary.exists(),
        "{}",
        printed.output
    );
    assert!(unknown.exists(), "what Rinka did not write is not touched");
    fs::remove_file(unknown).expect("removed");
    assert_clean(data);
}

#[test]
fn a_repaired_index_is_clean_and_everything_is_served() {
    let directory = whole_copy();
    let data = directory.path();
    let segment = fs::read(data.join(SEGMENT)).expect("a segment");
    edit(&data.join(INDEX), |bytes| bytes.fill(0x5A));
    edit(&data.join(TIME_INDEX), |bytes| bytes.reverse());
    fs::remove_file(data.join("stamped-0/00000000000000000000.index")).expect("removed");
    let printed = doctor(data, &["--repair"]);
    assert_eq!(printed.code, 0, "{}", printed.output);
    assert_eq!(
        printed.output.matches("made anew from the segment").count(),
        3,
        "{}",
        printed.output
    );
    assert_clean(data);
    assert_eq!(fs::read(data.join(SEGMENT)).expect("a segment"), segment);

    let mut broker = Broker::start_on(directory, BrokerSettings::new("node"));
    let mut connection = Connection::open(broker.bootstrap());
    let mut offset = 0;
    let mut served = Vec::new();
    loop {
        let bytes = connection.fetch("codecs", 0, offset);
        if bytes.is_empty() {
            break;
        }
        for batch in batches(&bytes) {
            let (header, batch) = batch.expect("whole batches");
            assert_eq!(header.base_offset.0, offset, "nothing is skipped");
            offset = header.end_offset().0;
            served.extend_from_slice(batch);
        }
    }
    assert!(served == segment, "the segment as it is on the disk");
    // The index grows on from what the repair made.
    load::fill(&broker);
    assert!(broker.terminate().status.success());
    assert_clean(broker.directory());
}

#[test]
fn a_machine_that_runs_the_suite_will_do() {
    let directory = whole_copy();
    let files = || fs::read_dir(directory.path()).expect("a directory").count();
    let before = files();
    let disk = directory.path().to_str().expect("UTF-8");
    let printed = rinka("doctor", &["--disk", disk], &[] as &[&str]);
    assert_eq!(printed.code, 0, "{}", printed.output);
    for expected in [
        "ok       kernel: ",
        "ok       io_uring: ",
        "flushed writes: 4 KiB with O_DIRECT and O_DSYNC: p50 ",
    ] {
        assert!(printed.output.contains(expected), "{}", printed.output);
    }
    assert_eq!(files(), before, "nothing is left behind");
    let absent = rinka("doctor", &["--disk", "/nowhere"], &[] as &[&str]);
    assert_eq!(absent.code, 2, "{}", absent.output);
    assert!(
        absent.output.contains("cannot write to /nowhere"),
        "{}",
        absent.output
    );
}
