//! The files that git tracks, as they stand in the working tree.
//!
//! Reads only; a tracked file that is gone from the working tree is left out.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tracked text file.
pub(crate) struct File {
    /// From the top of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Holds the words that the checks look for, so it is not checked for them.
pub(crate) const TIDY: &str = "core/tests/tidy/";

/// All tracked files that are text, in the order of their paths.
pub(crate) fn files() -> Vec<File> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(top())
        .output()
        .expect("tidy needs git to know which files belong to the repository");
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        if let Ok(text) = std::fs::read_to_string(top().join(path)) {
            let path = path.to_owned();
            files.push(File { path, text });
        }
    }
    assert!(!files.is_empty(), "git ls-files names no file");
    files
}

/// All tracked Rust files.
pub(crate) fn rust_files() -> Vec<File> {
    let mut files = files();
    files.retain(|file| file.path.ends_with(".rs"));
    files
}

/// The text of a file that must be there.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn top() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("core/ lies in the repository")
        .into()
}
