//! Keeps the house in order: what may stand where, and what the README says, checked as plain text.
//!
//! Builds nothing and runs nothing but `git ls-files`; each complaint names the file and says what to do.

mod manifests;
mod readme;
mod sources;
mod text;
mod tree;

/// Fails with every complaint at once, one a line.
#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}
