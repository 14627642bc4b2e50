//! `rinka-bench run` against the real broker: a short run is accepted with every record read back, and what is not so is refused.
//!
//! Never looks at how fast anything was.

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::broker::{Broker, BrokerSettings};
use support::toolchain;

/// The tool, built once: it is another crate's program, so cargo does not do it for this suite.
fn tool() -> &'static Path {
    static TOOL: OnceLock<PathBuf> = OnceLock::new();
    TOOL.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_rinka")).parent();
        let folder = folder.expect("a program lies in a folder");
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--locked",
            "--package",
            "rinka-bench",
            "--target-dir",
        ]);
        build.arg(folder.parent().expect("cargo's target folder"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        toolchain::run(build.current_dir(env!("CARGO_MANIFEST_DIR")));
        folder.join("rinka-bench")
    })
}

fn run(broker: &Broker, workload: &str, options: &[&str]) -> Output {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(tool())
        .args([
            "run",
            "--park",
            "--allow-noise",
            "--bootstrap",
            broker.bootstrap(),
        ])
        .arg("--workload")
        .arg(top.join("perf/workloads").join(workload))
        .arg("--data-dir")
        .arg(broker.directory())
        .args(["--warm-up-seconds", "0.2", "--seconds", "1"])
        .args(options)
        .output()
        .expect("the tool was built")
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

/// The numbers in the line that begins so.
fn numbers(text: &str, begin: &str) -> Vec<u64> {
    let line = text.lines().find(|line| line.starts_with(begin));
    line.unwrap_or_else(|| panic!("no line {begin} in {text}"))
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// Sent, acknowledged and read back, and what is wrong.
#[track_caller]
fn assert_complete(text: &str, readers: u64) {
    let [sent, acked, read, faults @ ..] = &numbers(text, "records: ")[..] else {
        panic!("{text}");
    };
    assert!(*sent > 0, "{text}");
    assert_eq!((acked, *read), (sent, sent * readers), "{text}");
    assert_eq!(faults, [0; 4], "{text}");
}

#[test]
fn open_and_closed_loops_read_back_every_record() {
    for routing in ["node", "core"] {
        let broker = Broker::start(BrokerSettings::new(routing));
        // A loaded machine may not keep up with the schedule within a second; that is the only thing it may be refused for.
        let open = text(&run(
            &broker,
            "e2e-1k.toml",
            &["--rate", "200", "--consumers", "2"],
        ));
        assert_complete(&open, 2);
        assert!(open.contains("end to end in ms"), "{open}");
        let refused = open.lines().filter(|line| line.starts_with("refused: "));
        let other: Vec<&str> = refused
            .filter(|line| !line.contains("of the offered load"))
            .collect();
        assert_eq!(other, [""; 0], "{open}");

        let options = [
            "--idempotent",
            "--consumers",
            "0",
            "--records-per-batch",
            "3",
        ];
        let closed = run(&broker, "omb-1t-16p-1kb.toml", &options);
        let closed_text = text(&closed);
        assert_complete(&closed_text, 1);
        assert!(closed.status.success(), "{closed_text}");
    }
}

#[test]
fn a_broker_that_cannot_keep_up_is_refused() {
    let broker = Broker::start(BrokerSettings::new("node"));
    let output = run(
        &broker,
        "tail-1k.toml",
        &["--rate", "2000000", "--in-flight", "1"],
    );
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("refused: achieved"), "{text}");
}
