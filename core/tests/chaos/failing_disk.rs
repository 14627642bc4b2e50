//! The broker on a disk that loses power, fails or is slow (`fault_file_system`), under a load whose acknowledged records are all looked
//! for afterwards.

use std::time::Duration;

use crate::fault_file_system::{FaultDisk, journals, segments};
use crate::hammer::{self, Hammer, Load};
use crate::support::admin::{create_topic, produce};
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::toolchain::skip;
use crate::{
    KAFKA_STORAGE_ERROR, LOAD, TOPIC, alone, assert_in_order, batch, create_crash_topic,
    produce_error, read_all, say, seed, signal,
};

/// What the machine gives, so that some cuts meet a checkpoint.
const HEAVY: Load = Load {
    records_per_second: 40_000,
    ..LOAD
};

/// Recovery of the smallest journal, beside a load that waits for it.
const START_WITHIN: Duration = Duration::from_secs(10);

fn start_on(disk: &FaultDisk) -> Broker {
    let settings = BrokerSettings::new("node").with("rinka.shards", "1");
    Broker::start_in(settings, disk.path())
}

/// kill -9 of a broker whose disk may be holding its requests.
fn kill(broker: &mut Broker, disk: &FaultDisk) {
    signal(broker, "KILL");
    disk.let_go();
    broker.kill9();
}

/// Starts it again on what the power cut left.
fn boot(broker: &mut Broker, disk: &FaultDisk, seed: Option<u64>) {
    disk.boot(seed);
    let took = broker.start_again();
    assert!(took < START_WITHIN, "the start took {took:?}");
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged_as_flushed() {
    let _alone = alone();
    let (program, disk) = match hammer::program()
        .and_then(|program| Ok((program, FaultDisk::mount("power cut under load")?)))
    {
        Ok(both) => both,
        Err(absent) => return skip(&absent),
    };
    let seed = seed();
    let mut broker = start_on(&disk);
    // Small segments: rolls all the time.
    create_crash_topic(&broker, &[("segment.bytes", "1048576")]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, HEAVY);
    let mut acked = Vec::new();
    for round in 0..8 {
        hammer.wait_for_acks([4_000, 4_000, 4_000, 60_000][round % 4]);
        disk.power_off_while_writing();
        kill(&mut broker, &disk);
        boot(&mut broker, &disk, Some(seed + round as u64));
        acked.extend(hammer.take_acks());
        let account = read_all(program, &broker, &acked);
        assert_in_order(&account, &format!("after power cut {round}"));
    }
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "at the end");
    say(&format!(
        "{} records acknowledged, {} writes",
        account.records_acked(),
        disk.writes()
    ));
}

#[test]
fn a_power_cut_takes_what_was_acknowledged_as_written_and_kill_9_does_not() {
    let _alone = alone();
    let (program, disk) =
        match hammer::program().and_then(|program| Ok((program, FaultDisk::mount("power cut")?))) {
            Ok(both) => both,
            Err(absent) => return skip(&absent),
        };
    let mut broker = start_on(&disk);
    create_topic(broker.bootstrap(), "flushed", 1, &[]);
    create_topic(
        broker.bootstrap(),
        "written",
        1,
        &[("rinka.ack", "written")],
    );
    let take = |broker: &Broker, topic: &str| {
        for _ in 0..5 {
            let answer = produce(broker.bootstrap(), topic, &batch(10));
            assert_eq!(answer.expect("an answer"), 0);
        }
    };
    // A flush brings what was written before it too: these come last.
    let left = |broker: &Broker, topic: &str| {
        let mut records = 0;
        hammer::read(program, broker.bootstrap(), topic, &[0], |_, _, _| {
            records += 1;
        });
        records
    };
    take(&broker, "flushed");
    take(&broker, "written");
    broker.kill9();
    broker.start_again();
    assert_eq!(left(&broker, "flushed"), 5);
    assert_eq!(left(&broker, "written"), 5, "after kill -9");

    take(&broker, "flushed");
    take(&broker, "written");
    kill(&mut broker, &disk);
    boot(&mut broker, &disk, None);
    assert_eq!(left(&broker, "flushed"), 10, "after the power cut");
    // Recovery flushed the first five.
    assert_eq!(left(&broker, "written"), 5, "after the power cut");
}

type Fault = fn(&FaultDisk);

/// Has the disk fail under load, each round in one way: nothing more is acknowledged, what was is still read, and is there after the
/// worst power cut.
fn fail_under_load(suite: &'static str, rounds: [(&str, Fault); 2]) {
    let _alone = alone();
    let (program, disk) =
        match hammer::program().and_then(|program| Ok((program, FaultDisk::mount(suite)?))) {
            Ok(both) => both,
            Err(absent) => return skip(&absent),
        };
    let mut broker = start_on(&disk);
    create_crash_topic(&broker, &[]);
    create_topic(broker.bootstrap(), "beside", 1, &[]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, HEAVY);
    let mut acked = Vec::new();
    for (what, fail) in rounds {
        hammer.wait_for_acks(4_000);
        assert_eq!(produce_error(&broker), 0);
        fail(&disk);
        broker.wait_until_printed("its partitions take nothing until a restart", START_WITHIN);
        for _ in 0..3 {
            assert_eq!(produce_error(&broker), KAFKA_STORAGE_ERROR, "{what}");
        }
        acked.extend(hammer.take_acks());
        let account = read_all(program, &broker, &acked);
        assert_in_order(&account, &format!("while the broker has failed: {what}"));
        assert_eq!(hammer.take_acks(), [], "no ack once it has failed: {what}");
        broker.assert_running();

        kill(&mut broker, &disk);
        boot(&mut broker, &disk, None);
        let account = read_all(program, &broker, &acked);
        assert_in_order(&account, &format!("after the power cut: {what}"));
    }
    hammer.wait_for_acks(4_000);
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "at the end");
}

#[test]
fn a_flush_that_fails_once_and_then_succeeds_acknowledges_nothing_and_loses_nothing() {
    fail_under_load(
        "flush that fails once",
        [
            ("a flush of the journal", |disk| {
                disk.fail_next_flush(journals);
                disk.wait_for_failed_flush();
            }),
            ("a flush of a segment", |disk| {
                disk.fail_next_flush(segments);
                disk.wait_for_failed_flush();
            }),
        ],
    );
}

#[test]
fn writes_that_fail_acknowledge_nothing_and_lose_nothing() {
    fail_under_load(
        "writes that fail",
        [
            ("writes of the journal", |disk| {
                disk.fail_writes(journals);
                disk.wait_for_failed_write();
            }),
            ("writes of segments", |disk| {
                disk.fail_writes(segments);
                disk.wait_for_failed_write();
            }),
        ],
    );
}
