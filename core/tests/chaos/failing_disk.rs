//! The broker on a disk that loses power, fails or is slow (`fault_file_system`), under a load whose acknowledged records are all looked
//! for afterwards.

use std::fs;
use std::time::{Duration, Instant};

use rinka_net::wire::metadata::{MetadataRequest, MetadataResponse};
use rinka_net::wire::{ApiKey, ErrorCode};

use crate::fault_file_system::{FaultDisk, journals, segments};
use crate::hammer::{self, Hammer, Load};
use crate::large_batches::LargeBatches;
use crate::support::admin::{create_topic, produce};
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::groups::{commit_offset, fetch_offsets, wait_for_coordinator};
use crate::support::random::Random;
use crate::support::toolchain::skip;
use crate::support::wire::Connection;
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
    let large = LargeBatches::start(broker.bootstrap());
    let mut random = Random::new(seed);
    let mut acked = Vec::new();
    for round in 0..8 {
        // Some rounds are long enough for a checkpoint.
        hammer.wait_for_acks([4_000, 4_000, 4_000, 40_000][round % 4]);
        disk.power_off_while_writing();
        kill(&mut broker, &disk);
        if round % 2 == 1 {
            // And again while it recovers, or just after it.
            disk.boot(Some(random.draw()));
            broker.spawn();
            std::thread::sleep(Duration::from_millis(random.below(100)));
            disk.power_off_while_writing();
            kill(&mut broker, &disk);
        }
        boot(&mut broker, &disk, Some(random.draw()));
        acked.extend(hammer.take_acks());
        let when = format!("after power cut {round}");
        assert_in_order(&read_all(program, &broker, &acked), &when);
        large.check(program, broker.bootstrap(), &when);
    }
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "at the end");
    let batches = large.check(program, broker.bootstrap(), "at the end");
    assert!(batches > 0, "large batches are taken too");
    say(&format!(
        "{} records and {batches} large batches acknowledged, {} writes",
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
        broker.assert_running();

        kill(&mut broker, &disk);
        boot(&mut broker, &disk, None);
        // With those that came while it had failed, had there been any: they would not be on the disk.
        acked.extend(hammer.take_acks());
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

const PRODUCERS: i64 = 48;
const BATCHES_EACH: i64 = 4;

#[test]
fn a_slow_disk_holds_producers_back_and_nothing_else() {
    let _alone = alone();
    let disk = match FaultDisk::mount("slow disk") {
        Ok(disk) => disk,
        Err(absent) => return skip(&absent),
    };
    let settings = BrokerSettings::new("node")
        .with("rinka.shards", "1")
        .with("rinka.memory", "16777216")
        .with("rinka.request.memory", "16777216");
    let mut broker = Broker::start_in(settings, disk.path());
    create_topic(broker.bootstrap(), "slow", 1, &[]);
    let before = memory_mib(&broker, "VmRSS:");
    disk.delay_writes(Duration::from_millis(20));
    // More at once than the broker may hold, in batches which go through the journal, and past it.
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|number| {
            let bootstrap = broker.bootstrap().to_owned();
            let batch = batch(if number % 4 == 0 {
                100 << 10
            } else {
                900 << 10
            });
            std::thread::spawn(move || {
                let mut connection = Connection::open(&bootstrap);
                let offsets =
                    (0..BATCHES_EACH).map(|_| connection.produce("slow", 0, batch.clone()));
                offsets.collect::<Vec<i64>>()
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut asked = 0;
    while producers.iter().any(|producer| !producer.is_finished()) {
        let begun = Instant::now();
        let mut connection = Connection::open(broker.bootstrap());
        let _: MetadataResponse = connection.call(ApiKey::Metadata, 9, &MetadataRequest::default());
        slowest = slowest.max(begun.elapsed());
        asked += 1;
    }
    let mut offsets: Vec<i64> = producers
        .into_iter()
        .flat_map(|producer| producer.join().expect("every request is answered"))
        .collect();
    offsets.sort_unstable();
    let expected: Vec<i64> = (0..PRODUCERS * BATCHES_EACH).collect();
    assert_eq!(offsets, expected, "each batch is there once");
    broker.assert_running();
    let grown = memory_mib(&broker, "VmHWM:").saturating_sub(before);
    say(&format!(
        "{asked} answers beside the slow disk, the slowest after {slowest:?}; {grown} MiB more memory"
    ));
    assert!(grown < 160, "it took {grown} MiB more");
    assert!(
        slowest < Duration::from_secs(1),
        "metadata took {slowest:?}"
    );
}

fn memory_mib(broker: &Broker, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", broker.process_id()));
    let status = status.expect("the broker runs");
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.expect("a line of it").parse::<u64>().expect("a number") / 1024
}

/// The files of the topic that offsets are kept in.
fn offsets_segments(path: &str) -> bool {
    path.contains("/__consumer_offsets-") && segments(path)
}

#[test]
fn groups_whose_log_cannot_be_read_are_served_as_soon_as_it_can() {
    let _alone = alone();
    let disk = match FaultDisk::mount("groups on a failing disk") {
        Ok(disk) => disk,
        Err(absent) => return skip(&absent),
    };
    let mut broker = start_on(&disk);
    create_topic(broker.bootstrap(), "orders", 1, &[]);
    let groups = ["one", "two", "three", "four", "five"];
    {
        let mut connection = Connection::open(broker.bootstrap());
        for (offset, group) in (1..).zip(groups) {
            wait_for_coordinator(&mut connection, group);
            let committed = commit_offset(&mut connection, group, ("orders", 0), offset);
            assert_eq!(committed, ErrorCode::NONE);
        }
    }
    broker.terminate();
    // The next start needs nothing of them but the groups.
    disk.fail_reads(offsets_segments);
    broker.start_again();
    disk.wait_for_failed_read();
    broker.wait_until_printed(
        "cannot be served, the next try is in",
        Duration::from_secs(20),
    );
    let mut connection = Connection::open(broker.bootstrap());
    let is_retriable = |code| {
        matches!(
            code,
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        )
    };
    for group in groups {
        let code = fetch_offsets(&mut connection, group, "orders", &[0]).error_code;
        assert!(is_retriable(code), "{group}: {code}");
        let code = commit_offset(&mut connection, group, ("orders", 0), 9);
        assert!(is_retriable(code), "{group}: {code}");
    }
    // Groups of other partitions are served meanwhile.
    let is_served = |name: String| {
        let fetched = fetch_offsets(&mut connection, &name, "orders", &[0]);
        !fetched.error_code.is_error()
    };
    assert!((0..20).map(|n| format!("elsewhere-{n}")).any(is_served));
    disk.heal();
    for (offset, group) in (1..).zip(groups) {
        wait_for_coordinator(&mut connection, group);
        let fetched = fetch_offsets(&mut connection, group, "orders", &[0]);
        let found = fetched.topics[0].partitions[0].committed_offset;
        assert_eq!(found, offset, "{group}");
        let committed = commit_offset(&mut connection, group, ("orders", 0), 100 + offset);
        assert_eq!(committed, ErrorCode::NONE);
    }
    broker.assert_running();
}
