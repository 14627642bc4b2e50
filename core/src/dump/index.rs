//! Prints the two indexes of a segment and holds them against it, as Kafka's tool does.
//!
//! Stops at the first zero entry: what lies behind it was reserved and never written.

use std::path::Path;

use rinka_storage::offset::Offset;

use super::{DumpError, DumpOptions, Sink};
use crate::offline::base_offset;
use crate::offline::batches::BatchReader;
use crate::offline::index_entries::{IndexReader, OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};

fn open(path: &Path) -> Result<(Offset, IndexReader), DumpError> {
    let base = base_offset(path).ok_or_else(|| {
        let name = path.display();
        DumpError::Content(format!(
            "{name} is not named by a base offset, without which an index cannot be read"
        ))
    })?;
    Ok((base, IndexReader::open(path, base)?))
}

/// What every start of Kafka checks, and no more.
fn whole(path: &Path, size: u64, entry: u64, last_is_behind: bool) -> Result<(), DumpError> {
    let problem = if !last_is_behind {
        "its last entry is below its first or its base offset"
    } else if !size.is_multiple_of(entry) {
        "its size is no multiple of an entry's"
    } else {
        return Ok(());
    };
    let path = path.display();
    Err(DumpError::Content(format!(
        "{path} failed the sanity check: {problem}"
    )))
}

fn say_empty(path: &Path, sink: &mut Sink<'_>) -> Result<(), DumpError> {
    sink.say(
        &format!("{} is empty.", path.display()),
        "emptyIndex",
        &vec![],
    )
}

fn say_passed(path: &Path, sink: &mut Sink<'_>) -> Result<(), DumpError> {
    let text = format!("{} passed sanity check.", path.display());
    sink.say(&text, "indexSanityCheck", &vec![("passed", true.into())])
}

pub(super) fn dump_offsets(
    path: &Path,
    options: &DumpOptions,
    sink: &mut Sink<'_>,
) -> Result<(), DumpError> {
    let (base, mut index) = open(path)?;
    if index.size() < OFFSET_ENTRY_BYTES {
        return say_empty(path, sink);
    }
    if options.index_sanity_check {
        let mut last = base;
        while let Some((offset, _)) = index.next_offset()? {
            last = offset;
        }
        whole(path, index.size(), OFFSET_ENTRY_BYTES, last >= base)?;
        return say_passed(path, sink);
    }
    let segment = path.with_extension("log");
    let mut mismatches = Vec::new();
    let mut first = true;
    while let Some((offset, position)) = index.next_offset()? {
        if offset == base && !first {
            break;
        }
        first = false;
        let batch = BatchReader::open(&segment, position.into(), None)?.next()?;
        let found = batch.map(|batch| batch.header.last_offset());
        if found != Some(offset) {
            mismatches.push((offset, found));
        }
        if !options.verify_index_only {
            let fields = vec![("offset", offset.0.into()), ("position", position.into())];
            sink.line("offsetIndexEntry", "", &fields)?;
        }
    }
    if !mismatches.is_empty() {
        let mut text = format!("Mismatches in :{}", path.display());
        for (offset, found) in mismatches {
            let found = found.map_or("none".to_owned(), |found| found.to_string());
            text.push_str(&format!("\n  Index offset: {offset}, log offset: {found}"));
        }
        sink.note(&text)?;
    }
    Ok(())
}

pub(super) fn dump_times(
    path: &Path,
    options: &DumpOptions,
    sink: &mut Sink<'_>,
) -> Result<(), DumpError> {
    let (base, mut index) = open(path)?;
    if options.index_sanity_check {
        let first = index.next_time()?;
        let mut last = first;
        while let Some(entry) = index.next_time()? {
            last = Some(entry);
        }
        let grows = first
            .zip(last)
            .is_none_or(|(first, last)| last.0 >= first.0 && last.1 >= base);
        whole(path, index.size(), TIME_ENTRY_BYTES, grows)?;
        return say_passed(path, sink);
    }
    let mut batches = BatchReader::open(&path.with_extension("log"), 0, None)?;
    let mut batch = batches.next()?;
    let mut problems = Vec::new();
    let mut before = None;
    while let Some((timestamp, offset)) = index.next_time()? {
        if offset == base && before.is_some() {
            break;
        }
        while batch
            .as_ref()
            .is_some_and(|batch| batch.header.last_offset() < offset)
        {
            batch = batches.next()?;
        }
        let found = batch.as_ref().map(|batch| &batch.header);
        match found {
            Some(header) if header.last_offset() == offset => {
                let in_log = header.max_timestamp;
                if in_log != timestamp {
                    problems.push(format!(
                        "Index timestamp: {timestamp}, log timestamp: {in_log}"
                    ));
                }
                if let Some(before) = before.filter(|before| *before >= timestamp) {
                    problems.push(format!(
                        "Index timestamp: {timestamp}, Previously indexed timestamp: {before}"
                    ));
                }
            }
            other => {
                let found = other.map_or(-1, |header| header.last_offset().0);
                problems.push(format!(
                    "Indexed offset: {offset}, found log offset: {found}"
                ));
            }
        }
        if !options.verify_index_only {
            let fields = vec![("timestamp", timestamp.into()), ("offset", offset.0.into())];
            sink.line("timeIndexEntry", "", &fields)?;
        }
        before = Some(timestamp);
    }
    if !problems.is_empty() {
        let path = path.display();
        let text = problems.join("\n  ");
        sink.note(&format!("Mismatches in :{path}\n  {text}"))?;
    }
    Ok(())
}
