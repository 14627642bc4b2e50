//! A client behind a driver program: starts it, feeds it frames, takes what it gives. Never judges a record.
//!
//! A driver is run as `DRIVER write BOOTSTRAP TOPIC CODEC`, `read BOOTSTRAP TOPIC`, `admin BOOTSTRAP TOPIC` or
//! `errors BOOTSTRAP TOPIC`; it exits with 0, or prints what went wrong to standard error and exits with another status.

use std::io::{BufReader, BufWriter, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use crate::client::{Answers, Client, Codec, Shape, Topic, parse_answers};
use crate::record::{Ack, Record};

const PIPE_BUFFER_BYTES: usize = 256 << 10;

/// A client that gets no answer must fail, not hang the suite. The longest run takes seconds.
const DEADLINE_SECONDS: &str = "120";

/// The exit status of coreutils' `timeout` when the time was up.
const TIME_IS_UP: i32 = 124;

/// A command that is ended when the time is up.
pub(crate) fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", DEADLINE_SECONDS, program]);
    command
}

/// Of a run that was ended: which side of which connection has bytes that nobody read.
fn evidence(status: ExitStatus, bootstrap: &str) -> String {
    if status.code() != Some(TIME_IS_UP) {
        return String::new();
    }
    let connections = Command::new("ss").args(["-tnp"]).output();
    format!(
        "nothing more came for {DEADLINE_SECONDS} s; the broker is {bootstrap}, the connections of this machine were:\n{}",
        connections.map_or_else(
            |error| error.to_string(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned()
        )
    )
}

/// One client and the command line of its driver.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) expected_errors: &'static [(&'static str, &'static str)],
}

impl Driver {
    fn spawn(&self, arguments: &[&str], input: Stdio) -> Child {
        bounded(&self.command[0])
            .args(&self.command[1..])
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", self.command))
    }

    /// Runs it to its end while `consume` reads its standard output.
    fn run<T>(
        &self,
        arguments: &[&str],
        mut child: Child,
        consume: impl FnOnce(&mut dyn Read) -> std::io::Result<T>,
    ) -> T {
        let mut output = BufReader::with_capacity(
            PIPE_BUFFER_BYTES,
            child.stdout.take().expect("standard output is piped"),
        );
        let mut errors = child.stderr.take().expect("standard error is piped");
        thread::scope(|scope| {
            let errors = scope.spawn(move || {
                let mut text = Vec::new();
                let _ = errors.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            });
            let consumed = consume(&mut output);
            let status = child.wait().expect("a child that was not waited for");
            let errors = errors.join().expect("reading does not panic");
            assert!(
                status.success(),
                "{} {arguments:?} failed ({status}):\n{errors}{}",
                self.name,
                evidence(status, arguments[1])
            );
            consumed.unwrap_or_else(|error| {
                panic!(
                    "{} {arguments:?} sent a damaged frame: {error}\n{errors}",
                    self.name
                )
            })
        })
    }

    fn ask(&self, arguments: &[&str]) -> Answers {
        let child = self.spawn(arguments, Stdio::null());
        let text = self.run(arguments, child, |output| {
            let mut text = String::new();
            output.read_to_string(&mut text)?;
            Ok(text)
        });
        parse_answers(&text)
    }
}

impl Client for Driver {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn write(
        &self,
        topic: &Topic<'_>,
        codec: Codec,
        records: &mut (dyn Iterator<Item = Record> + Send),
    ) -> Option<Vec<Ack>> {
        let codec = codec.to_string();
        let arguments = ["write", topic.bootstrap, topic.name, &codec];
        let mut child = self.spawn(&arguments, Stdio::piped());
        let input = child.stdin.take().expect("standard input is piped");
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut input = BufWriter::with_capacity(PIPE_BUFFER_BYTES, input);
                for record in records {
                    // A driver that ended early says why itself.
                    if record.write_to(&mut input).is_err() {
                        break;
                    }
                }
                let _ = input.flush();
            });
            let acks = self.run(&arguments, child, |mut output| {
                let mut acks = Vec::new();
                while let Some(ack) = Ack::read_from(&mut output)? {
                    acks.push(ack);
                }
                Ok(acks)
            });
            Some(acks)
        })
    }

    fn read(&self, topic: &Topic<'_>, on_record: &mut dyn FnMut(Record)) {
        let arguments = ["read", topic.bootstrap, topic.name];
        let child = self.spawn(&arguments, Stdio::null());
        self.run(&arguments, child, |mut output| {
            while let Some(record) = Record::read_from(&mut output)? {
                on_record(record);
            }
            Ok(())
        });
    }

    fn admin(&self, topic: &Topic<'_>) -> Option<Answers> {
        Some(self.ask(&["admin", topic.bootstrap, topic.name]))
    }

    fn errors(&self, topic: &Topic<'_>) -> Answers {
        self.ask(&["errors", topic.bootstrap, topic.name])
    }

    fn expected_errors(&self) -> &[(&'static str, &'static str)] {
        self.expected_errors
    }
}
