//! Faults on the real binary, under a load whose every acknowledged record is looked for afterwards: a full disk, a frozen one, one
//! that fails or loses power, a broker that is stopped for a while, and one that is killed in the middle of its recovery.
//!
//! - `cargo test -p rinka-core --test chaos -- --nocapture`, as root, with loop devices and FUSE; without them the disk's faults are
//!   skipped by name, in CI too. What is random says its seed, which `RINKA_CHAOS_SEED` gives again.

#[path = "../crash/checker.rs"]
mod checker;
mod clock;
mod failing_disk;
mod fault_file_system;
#[path = "../crash/hammer.rs"]
mod hammer;
mod large_batches;
mod memory_limit;
mod small_disk;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use checker::Account;
use hammer::{Acked, Hammer, Load};
use rinka_net::wire::ErrorCode;
use rinka_storage::record_batch::RecordBatchBuilder;
use small_disk::SmallDisk;
use support::admin::{create_topic, delete_topic, produce, try_to_delete_topic};
use support::broker::{Broker, BrokerSettings};
use support::groups::{commit_offset, fetch_offsets, wait_for_coordinator};
use support::random::Random;
use support::toolchain::skip;
use support::wire::Connection;

const LOAD: Load = Load {
    partitions: 4,
    producers: 2,
    records_per_second: 6_000,
};

const TOPIC: &str = "crash";
const BALLAST: &str = "ballast";
const GROUP: &str = "readers";

/// The journal of one shard takes 64 MiB of it, the reserve 80.
const DISK_BYTES: u64 = 256 << 20;

const SEED_KEY: &str = "RINKA_CHAOS_SEED";

const KAFKA_STORAGE_ERROR: i16 = 56;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

/// One after another: each has the machine for itself.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[test]
fn a_full_disk_refuses_records_loses_none_and_takes_them_again() {
    let _alone = alone();
    let (program, disk) = match hammer::program()
        .and_then(|program| Ok((program, SmallDisk::mount("full disk", DISK_BYTES)?)))
    {
        Ok(both) => both,
        Err(absent) => return skip(&absent),
    };
    let mut broker = start_on(&disk);
    create_topic(
        broker.bootstrap(),
        BALLAST,
        1,
        &[("file.delete.delay.ms", "100")],
    );
    let mut groups = Connection::open(broker.bootstrap());
    wait_for_coordinator(&mut groups, GROUP);
    let ballast_at = (BALLAST, 0);
    assert_eq!(
        commit_offset(&mut groups, GROUP, ballast_at, 1),
        ErrorCode::NONE
    );
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    hammer.wait_for_acks(1_000);

    // Large batches, which go past the journal.
    let ballast = batch(900 << 10);
    let taken = fill(&broker, &ballast);
    assert!(taken > 20, "full after {taken} batches");
    broker.assert_running();
    let small = batch(100);
    assert_eq!(
        produce(broker.bootstrap(), BALLAST, &small).expect("an answer"),
        KAFKA_STORAGE_ERROR,
        "a small batch is refused too"
    );
    // Commits are to be tried again, and offsets are told as before.
    assert_eq!(
        commit_offset(&mut groups, GROUP, ballast_at, 2),
        ErrorCode::COORDINATOR_NOT_AVAILABLE
    );
    let offset = |groups: &mut Connection| {
        let fetched = fetch_offsets(groups, GROUP, BALLAST, &[0]);
        fetched.topics[0].partitions[0].committed_offset
    };
    assert_eq!(offset(&mut groups), 1);
    let mut acked = hammer.take_acks();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "while the disk is full");

    broker.kill9();
    broker.start_again();
    acked.extend(hammer.take_acks());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after kill -9 on the full disk");
    assert_eq!(
        produce(broker.bootstrap(), BALLAST, &small).expect("an answer"),
        KAFKA_STORAGE_ERROR,
        "the disk is as full as before"
    );

    let mut groups = Connection::open(broker.bootstrap());
    wait_for_coordinator(&mut groups, GROUP);
    assert_eq!(offset(&mut groups), 1);
    delete_topic(broker.bootstrap(), BALLAST);
    broker.wait_until_printed("there is space again", Duration::from_secs(30));
    let hammered = (TOPIC, 0);
    assert_eq!(
        commit_offset(&mut groups, GROUP, hammered, 3),
        ErrorCode::NONE
    );
    hammer.wait_for_acks(1_000);
    acked.extend(hammer.finish());
    broker.assert_running();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after there was space again");

    // What was acknowledged after it is as safe as before.
    broker.kill9();
    broker.start_again();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after the second kill -9");
}

#[test]
fn recovery_finds_room_on_a_disk_that_somebody_else_filled() {
    let _alone = alone();
    let (program, disk) = match hammer::program()
        .and_then(|program| Ok((program, SmallDisk::mount("full disk at start", DISK_BYTES)?)))
    {
        Ok(both) => both,
        Err(absent) => return skip(&absent),
    };
    let mut broker = start_on(&disk);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    hammer.wait_for_acks(8_000);
    broker.kill9();
    let filler = disk.fill();
    broker.start_again();
    let mut acked = hammer.take_acks();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after a start on the full disk");
    broker.assert_running();
    drop(filler);
    broker.wait_until_printed("there is space again", Duration::from_secs(30));
    hammer.wait_for_acks(1_000);
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after there was space again");
}

/// Produces until the broker refuses; how many batches it took.
fn fill(broker: &Broker, ballast: &[u8]) -> usize {
    for taken in 0..1_000 {
        match produce(broker.bootstrap(), BALLAST, ballast).expect("an answer") {
            0 => {}
            KAFKA_STORAGE_ERROR => return taken,
            other => panic!("refused with error {other} after {taken} batches"),
        }
    }
    panic!("a small disk never was full");
}

#[test]
fn a_frozen_disk_holds_up_produce_and_nothing_else() {
    let _alone = alone();
    let (program, disk) = match hammer::program()
        .and_then(|program| Ok((program, SmallDisk::mount("frozen disk", DISK_BYTES)?)))
    {
        Ok(both) => both,
        Err(absent) => return skip(&absent),
    };
    let mut broker = start_on(&disk);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    hammer.wait_for_acks(1_000);
    let mut acked = hammer.take_acks();
    {
        let _frozen = disk.freeze();
        // Answers of the load that were on their way may still come, so this is no count of acks: reads go on from memory.
        let asked = Instant::now();
        let account = read_all(program, &broker, &acked);
        assert!(account.records_read() >= acked.len());
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(5), "reads took {took:?}");
        // So long the disk stands still.
        std::thread::sleep(Duration::from_secs(2));
        broker.assert_running();
    }
    hammer.wait_for_acks(1_000);
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after the thaw");
}

/// What a producer of one record hears.
fn produce_error(broker: &Broker) -> i16 {
    produce(broker.bootstrap(), "beside", &batch(10)).expect("it answers")
}

#[test]
fn a_disk_that_fails_acknowledges_nothing_more_and_loses_nothing_acknowledged() {
    let _alone = alone();
    let (program, disk) = match hammer::program()
        .and_then(|program| Ok((program, SmallDisk::mount("failing disk", DISK_BYTES)?)))
    {
        Ok(both) => both,
        Err(absent) => return skip(&absent),
    };
    let mut broker = start_on(&disk);
    create_topic(broker.bootstrap(), "beside", 1, &[]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    for _ in 0..4 {
        hammer.wait_for_acks(1_000);
        assert_eq!(produce_error(&broker), 0);
        disk.fail();
        let refused = produce_error(&broker);
        assert_eq!(refused, KAFKA_STORAGE_ERROR);
        // And so it stays while the disk fails. A flush that fails once and then succeeds: `failing_disk`.
        assert_eq!(produce_error(&broker), KAFKA_STORAGE_ERROR);
        broker.assert_running();
        broker.kill9();
        disk.mount_again();
        broker.start_again();
    }
    hammer.wait_for_acks(1_000);
    let acked = hammer.finish();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after four failures of the disk");
}

#[test]
fn a_broker_that_is_stopped_for_seconds_goes_on() {
    let _alone = alone();
    let program = match hammer::program() {
        Ok(program) => program,
        Err(absent) => return skip(&absent),
    };
    let mut broker = Broker::start(BrokerSettings::new("node"));
    create_crash_topic(&broker, &[]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    for _ in 0..3 {
        hammer.wait_for_acks(1_000);
        signal(&broker, "STOP");
        // So long it stands still.
        std::thread::sleep(Duration::from_secs(2));
        signal(&broker, "CONT");
    }
    hammer.wait_for_acks(1_000);
    broker.assert_running();
    let acked = hammer.finish();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after three stops");
}

#[test]
fn kills_during_recovery_and_segment_rolls_lose_nothing() {
    let _alone = alone();
    let program = match hammer::program() {
        Ok(program) => program,
        Err(absent) => return skip(&absent),
    };
    let mut random = Random::new(seed());
    let mut broker = Broker::start(BrokerSettings::new("node"));
    // Small segments: rolls all the time.
    create_crash_topic(&broker, &[("segment.bytes", "1048576")]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    let mut acked = Vec::new();
    for _ in 0..4 {
        hammer.wait_for_acks(4_000);
        broker.kill9();
        for _ in 0..5 {
            broker.spawn();
            // At any moment of it.
            std::thread::sleep(Duration::from_millis(random.below(120)));
            broker.kill9();
        }
        broker.start_again();
        acked.extend(hammer.take_acks());
        let account = read_all(program, &broker, &acked);
        assert_in_order(&account, "after kills during recovery");
    }
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "at the end");
}

#[test]
fn a_topic_is_whole_or_gone_after_a_kill_during_its_deletion() {
    let _alone = alone();
    let program = match hammer::program() {
        Ok(program) => program,
        Err(absent) => return skip(&absent),
    };
    let mut random = Random::new(seed());
    let mut broker = Broker::start(BrokerSettings::new("node"));
    create_crash_topic(&broker, &[]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    hammer.wait_for_acks(1_000);
    let record = batch(300 << 10);
    let mut gone = 0;
    for round in 0..8 {
        let doomed = format!("doomed-{round}");
        create_topic(
            broker.bootstrap(),
            &doomed,
            1,
            &[("file.delete.delay.ms", "0")],
        );
        for _ in 0..4 {
            let error = produce(broker.bootstrap(), &doomed, &record).expect("an answer");
            assert_eq!(error, 0);
        }
        let bootstrap = broker.bootstrap().to_owned();
        let name = doomed.clone();
        let deleting = std::thread::spawn(move || {
            try_to_delete_topic(&bootstrap, &name).is_ok_and(|e| e == 0)
        });
        // At any moment of it.
        std::thread::sleep(Duration::from_micros(random.below(8_000)));
        broker.kill9();
        let acknowledged = deleting.join().expect("it does not panic");
        broker.start_again();
        let found = produce(broker.bootstrap(), &doomed, &record).expect("an answer");
        let left = broker.directories_of(&doomed);
        match found {
            0 => assert!(!acknowledged, "{doomed} was deleted, and is there"),
            UNKNOWN_TOPIC_OR_PARTITION => {
                gone += 1;
                assert!(left.is_empty(), "{doomed} is gone, but not {left:?}");
            }
            other => panic!("{doomed} answers with error {other}"),
        }
    }
    say(&format!("{gone} of 8 topics were gone after the kill"));
    hammer.wait_for_acks(1_000);
    let acked = hammer.finish();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "beside the deletions");
}

/// What the chance of a test follows from. The moment of a fault under load is the machine's, and no seed repeats it.
fn seed() -> u64 {
    let given = std::env::var(SEED_KEY).ok();
    let seed = given.map_or(u64::from(std::process::id()), |text| {
        text.parse().expect("the seed is a number")
    });
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test").to_owned();
    say(&format!("{test}: again with {SEED_KEY}={seed}"));
    seed
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn start_on(disk: &SmallDisk) -> Broker {
    let settings = BrokerSettings::new("node").with("rinka.shards", "1");
    let broker = Broker::start_in(settings, disk.path());
    create_crash_topic(&broker, &[]);
    broker
}

fn create_crash_topic(broker: &Broker, configs: &[(&str, &str)]) {
    let partitions = i32::try_from(LOAD.partitions).expect("few partitions");
    create_topic(broker.bootstrap(), TOPIC, partitions, configs);
}

fn batch(bytes: usize) -> Bytes {
    // Without a timestamp, so that it is never too old.
    let mut builder = RecordBatchBuilder::new();
    builder.append(-1, None, Some(&vec![7; bytes]));
    builder.build()
}

fn signal(broker: &Broker, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", broker.process_id())])
        .status()
        .expect("there is a sh");
    assert!(sent.success(), "the broker is gone");
}

fn read_all(program: &Path, broker: &Broker, acked: &[Acked]) -> Account {
    let mut account = Account::new(LOAD.partitions);
    for (record, offset) in acked {
        account.on_acked(*record, *offset);
    }
    let from = account.next_offsets();
    hammer::read(
        program,
        broker.bootstrap(),
        TOPIC,
        &from,
        |partition, offset, value| account.on_read(partition, offset, value),
    );
    account
}

fn assert_in_order(account: &Account, when: &str) {
    let problems = account.problems();
    let shown = &problems[..problems.len().min(20)];
    assert!(
        problems.is_empty() && account.records_acked() > 0,
        "{} problems {when}, {} records acknowledged, {} read: {shown:#?}",
        problems.len(),
        account.records_acked(),
        account.records_read(),
    );
}
