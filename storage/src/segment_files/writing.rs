//! Writes a segment from its beginning to its end, with its indexes: what compaction puts in the place of others.
//!
//! Nothing refers to the files before all of them are synced, their names included. Never decides what goes into them.

use std::io;
use std::path::PathBuf;

use super::{Kind, SegmentFiles};
use crate::disk::{
    Disk, DiskFile, Durability, OpenMode, TRANSFER_MAX, align_up, aligned_buffer, write_all,
};
use crate::log::{SegmentCheckpoint, SegmentName};
use crate::offset_index::OffsetIndex;
use crate::planted::{Planted, planted};
use crate::record_batch::RecordBatchHeader;
use crate::time_index::TimeIndex;

/// A segment that is being written.
pub(crate) struct SegmentWriter<D: Disk> {
    disk: D,
    directory: PathBuf,
    file: D::File,
    index_interval_bytes: u32,
    checkpoint: SegmentCheckpoint,
    /// What the file does not have yet; it begins at a multiple of [`TRANSFER_MAX`].
    buffer: Vec<u8>,
    written: u64,
    offset_index: OffsetIndex,
    time_index: TimeIndex,
    last_indexed: u32,
    max_timestamp_offset: crate::offset::Offset,
    last_time_indexed: i64,
}

impl<D: Disk> SegmentFiles<D> {
    /// Begins a segment. `first_timestamp` is what [`SegmentCheckpoint`] calls so.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) async fn begin_segment(
        &self,
        directory: &str,
        name: SegmentName,
        index_interval_bytes: u32,
        first_timestamp: i64,
    ) -> io::Result<SegmentWriter<D>> {
        let path = self.path(directory, name, Kind::Log);
        let file = self.disk.open(&path, OpenMode::Create).await?;
        // Left by a run that did not get far.
        file.truncate(0).await?;
        Ok(SegmentWriter {
            disk: self.disk.clone(),
            directory: self.root.join(directory),
            file,
            index_interval_bytes,
            checkpoint: SegmentCheckpoint {
                base: name.base,
                revision: name.revision,
                size: 0,
                max_timestamp: -1,
                first_timestamp,
                offset_entries: 0,
                time_entries: 0,
            },
            buffer: Vec::new(),
            written: 0,
            offset_index: OffsetIndex::new(name.base),
            time_index: TimeIndex::new(name.base),
            last_indexed: 0,
            max_timestamp_offset: name.base,
            last_time_indexed: -1,
        })
    }
}

impl<D: Disk> SegmentWriter<D> {
    /// Takes the next batch, in the order of offsets.
    ///
    /// # Errors
    /// When the segment would be larger than positions go.
    pub(crate) fn push(&mut self, header: &RecordBatchHeader, batch: &[u8]) -> io::Result<()> {
        let position = self.checkpoint.size;
        let grown = u32::try_from(batch.len())
            .ok()
            .and_then(|size| position.checked_add(size));
        let grown = grown.ok_or_else(|| io::Error::other("a segment grew beyond 4 GiB"))?;
        let last = header.last_offset();
        if header.max_timestamp > self.checkpoint.max_timestamp {
            self.checkpoint.max_timestamp = header.max_timestamp;
            self.max_timestamp_offset = last;
        }
        if position > 0 && position - self.last_indexed >= self.index_interval_bytes {
            self.offset_index.append(last, position);
            if self.checkpoint.max_timestamp > self.last_time_indexed {
                self.last_time_indexed = self.checkpoint.max_timestamp;
                self.time_index
                    .maybe_append(self.last_time_indexed, self.max_timestamp_offset);
            }
            self.last_indexed = position;
        }
        self.buffer.extend_from_slice(batch);
        self.checkpoint.size = grown;
        Ok(())
    }

    /// Bytes taken.
    pub(crate) fn size(&self) -> u32 {
        self.checkpoint.size
    }

    /// Brings what fills whole transfers to the file.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) async fn write_full(&mut self) -> io::Result<()> {
        while self.buffer.len() >= TRANSFER_MAX {
            self.write(TRANSFER_MAX).await?;
        }
        Ok(())
    }

    async fn write(&mut self, length: usize) -> io::Result<()> {
        let mut part = aligned_buffer(align_up(length));
        part.extend_from_slice(&self.buffer[..length]);
        part.resize(align_up(length), 0);
        self.file
            .write_at(part.freeze(), self.written, Durability::Written)
            .await?;
        self.written += length as u64;
        self.buffer.drain(..length);
        Ok(())
    }

    /// Ends the segment: all of it and of its indexes is durable, and so are their names.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) async fn finish(mut self) -> io::Result<SegmentCheckpoint> {
        self.write_full().await?;
        if !self.buffer.is_empty() {
            self.write(self.buffer.len()).await?;
        }
        self.file.truncate(self.checkpoint.size.into()).await?;
        let synced = !planted(Planted::CompactedNotSynced);
        if synced {
            self.file.sync().await?;
        }
        let entries = |count: usize| u32::try_from(count).expect("fewer entries than bytes");
        let offsets = self.offset_index.encode_from(0);
        let times = self.time_index.encode_from(0);
        self.checkpoint.offset_entries = entries(self.offset_index.entries().len());
        self.checkpoint.time_entries = entries(self.time_index.entries().len());
        for (kind, bytes) in [(Kind::OffsetIndex, offsets), (Kind::TimeIndex, times)] {
            if bytes.is_empty() {
                continue;
            }
            let name = self.checkpoint.name().file_name(kind.extension());
            let path = self.directory.join(name);
            let file = self.disk.open(&path, OpenMode::Create).await?;
            write_all(&file, 0, &bytes).await?;
            file.truncate(bytes.len() as u64).await?;
            if synced {
                file.sync().await?;
            }
        }
        if synced {
            self.disk.sync_directory(&self.directory).await?;
        }
        Ok(self.checkpoint)
    }
}
