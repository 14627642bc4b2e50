//! Walks over the entries of a segment's index files, both in Kafka's format, as they are: nothing is left out for being wrong.
//!
//! Never decides what an entry should say.

use std::io;
use std::path::Path;

use rinka_storage::offset::Offset;

use super::window::Window;

/// The bytes of one entry.
pub(crate) const OFFSET_ENTRY_BYTES: u64 = 8;
pub(crate) const TIME_ENTRY_BYTES: u64 = 12;

/// `(offset, position)`.
pub(crate) type OffsetEntry = (Offset, u32);

/// `(timestamp, offset)`.
pub(crate) type TimeEntry = (i64, Offset);

/// An index file that is being read.
#[derive(Debug)]
pub(crate) struct IndexReader {
    window: Window,
    base: Offset,
    next: u64,
}

impl IndexReader {
    pub(crate) fn open(path: &Path, base: Offset) -> io::Result<Self> {
        Ok(Self {
            window: Window::open(path)?,
            base,
            next: 0,
        })
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.window.size
    }

    fn entry<const LENGTH: usize>(&mut self) -> io::Result<Option<[u8; LENGTH]>> {
        let bytes = self.window.bytes(self.next * LENGTH as u64, LENGTH)?;
        let entry = bytes.try_into().ok();
        self.next += u64::from(entry.is_some());
        Ok(entry)
    }

    fn offset(&self, relative: [u8; 4]) -> Offset {
        let relative = i64::from(i32::from_be_bytes(relative));
        Offset(self.base.0.saturating_add(relative))
    }

    /// The next entry of an offset index.
    pub(crate) fn next_offset(&mut self) -> io::Result<Option<OffsetEntry>> {
        let entry = self.entry::<8>()?;
        Ok(entry.map(|[a, b, c, d, e, f, g, h]| {
            (self.offset([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
        }))
    }

    /// The next entry of a time index.
    pub(crate) fn next_time(&mut self) -> io::Result<Option<TimeEntry>> {
        let Some(entry) = self.entry::<12>()? else {
            return Ok(None);
        };
        let (timestamp, relative) = entry.split_at(8);
        let timestamp = i64::from_be_bytes(timestamp.try_into().expect("eight bytes"));
        let relative = relative.try_into().expect("four bytes");
        Ok(Some((timestamp, self.offset(relative))))
    }
}
