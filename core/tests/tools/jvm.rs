//! A JVM of its own for a program of Kafka's that lives until it is told to end, or that says what it did only when it ends. Never
//! interprets what it prints.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::ending::wait_within;
use crate::support::kafka_jars::jars;
use crate::support::toolchain::Absent;

/// How much of what it printed a failure shows.
const TAIL_LINES: usize = 40;

/// What is run.
pub(crate) struct Program<'a> {
    /// What is skipped where there is no Java.
    pub(crate) suite: &'static str,
    /// This run of it.
    pub(crate) name: &'a str,
    /// At most, as Java takes it.
    pub(crate) heap: &'a str,
    pub(crate) class: &'a str,
    /// Its standard input: less than a pipe holds.
    pub(crate) input: &'a str,
}

/// A running program; whoever drops it kills it.
pub(crate) struct Jvm {
    name: String,
    child: Child,
    /// On both of its streams, as it came.
    printed: Arc<Mutex<Vec<String>>>,
}

impl Jvm {
    /// Starts it; each line of its standard output is sent to `told`, with the name of this run.
    pub(crate) fn start(
        program: &Program<'_>,
        arguments: &[&str],
        told: Option<&Sender<(String, String)>>,
    ) -> Result<Self, Absent> {
        let jars = jars(program.suite)?;
        let mut child = Command::new("java")
            .arg(format!("-Xmx{}", program.heap))
            // Several of these run beside each other and a broker on a small machine.
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dlog4j2.level=WARN", "-Dfile.encoding=UTF-8", "-cp"])
            .arg(format!("{}/*", jars.display()))
            .arg(program.class)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("java was found just now");
        let mut input = child.stdin.take().expect("piped");
        let written = input.write_all(program.input.as_bytes());
        written.expect("a pipe has room for it");
        drop(input);
        let printed = Arc::default();
        let output = child.stdout.take().expect("piped");
        follow(program.name, output, &printed, told.cloned());
        let errors = child.stderr.take().expect("piped");
        follow(program.name, errors, &printed, None);
        Ok(Self {
            name: program.name.to_owned(),
            child,
            printed,
        })
    }

    /// kill -9, and waits for its end.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    /// SIGTERM: it shuts down, and says what it has to say.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status()
            .expect("there is a sh");
        assert!(sent.success(), "{} ended by itself", self.name);
    }

    /// Waits until it has ended, by itself or because it was told to.
    pub(crate) fn wait_for_its_end(&mut self, within: Duration) -> ExitStatus {
        let ended = wait_within(&mut self.child, within);
        ended.unwrap_or_else(|| panic!("{} goes on", self.name))
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let printed = self.printed.lock().unwrap_or_else(|lock| lock.into_inner());
            let from = printed.len().saturating_sub(TAIL_LINES);
            let _ = writeln!(
                std::io::stderr(),
                "the end of what {} printed:\n{}",
                self.name,
                printed[from..].join("\n")
            );
        }
    }
}

fn follow(
    name: &str,
    stream: impl Read + Send + 'static,
    printed: &Arc<Mutex<Vec<String>>>,
    told: Option<Sender<(String, String)>>,
) {
    let name = name.to_owned();
    let printed = Arc::clone(printed);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(told) = &told {
                // Nobody may listen any more.
                let _ = told.send((name.clone(), line.clone()));
            }
            printed.lock().expect("no panic while held").push(line);
        }
    });
}
