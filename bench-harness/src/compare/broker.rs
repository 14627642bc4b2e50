//! A broker as a child: started on its cores with a clean folder, awaited, and ended whatever happens to this process.
//!
//! Ends only the process group that it began, and removes only the folder that it made.

use std::fs::{self, File};
use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::affinity::{Cores, pinned};
use crate::client::Result;

/// Between two looks at something that tells nobody when it happens.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A broker that does not end when it is asked to is killed.
const END_WITHIN: Duration = Duration::from_secs(20);

/// How to start one.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) name: String,
    /// For `sh`; `{data}` stands for its folder.
    pub(super) command: String,
    pub(super) bootstrap: String,
    /// A line of its output that says it is ready; without one its port tells.
    pub(super) ready: Option<String>,
    pub(super) ready_within: Duration,
    pub(super) env: Vec<(String, String)>,
    pub(super) cores: Option<Cores>,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
}

#[derive(Debug)]
pub(super) struct Broker {
    child: Child,
    /// Kills the group when this process is gone: its input ends with us.
    guard: Child,
    data: PathBuf,
    ended: bool,
}

impl Broker {
    pub(super) fn start(start: &Start, stop: &impl Fn() -> bool) -> Result<Self> {
        let name = &start.name;
        let failed = |error: io::Error| format!("{name}: {error}");
        if answers(&start.bootstrap) {
            return Err(format!(
                "{name}: something answers at {} already",
                start.bootstrap
            ));
        }
        // `create_dir` and not `_all`: what lies there already is not ours to remove.
        fs::create_dir(&start.data)
            .map_err(|error| format!("{name}: {}: {error}", start.data.display()))?;
        let data = start.data.to_string_lossy();
        let log = File::create(&start.log).map_err(failed)?;
        let mut command = Command::new("sh");
        command
            .arg("-c")
            // The process that is started is the broker, so its id is too.
            .arg(format!("exec {}", start.command.replace("{data}", &data)))
            .envs(start.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .process_group(0);
        // The child has the cores of the thread that starts it, from its first thread on.
        let child = pinned(start.cores.as_ref(), || command.spawn())?.map_err(failed)?;
        let mut guard = Command::new("sh");
        guard
            .args(["-c", "read -r _; kill -s KILL -- \"-$0\""])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let guard = match guard.spawn() {
            Ok(guard) => guard,
            Err(error) => {
                signal(&child, Signal::KILL);
                return Err(failed(error));
            }
        };
        let mut broker = Self {
            child,
            guard,
            data: start.data.clone(),
            ended: false,
        };
        broker.await_ready(start, stop)?;
        Ok(broker)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn await_ready(&mut self, start: &Start, stop: &impl Fn() -> bool) -> Result<()> {
        let name = &start.name;
        let begin = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{name} ended: {status}\n{}", tail(&start.log)));
            }
            let ready = match &start.ready {
                Some(line) => fs::read_to_string(&start.log).is_ok_and(|log| log.contains(line)),
                None => answers(&start.bootstrap),
            };
            if ready {
                return Ok(());
            }
            if stop() {
                return Err("stopped".to_owned());
            }
            if begin.elapsed() > start.ready_within {
                let log = tail(&start.log);
                return Err(format!("{name} was not ready in time\n{log}"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks, waits, kills; then removes the folder.
    fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        signal(&self.child, Signal::TERM);
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begin.elapsed() < END_WITHIN {
            std::thread::sleep(LOOK_EVERY);
        }
        // The whole group: what the broker has started ends too.
        signal(&self.child, Signal::KILL);
        let _ = self.child.wait();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

fn answers(bootstrap: &str) -> bool {
    let Ok(addresses) = bootstrap.to_socket_addrs() else {
        return false;
    };
    addresses
        .into_iter()
        .any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
