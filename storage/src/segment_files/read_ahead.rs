//! Reads that begin before they are asked for: while one part of a file is on its way to a consumer, the disk brings the next.
//!
//! Only for whoever reads on from where a read ended. Starts no task: a read begins when it is made, and its bytes wait for who comes.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;

use super::FileKey;
use crate::disk::{DiskFile, TRANSFER_MAX, align_down, align_up};

/// Reads under way or waiting to be fetched at a time, of a transfer each. The device takes what is queued in its order: a flush behind
/// 64 MiB of reads waited 40 ms and more.
const READS_MAX: usize = 8;

/// ... and while somebody writes: behind eight and those that are asked for one flush in a hundred waited 12 ms, behind two 7 ms.
const READS_MAX_BESIDE_COMMITS: usize = 2;

type Read = Pin<Box<dyn Future<Output = io::Result<Bytes>>>>;

#[derive(Default)]
pub(super) struct ReadAhead {
    reads: RefCell<Vec<Ahead>>,
    /// Reads of a transfer each at a time; none until somebody says how many.
    reads_max: Cell<usize>,
}

struct Ahead {
    key: FileKey,
    /// Where in the file it begins: a multiple of a block.
    start: u64,
    /// Where the log's part of the file ended when it began: what it brings from behind that is not yet the log's.
    end: u64,
    read: Read,
}

impl ReadAhead {
    /// Together they may hold so many bytes, and no more than the constant says.
    pub(super) fn limit(&self, bytes: usize) {
        self.reads_max.set((bytes / TRANSFER_MAX).min(READS_MAX));
    }

    /// Begins to read the file from `position` on, about `length` bytes, and not past `end`, unless too many reads are under way.
    pub(super) async fn begin<F: DiskFile + 'static>(
        &self,
        key: FileKey,
        file: Rc<F>,
        position: u64,
        length: usize,
        end: u64,
        beside_commits: bool,
    ) {
        {
            let mut reads = self.reads.borrow_mut();
            reads.retain(|ahead| ahead.key != key);
            let most = match beside_commits {
                true => self.reads_max.get().min(READS_MAX_BESIDE_COMMITS),
                false => self.reads_max.get(),
            };
            if reads.len() >= most {
                // Not in an older one's place: consumers come round in turns, and each would find its own just gone.
                return;
            }
        }
        let start = align_down(position);
        let until = end.min(position + length as u64);
        let length = align_up(usize::try_from(until - start).expect("at most a transfer"));
        let length = length.min(TRANSFER_MAX);
        let mut read: Read = Box::pin(async move { file.read_at(start, length).await });
        // The disk hears of it with the first poll.
        if let Some(done) = futures_lite::future::poll_once(read.as_mut()).await {
            read = Box::pin(std::future::ready(done));
        }
        self.reads.borrow_mut().push(Ahead {
            key,
            start,
            end,
            read,
        });
    }

    /// What was read ahead from the block of `position` on, if it was. A read that failed is none: whoever wants the bytes reads
    /// again and hears of it.
    pub(super) async fn take(&self, key: FileKey, position: u64) -> Option<Bytes> {
        let ahead = {
            let mut reads = self.reads.borrow_mut();
            let found = reads.iter().position(|ahead| ahead.key == key)?;
            reads.swap_remove(found)
        };
        if ahead.start != align_down(position) {
            return None;
        }
        let mut bytes = ahead.read.await.ok()?;
        bytes.truncate(usize::try_from(ahead.end - ahead.start).unwrap_or(usize::MAX));
        Some(bytes)
    }

    /// The file's content is no longer what it was.
    pub(super) fn forget(&self, key: FileKey) {
        self.reads.borrow_mut().retain(|ahead| ahead.key != key);
    }

    /// Forgets them all: who still wants one reads again.
    pub(super) fn clear(&self) {
        self.reads.borrow_mut().clear();
    }
}
