//! What start-up needs to know: of each log, what is synced in its segments; of each journal, where replay begins.
//!
//! Only bytes in and bytes out. The base file describes the whole data directory as one start left it; each shard then
//! writes a file of its own, which counts only beside the base of the same generation. Replacing the base therefore
//! switches all of them at once.

use crate::leader_epoch_history::LeaderEpochHistory;
use crate::log::{LogCheckpoint, SegmentCheckpoint, SegmentName};
use crate::offset::Offset;
use crate::producer_state::ProducerStates;
use crate::topic_partition::{TopicId, TopicPartition};

/// The newest format this release reads and the one it writes. Format 1 lacks the lists of doomed segments, format 2 all
/// that compaction adds: revisions of segments, and how far a log is clean; beside format 3 no journal has padding in front of a
/// batch.
pub const FORMAT: u32 = 4;

const MAGIC: [u8; 4] = *b"RKC1";

/// A checkpoint file's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The number of the start of the data directory it belongs to.
    pub generation: u64,
    /// Replay of the shard's journal begins at this block. Meaningless in the base file.
    pub first_sequence: u64,
    pub logs: Vec<LogCheckpoint>,
}

/// Why a checkpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// Written by a newer release.
    NewerFormat(u32),
    Damaged(&'static str),
    /// It is not there, though it must have been written.
    Missing,
}

impl std::fmt::Display for CheckpointError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NewerFormat(format) => write!(
                formatter,
                "format {format} is newer than this release understands (up to {FORMAT}); start the release that wrote it"
            ),
            Self::Missing => formatter.write_str(
                "missing, though there are journals: part of the data directory was lost; restore it, or start with an empty one",
            ),
            Self::Damaged(what) => write!(formatter, "damaged: {what}"),
        }
    }
}

impl Checkpoint {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.logs.len() * 160);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        put_count(&mut out, self.logs.len());
        for log in &self.logs {
            out.extend_from_slice(log.topic_partition.topic_id.0.as_bytes());
            out.extend_from_slice(&log.topic_partition.partition.to_le_bytes());
            out.extend_from_slice(&log.log_start.0.to_le_bytes());
            out.extend_from_slice(&log.end.0.to_le_bytes());
            put_count(&mut out, log.segments.len());
            for segment in &log.segments {
                out.extend_from_slice(&segment.base.0.to_le_bytes());
                out.extend_from_slice(&segment.revision.to_le_bytes());
                out.extend_from_slice(&segment.size.to_le_bytes());
                out.extend_from_slice(&segment.max_timestamp.to_le_bytes());
                out.extend_from_slice(&segment.first_timestamp.to_le_bytes());
                out.extend_from_slice(&segment.offset_entries.to_le_bytes());
                out.extend_from_slice(&segment.time_entries.to_le_bytes());
            }
            put_count(&mut out, log.doomed.len());
            for name in &log.doomed {
                out.extend_from_slice(&name.base.0.to_le_bytes());
                out.extend_from_slice(&name.revision.to_le_bytes());
            }
            out.extend_from_slice(&log.cleaned.0.to_le_bytes());
            put_part(&mut out, |out| log.epochs.encode(out));
            put_part(&mut out, |out| log.producers.encode(out));
        }
        let crc = crc32c::crc32c(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// # Errors
    /// [`CheckpointError`] for anything but what [`Checkpoint::encode`] made.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut input = Input { bytes };
        if input.take::<4>()? != MAGIC {
            return Err(CheckpointError::Damaged("not a checkpoint"));
        }
        let crc = u32::from_le_bytes(input.take()?);
        let sum_holds = crc32c::crc32c(input.bytes) == crc;
        let format = u32::from_le_bytes(input.take()?);
        if format > FORMAT {
            return Err(CheckpointError::NewerFormat(format));
        }
        if !sum_holds {
            return Err(CheckpointError::Damaged("its checksum does not hold"));
        }
        let generation = u64::from_le_bytes(input.take()?);
        let first_sequence = u64::from_le_bytes(input.take()?);
        let count = input.count(16 + 4 + 8 + 8 + 4 + 4 + 4)?;
        let mut logs = Vec::with_capacity(count);
        for _ in 0..count {
            logs.push(input.log(format)?);
        }
        Ok(Self {
            generation,
            first_sequence,
            logs,
        })
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(
        &u32::try_from(count)
            .expect("fewer than four billion")
            .to_le_bytes(),
    );
}

fn put_part(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    encode(out);
    let length = u32::try_from(out.len() - start - 4).expect("below 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8], CheckpointError> {
        let (part, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(CheckpointError::Damaged("it ends too early"))?;
        self.bytes = rest;
        Ok(part)
    }

    fn take<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], CheckpointError> {
        Ok(self.slice(LENGTH)?.try_into().expect("of that length"))
    }

    /// A count of things that take at least `least` bytes each: believed only as far as the bytes go.
    fn count(&mut self, least: usize) -> Result<usize, CheckpointError> {
        let count = u32::from_le_bytes(self.take()?) as usize;
        if count > self.bytes.len() / least {
            return Err(CheckpointError::Damaged("a count is larger than the file"));
        }
        Ok(count)
    }

    fn part(&mut self) -> Result<&'a [u8], CheckpointError> {
        let length = self.count(1)?;
        self.slice(length)
    }

    fn offset(&mut self) -> Result<Offset, CheckpointError> {
        Ok(Offset(i64::from_le_bytes(self.take()?)))
    }

    fn segment_name(&mut self, format: u32) -> Result<SegmentName, CheckpointError> {
        let base = self.offset()?;
        let revision = match format {
            3.. => u32::from_le_bytes(self.take()?),
            _ => 0,
        };
        Ok(SegmentName { base, revision })
    }

    fn log(&mut self, format: u32) -> Result<LogCheckpoint, CheckpointError> {
        let topic_id = TopicId(uuid::Uuid::from_bytes(self.take()?));
        let partition = i32::from_le_bytes(self.take()?);
        let log_start = self.offset()?;
        let end = self.offset()?;
        let count = self.count(8 + 4 + 8 + 8 + 4 + 4)?;
        let mut segments = Vec::with_capacity(count);
        for _ in 0..count {
            let name = self.segment_name(format)?;
            segments.push(SegmentCheckpoint {
                base: name.base,
                revision: name.revision,
                size: u32::from_le_bytes(self.take()?),
                max_timestamp: i64::from_le_bytes(self.take()?),
                first_timestamp: i64::from_le_bytes(self.take()?),
                offset_entries: u32::from_le_bytes(self.take()?),
                time_entries: u32::from_le_bytes(self.take()?),
            });
        }
        let mut doomed = Vec::new();
        if format >= 2 {
            for _ in 0..self.count(8)? {
                doomed.push(self.segment_name(format)?);
            }
        }
        let cleaned = match format {
            3.. => self.offset()?,
            _ => Offset::ZERO,
        };
        let epochs = LeaderEpochHistory::decode(self.part()?)
            .map_err(|_| CheckpointError::Damaged("a leader epoch history cannot be read"))?;
        let producers = ProducerStates::decode(self.part()?)
            .map_err(|_| CheckpointError::Damaged("producer states cannot be read"))?;
        Ok(LogCheckpoint {
            topic_partition: TopicPartition {
                topic_id,
                partition,
            },
            log_start,
            end,
            segments,
            doomed,
            cleaned,
            epochs,
            producers,
        })
    }
}
