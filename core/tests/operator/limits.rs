//! What the machine allows: with few descriptors the broker refuses connections, and never its files.

use std::io::Read as _;
use std::net::TcpStream;
use std::process::Command;

use crate::support::admin::create_topic;
use crate::support::broker::Broker;
use crate::support::wire::Connection;
use crate::{batch, eventually, settings};

/// Runs the broker by util-linux' prlimit, which every distribution has.
fn with_descriptors(limit: u32, data: &std::path::Path) -> Command {
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={limit}:{limit}"))
        .arg(env!("CARGO_BIN_EXE_rinka"))
        .args(["serve", "--shards", "2"])
        .args(["--set", "listeners=PLAINTEXT://127.0.0.1:0"])
        .args(["--set", "rinka.admin.listener=127.0.0.1:0"])
        .args(["--set", "rinka.journal.bytes=67108864"])
        .arg("--set")
        .arg(format!("log.dirs={}", data.display()));
    command
}

#[test]
fn too_few_descriptors_are_an_error_that_says_what_to_do() {
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let ended = with_descriptors(100, data.path())
        .output()
        .expect("prlimit runs");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(
        !ended.status.success() && told.contains("ulimit -n"),
        "{told}"
    );
}

#[test]
fn connections_are_refused_before_files_are() {
    let broker = Broker::start(settings());
    create_topic(broker.bootstrap(), "many", 64, &[]);
    let pid = broker.pid();
    let set = |limit: u32| {
        let limit = format!("--nofile={limit}:");
        let status = Command::new("prlimit")
            .args(["--pid", &pid.to_string(), &limit])
            .status();
        assert!(status.expect("prlimit runs").success());
    };
    let mut connection = Connection::open(broker.bootstrap());
    connection.produce("many", 0, batch(1, b"value"));
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .count();
    // Just enough for a few connections, not for thirty and the files of 64 partitions.
    set(u32::try_from(open).expect("few") + 90);
    let mut others: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(broker.bootstrap()).expect("the kernel accepts"))
        .collect();
    // Those that found no descriptor wait in the kernel; the one that is open goes on with what it has.
    connection.produce("many", 0, batch(1, b"value"));
    for other in &mut others {
        other.set_nonblocking(true).expect("an option");
        let _ = other.read(&mut [0; 1]);
    }
    drop(others);
    eventually("new connections are served again", || {
        let mut again = Connection::open(broker.bootstrap());
        again.produce("many", 1, batch(1, b"value")) >= 0
    });
    set(4096);
    let mut again = Connection::open(broker.bootstrap());
    for partition in 0..64 {
        again.produce("many", partition, batch(1, &[b'x'; 200_000]));
    }
}
