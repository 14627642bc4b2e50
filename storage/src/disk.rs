//! The border to the disk: what storage asks of a file system, and nothing of how it is done.
//!
//! Two implementors: [`ring`] drives a real disk through an io_uring of its own, [`sim`] is a disk in memory that can lose
//! power. Never buffers: what is written is with the device (and flushed, where asked) when the call returns.

#[cfg(feature = "ring")]
pub mod ring;
pub mod sim;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::planted::{Planted, planted};

/// Alignment of every position, length and buffer address given to a [`DiskFile`]: the physical block of today's devices.
pub const BLOCK: usize = 4096;

/// The largest single read or write; larger ones are cut. Old kernels hang on direct reads above the device's limit.
pub const TRANSFER_MAX: usize = 1 << 20;

/// What a completed write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The end of the process: the device has it, perhaps in a volatile cache.
    Written,
    /// The loss of power: the device was told to flush it.
    Flushed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Fails with `NotFound` when absent.
    Existing,
    /// Creates the file when absent.
    Create,
}

/// A file system as one shard sees it. Futures are local to the shard.
#[allow(
    async_fn_in_trait,
    reason = "shards are single-threaded: no future of storage needs to be Send"
)]
pub trait Disk: Clone + 'static {
    type File: DiskFile;

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Self::File>;
    async fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in the directory survive a power loss.
    async fn sync_directory(&self, path: &Path) -> io::Result<()>;
    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    async fn remove_file(&self, path: &Path) -> io::Result<()>;
    async fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Names in the directory, in no order; empty when there is no such directory. Used at start-up and deletion only.
    async fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// Time since some moment: what the disk takes is measured by it, and only the pace of work decided.
    fn clock(&self) -> Duration {
        Duration::ZERO
    }
    /// Leaves the disk and the core to others for a while.
    async fn pause(&self, _time: Duration) {}
    /// The size of a file in bytes.
    async fn size(&self, path: &Path) -> io::Result<u64>;

    /// Replaces `path` by a file that holds `content`, all or nothing even when power fails in between.
    async fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let file = self.open(&temporary, OpenMode::Create).await?;
        write_all(&file, 0, content).await?;
        file.truncate(content.len() as u64).await?;
        if !planted(Planted::ReplacementNotFlushed) {
            file.sync().await?;
        }
        drop(file);
        self.rename(&temporary, path).await?;
        match path.parent() {
            Some(parent) => self.sync_directory(parent).await,
            None => Ok(()),
        }
    }

    /// The whole file, or nothing when there is none. Refuses more than `size_max` bytes.
    async fn read_all(&self, path: &Path, size_max: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(path, OpenMode::Existing).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = self.size(path).await?;
        if size > size_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{} is {size} bytes long; at most {size_max} are believed",
                    path.display()
                ),
            ));
        }
        let mut content = Vec::with_capacity(usize::try_from(size).expect("bounded above"));
        loop {
            let part = file.read_at(content.len() as u64, TRANSFER_MAX).await?;
            content.extend_from_slice(&part);
            if part.len() < TRANSFER_MAX {
                return Ok(Some(content));
            }
        }
    }
}

/// An open file. Dropping it closes it.
#[allow(
    async_fn_in_trait,
    reason = "shards are single-threaded: no future of storage needs to be Send"
)]
pub trait DiskFile: 'static {
    /// Writes all of `data`. Position, length and address are multiples of [`BLOCK`].
    async fn write_at(&self, data: Bytes, position: u64, durability: Durability) -> io::Result<()>;
    /// Writes all of the parts, one behind the other. Position, lengths and addresses are multiples of [`BLOCK`].
    async fn write_vectored_at(
        &self,
        parts: Vec<Bytes>,
        position: u64,
        durability: Durability,
    ) -> io::Result<()>;
    /// Reads up to `length` bytes, fewer only at the end of the file. Position and length are multiples of [`BLOCK`];
    /// the result is aligned.
    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes>;
    /// Everything written before survives a power loss once this returns.
    async fn sync(&self) -> io::Result<()>;
    /// Takes space on the disk for the first `size` bytes, and leaves the file's size as it is. Does nothing on a file system
    /// that cannot.
    async fn allocate(&self, size: u64) -> io::Result<()>;
    /// Sets the file's size in bytes, to any value.
    async fn truncate(&self, size: u64) -> io::Result<()>;
}

/// Whether an operation failed only because there is no room: it may succeed when there is.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The largest multiple of [`BLOCK`] that is not above `position`.
#[must_use]
pub fn align_down(position: u64) -> u64 {
    position & !(BLOCK as u64 - 1)
}

/// The smallest multiple of [`BLOCK`] that is not below `length`.
#[must_use]
pub fn align_up(length: usize) -> usize {
    length.next_multiple_of(BLOCK)
}

/// An empty buffer whose first byte is aligned to [`BLOCK`] and which takes at least `capacity` bytes without moving.
#[must_use]
pub fn aligned_buffer(capacity: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(capacity + BLOCK);
    let lead = buffer.as_ptr().align_offset(BLOCK);
    buffer.resize(lead, 0);
    let _ = buffer.split();
    debug_assert!(buffer.as_ptr().align_offset(BLOCK) == 0 && buffer.capacity() >= capacity);
    buffer
}

/// The same, but its first byte lies so far behind a multiple of [`BLOCK`] as `position` does.
#[must_use]
pub fn buffer_lying_as_at(position: usize, capacity: usize) -> BytesMut {
    let lead = position % BLOCK;
    let mut buffer = aligned_buffer(lead + capacity);
    buffer.resize(lead, 0);
    let _ = buffer.split();
    buffer
}

/// Writes bytes of any length at an aligned position, zero bytes behind them up to the block's end.
pub async fn write_all(file: &impl DiskFile, position: u64, content: &[u8]) -> io::Result<()> {
    for (part, bytes) in content.chunks(TRANSFER_MAX).enumerate() {
        let mut buffer = aligned_buffer(align_up(bytes.len()));
        buffer.extend_from_slice(bytes);
        buffer.resize(align_up(bytes.len()), 0);
        let at = position + (part * TRANSFER_MAX) as u64;
        file.write_at(buffer.freeze(), at, Durability::Written)
            .await?;
    }
    Ok(())
}
