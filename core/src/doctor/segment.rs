//! Walks over one segment: every batch's CRC and header, offsets without a gap (in order and in range where compaction has left some),
//! the size that the checkpoint says, and the indexes.
//!
//! Looks at nothing behind the checkpoint's size: that is the journal's to bring back.

use std::io;
use std::path::Path;

use rinka_storage::log::SegmentCheckpoint;
use rinka_storage::offset::Offset;

use super::index_check::{IndexCheck, IndexProblem};
use super::repair::{Remedy, WhichIndex};
use super::{Progress, Report, Verdict, size};
use crate::offline::batches::{BatchReader, FoundBatch};

const RESTORE: &str = "records are lost here: restore the topic from its source or a copy; the broker goes on and answers reads from there with an error";

/// Damaged batches of one segment that are told, at most: who has that many needs no more of them.
const DAMAGED_SHOWN_MAX: u32 = 20;

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The end of the segment's offsets; nothing when it is damaged.
    pub(super) end: Option<Offset>,
    pub(super) batches: u64,
}

/// A segment as a checkpoint knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<'a> {
    pub(super) checkpoint: &'a SegmentCheckpoint,
    /// Where the next one begins, or the log ends.
    pub(super) end: Offset,
    /// Nothing is appended to it any more.
    pub(super) rolled: bool,
}

/// Checks a segment that a checkpoint knows. `visit` is shown every whole batch.
pub(super) fn check(
    path: &Path,
    kept: &Kept<'_>,
    visit: &mut dyn FnMut(&[u8]),
    report: &mut Report,
    progress: &mut Progress,
) -> io::Result<Walked> {
    let Kept {
        checkpoint,
        end,
        rolled,
    } = *kept;
    let compacted = checkpoint.name().is_compacted();
    let subject = path.display().to_string();
    let mut walked = Walked::default();
    let found = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing = size(checkpoint.size.into());
            let text = format!("the segment is missing; it had {missing}");
            report.advise(Verdict::Problem, subject, text, RESTORE);
            return Ok(walked);
        }
        other => other?.len(),
    };
    let expected = u64::from(checkpoint.size);
    if found < expected {
        let text = format!("it has {found} bytes, and the checkpoint says {expected}");
        report.advise(Verdict::Problem, &subject, text, RESTORE);
    } else if found > expected && rolled {
        let text = format!("it has {found} bytes, and the checkpoint says {expected}");
        let advice = "harmless: the broker does not look at what is behind";
        report.advise(Verdict::Warning, &subject, text, advice);
    }
    let mut indexes = IndexCheck::open(path, checkpoint)?;
    let mut reader = BatchReader::open(path, 0, Some(expected))?;
    let mut next = checkpoint.base;
    let mut max_timestamp = -1;
    let mut damaged = 0;
    while let Some(batch) = reader.next()? {
        progress.add(batch.header.size_in_bytes() as u64);
        let begins = batch.header.base_offset;
        // Where batches have gone, the next one tells where it begins, as long as that is possible.
        if compacted && begins >= next && batch.header.end_offset() <= end {
            next = begins;
        }
        if let Some(problem) = problem_of(&batch, next) {
            let text = format!("at byte {} (offset {next}): {problem}", batch.position);
            report.advise(Verdict::Problem, &subject, text, RESTORE);
            damaged += 1;
            // Where only the sum does not hold, the next batch begins where the header says, as its own will show.
            if batch.header.base_offset != next || damaged == DAMAGED_SHOWN_MAX {
                return Ok(walked);
            }
            next = batch.header.end_offset();
            continue;
        }
        indexes.batch(&batch)?;
        walked.batches += 1;
        next = batch.header.end_offset();
        max_timestamp = max_timestamp.max(batch.header.max_timestamp);
        visit(reader.bytes(&batch)?);
    }
    if reader.position() != expected {
        if found >= expected {
            let text = format!(
                "at byte {} (offset {next}): no batch begins there",
                reader.position()
            );
            report.advise(Verdict::Problem, subject, text, RESTORE);
        }
        return Ok(walked);
    }
    if damaged > 0 {
        return Ok(walked);
    }
    if max_timestamp != checkpoint.max_timestamp {
        let says = checkpoint.max_timestamp;
        let text =
            format!("its largest timestamp is {max_timestamp}, and the checkpoint says {says}");
        let advice =
            "look-ups by time may miss records here; report this, since no crash should lead to it";
        report.advise(Verdict::Warning, &subject, text, advice);
    }
    walked.end = Some(next);
    let (offsets, times) = indexes.end();
    let both = [(WhichIndex::Offsets, offsets), (WhichIndex::Times, times)];
    for (which, problem) in both {
        let (verdict, text) = match problem {
            None => continue,
            Some(IndexProblem::Short(text)) => (Verdict::Warning, text),
            Some(IndexProblem::Wrong(text)) => (Verdict::Problem, text),
        };
        let subject = path.with_extension(which.extension()).display().to_string();
        let remedy = Remedy::RebuildIndex {
            segment: path.to_owned(),
            checkpoint: *checkpoint,
            which,
        };
        let advice = "no record is lost: stop the broker and run `rinka doctor --data DIR --repair`, which makes it anew from the segment";
        report.repairable(verdict, subject, text, advice, remedy);
    }
    Ok(walked)
}

fn problem_of(batch: &FoundBatch, next: Offset) -> Option<String> {
    let header = &batch.header;
    if !batch.crc_holds {
        return Some("the CRC of the batch does not hold".to_owned());
    }
    if header.base_offset != next {
        let found = header.base_offset;
        return Some(format!("the batch there begins with offset {found}"));
    }
    if header.record_count < 0 || header.last_offset_delta < 0 {
        let (count, delta) = (header.record_count, header.last_offset_delta);
        return Some(format!(
            "the batch says {count} records up to offset delta {delta}"
        ));
    }
    header
        .codec()
        .err()
        .map(|_| "the batch is packed by a codec that does not exist".to_owned())
}
