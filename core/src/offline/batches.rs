//! Walks over the batches of a segment's file, and checks the CRC of each.
//!
//! Holds one window of the file, and all of a batch only when asked for a batch whose CRC holds: a damaged length allocates nothing.

use std::io;
use std::path::Path;

use rinka_storage::record_batch::{BatchSum, HEADER_BYTES, RecordBatchHeader};

use super::window::{WINDOW_BYTES, Window};

/// A batch and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct FoundBatch {
    pub(crate) position: u64,
    pub(crate) header: RecordBatchHeader,
    pub(crate) crc_holds: bool,
}

impl FoundBatch {
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.size_in_bytes() as u64
    }
}

#[derive(Debug)]
pub(crate) struct BatchReader {
    window: Window,
    position: u64,
    /// Bytes from here on are not looked at.
    end: u64,
}

impl BatchReader {
    /// Reads `[from, limit)` of the file, or up to its end.
    pub(crate) fn open(path: &Path, from: u64, limit: Option<u64>) -> io::Result<Self> {
        let window = Window::open(path)?;
        let end = window.size.min(limit.unwrap_or(u64::MAX));
        Ok(Self {
            window,
            position: from,
            end,
        })
    }

    /// Behind the last batch that was found.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the file that may be looked at.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The next batch, or nothing where no whole batch begins.
    pub(crate) fn next(&mut self) -> io::Result<Option<FoundBatch>> {
        let left = self.end.saturating_sub(self.position);
        if left < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let bytes = self.window.bytes(self.position, HEADER_BYTES)?;
        let Ok(header) = RecordBatchHeader::parse(bytes) else {
            return Ok(None);
        };
        let size = header.size_in_bytes();
        if size as u64 > left {
            return Ok(None);
        }
        let mut sum = BatchSum::default();
        let mut passed = 0;
        while passed < size {
            let wanted = (size - passed).min(WINDOW_BYTES);
            let part = self.window.bytes(self.position + passed as u64, wanted)?;
            if part.is_empty() {
                break;
            }
            sum.add(part);
            passed += part.len();
        }
        let found = FoundBatch {
            position: self.position,
            crc_holds: sum.holds(&header),
            header,
        };
        self.position = found.end();
        Ok(Some(found))
    }

    /// All bytes of a batch whose CRC holds.
    pub(crate) fn bytes(&mut self, batch: &FoundBatch) -> io::Result<&[u8]> {
        assert!(batch.crc_holds, "the length of any other is not believed");
        self.window
            .bytes(batch.position, batch.header.size_in_bytes())
    }
}
