//! The real broker as a child process: start, kill -9, SIGTERM, start again on the same directory. Waits for what the broker
//! prints, never for time to pass; whoever drops it kills it.
//!
//! Instead of Rinka, a suite can be pointed at another broker, as a control of the suite itself:
//! - `RINKA_TEST_BOOTSTRAP=host:port`: a broker that runs already; it cannot be killed, so only the client suite takes it.
//! - `RINKA_TEST_BROKER=perf/kafka/start`: a program that is started as `PROGRAM --port PORT --data DIR --set KEY=VALUE ...`, stays
//!   in the foreground and prints `Kafka Server started`. Keys that begin with `rinka.` are not passed to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ending::wait_within;
use super::ports;

/// The control needs about ten seconds on a quiet machine; Rinka's own promise is far below and asserted where it matters.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// How much of the broker's output a failure shows.
const TAIL_LINES: usize = 60;

/// What to start the broker with. Kafka's keys and Rinka's.
#[derive(Clone, Debug, Default)]
pub(crate) struct BrokerSettings {
    keys: BTreeMap<String, String>,
    /// A program and its first arguments, which becomes the broker whose command line follows.
    launcher: Vec<String>,
}

impl BrokerSettings {
    /// Two shards, and topics only where somebody creates them.
    pub(crate) fn new(routing: &str) -> Self {
        Self::default()
            .with("auto.create.topics.enable", "false")
            .with("rinka.shards", "2")
            .with("rinka.routing", routing)
            .with("rinka.journal.bytes", "67108864")
            .with("rinka.admin.listener", "127.0.0.1:0")
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.keys.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Starts it by another program: with a limit, or with something else in its way.
    pub(crate) fn launched_by(mut self, launcher: impl Into<Vec<String>>) -> Self {
        self.launcher = launcher.into();
        self
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }
}

/// How the broker ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
}

/// A running broker, or one that was ended and may be started again.
#[derive(Debug)]
pub(crate) struct Broker {
    settings: BrokerSettings,
    program: Program,
    bootstrap: String,
    port: u16,
    directory: Option<TempDir>,
    process: Option<Child>,
    output: Arc<Output>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Program {
    Rinka,
    Control(PathBuf),
    RunsAlready,
}

impl Broker {
    /// Starts it on free ports with a fresh directory, and waits until it says that it is ready.
    pub(crate) fn start(settings: BrokerSettings) -> Self {
        Self::start_in(settings, Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// As [`Broker::start`], with its fresh directory in `parent`.
    pub(crate) fn start_in(settings: BrokerSettings, parent: &Path) -> Self {
        if let Ok(bootstrap) = std::env::var("RINKA_TEST_BOOTSTRAP") {
            return Self {
                settings,
                program: Program::RunsAlready,
                bootstrap,
                port: 0,
                directory: None,
                process: None,
                output: Arc::default(),
            };
        }
        let program = match std::env::var_os("RINKA_TEST_BROKER") {
            Some(path) => {
                // Relative to where the person is, which is the top of the workspace and not where cargo runs the tests.
                let path = PathBuf::from(path);
                let from_top = workspace().join(&path);
                Program::Control(if from_top.exists() { from_top } else { path })
            }
            None => Program::Rinka,
        };
        let directory = tempfile::Builder::new()
            .prefix("rinka-test-")
            .tempdir_in(parent)
            .expect("a temporary directory");
        Self::start_program(program, settings, directory)
    }

    /// Starts Rinka on a directory that is there.
    pub(crate) fn start_on(directory: TempDir, settings: BrokerSettings) -> Self {
        Self::start_program(Program::Rinka, settings, directory)
    }

    fn start_program(program: Program, settings: BrokerSettings, directory: TempDir) -> Self {
        let port = ports::free_block();
        let mut broker = Self {
            settings,
            program,
            bootstrap: format!("127.0.0.1:{port}"),
            port,
            directory: Some(directory),
            process: None,
            output: Arc::default(),
        };
        broker.start_again();
        broker
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Where its data is; there until the broker is dropped.
    pub(crate) fn directory(&self) -> &Path {
        let directory = self.directory.as_ref();
        directory.expect("a broker that this suite started").path()
    }

    /// Whether it is Rinka, and so keeps Rinka's own promises too.
    pub(crate) fn is_rinka(&self) -> bool {
        self.program == Program::Rinka
    }

    pub(crate) fn can_be_killed(&self) -> bool {
        self.program != Program::RunsAlready
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        let child = self.process.as_ref();
        child.expect("a broker that this suite started").id()
    }

    /// Changes what the next start is given.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.settings = std::mem::take(&mut self.settings).with(key, value);
    }

    /// Starts it on the directory and ports it had; returns how long it took to say that it is ready.
    pub(crate) fn start_again(&mut self) -> Duration {
        let started = Instant::now();
        self.spawn();
        let mark = match self.program {
            Program::Rinka => "  ready in ",
            Program::Control(_) | Program::RunsAlready => "Kafka Server started",
        };
        if let Err(problem) = self.output.wait_for(mark, started + READY_WITHIN) {
            panic!(
                "the broker did not become ready: {problem}\n{}",
                self.output.tail()
            );
        }
        started.elapsed()
    }

    /// Starts it and does not wait until it is ready.
    pub(crate) fn spawn(&mut self) {
        assert!(self.process.is_none(), "the broker runs already");
        let mut command = self.command();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        self.output = Arc::new(Output::default());
        self.output.follow(child.stdout.take().expect("piped"));
        self.output.follow(child.stderr.take().expect("piped"));
        self.process = Some(child);
    }

    /// kill -9, and waits for its end.
    pub(crate) fn kill9(&mut self) {
        let mut child = self
            .process
            .take()
            .expect("a broker that this suite started");
        child.kill().expect("a child that was not waited for");
        child.wait().expect("a child that was not waited for");
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn terminate(&mut self) -> Ended {
        let mut child = self
            .process
            .take()
            .expect("a broker that this suite started");
        let asked = Instant::now();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", child.id())])
            .status()
            .expect("there is a sh");
        assert!(
            sent.success(),
            "the broker ended before SIGTERM was sent\n{}",
            self.output.tail()
        );
        let status = child.wait().expect("a child that was not waited for");
        Ended {
            status,
            took: asked.elapsed(),
        }
    }

    /// Waits until it has printed a line with `text` since its last start.
    pub(crate) fn wait_until_printed(&self, text: &str, within: Duration) {
        if let Err(problem) = self.output.wait_for(text, Instant::now() + within) {
            panic!("{problem}\n{}", self.output.tail());
        }
    }

    /// Directories of a topic's partitions, also those that wait for their removal.
    pub(crate) fn directories_of(&self, topic: &str) -> Vec<PathBuf> {
        let directory = self.directory.as_ref().expect("a broker of ours has one");
        let entries = std::fs::read_dir(directory.path()).expect("a readable directory");
        entries
            .map(|entry| entry.expect("a readable entry").path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with(&format!("{topic}-"))
            })
            .collect()
    }

    /// The process id of the running broker.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// The lines it printed since its last start.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.output
            .lines
            .lock()
            .expect("no panic while held")
            .text
            .clone()
    }

    /// Waits until it has printed a line with that text; panics when it does not in time.
    pub(crate) fn wait_for_line(&self, text: &str, within: Duration) {
        if let Err(problem) = self.output.wait_for(text, Instant::now() + within) {
            panic!("{problem}");
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        let child = self.process.as_mut();
        let child = child.expect("a broker that this suite started");
        let ended = child.try_wait().expect("a child of ours");
        ended.is_none()
    }

    /// Waits until something else has ended it.
    pub(crate) fn wait_for_its_end(&mut self, within: Duration) -> ExitStatus {
        let child = self.process.as_mut();
        let child = child.expect("a broker that this suite started");
        let status = wait_within(child, within).expect("it ends in time");
        self.process = None;
        status
    }

    /// Panics when it ended by itself.
    pub(crate) fn assert_running(&mut self) {
        if let Some(child) = &mut self.process
            && let Some(status) = child.try_wait().expect("a child that was not waited for")
        {
            panic!(
                "the broker ended by itself: {status}\n{}",
                self.output.tail()
            );
        }
    }

    fn command(&self) -> Command {
        let directory = self
            .directory
            .as_ref()
            .expect("a broker of ours has a directory")
            .path();
        let mut command = match &self.program {
            Program::Rinka => {
                let rinka = env!("CARGO_BIN_EXE_rinka");
                let mut command = match self.settings.launcher.split_first() {
                    Some((launcher, arguments)) => {
                        let mut command = Command::new(launcher);
                        command.args(arguments).arg(rinka);
                        command
                    }
                    None => Command::new(rinka),
                };
                command.arg("serve");
                command.arg(format!(
                    "--set=listeners=PLAINTEXT://127.0.0.1:{}",
                    self.port
                ));
                command.arg(format!("--set=log.dirs={}", directory.display()));
                command
            }
            Program::Control(program) => {
                let mut command = Command::new(program);
                command
                    .args(["--port", &self.port.to_string(), "--data"])
                    .arg(directory);
                command
            }
            Program::RunsAlready => unreachable!("it is never started"),
        };
        for (key, value) in &self.settings.keys {
            if self.program == Program::Rinka || !key.starts_with("rinka.") {
                command.arg("--set").arg(format!("{key}={value}"));
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() && self.program != Program::RunsAlready {
            let _ = writeln!(
                std::io::stderr(),
                "the end of the broker's output:\n{}",
                self.output.tail()
            );
        }
    }
}

/// The top of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package is a folder of the workspace")
}

/// What the broker prints, on both of its streams, as it comes.
#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    text: Vec<String>,
    open_streams: usize,
}

impl Output {
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        self.lines.lock().expect("no panic while held").open_streams += 1;
        let output = Arc::clone(self);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .is_ok_and(|length| length > 0)
            {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                output
                    .lines
                    .lock()
                    .expect("no panic while held")
                    .text
                    .push(text);
                output.more.notify_all();
            }
            output
                .lines
                .lock()
                .expect("no panic while held")
                .open_streams -= 1;
            output.more.notify_all();
        });
    }

    fn wait_for(&self, text: &str, deadline: Instant) -> Result<(), String> {
        let mut lines = self.lines.lock().expect("no panic while held");
        loop {
            if lines.text.iter().any(|line| line.contains(text)) {
                return Ok(());
            }
            if lines.open_streams == 0 {
                return Err(format!("it ended without printing {text:?}"));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("it did not print {text:?} in time"));
            }
            lines = self
                .more
                .wait_timeout(lines, left)
                .expect("no panic while held")
                .0;
        }
    }

    fn tail(&self) -> String {
        let lines = self.lines.lock().expect("no panic while held");
        let from = lines.text.len().saturating_sub(TAIL_LINES);
        lines.text[from..].join("\n")
    }
}
