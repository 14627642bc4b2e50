//! The tools that need no broker, on what a real broker left behind: `rinka dump` beside Kafka's own DumpLogSegments, and
//! `rinka doctor` on directories that are whole and on ones that were damaged on purpose.
//!
//! - `cargo test -p rinka-core --test offline -- --nocapture`
//! - `KAFKA_JARS`: where the jars of Apache Kafka are; fetched with mvn when it is not set.

mod doctor;
mod dump;
mod kafka;
mod load;
#[path = "../support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use support::broker::{Broker, BrokerSettings};
use tempfile::TempDir;

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) findings: String,
}

impl Printed {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        Self {
            code: output.status.code().expect("it ended by itself"),
            output: String::from_utf8(output.stdout).expect("UTF-8"),
            findings: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// Runs one of Rinka's tools.
pub(crate) fn rinka(tool: &str, options: &[&str], files: &[impl AsRef<OsStr>]) -> Printed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rinka"));
    Printed::of(command.arg(tool).args(options).args(files))
}

/// A data directory that a broker filled and left in good order; made once, never changed.
pub(crate) fn whole() -> &'static Path {
    static WHOLE: OnceLock<PathBuf> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let mut broker = Broker::start(BrokerSettings::new("node"));
        load::create_topics(&broker);
        load::fill(&broker);
        let ended = broker.terminate();
        assert!(ended.status.success(), "{ended:?}");
        // Nobody drops what is static, and runs beside this one have a place of their own: the next run removes what ended ones left.
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        remove_left_over(parent);
        let place = parent.join(format!("{WHOLE_PREFIX}{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        copy(broker.directory(), &place);
        place
    })
}

/// How the place of [`whole`] begins; the process id follows.
const WHOLE_PREFIX: &str = "offline-whole-";

/// Removes the places of processes that are not there any more.
fn remove_left_over(parent: &Path) {
    for entry in std::fs::read_dir(parent).expect("a directory").flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(WHOLE_PREFIX));
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A copy of [`whole`], to damage or to start a broker on.
pub(crate) fn whole_copy() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("rinka-offline-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a temporary directory");
    copy(whole(), directory.path());
    directory
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("readable").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}
