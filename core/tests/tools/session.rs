//! One JVM that runs Kafka's tools one after the other (`Tools.java`). Never interprets what they print.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use crate::support::broker::workspace;
use crate::support::kafka_jars::jars;
use crate::support::toolchain::{self, Absent};

struct Session {
    _java: Child,
    /// Its end is the JVM's: when the suite is over, so is the JVM.
    commands: ChildStdin,
    answers: ChildStdout,
}

/// What a tool printed on both of its streams, and its exit code.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) text: String,
}

/// Runs a tool, given by its class. `None`, and said by name: there is no Java here.
pub(crate) fn run(class: &str, arguments: &[&str]) -> Option<Printed> {
    static SESSION: OnceLock<Option<Mutex<Session>>> = OnceLock::new();
    let session = SESSION.get_or_init(|| match Session::start() {
        Ok(session) => Some(Mutex::new(session)),
        Err(absent) => {
            toolchain::skip(&absent);
            None
        }
    });
    let session = session.as_ref()?.lock();
    Some(
        session
            .expect("no test fails in here")
            .run(class, arguments),
    )
}

impl Session {
    fn start() -> Result<Self, Absent> {
        let jars = jars("Kafka's tools")?;
        let mut java = Command::new("java")
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dlog4j2.level=OFF", "-Dfile.encoding=UTF-8", "-cp"])
            .arg(format!("{}/*", jars.display()))
            .arg(workspace().join("core/tests/tools/Tools.java"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java was found just now");
        Ok(Self {
            commands: java.stdin.take().expect("piped"),
            answers: java.stdout.take().expect("piped"),
            _java: java,
        })
    }

    fn run(&mut self, class: &str, arguments: &[&str]) -> Printed {
        let line = [&[class], arguments].concat().join("\t");
        writeln!(self.commands, "{line}").expect("the JVM reads");
        let mut number = || {
            let mut bytes = [0; 4];
            self.answers
                .read_exact(&mut bytes)
                .expect("the JVM answers");
            i32::from_be_bytes(bytes)
        };
        let (code, length) = (number(), number());
        let mut text = vec![0; usize::try_from(length).expect("a length")];
        self.answers.read_exact(&mut text).expect("the JVM answers");
        Printed {
            code,
            text: String::from_utf8(text).expect("UTF-8"),
        }
    }
}
