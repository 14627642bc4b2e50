//! Whether a toolchain is there, and building a client with it once, in a folder beside cargo's own output. Decides skip or failure;
//! never installs a toolchain.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a client cannot be run here: the suite's name and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absent {
    pub(crate) suite: &'static str,
    pub(crate) missing: String,
    /// The machine cannot have it, whatever is installed: skipped in CI too.
    pub(crate) impossible: bool,
}

/// `Err` when one of the programs is not on PATH.
pub(crate) fn need(suite: &'static str, programs: &[&str]) -> Result<(), Absent> {
    for program in programs {
        if !on_path(program) {
            return Err(Absent {
                suite,
                missing: format!("no {program} on PATH"),
                impossible: false,
            });
        }
    }
    Ok(())
}

/// Says by name what is skipped. With CI=true an absent toolchain is a failure instead.
pub(crate) fn skip(absent: &Absent) {
    let text = format!("skipped: {} ({})", absent.suite, absent.missing);
    assert!(
        absent.impossible || std::env::var("CI").as_deref() != Ok("true"),
        "{text}, and with CI=true nothing may be skipped"
    );
    // Past libtest's capture: a skip that nobody reads is a test that nobody misses.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The folder in which `name` is built. `build` runs only if it has not yet run for these very sources.
pub(crate) fn built(name: &str, sources: &Path, build: impl FnOnce(&Path)) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("cargo's folder for tests lies in its target folder");
    let folder = target.join("clients").join(name);
    fs::create_dir_all(&folder).expect("the target folder can be written");
    // One after the other, also where several processes test at once; it is let go of with the file.
    let lock = File::create(folder.join("lock")).expect("the target folder can be written");
    lock.lock().expect("the file system has locks");
    let stamp = folder.join("built-from");
    let fingerprint = fingerprint(name, sources);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == fingerprint) {
        return folder;
    }
    let _ = fs::remove_file(&stamp);
    build(&folder);
    fs::write(&stamp, fingerprint).expect("the target folder can be written");
    folder
}

/// Runs one step of a build, and panics with everything it printed when it fails.
pub(crate) fn run(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// Of every file below `sources`, by name and content.
fn fingerprint(name: &str, sources: &Path) -> String {
    let mut files = BTreeSet::new();
    list_files(sources, &mut files);
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)
            .expect("a file that was just listed")
            .hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

fn list_files(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are part of the checkout") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            list_files(&path, files);
        } else {
            files.insert(path);
        }
    }
}
