//! Runs the real binary with arguments and input, and keeps what it printed. Ends one that hangs.
//!
//! Every topic and group has a name of its own, so that the tests of this suite share brokers.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::broker::{Broker, BrokerSettings};
use crate::support::ending::wait_within;

/// Whatever takes longer hangs.
const SECONDS_MAX: &str = "60";

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) remarks: String,
}

impl Printed {
    /// Its lines as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.output.lines();
        lines
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn failed(self, code: i32, with: &str) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.remarks.contains(with), "{with:?} is not in {self:?}");
        self
    }
}

fn command(bootstrap: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command
        .arg(SECONDS_MAX)
        .arg(env!("CARGO_BIN_EXE_rinka"))
        .args(arguments)
        .env("RINKA_BOOTSTRAP", bootstrap)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs `rinka ARGUMENTS` with this standard input.
pub(crate) fn rinka_with(bootstrap: &str, arguments: &[&str], input: &[u8]) -> Printed {
    let mut child = command(bootstrap, arguments).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // It may end before it has read all.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("a child of ours");
    writer.join().expect("no panic");
    Printed {
        code: output.status.code().expect("it ended by itself"),
        output: String::from_utf8(output.stdout).expect("UTF-8"),
        remarks: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

pub(crate) fn rinka(bootstrap: &str, arguments: &[&str]) -> Printed {
    rinka_with(bootstrap, arguments, b"")
}

/// A run that goes on until it is told to end.
pub(crate) struct Running {
    child: Child,
    seen: Vec<u8>,
}

impl Running {
    pub(crate) fn start(bootstrap: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rinka"));
        command
            .args(arguments)
            .env("RINKA_BOOTSTRAP", bootstrap)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        Self {
            child: command.spawn().expect("it starts"),
            seen: Vec::new(),
        }
    }

    /// Reads until its output has this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(40);
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            assert!(Instant::now() < deadline, "{text:?} did not come");
            let stdout = self.child.stdout.as_mut().expect("piped");
            let read = stdout.read(&mut part).expect("readable");
            let seen = String::from_utf8_lossy(&self.seen).into_owned();
            assert!(read > 0, "it ended without {text:?}: {seen:?}");
            self.seen.extend_from_slice(&part[..read]);
        }
    }

    /// What it has printed so far, as far as it was waited for.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Ctrl-C, and its exit code.
    pub(crate) fn interrupt(mut self) -> i32 {
        let sent = Command::new("sh")
            // Twice at once, as `timeout` does it: that is one request.
            .args([
                "-c",
                &format!("kill -INT {0}; kill -INT {0}", self.child.id()),
            ])
            .status()
            .expect("there is a sh");
        assert!(sent.success(), "it ended before it was asked to");
        let ended = wait_within(&mut self.child, Duration::from_secs(20));
        let status = ended.expect("it ends when it is asked to");
        status.code().expect("it ended by itself")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The broker that most tests of this suite share.
pub(crate) fn shared() -> &'static str {
    static BROKER: OnceLock<(Broker, Option<Child>)> = OnceLock::new();
    let (broker, _) = BROKER.get_or_init(|| {
        let broker = Broker::start(BrokerSettings::new("node"));
        // Nobody drops what is static: neither it nor its data must outlive this process. The watcher's input ends with us, however
        // we end.
        let watcher = broker.can_be_killed().then(|| {
            let mut watcher = Command::new("sh");
            watcher
                .args(["-c", "read _; kill -9 \"$1\"; rm -rf \"$2\"", "watcher"])
                .arg(broker.process_id().to_string())
                .arg(broker.directory())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            watcher.spawn().expect("there is a sh")
        });
        (broker, watcher)
    });
    broker.bootstrap()
}

/// A name that no test and no earlier run has used.
pub(crate) fn fresh_name(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("after 1970").as_millis();
    format!("{kind}-{now}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new topic on the shared broker.
pub(crate) fn topic(kind: &str, arguments: &[&str]) -> String {
    let name = fresh_name(kind);
    let all = [&["topic", "create", name.as_str()], arguments].concat();
    rinka(shared(), &all).succeeded();
    name
}
