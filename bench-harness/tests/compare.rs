//! `rinka-bench compare` with brokers and a load that are small scripts: order, table, and that nothing is left behind.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A broker that says it is ready, and leaves its process id and a helper's.
const BROKER: &str =
    "#!/bin/sh\nsleep 600 &\necho $$ $! >> \"$1\"\ntouch \"$2/data\"\necho ready\nwait\n";

/// Writes a result, or says why not.
const RUNNER: &str = r#"#!/bin/sh
echo "$1 $2" >> "$ORDER"
case $1 in *"$FAIL"*) echo broken; exit 1;; esac
echo "{\"format_version\":1,\"produced\":{\"bytes_per_second\":$3},\"verdict\":{\"accepted\":true}}" > "$2"
"#;

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let scene = Self { dir };
        for (name, text) in [("broker", BROKER), ("runner", RUNNER)] {
            fs::write(scene.path(name), text).expect("a script");
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(scene.path(name), mode).expect("a mode");
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn compare(&self, fail: &str, more: &[&str]) -> Output {
        let mut command = self.command(more);
        command.env("FAIL", fail).output().expect("rinka-bench")
    }

    fn command(&self, more: &[&str]) -> Command {
        let (broker, pids) = (self.path("broker"), self.path("pids"));
        let broker = format!("{} {} {{data}}", broker.display(), pids.display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_rinka-bench"));
        command
            .args([
                "compare", "--a", &broker, "--b", &broker, "--a-name", "one", "--b-name", "two",
            ])
            .args([
                "--a-class",
                "power",
                "--b-class",
                "kill",
                "--a-ready",
                "ready",
                "--b-ready",
                "ready",
            ])
            .args(["--a-bootstrap", &free(), "--b-bootstrap", &free()])
            .arg("--out")
            .arg(self.path("out"))
            .arg("--runner")
            .arg(self.path("runner"))
            .args(more)
            .args(["--", "{run}", "{json}", "{pid}000", "{bootstrap}"])
            .env("ORDER", self.path("order"));
        command
    }

    /// Neither brokers, nor what they started, nor their data.
    fn assert_nothing_left(&self, brokers: usize) {
        let pids = self.text("pids");
        assert_eq!(pids.lines().count(), brokers, "{pids}");
        for pid in pids.split_whitespace() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let gone = stat.is_empty() || stat.contains(") Z ");
            assert!(gone, "{stat}");
        }
        for data in ["out/a.data", "out/b.data"] {
            assert!(!Path::new(&self.path(data)).exists(), "{data}");
        }
    }
}

fn kill(signal: &str, pid: u32) {
    let command = format!("kill -s {signal} {pid}");
    let status = Command::new("sh").args(["-c", &command]).status();
    assert!(status.expect("sh").success());
}

/// An address that nothing listens at.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn runs_interleave_and_each_has_a_new_broker() {
    let scene = Scene::new();
    let output = scene.compare("nothing", &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let order = scene.text("order");
    let runs: Vec<&str> = order
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|run| !run.starts_with("warm-up"))
        .collect();
    assert_eq!(
        runs,
        ["a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4", "a5", "b5"]
    );
    assert_eq!(order.lines().count(), 20, "a warm-up before each: {order}");
    assert!(
        said.contains("one (power)") && said.contains("two (kill)"),
        "{said}"
    );
    assert!(said.contains("produced, MB/s"), "{said}");
    assert!(said.contains("5 runs counted, 0 refused"), "{said}");
    let comparison = scene.text("out/comparison.json");
    assert!(comparison.contains("\"runs\": 5"), "{comparison}");
    scene.assert_nothing_left(10);
}

#[test]
fn kept_brokers_start_once() {
    let scene = Scene::new();
    let output = scene.compare("nothing", &["--keep", "--rounds", "2", "--warm-ups", "0"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("too few runs"), "{said}");
    assert_eq!(scene.text("order").lines().count(), 4);
    scene.assert_nothing_left(2);
}

#[test]
fn a_run_without_a_result_ends_everything() {
    let scene = Scene::new();
    let output = scene.compare("b2", &["--keep"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("b2 of two left no result:\nbroken"), "{said}");
    scene.assert_nothing_left(2);
}

/// The brokers and what they start hold the pipe open: its end is theirs.
#[test]
fn no_broker_outlives_a_comparison_that_is_killed() {
    for (signal, tidied) in [("TERM", true), ("KILL", false)] {
        let scene = Scene::new();
        let pipe = scene.path("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        let broker = format!("exec 3> {}\n{}", pipe.display(), &BROKER[10..]);
        fs::write(scene.path("broker"), format!("#!/bin/sh\n{broker}")).expect("a script");
        let waits = "#!/bin/sh\necho $$ > \"$5\"\nexec sleep 600\n";
        fs::write(scene.path("runner"), waits).expect("a script");
        let mut compare = scene
            .command(&["--keep", "--warm-ups", "0"])
            .arg(&pipe)
            .spawn()
            .expect("rinka-bench");
        let mut reader = BufReader::new(fs::File::open(&pipe).expect("the pipe"));
        let mut line = String::new();
        reader.read_line(&mut line).expect("the run has begun");
        let runner: u32 = line.trim().parse().expect("the run's process");
        kill(signal, compare.id());
        assert!(!compare.wait().expect("an end").success());
        reader
            .read_to_string(&mut line)
            .expect("the end of the brokers");
        if signal == "KILL" {
            // A real run would end with its broker.
            kill(signal, runner);
        }
        assert_eq!(scene.path("out/a.data").exists(), !tidied, "{signal}");
    }
}

#[test]
fn a_port_in_use_is_no_broker_of_ours() {
    let scene = Scene::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    fs::create_dir(scene.path("elsewhere")).expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_rinka-bench"))
        .args([
            "compare",
            "--a",
            "false",
            "--b",
            "false",
            "--a-class",
            "kill",
            "--b-class",
            "kill",
        ])
        .args(["--a-bootstrap", &address, "--out"])
        .arg(scene.path("out"))
        .args(["--", "produce"])
        .output()
        .expect("rinka-bench");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("answers at"),
        "{said}"
    );
}
