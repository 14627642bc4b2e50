//! What a repair does: makes an index anew from its segment, removes what was left over. Never touches a record or a checkpoint.
//!
//! An index gets as many entries as the checkpoint says it has, since the broker appends behind that many.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rinka_storage::log::SegmentCheckpoint;
use rinka_storage::offset_index::OffsetIndex;
use rinka_storage::time_index::TimeIndex;

use crate::offline::batches::BatchReader;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhichIndex {
    Offsets,
    Times,
}

impl WhichIndex {
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Offsets => "index",
            Self::Times => "timeindex",
        }
    }
}

/// How a finding can be put right.
#[derive(Clone, Debug)]
pub(super) enum Remedy {
    /// The segment is whole.
    RebuildIndex {
        segment: PathBuf,
        checkpoint: SegmentCheckpoint,
        which: WhichIndex,
    },
    RemoveFile(PathBuf),
    /// With the files in it.
    RemoveDirectory(PathBuf),
}

impl Remedy {
    /// Carries it out and says what was done.
    pub(super) fn apply(&self) -> io::Result<String> {
        match self {
            Self::RebuildIndex {
                segment,
                checkpoint,
                which,
            } => {
                let entries = rebuild(segment, checkpoint, *which)?;
                Ok(format!("made anew from the segment, {entries} entries"))
            }
            Self::RemoveFile(path) => {
                std::fs::remove_file(path)?;
                Ok("removed".to_owned())
            }
            Self::RemoveDirectory(path) => {
                std::fs::remove_dir_all(path)?;
                Ok("removed with what was in it".to_owned())
            }
        }
    }
}

/// Which of `candidates` batches get one of `wanted` entries: evenly spread, never the same twice.
fn chosen(number: u64, candidates: u64, wanted: u64) -> bool {
    let wanted = wanted.min(candidates);
    candidates > 0 && (number + 1) * wanted / candidates > number * wanted / candidates
}

fn rebuild(segment: &Path, checkpoint: &SegmentCheckpoint, which: WhichIndex) -> io::Result<usize> {
    let path = segment.with_extension(which.extension());
    let mut candidates = 0;
    candidates_of(segment, checkpoint, which, |_, _, _| candidates += 1)?;
    let mut number = 0;
    let bytes = match which {
        WhichIndex::Offsets => {
            let mut index = OffsetIndex::new(checkpoint.base);
            let wanted = u64::from(checkpoint.offset_entries);
            candidates_of(segment, checkpoint, which, |position, last, _| {
                if chosen(number, candidates, wanted) {
                    index.append(last, position);
                }
                number += 1;
            })?;
            index.encode_from(0)
        }
        WhichIndex::Times => {
            let mut index = TimeIndex::new(checkpoint.base);
            let wanted = u64::from(checkpoint.time_entries);
            candidates_of(segment, checkpoint, which, |_, last, timestamp| {
                if chosen(number, candidates, wanted) {
                    index.maybe_append(timestamp, last);
                }
                number += 1;
            })?;
            index.encode_from(0)
        }
    };
    let temporary = path.with_extension(format!("{}.tmp", which.extension()));
    let mut file = File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, &path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    let entry = match which {
        WhichIndex::Offsets => 8,
        WhichIndex::Times => 12,
    };
    Ok(bytes.len() / entry)
}

/// The batches that an index may name: position, last offset, timestamp. The first one of a segment needs no entry in an offset
/// index, and in a time index only those count whose time is larger than all before.
fn candidates_of(
    segment: &Path,
    checkpoint: &SegmentCheckpoint,
    which: WhichIndex,
    mut take: impl FnMut(u32, rinka_storage::offset::Offset, i64),
) -> io::Result<()> {
    let mut reader = BatchReader::open(segment, 0, Some(checkpoint.size.into()))?;
    let mut max_timestamp = -1;
    while let Some(batch) = reader.next()? {
        let timestamp = batch.header.max_timestamp;
        let last = batch.header.last_offset();
        let named = match which {
            WhichIndex::Offsets => batch.position > 0,
            WhichIndex::Times => {
                timestamp > max_timestamp && (timestamp > 0 || last > checkpoint.base)
            }
        };
        max_timestamp = max_timestamp.max(timestamp);
        if named {
            let position = u32::try_from(batch.position).map_err(io::Error::other)?;
            take(position, last, timestamp);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_chosen_as_are_wanted() {
        for (candidates, wanted) in [(10, 3), (3, 3), (1, 1), (7, 0), (2, 5), (1000, 17)] {
            let chosen = (0..candidates).filter(|&number| chosen(number, candidates, wanted));
            assert_eq!(chosen.count() as u64, wanted.min(candidates));
        }
    }
}
