//! A part of a file in memory, which follows the reader through the file.
//!
//! Never larger than what is asked for and [`WINDOW_BYTES`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Read at once: large enough that a disk streams, small enough that it does not matter.
pub(super) const WINDOW_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Window {
    file: File,
    /// The size of the file when it was opened.
    pub(super) size: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            file,
            size,
            start: 0,
            bytes: Vec::new(),
        })
    }

    /// `length` bytes from `position` on, fewer only where the file ends.
    pub(super) fn bytes(&mut self, position: u64, length: usize) -> io::Result<&[u8]> {
        let end = (position + length as u64).min(self.size.max(position));
        let held = self.start..=self.start + self.bytes.len() as u64;
        if !held.contains(&position) || !held.contains(&end) {
            let left = usize::try_from(self.size.saturating_sub(position)).unwrap_or(usize::MAX);
            self.bytes.resize(length.max(WINDOW_BYTES).min(left), 0);
            self.start = position;
            let mut read = 0;
            while read < self.bytes.len() {
                let at = position + read as u64;
                match self.file.read_at(&mut self.bytes[read..], at) {
                    // It became shorter since it was opened.
                    Ok(0) => self.bytes.truncate(read),
                    Ok(more) => read += more,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let from = usize::try_from(position - self.start).expect("within the window");
        let to = (from + length).min(self.bytes.len());
        Ok(&self.bytes[from.min(to)..to])
    }
}
