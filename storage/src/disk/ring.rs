//! The real disk: direct I/O through a small io_uring of the shard's own, beside the executor's.
//!
//! An eventfd tells the executor that operations have completed. Never blocks the shard on a read, write or flush.
//!
//! Why a ring of our own: the executor's file type costs several `io_uring_enter` a write, cannot ask for a flush with a
//! single write, and cannot take a buffer it did not allocate (one more copy of every byte). See ARCHITECTURE.md.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::CString;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use glommio::io::BufferedFile;
use io_uring::{IoUring, opcode, squeue, types};

use super::{BLOCK, Disk, DiskFile, Durability, OpenMode, TRANSFER_MAX, align_up, aligned_buffer};

/// Submission entries. More may be in flight: the completion queue is twice as long, and the kernel keeps what overflows until it
/// is asked for, which nothing but an overflow flag tells.
const ENTRIES: u32 = 128;

/// Bytes of a file that are given back to the file system in one step.
const FREED_AT_ONCE: u64 = 32 << 20;

/// Less than this goes with the file's name: many small files are no more than one large one.
const FREED_WITH_NAME: u64 = 1 << 20;

/// The pause between two steps: at most 1.6 GB/s are freed.
const FREE_PAUSE: Duration = Duration::from_millis(20);

/// A file system reached through one ring. Cloning shares the ring; it must stay on the thread that made it.
#[derive(Clone)]
pub struct RingDisk {
    ring: Rc<Ring>,
}

struct Ring {
    uring: RefCell<IoUring>,
    operations: RefCell<Operations>,
    event: OwnedFd,
    started: Instant,
}

#[derive(Default)]
struct Operations {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

/// One operation between submission and the moment its result is taken.
#[derive(Default)]
struct Slot {
    result: Option<i32>,
    waker: Option<Waker>,
    /// Memory the kernel may still touch. It outlives the future: a dropped future leaves it here until completion.
    memory: Memory,
    /// Nobody waits any more: free the slot on completion.
    abandoned: bool,
}

#[derive(Default)]
enum Memory {
    #[default]
    None,
    Shared(#[allow(dead_code, reason = "held, never read: the kernel reads it")] Bytes),
    Owned(BytesMut),
    Paths(#[allow(dead_code, reason = "held, never read: the kernel reads it")] [CString; 2]),
}

impl RingDisk {
    /// Builds the ring and starts the task that waits for completions. Call it inside a glommio executor.
    ///
    /// The ring holds on to `lock`: the kernel lets go of it only when the last operation is over, also when the process was
    /// killed. Without that, a write of a dead process could land on top of what its successor wrote.
    ///
    /// # Errors
    /// What `io_uring_setup` and `eventfd` say; a lack of locked memory right after a restart is retried for a second,
    /// since the kernel frees that of a dead process late.
    pub async fn new(lock: &File) -> io::Result<Self> {
        let mut attempts = 0;
        let uring = loop {
            match IoUring::builder()
                .setup_single_issuer()
                .setup_coop_taskrun()
                .build(ENTRIES)
            {
                Ok(uring) => break uring,
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && attempts < 20 => {
                    attempts += 1;
                    glommio::timer::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        };
        // SAFETY: eventfd takes no pointers; the descriptor it returns is owned by nobody else.
        let event = unsafe {
            let descriptor = libc::eventfd(0, libc::EFD_CLOEXEC);
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(descriptor)
        };
        uring.submitter().register_eventfd(event.as_raw_fd())?;
        uring.submitter().register_files(&[lock.as_raw_fd()])?;
        let ring = Rc::new(Ring {
            uring: RefCell::new(uring),
            operations: RefCell::default(),
            event,
            started: Instant::now(),
        });
        Ring::watch(&ring)?;
        Ok(Self { ring })
    }
}

impl Ring {
    /// One task for the ring's whole life: sleeps in the executor's ring on the eventfd, then hands out completions.
    fn watch(ring: &Rc<Self>) -> io::Result<()> {
        let weak = Rc::downgrade(ring);
        let event = ring.event.try_clone()?;
        // SAFETY: the descriptor is a duplicate that the file alone owns and closes.
        let event =
            unsafe { BufferedFile::from_raw_fd(std::os::fd::IntoRawFd::into_raw_fd(event)) };
        glommio::spawn_local(async move {
            loop {
                let woken = event.read_at(0, 8).await;
                let Some(ring) = weak.upgrade() else { break };
                if let Err(error) = woken {
                    log::error!("waiting for disk completions failed: {error}");
                }
                ring.complete();
            }
            let _ = event.close().await;
        })
        .detach();
        Ok(())
    }

    fn complete(&self) {
        let mut uring = self.uring.borrow_mut();
        let mut operations = self.operations.borrow_mut();
        loop {
            for entry in uring.completion() {
                let index = usize::try_from(entry.user_data()).expect("we number slots from 0");
                let slot = &mut operations.slots[index];
                if slot.abandoned {
                    *slot = Slot::default();
                    operations.free.push(index);
                } else {
                    slot.result = Some(entry.result());
                    if let Some(waker) = slot.waker.take() {
                        waker.wake();
                    }
                }
            }
            // What overflowed rings no bell: without this call whoever waits for it would wait for ever.
            if !uring.submission().cq_overflow() || uring.submit().is_err() {
                return;
            }
        }
    }

    /// Submits one operation and waits for it. Returns the result and the memory it worked on.
    async fn run(
        self: &Rc<Self>,
        entry: squeue::Entry,
        memory: Memory,
    ) -> io::Result<(u32, Memory)> {
        let index = self.submit(entry, memory, false)?;
        let mut pending = Pending {
            ring: self,
            index,
            taken: false,
        };
        poll_fn(|context| pending.poll(context)).await
    }

    fn submit(&self, entry: squeue::Entry, memory: Memory, abandoned: bool) -> io::Result<usize> {
        let mut operations = self.operations.borrow_mut();
        let slot = Slot {
            result: None,
            waker: None,
            memory,
            abandoned,
        };
        let index = match operations.free.pop() {
            Some(index) => {
                operations.slots[index] = slot;
                index
            }
            None => {
                operations.slots.push(slot);
                operations.slots.len() - 1
            }
        };
        let mut uring = self.uring.borrow_mut();
        let entry = entry.user_data(index as u64);
        // SAFETY: every pointer in the entry points into `memory`, which stays in its slot until the completion arrives
        // (buffers of Bytes and CString do not move when their handle does).
        let pushed = unsafe { uring.submission().push(&entry) };
        assert!(
            pushed.is_ok(),
            "each operation is submitted at once, so the submission queue is empty before it"
        );
        loop {
            match uring.submit() {
                Ok(_) => return Ok(index),
                // The completion queue is full or the kernel is short of memory for a moment: the entry stays queued.
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The kernel may still write into memory that the slots hold: let it finish before they are freed.
        loop {
            self.complete();
            let operations = self.operations.borrow();
            if operations.free.len() == operations.slots.len() {
                return;
            }
            drop(operations);
            if self.uring.borrow().submit_and_wait(1).is_err() {
                // Leak what is in flight: memory is lost at the process' end, never reused under the kernel's hand.
                std::mem::forget(std::mem::take(&mut *self.operations.borrow_mut()));
                return;
            }
        }
    }
}

/// The wait for one operation; dropped early, it leaves the memory with the kernel until the operation is over.
struct Pending<'a> {
    ring: &'a Ring,
    index: usize,
    taken: bool,
}

impl Pending<'_> {
    fn poll(&mut self, context: &mut std::task::Context<'_>) -> Poll<io::Result<(u32, Memory)>> {
        let mut operations = self.ring.operations.borrow_mut();
        let slot = &mut operations.slots[self.index];
        let Some(result) = slot.result else {
            if !slot
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                slot.waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        };
        let memory = std::mem::take(&mut slot.memory);
        *slot = Slot::default();
        operations.free.push(self.index);
        self.taken = true;
        Poll::Ready(match u32::try_from(result) {
            Ok(count) => Ok((count, memory)),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        })
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut operations = self.ring.operations.borrow_mut();
        let slot = &mut operations.slots[self.index];
        if slot.result.is_some() {
            *slot = Slot::default();
            operations.free.push(self.index);
        } else {
            slot.abandoned = true;
            slot.waker = None;
        }
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
        let text = c_path(path)?;
        let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), text.as_ptr())
            .flags(flags | libc::O_CLOEXEC)
            .mode(0o644)
            .build();
        let (descriptor, _) = self
            .ring
            .run(entry, Memory::Paths([text, CString::default()]))
            .await?;
        Ok(RingFile {
            ring: Rc::clone(&self.ring),
            descriptor: RawFd::try_from(descriptor).expect("descriptors are small"),
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
        self.ring.run(entry, Memory::Paths(paths)).await.map(|_| ())
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
        let entry = opcode::Fsync::new(types::Fd(directory.descriptor)).build();
        with_path(
            self.ring.run(entry, Memory::None).await.map(|_| ()),
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
                glommio::timer::sleep(FREE_PAUSE).await;
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
        self.ring.started.elapsed()
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
    ring: Rc<Ring>,
    descriptor: RawFd,
    path: PathBuf,
}

fn assert_aligned(position: u64, length: usize) {
    assert!(
        position.is_multiple_of(BLOCK as u64) && length.is_multiple_of(BLOCK),
        "direct I/O works on whole blocks, not on {length} bytes at {position}"
    );
}

impl DiskFile for RingFile {
    async fn write_at(&self, data: Bytes, position: u64, durability: Durability) -> io::Result<()> {
        assert_aligned(position, data.len());
        assert_eq!(
            data.as_ptr().align_offset(BLOCK),
            0,
            "direct I/O wants aligned memory"
        );
        let flags = if durability == Durability::Flushed {
            libc::RWF_DSYNC
        } else {
            0
        };
        let mut done = 0;
        while done < data.len() {
            let part = data.slice(done..data.len().min(done + TRANSFER_MAX));
            let length = u32::try_from(part.len()).expect("at most TRANSFER_MAX");
            let entry = opcode::Write::new(types::Fd(self.descriptor), part.as_ptr(), length)
                .offset(position + done as u64)
                .rw_flags(flags)
                .build();
            let written = self.ring.run(entry, Memory::Shared(part)).await;
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
            done += written;
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
            types::Fd(self.descriptor),
            buffer.as_mut_ptr(),
            u32::try_from(length).expect("at most TRANSFER_MAX"),
        )
        .offset(position)
        .build();
        let read = self.ring.run(entry, Memory::Owned(buffer)).await;
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
        let entry = opcode::Fsync::new(types::Fd(self.descriptor))
            .flags(types::FsyncFlags::DATASYNC)
            .build();
        with_path(
            self.ring.run(entry, Memory::None).await.map(|_| ()),
            "flush",
            &self.path,
        )
    }

    async fn allocate(&self, size: u64) -> io::Result<()> {
        let entry = opcode::Fallocate::new(types::Fd(self.descriptor), size)
            .mode(libc::FALLOC_FL_KEEP_SIZE)
            .build();
        match self.ring.run(entry, Memory::None).await {
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
        let size = libc::off_t::try_from(size)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: the descriptor is open as long as `self` lives, which outlasts this statement.
        let descriptor = unsafe { BorrowedFd::borrow_raw(self.descriptor) }.try_clone_to_owned()?;
        let result = glommio::executor()
            .spawn_blocking(move || {
                // SAFETY: no pointers; the closure owns the descriptor.
                match unsafe { libc::ftruncate(descriptor.as_raw_fd(), size) } {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            })
            .await;
        with_path(result, "truncate", &self.path)
    }
}

impl Drop for RingFile {
    fn drop(&mut self) {
        let entry = opcode::Close::new(types::Fd(self.descriptor)).build();
        if self.ring.submit(entry, Memory::None, true).is_err() {
            // SAFETY: the descriptor is ours and this is its last use.
            unsafe { libc::close(self.descriptor) };
        }
    }
}

#[cfg(test)]
mod tests {
    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;

    fn on_a_shard<T: Send + 'static>(work: impl AsyncFnOnce(RingDisk) -> T + Send + 'static) -> T {
        LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 << 10)
            .preempt_timer(Duration::from_millis(1))
            .spawn(move || async move {
                let lock = tempfile::tempfile().expect("a file");
                let disk = RingDisk::new(&lock).await.expect("a ring");
                work(disk).await
            })
            .expect("an executor")
            .join()
            .expect("the shard ran")
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
                for _ in 0..4 * ENTRIES {
                    files.push(disk.open(&path, OpenMode::Create).await.expect("opened"));
                }
                // Each is closed without a wait, and by the kernel at once.
                drop(files);
                let goes_on = async {
                    disk.sync_directory(path.parent().expect("a parent"))
                        .await
                        .expect("synced");
                    Ok(())
                };
                let within = Duration::from_secs(20);
                let done = glommio::timer::timeout(within, goes_on).await;
                done.expect("completions that overflowed are asked for");
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
