//! Walks over the blocks of a journal's file, whatever start of the broker wrote them: newest ones first, then those of earlier uses.
//!
//! Never decides which of them count; that is for who knows the checkpoint.

use std::io;
use std::path::Path;

use rinka_storage::disk::BLOCK;
use rinka_storage::journal::block::{self, BlockHeader, Entry, EntryKind};
use rinka_storage::record_batch::{self, RecordBatchHeader};

use super::window::Window;

#[derive(Debug)]
pub(crate) struct BlockReader {
    window: Window,
    position: u64,
}

/// What is at a place of a journal's file.
#[derive(Debug)]
pub(crate) enum Found {
    Block {
        position: u64,
        header: BlockHeader,
        /// The block; what an entry says of its payload is a range of it.
        bytes: Vec<u8>,
        /// Nothing when the block is not whole, as one that a crash cut off.
        entries: Option<Vec<FoundEntry>>,
    },
    /// No block begins in these bytes: never used, or the rest of a longer block of an earlier use.
    Gap { position: u64, length: u64 },
}

/// An entry and the header of its batch.
#[derive(Debug)]
pub(crate) struct FoundEntry {
    pub(crate) entry: Entry,
    pub(crate) batch: Option<RecordBatchHeader>,
    /// Of a reference it is not known here: the batch is in its segment.
    pub(crate) crc_holds: Option<bool>,
}

impl BlockReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            window: Window::open(path)?,
            position: 0,
        })
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.window.size
    }

    /// What comes next, or nothing at the end of the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found>> {
        let position = self.position;
        while self.position < self.window.size {
            let bytes = self.window.bytes(self.position, BLOCK)?;
            if let Some(header) = BlockHeader::parse(bytes) {
                if self.position > position {
                    break;
                }
                return self.block(header).map(Some);
            }
            self.position += BLOCK as u64;
        }
        self.position = self.position.min(self.window.size);
        let length = self.position - position;
        Ok((length > 0).then_some(Found::Gap { position, length }))
    }

    fn block(&mut self, header: BlockHeader) -> io::Result<Found> {
        let position = self.position;
        let bytes = self.window.bytes(position, header.size())?.to_owned();
        let entries = block::parse(&bytes).ok().map(|(_, entries)| {
            entries
                .into_iter()
                .map(|entry| {
                    let payload = &bytes[entry.payload.clone()];
                    FoundEntry {
                        batch: RecordBatchHeader::parse(payload).ok(),
                        crc_holds: (entry.header.kind == EntryKind::Append)
                            .then(|| record_batch::verify_crc(payload).is_ok()),
                        entry,
                    }
                })
                .collect()
        });
        // Where the sum does not hold, neither may the length: another block may begin in the next 4 KiB.
        let length = entries
            .as_ref()
            .map_or(BLOCK, |_: &Vec<FoundEntry>| header.size());
        self.position += length as u64;
        Ok(Found::Block {
            position,
            header,
            bytes,
            entries,
        })
    }
}
