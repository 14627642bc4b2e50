//! A broker that may have little memory, by a control group of its own: it keeps within its settings, and when the kernel ends it
//! for less than that, nothing acknowledged is lost. Needs root and a memory controller that can be written.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::hammer::{self, Hammer};
use crate::support::admin::produce;
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::toolchain::{Absent, skip};
use crate::{LOAD, TOPIC, alone, assert_in_order, batch, create_crash_topic, read_all, say};

const MIB: u64 = 1 << 20;
/// Two shards with 8 MiB of cache each, their buffers, and the program.
const ENOUGH: u64 = 160 * MIB;

/// A control group for memory, until it is dropped.
struct Group {
    path: PathBuf,
    limit: &'static str,
}

impl Group {
    fn new() -> Result<Self, Absent> {
        let absent = |missing: String| Absent {
            suite: "memory limit",
            missing,
            impossible: true,
        };
        let name = format!("rinka-chaos-{}", std::process::id());
        let version_1 = Path::new("/sys/fs/cgroup/memory");
        let (path, limit) = if version_1.is_dir() {
            (version_1.join(name), "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup").join(name), "memory.max")
        };
        fs::create_dir(&path).map_err(|error| absent(format!("no control group: {error}")))?;
        let group = Self { path, limit };
        if !group.path.join(limit).exists() {
            return Err(absent("no memory controller".to_owned()));
        }
        Ok(group)
    }

    /// `false`: what is in use cannot be brought below it.
    fn limit(&self, bytes: u64) -> bool {
        fs::write(self.path.join(self.limit), bytes.to_string()).is_ok()
    }

    /// Starts a program in it.
    fn launcher(&self) -> Vec<String> {
        let procs = self.path.join("cgroup.procs");
        let script = format!("echo $$ > {} && exec \"$@\"", procs.display());
        vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()]
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was just waited for may still be leaving.
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.path).is_err() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

#[test]
fn little_memory_is_enough_and_too_little_loses_nothing() {
    let _alone = alone();
    let (program, group) = match hammer::program().and_then(|program| Ok((program, Group::new()?)))
    {
        Ok(both) => both,
        Err(absent) => return skip(&absent),
    };
    assert!(group.limit(ENOUGH), "nobody is in it");
    let settings = BrokerSettings::new("node")
        .with("rinka.memory", &(8 * MIB).to_string())
        .with("rinka.request.memory", &(8 * MIB).to_string())
        .with("rinka.reply.memory", &(8 * MIB).to_string())
        .launched_by(group.launcher());
    let mut broker = Broker::start(settings);
    create_crash_topic(&broker, &[]);
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    // Several times what it may have, written, kept, and read again from the disk.
    let large = batch(900 << 10);
    crate::support::admin::create_topic(broker.bootstrap(), "large", 4, &[]);
    for _ in 0..400 {
        assert_eq!(
            produce(broker.bootstrap(), "large", &large).expect("an answer"),
            0
        );
    }
    hammer.wait_for_acks(2_000);
    let mut acked = hammer.take_acks();
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "with little memory");
    broker.assert_running();

    // As little as it has in use, and then it needs more, for large requests that begin to come: the kernel ends it.
    let mut limit = ENOUGH;
    while limit > 4 * MIB && group.limit(limit - 4 * MIB) {
        limit -= 4 * MIB;
    }
    let mut half = (60_i32 << 20).to_be_bytes().to_vec();
    half.extend([0, 0, 0, 9]);
    half.resize(2 << 20, 7);
    let mut peers = Vec::new();
    while broker.is_running() && peers.len() < 100 {
        let Ok(mut peer) = TcpStream::connect(broker.bootstrap()) else {
            break;
        };
        // What it takes of it, and what it still has no memory for, is its matter.
        peer.set_nonblocking(true).expect("a socket option");
        let _ = peer.write(&half);
        peers.push(peer);
    }
    let ended = broker.wait_for_its_end(Duration::from_secs(60));
    say(&format!("ended with {} MiB: {ended}", limit / MIB));
    assert!(group.limit(ENOUGH), "nobody is in it any more");
    broker.start_again();
    hammer.wait_for_acks(1_000);
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after the kernel ended it for want of memory");
}
