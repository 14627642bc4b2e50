//! Prints a journal's file block by block. Files are used again and again, so that behind the newest blocks come older ones; the
//! first block that does not follow the one before it is marked.
//!
//! Never says which blocks the next start would replay: that is for who knows the checkpoints.

use std::path::Path;

use rinka_storage::journal::block::EntryKind;

use super::line::{Fields, Value};
use super::{DumpError, Sink};
use crate::offline::blocks::{BlockReader, Found, FoundEntry};

pub(super) fn dump(path: &Path, sink: &mut Sink<'_>) -> Result<(), DumpError> {
    let mut blocks = BlockReader::open(path)?;
    let mut before = None;
    while let Some(found) = blocks.next()? {
        let (position, header, entries) = match found {
            Found::Block {
                position,
                header,
                entries,
                ..
            } => (position, header, entries),
            Found::Gap { position, length } => {
                let fields = vec![("position", position.into()), ("size", length.into())];
                let text = format!("No block in {length} bytes from position {position} on");
                sink.say(&text, "gap", &fields)?;
                continue;
            }
        };
        let expected =
            before.map(|(generation, sequence): (u64, u64)| (generation, sequence.wrapping_add(1)));
        let follows = expected.is_none_or(|next| next == (header.generation, header.sequence));
        before = Some((header.generation, header.sequence));
        let count = entries.as_ref().map_or(0, Vec::len);
        let fields: Fields<'_> = vec![
            ("generation", header.generation.into()),
            ("sequence", header.sequence.into()),
            ("position", position.into()),
            ("used", header.used.into()),
            ("size", header.size().into()),
            ("entries", count.into()),
            ("follows", follows.into()),
            ("isvalid", entries.is_some().into()),
        ];
        sink.line("block", "", &fields)?;
        for entry in entries.into_iter().flatten() {
            sink.line("entry", "| ", &entry_fields(&entry))?;
        }
    }
    Ok(())
}

fn entry_fields(found: &FoundEntry) -> Fields<'static> {
    let header = &found.entry.header;
    let kind = match header.kind {
        EntryKind::Append => "append",
        EntryKind::Reference => "reference",
        EntryKind::LogStart => "logStart",
    };
    let mut fields: Fields<'static> = vec![
        ("kind", kind.into()),
        (
            "topicId",
            header.topic_partition.topic_id.to_string().into(),
        ),
        ("partition", header.topic_partition.partition.into()),
    ];
    if header.kind == EntryKind::LogStart {
        fields.push(("startOffset", header.segment.0.into()));
        return fields;
    }
    fields.extend([
        ("segment", header.segment.0.into()),
        ("position", header.position.into()),
    ]);
    match &found.batch {
        Some(batch) => fields.extend([
            ("baseOffset", batch.base_offset.0.into()),
            ("lastOffset", batch.last_offset().0.into()),
            ("count", batch.record_count.into()),
            ("producerId", batch.producer_id.into()),
            (
                "partitionLeaderEpoch",
                batch.partition_leader_epoch.0.into(),
            ),
            ("size", batch.size_in_bytes().into()),
        ]),
        None => fields.push(("size", found.entry.payload.len().into())),
    }
    // The batch that a reference stands for is in its segment.
    if header.kind == EntryKind::Append {
        let valid = found.crc_holds == Some(true);
        fields.push(("isvalid", Value::Boolean(valid)));
    }
    fields
}
