//! The names of files in a data directory. Only names.

use std::path::{Path, PathBuf};

/// Checkpoints and journals are in here.
pub const DIRECTORY: &str = "rinka";

#[must_use]
pub fn base_checkpoint(root: &Path) -> PathBuf {
    root.join(DIRECTORY).join("base.checkpoint")
}

#[must_use]
pub fn shard_checkpoint(root: &Path, shard: usize) -> PathBuf {
    root.join(DIRECTORY)
        .join(format!("shard-{shard}.checkpoint"))
}

#[must_use]
pub fn journal(root: &Path, shard: usize) -> PathBuf {
    root.join(DIRECTORY).join(format!("journal-{shard}"))
}

/// Takes space that is given up when the disk is full.
#[must_use]
pub fn reserve(root: &Path, shard: usize) -> PathBuf {
    root.join(DIRECTORY).join(format!("reserve-{shard}"))
}

#[must_use]
pub fn is_reserve(name: &str) -> bool {
    name.starts_with("reserve-")
}
