//! Writes a segment from its beginning to its end, with its indexes: what compaction puts in the place of others.
//!
//! Nothing refers to the files before all of them are synced, their names included. Never decides what goes into them.

use std::io;
use std::path::PathBuf;

use super::{Kind, SegmentFiles};
use crate::compaction::Step;
use crate::disk::{
    BLOCK, Disk, DiskFile, Durability, OpenMode, align_up, aligned_buffer, write_all,
};
use crate::lanes;
use crate::log::{SegmentCheckpoint, SegmentName};
use crate::offset_index::OffsetIndex;
use crate::planted::{Planted, planted};
use crate::record_batch::RecordBatchHeader;
use crate::time_index::TimeIndex;

/// Bytes written at once: a flush of the journal may have to wait for them, and finds little to flush.
const PART_BYTES: usize = 128 << 10;

const _: () = assert!(PART_BYTES.is_multiple_of(BLOCK));

/// A segment that is being written.
pub(crate) struct SegmentWriter<D: Disk> {
    disk: D,
    directory: PathBuf,
    file: D::File,
    index_interval_bytes: u32,
    checkpoint: SegmentCheckpoint,
    /// What the file does not have yet; it begins at a multiple of [`PART_BYTES`].
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

    /// Brings what fills whole parts to the file, each when `pace` lets it.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) async fn write_full(&mut self, pace: &impl AsyncFn(Step) -> bool) -> io::Result<()> {
        while self.buffer.len() >= PART_BYTES {
            self.write(PART_BYTES, pace).await?;
        }
        Ok(())
    }

    async fn write(&mut self, length: usize, pace: &impl AsyncFn(Step) -> bool) -> io::Result<()> {
        let bytes = length as u64;
        // Who wants no more is heard between two reads: what is begun here comes to its end.
        pace(Step::Disk { bytes }).await;
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

    /// Ends the segment: all of it and of its indexes is durable, and so are their names. Each step begins when `pace` lets it.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) async fn finish(
        mut self,
        pace: &impl AsyncFn(Step) -> bool,
    ) -> io::Result<SegmentCheckpoint> {
        const NEXT: Step = Step::Disk { bytes: 0 };
        self.write_full(pace).await?;
        if !self.buffer.is_empty() {
            self.write(self.buffer.len(), pace).await?;
        }
        pace(NEXT).await;
        self.file.truncate(self.checkpoint.size.into()).await?;
        let entries = |count: usize| u32::try_from(count).expect("fewer entries than bytes");
        let offsets = self.offset_index.encode_from(0);
        let times = self.time_index.encode_from(0);
        self.checkpoint.offset_entries = entries(self.offset_index.entries().len());
        self.checkpoint.time_entries = entries(self.time_index.entries().len());
        let mut files = vec![self.file];
        for (kind, bytes) in [(Kind::OffsetIndex, offsets), (Kind::TimeIndex, times)] {
            if bytes.is_empty() {
                continue;
            }
            let name = self.checkpoint.name().file_name(kind.extension());
            let path = self.directory.join(name);
            pace(NEXT).await;
            let file = self.disk.open(&path, OpenMode::Create).await?;
            write_all(&file, 0, &bytes).await?;
            pace(NEXT).await;
            file.truncate(bytes.len() as u64).await?;
            files.push(file);
        }
        if !planted(Planted::CompactedNotSynced) {
            // Beside each other they are one commit of the file system's own journal, and flushes of the device that become one.
            pace(NEXT).await;
            lanes::to_the_end(files.len(), files.iter().map(DiskFile::sync)).await?;
            pace(NEXT).await;
            self.disk.sync_directory(&self.directory).await?;
        }
        Ok(self.checkpoint)
    }
}
