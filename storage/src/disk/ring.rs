//! The real disk: direct I/O through the core's ring.
//!
//! Never blocks the shard on a read, write or flush: they are submitted with whatever else the core asks for in the same turn.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use io_uring::{opcode, squeue, types};
use rinka_reactor::{Memory, Operation, Run};

use super::{BLOCK, Disk, DiskFile, Durability, OpenMode, TRANSFER_MAX, align_up, aligned_buffer};

/// Runs of memory that one operation takes: what the kernel takes at most.
const RUNS_MAX: usize = 1024;

/// Bytes of a file that are given back to the file system in one step.
const FREED_AT_ONCE: u64 = 32 << 20;

/// Less than this goes with the file's name: many small files are no more than one large one.
const FREED_WITH_NAME: u64 = 1 << 20;

/// The pause between two steps: at most 1.6 GB/s are freed.
const FREE_PAUSE: Duration = Duration::from_millis(20);

/// A file system reached through the ring of the core that it was made on, where it must stay.
#[derive(Clone)]
pub struct RingDisk {
    started: Instant,
}

impl RingDisk {
    /// The ring holds on to `lock`: the kernel lets go of it only when the last operation is over, also when the process was
    /// killed. Without that, a write of a dead process could land on top of what its successor wrote.
    ///
    /// # Errors
    /// What `io_uring_register` says.
    pub fn new(lock: &File) -> io::Result<Self> {
        rinka_reactor::hold(lock.as_raw_fd())?;
        Ok(Self {
            started: Instant::now(),
        })
    }
}

/// Submits one operation and waits for it. Returns the result and the memory it worked on.
async fn run(entry: squeue::Entry, memory: Memory) -> io::Result<(u32, Memory)> {
    // SAFETY: every caller hands over, with the entry, the memory that its pointers point into (buffers of Bytes and CString do not
    // move when their handle does, nor does the content of a Vec); its descriptor is one of a file that lives until the result is
    // here, or whose close is submitted behind it.
    unsafe { Operation::start(entry, memory) }.wait().await
}

/// The first of the parts that one operation takes.
fn transfer(parts: &VecDeque<Bytes>) -> Memory {
    let first = &parts[0];
    if parts.len() == 1 || first.len() >= TRANSFER_MAX {
        return Memory::Shared(first.slice(..first.len().min(TRANSFER_MAX)));
    }
    let mut length = 0;
    let mut taken = Vec::new();
    for part in parts.iter().take(RUNS_MAX) {
        let room = TRANSFER_MAX - length;
        if room == 0 {
            break;
        }
        let part = part.slice(..part.len().min(room));
        length += part.len();
        taken.push(part);
    }
    let runs = taken.iter().map(Run::of).collect();
    Memory::Vectored(taken, runs)
}

/// Takes bytes from the front.
fn advance(parts: &mut VecDeque<Bytes>, bytes: usize) {
    let mut left = bytes;
    while let Some(first) = parts.front_mut()
        && left >= first.len()
    {
        left -= first.len();
        parts.pop_front();
    }
    if left > 0 {
        parts[0].advance(left);
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// Adds the path to an error of the kernel, which never names it.
fn with_path<T>(result: io::Result<T>, action: &str, path: &Path) -> io::Result<T> {
    result.map_err(|error| match error.kind() {
        // Callers tell these apart by kind and by number.
        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => error,
        _ if error.raw_os_error() == Some(libc::EINVAL) => error,
        kind => io::Error::new(kind, format!("cannot {action} {}: {error}", path.display())),
    })
}

impl RingDisk {
    async fn open_with(&self, path: &Path, flags: i32) -> io::Result<RingFile> {
        let flags = flags | libc::O_CLOEXEC;
        let file = rinka_reactor::open(c_path(path)?, flags, 0o644).await?;
        Ok(RingFile {
            file: Some(file),
            path: path.to_owned(),
        })
    }

    /// Runs an operation that has no buffer but one or two paths.
    async fn path_operation(
        &self,
        paths: [CString; 2],
        build: impl FnOnce(&[CString; 2]) -> squeue::Entry,
    ) -> io::Result<()> {
        let entry = build(&paths);
        run(entry, Memory::Paths(paths)).await.map(|_| ())
    }
}

const HERE: types::Fd = types::Fd(libc::AT_FDCWD);

impl Disk for RingDisk {
    type File = RingFile;

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<RingFile> {
        let flags = libc::O_RDWR
            | if mode == OpenMode::Create {
                libc::O_CREAT
            } else {
                0
            };
        let opened = match self.open_with(path, flags | libc::O_DIRECT).await {
            // A file system without direct I/O (an old tmpfs, an overlay): the page cache is then in between, and the
            // flush with each write still reaches the device.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                self.open_with(path, flags).await
            }
            other => other,
        };
        with_path(opened, "open", path)
    }

    async fn create_directory(&self, path: &Path) -> io::Result<()> {
        let paths = [c_path(path)?, CString::default()];
        let made = self
            .path_operation(paths, |paths| {
                opcode::MkDirAt::new(HERE, paths[0].as_ptr())
                    .mode(0o755)
                    .build()
            })
            .await;
        match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => with_path(other, "create the directory", path),
        }
    }

    async fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let directory = self
            .open_with(path, libc::O_RDONLY | libc::O_DIRECTORY)
            .await;
        let directory = with_path(directory, "open the directory", path)?;
        let entry = opcode::Fsync::new(directory.descriptor()).build();
        with_path(
            run(entry, Memory::None).await.map(|_| ()),
            "sync the directory",
            path,
        )
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let paths = [c_path(from)?, c_path(to)?];
        let renamed = self
            .path_operation(paths, |paths| {
                opcode::RenameAt::new(HERE, paths[0].as_ptr(), HERE, paths[1].as_ptr()).build()
            })
            .await;
        with_path(renamed, "rename", from)
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        // Freeing a gigabyte at once holds up the file system's journal, and every flush behind it, for as long. It frees, and tells
        // the device so where it is mounted with `discard`, when it commits: without a sync after each step all of them would come
        // together seconds later.
        let mut size = self.size(path).await?;
        if size > FREED_WITH_NAME {
            let file = self.open(path, OpenMode::Existing).await?;
            while size > 0 {
                size = size.saturating_sub(FREED_AT_ONCE);
                file.truncate(size).await?;
                file.sync().await?;
                rinka_reactor::sleep(FREE_PAUSE).await;
            }
        }
        let paths = [c_path(path)?, CString::default()];
        let removed = self
            .path_operation(paths, |paths| {
                opcode::UnlinkAt::new(HERE, paths[0].as_ptr()).build()
            })
            .await;
        with_path(removed, "remove", path)
    }

    async fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let paths = [c_path(path)?, CString::default()];
        let removed = self
            .path_operation(paths, |paths| {
                opcode::UnlinkAt::new(HERE, paths[0].as_ptr())
                    .flags(libc::AT_REMOVEDIR)
                    .build()
            })
            .await;
        with_path(removed, "remove the directory", path)
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return with_path(Err(error), "list", path),
        };
        entries
            .map(|entry| Ok(PathBuf::from(entry?.file_name())))
            .collect()
    }

    fn clock(&self) -> Duration {
        self.started.elapsed()
    }

    async fn pause(&self, time: Duration) {
        rinka_reactor::sleep(time).await;
    }

    async fn size(&self, path: &Path) -> io::Result<u64> {
        with_path(
            std::fs::metadata(path).map(|metadata| metadata.len()),
            "look up",
            path,
        )
    }
}

/// An open file of a [`RingDisk`].
pub struct RingFile {
    /// There until the drop.
    file: Option<OwnedFd>,
    path: PathBuf,
}

impl RingFile {
    fn descriptor(&self) -> types::Fd {
        types::Fd(self.file().as_raw_fd())
    }

    fn file(&self) -> &OwnedFd {
        self.file.as_ref().expect("it is open until it is dropped")
    }
}

fn assert_aligned(position: u64, length: usize) {
    assert!(
        position.is_multiple_of(BLOCK as u64) && length.is_multiple_of(BLOCK),
        "direct I/O works on whole blocks, not on {length} bytes at {position}"
    );
}

impl DiskFile for RingFile {
    async fn write_at(&self, data: Bytes, position: u64, durability: Durability) -> io::Result<()> {
        self.write_vectored_at(vec![data], position, durability)
            .await
    }

    async fn write_vectored_at(
        &self,
        parts: Vec<Bytes>,
        position: u64,
        durability: Durability,
    ) -> io::Result<()> {
        for part in &parts {
            assert_aligned(position, part.len());
            assert_eq!(
                part.as_ptr().align_offset(BLOCK),
                0,
                "direct I/O wants aligned memory"
            );
        }
        let flags = if durability == Durability::Flushed {
            libc::RWF_DSYNC
        } else {
            0
        };
        let mut position = position;
        let mut left = VecDeque::from(parts);
        while !left.is_empty() {
            let taken = transfer(&left);
            let entry = match &taken {
                Memory::Vectored(_, runs) => {
                    let count = u32::try_from(runs.len()).expect("at most RUNS_MAX");
                    opcode::Writev::new(self.descriptor(), runs.as_ptr().cast(), count)
                        .offset(position)
                        .rw_flags(flags)
                        .build()
                }
                Memory::Shared(part) => {
                    let length = u32::try_from(part.len()).expect("at most TRANSFER_MAX");
                    opcode::Write::new(self.descriptor(), part.as_ptr(), length)
                        .offset(position)
                        .rw_flags(flags)
                        .build()
                }
                _ => unreachable!("what is written is shared"),
            };
            let written = run(entry, taken).await;
            let (written, _) = with_path(written, "write", &self.path)?;
            // A short write that ends inside a block cannot be continued with direct I/O: write that block again.
            let written = written as usize / BLOCK * BLOCK;
            if written == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    format!(
                        "cannot write {}: the disk takes no more bytes",
                        self.path.display()
                    ),
                ));
            }
            position += written as u64;
            advance(&mut left, written);
        }
        Ok(())
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        assert_aligned(position, length);
        assert!(
            length <= TRANSFER_MAX,
            "reads are cut by the caller, who knows what it needs first"
        );
        let mut buffer = aligned_buffer(align_up(length));
        let entry = opcode::Read::new(
            self.descriptor(),
            buffer.as_mut_ptr(),
            u32::try_from(length).expect("at most TRANSFER_MAX"),
        )
        .offset(position)
        .build();
        let read = run(entry, Memory::Owned(buffer)).await;
        let (read, memory) = with_path(read, "read", &self.path)?;
        let Memory::Owned(mut buffer) = memory else {
            unreachable!("a read owns its buffer")
        };
        let read = read as usize;
        assert!(
            read <= length,
            "the kernel reads no more than it was asked to"
        );
        // SAFETY: the kernel has written the first `read` bytes, within the capacity of at least `length`.
        unsafe { buffer.set_len(read) };
        Ok(buffer.freeze())
    }

    async fn sync(&self) -> io::Result<()> {
        let entry = opcode::Fsync::new(self.descriptor())
            .flags(types::FsyncFlags::DATASYNC)
            .build();
        with_path(
            run(entry, Memory::None).await.map(|_| ()),
            "flush",
            &self.path,
        )
    }

    async fn allocate(&self, size: u64) -> io::Result<()> {
        let entry = opcode::Fallocate::new(self.descriptor(), size)
            .mode(libc::FALLOC_FL_KEEP_SIZE)
            .build();
        match run(entry, Memory::None).await {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
                ) =>
            {
                Ok(())
            }
            other => with_path(other.map(|_| ()), "take space for", &self.path),
        }
    }

    async fn truncate(&self, size: u64) -> io::Result<()> {
        // Kernels below 6.9 have no ring operation for it, and the call may wait seconds for the file system's journal
        // beside a neighbour that flushes a lot: not on the shard's own thread.
        let file = File::from(self.file().try_clone()?);
        let result = rinka_reactor::blocking(move || file.set_len(size)).await;
        with_path(result, "truncate", &self.path)
    }
}

impl Drop for RingFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            rinka_reactor::close(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use rinka_reactor::executor::{self, Settings};

    use super::*;

    fn on_a_shard<T: Send + 'static>(work: impl AsyncFnOnce(RingDisk) -> T + Send + 'static) -> T {
        let run = move || async move {
            let lock = tempfile::tempfile().expect("a file");
            work(RingDisk::new(&lock).expect("a ring")).await
        };
        let thread = executor::spawn(&Settings::new("test"), run).expect("a thread");
        thread.join().expect("it ran").expect("a ring")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        on_a_shard(async move |disk| {
            let file = disk.open(&path, OpenMode::Create).await.expect("created");
            for round in 0..200u64 {
                let mut data = aligned_buffer(2 * BLOCK);
                data.resize(2 * BLOCK, u8::try_from(round).expect("small"));
                let durability = if round % 2 == 0 {
                    Durability::Flushed
                } else {
                    Durability::Written
                };
                file.write_at(data.freeze(), round * BLOCK as u64, durability)
                    .await
                    .expect("written");
            }
            file.sync().await.expect("flushed");
            let content = file.read_at(0, 64 * BLOCK).await.expect("read");
            for (round, block) in content.chunks(BLOCK).enumerate() {
                assert!(block.iter().all(|&byte| usize::from(byte) == round));
            }
            let tail = file
                .read_at(200 * BLOCK as u64, 4 * BLOCK)
                .await
                .expect("read");
            assert_eq!(tail.len(), BLOCK, "a read ends at the end of the file");
        });
    }

    #[test]
    fn more_completions_at_once_than_the_queue_holds_are_all_seen() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        on_a_shard(async move |disk| {
            for _ in 0..3 {
                let mut files = Vec::new();
                for _ in 0..10_000 {
                    files.push(disk.open(&path, OpenMode::Create).await.expect("opened"));
                }
                // Each is closed without a wait, and by the kernel at once.
                drop(files);
                let goes_on = disk.sync_directory(path.parent().expect("a parent"));
                let done = rinka_reactor::timeout(Duration::from_secs(20), goes_on).await;
                done.expect("completions that overflowed are asked for")
                    .expect("synced");
            }
        });
    }

    #[test]
    fn files_are_replaced_renamed_listed_and_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_owned();
        on_a_shard(async move |disk| {
            let path = root.join("checkpoint");
            assert_eq!(disk.read_all(&path, 100).await.expect("no file"), None);
            disk.replace(&path, b"first").await.expect("replaced");
            disk.replace(&path, b"second version")
                .await
                .expect("replaced");
            assert_eq!(
                disk.read_all(&path, 100).await.expect("read"),
                Some(b"second version".to_vec())
            );
            disk.read_all(&path, 5)
                .await
                .expect_err("longer than believed");
            disk.create_directory(&root.join("topic-0"))
                .await
                .expect("made");
            disk.create_directory(&root.join("topic-0"))
                .await
                .expect("there already");
            disk.rename(&root.join("topic-0"), &root.join("topic-1"))
                .await
                .expect("renamed");
            let mut names = disk.list(&root).await.expect("listed");
            names.sort();
            assert_eq!(
                names,
                [PathBuf::from("checkpoint"), PathBuf::from("topic-1")]
            );
            disk.remove_directory(&root.join("topic-1"))
                .await
                .expect("removed");
            disk.remove_file(&path).await.expect("removed");
            let error = disk
                .open(&path, OpenMode::Existing)
                .await
                .err()
                .expect("gone");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        });
    }

    #[test]
    fn a_dropped_wait_leaves_the_memory_with_the_kernel() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        on_a_shard(async move |disk| {
            let file = disk.open(&path, OpenMode::Create).await.expect("created");
            for round in 0..500u64 {
                let mut data = aligned_buffer(BLOCK);
                data.resize(BLOCK, 7);
                let write = file.write_at(data.freeze(), round * BLOCK as u64, Durability::Flushed);
                assert!(futures_lite::future::poll_once(write).await.is_none());
            }
            file.sync().await.expect("the ring still works");
            let content = file.read_at(0, BLOCK).await.expect("read");
            assert!(content.iter().all(|&byte| byte == 7));
        });
    }
}
