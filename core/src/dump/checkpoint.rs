//! Prints a checkpoint: every log with its segments, leader epochs and producers.
//!
//! Names topics by their ids: only the metadata log has the names.

use std::path::Path;

use rinka_storage::checkpoint::Checkpoint;

use super::{DumpError, Sink};

pub(super) fn dump(path: &Path, sink: &mut Sink<'_>) -> Result<(), DumpError> {
    let checkpoint = Checkpoint::decode(&std::fs::read(path)?)
        .map_err(|error| DumpError::Content(format!("{}: {error}", path.display())))?;
    let fields = vec![
        ("generation", checkpoint.generation.into()),
        ("firstSequence", checkpoint.first_sequence.into()),
        ("logs", checkpoint.logs.len().into()),
    ];
    sink.line("checkpoint", "", &fields)?;
    for log in &checkpoint.logs {
        let name = log.topic_partition;
        let fields = vec![
            ("topicId", name.topic_id.to_string().into()),
            ("partition", name.partition.into()),
            ("startOffset", log.log_start.0.into()),
            ("endOffset", log.end.0.into()),
            ("cleanedOffset", log.cleaned.0.into()),
            ("segments", log.segments.len().into()),
            ("producers", log.producers.len().into()),
        ];
        sink.line("checkpointLog", "", &fields)?;
        for segment in &log.segments {
            let fields = vec![
                ("segment", segment.base.0.into()),
                ("revision", segment.revision.into()),
                ("size", segment.size.into()),
                ("maxTimestamp", segment.max_timestamp.into()),
                ("firstTimestamp", segment.first_timestamp.into()),
                ("offsetIndexEntries", segment.offset_entries.into()),
                ("timeIndexEntries", segment.time_entries.into()),
            ];
            sink.line("checkpointSegment", "| ", &fields)?;
        }
        for name in &log.doomed {
            let fields = vec![
                ("removedSegment", name.base.0.into()),
                ("revision", name.revision.into()),
            ];
            sink.line("checkpointRemovedSegment", "| ", &fields)?;
        }
        for (epoch, offset) in log.epochs.entries() {
            let fields = vec![
                ("leaderEpoch", epoch.0.into()),
                ("startOffset", offset.0.into()),
            ];
            sink.line("checkpointEpoch", "| ", &fields)?;
        }
        for batch in log.producers.last_batches() {
            let fields = vec![
                ("producerId", batch.producer_id.into()),
                ("producerEpoch", batch.epoch.into()),
                ("firstSequence", batch.first_sequence.into()),
                ("lastSequence", batch.last_sequence.into()),
                ("baseOffset", batch.base_offset.0.into()),
                ("lastOffset", batch.last_offset.0.into()),
                ("timestamp", batch.timestamp.into()),
            ];
            sink.line("checkpointProducer", "| ", &fields)?;
        }
    }
    Ok(())
}
