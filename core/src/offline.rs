//! The files of a data directory as they lie on the disk, read beside no broker: segments batch by batch, journals block by block.
//!
//! Plain blocking reads through a small window, whatever a length in the files says. Never writes.

pub(crate) mod batches;
pub(crate) mod blocks;
pub(crate) mod index_entries;
mod window;

use std::path::Path;

use rinka_storage::offset::Offset;

/// The base offset in the name of a segment's file.
pub(crate) fn base_offset(path: &Path) -> Option<Offset> {
    let stem = path.file_stem()?.to_str()?;
    let digits = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| stem.parse().ok().map(Offset)).flatten()
}
