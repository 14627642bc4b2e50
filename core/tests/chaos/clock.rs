//! A wall clock that jumps under a running broker, by libfaketime: only timestamps follow it. Waits, deadlines and acks do not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rinka_net::wire::ApiKey;
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use rinka_storage::record_batch::verify_crc;

use crate::hammer::{self, Hammer};
use crate::support::admin::create_topic;
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::toolchain::{Absent, skip};
use crate::support::wire::Connection;
use crate::{LOAD, TOPIC, alone, assert_in_order, batch, create_crash_topic, read_all};

const STAMPED: &str = "stamped";
const LATE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// The library that the distribution's `faketime` package brings.
fn library() -> Result<PathBuf, Absent> {
    let below = ["/usr/lib", "/usr/lib64"];
    let folders = below.iter().flat_map(|folder| {
        let inside = fs::read_dir(folder).into_iter().flatten();
        inside.filter_map(|entry| Some(entry.ok()?.path()))
    });
    folders
        .chain(below.iter().map(PathBuf::from))
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.is_file())
        .ok_or_else(|| Absent {
            suite: "clock jumps",
            missing: "no libfaketime: install the package faketime".to_owned(),
            impossible: false,
        })
}

struct Clock(PathBuf);

impl Clock {
    /// From now on the broker's wall clock is off by so much.
    fn jump(&self, ms: i64) {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{:+}\n", ms / 1_000)).expect("a file of this test");
        fs::rename(new, &self.0).expect("a file of this test");
    }
}

fn start(library: &Path, clock: &Clock) -> Broker {
    let launcher = [
        "env".to_owned(),
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.0.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    Broker::start(BrokerSettings::new("node").launched_by(launcher))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("not so soon")
}

/// Appends a record to a topic of append times; how far the broker's clock is off. Later records may not hide earlier ones.
fn broker_is_off_by(connection: &mut Connection) -> i64 {
    let offset = connection.produce(STAMPED, 0, batch(10));
    let read = connection.fetch(STAMPED, 0, offset);
    let header = verify_crc(&read).expect("a batch");
    assert_eq!(header.base_offset.0, offset);
    header.max_timestamp - now_ms()
}

/// A fetch at the end of a partition that nobody writes to waits for its time, as a clock on the wall has it or not.
fn assert_waits_are_unmoved(bootstrap: &str, during: impl FnOnce()) {
    let request = FetchRequest {
        max_wait_ms: 1_000,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: "quiet".into(),
            partitions: vec![FetchPartition {
                partition: 0,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut connection = Connection::open(bootstrap);
    let asked = Instant::now();
    let correlation = connection.send(ApiKey::Fetch, 12, &request);
    during();
    let _: FetchResponse = connection.receive(ApiKey::Fetch, 12, correlation);
    let took = asked.elapsed();
    assert!(
        took > Duration::from_millis(900) && took < Duration::from_secs(6),
        "a wait of a second took {took:?}"
    );
}

#[test]
fn a_clock_that_jumps_moves_timestamps_and_nothing_else() {
    let _alone = alone();
    let (program, library) = match hammer::program().and_then(|program| Ok((program, library()?))) {
        Ok(both) => both,
        Err(absent) => return skip(&absent),
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let clock = Clock(folder.path().join("offset"));
    clock.jump(0);
    let mut broker = start(&library, &clock);
    // Records as old as the clock says are kept; that retention follows the clock is what it is for.
    create_crash_topic(
        &broker,
        &[
            ("retention.ms", "-1"),
            ("message.timestamp.after.max.ms", "9223372036854775807"),
            ("message.timestamp.before.max.ms", "9223372036854775807"),
        ],
    );
    let append_time = [
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "-1"),
        // The clock decides when the segment rolls, both ways.
        ("segment.ms", "3600000"),
    ];
    create_topic(broker.bootstrap(), STAMPED, 1, &append_time);
    create_topic(broker.bootstrap(), "quiet", 1, &[]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    let mut connection = Connection::open(broker.bootstrap());
    // Forward past every expiry, far back, before the start, and to where it belongs. The last one is lived through a restart.
    for jump in [30 * DAY_MS, -2 * DAY_MS, 3_600_000, -20_000 * DAY_MS, 0] {
        hammer.wait_for_acks(500);
        assert_waits_are_unmoved(broker.bootstrap(), || clock.jump(jump));
        let off = broker_is_off_by(&mut connection);
        // There is no time before 1970.
        let expected = jump.max(-now_ms());
        assert!(
            (off - expected).abs() < LATE_MS,
            "the clock was moved by {jump} ms, and the broker's by {off} ms"
        );
        hammer.wait_for_acks(500);
        broker.assert_running();
    }
    clock.jump(-DAY_MS);
    broker.kill9();
    broker.start_again();
    hammer.wait_for_acks(500);
    let acked = hammer.finish();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after five jumps of the clock");
}
