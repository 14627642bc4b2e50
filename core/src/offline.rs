//! The files of a data directory as they lie on the disk, read beside no broker: segments batch by batch, journals block by block.
//!
//! Plain blocking reads through a small window, whatever a length in the files says. Never writes.

pub(crate) mod batches;
pub(crate) mod blocks;
pub(crate) mod index_entries;
mod window;

use std::path::Path;

use rinka_storage::offset::Offset;

/// The base offset in the name of a segment's file: `00000000000000000042.log`, or `00000000000000000042.3.log` of one that compaction
/// wrote.
pub(crate) fn base_offset(path: &Path) -> Option<Offset> {
    let stem = path.file_stem()?.to_str()?;
    let (base, revision) = stem.split_once('.').unwrap_or((stem, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let named = is_number(base) && is_number(revision);
    named.then(|| base.parse().ok().map(Offset)).flatten()
}
