//! What the kernel asks of the file system, one request a call. Decides when to answer and with which error; what files hold is the
//! tree's matter. The kernel caches no write: every write and flush of the broker comes here.

use std::ffi::OsStr;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::image::Image;
use super::tree::{Directory, Node};
use super::{Power, Shared, State, journals};

/// Names and sizes change under the kernel with a power cut: it must ask each time.
const NEVER_CACHED: Duration = Duration::ZERO;

/// Journals are opened so that a write which must be durable says so itself (`O_DSYNC` with the request), as to a device that can
/// flush single writes. Otherwise the kernel has a flush of the whole file follow the write. Not for all files: a read beyond the end
/// of such a file, through an io_uring, repeats the file's beginning (seen with Linux 6.18).
const SINGLE_FLUSHES: FopenFlags = FopenFlags::FOPEN_DIRECT_IO;

/// A test that failed while requests were held must not hold the killed broker for ever.
const HELD_AT_MOST: Duration = Duration::from_secs(20);

const BLOCK: u64 = 4096;
const BLOCKS: u64 = (4 << 30) / BLOCK;

pub(super) struct Kernel(pub(super) Arc<Shared>);

impl Kernel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic while held")
    }

    /// The state, to change something in it. Without power nothing changes: the request is held and comes to nothing.
    fn change(&self) -> Result<MutexGuard<'_, State>, Errno> {
        self.hold(self.state())
    }

    fn hold<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, Errno> {
        if state.power == Power::On {
            return Ok(state);
        }
        state.held += 1;
        self.0.changed.notify_all();
        let deadline = Instant::now() + HELD_AT_MOST;
        while state.power == Power::Off {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.expect("no panic while held").0;
        }
        Err(Errno::EIO)
    }

    fn write_now(
        &self,
        number: u64,
        position: usize,
        data: &[u8],
        through: bool,
    ) -> Result<(), Errno> {
        let delay = self.state().faults.write_delay;
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let mut state = self.state();
        let path = state.tree.path(number);
        state.writes += 1;
        if state.faults.write_fails(&path) {
            self.0.changed.notify_all();
            return Err(Errno::EIO);
        }
        if state.power != Power::On {
            // In flight: any part of it may have reached the medium.
            if let Some(image) = state.tree.image(number) {
                image.write(position, data);
            }
            return self.hold(state).map(|_| ());
        }
        let flush_fails = through && state.faults.flush_fails(&path);
        let image = state.tree.image(number).ok_or(Errno::EBADF)?;
        match (through, flush_fails) {
            (true, false) => image.write_through(position, data),
            (true, true) | (false, _) => image.write(position, data),
        }
        if flush_fails {
            image.drop_unflushed();
            self.0.changed.notify_all();
            return Err(Errno::EIO);
        }
        Ok(())
    }

    fn flush_now(&self, number: u64) -> Result<(), Errno> {
        let mut state = self.change()?;
        let path = state.tree.path(number);
        let fails = state.faults.flush_fails(&path);
        let image = state.tree.image(number).ok_or(Errno::EBADF)?;
        if fails {
            image.drop_unflushed();
            self.0.changed.notify_all();
            return Err(Errno::EIO);
        }
        image.flush();
        Ok(())
    }

    /// Counts the descriptor in; how it is opened.
    fn opened(&self, number: u64) -> FopenFlags {
        let mut state = self.state();
        state.open += 1;
        match journals(&state.tree.path(number)) {
            true => SINGLE_FLUSHES,
            false => FopenFlags::empty(),
        }
    }

    fn released(&self) {
        self.state().open -= 1;
        self.0.changed.notify_all();
    }

    fn add(&self, parent: INodeNo, name: &OsStr, node: Node) -> Result<FileAttr, Errno> {
        let mut state = self.change()?;
        let number = state.tree.add(parent.0, text(name)?, node);
        attributes(&state, number.ok_or(Errno::ENOENT)?)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let mut state = self.change()?;
        let name = text(name)?;
        let number = state.tree.look_up(parent.0, name).ok_or(Errno::ENOENT)?;
        if let Some(directory) = state.tree.directory(number)
            && !directory.names.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        state.tree.remove(parent.0, name).ok_or(Errno::ENOENT)
    }
}

fn text(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("a 64-bit machine")
}

fn attributes(state: &State, number: u64) -> Result<FileAttr, Errno> {
    let (kind, perm, size) = match state.tree.node(number) {
        Some(Node::File(image)) => (FileType::RegularFile, 0o644, image.len() as u64),
        Some(Node::Directory(_)) => (FileType::Directory, 0o755, 0),
        None => return Err(Errno::ENOENT),
    };
    Ok(FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

fn entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.entry(&NEVER_CACHED, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn attr(reply: ReplyAttr, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.attr(&NEVER_CACHED, &attributes),
        Err(error) => reply.error(error),
    }
}

fn done(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Kernel {
    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.state();
        let found = text(name).and_then(|name| {
            let number = state.tree.look_up(parent.0, name);
            attributes(&state, number.ok_or(Errno::ENOENT)?)
        });
        drop(state);
        entry(reply, found);
    }

    fn getattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        let found = attributes(&self.state(), ino.0);
        attr(reply, found);
    }

    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.change().and_then(|mut state| {
            if let Some(size) = size {
                let image = state.tree.image(ino.0).ok_or(Errno::EISDIR)?;
                image.resize(place(size));
            }
            attributes(&state, ino.0)
        });
        attr(reply, changed);
    }

    fn mkdir(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let directory = Node::Directory(Directory::default());
        entry(reply, self.add(parent, name, directory));
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.remove(parent, name));
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.remove(parent, name));
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.change().and_then(|mut state| {
            let (name, new_name) = (text(name)?, text(new_name)?);
            let renamed = state.tree.rename(parent.0, name, new_parent.0, new_name);
            renamed.ok_or(Errno::ENOENT)
        });
        done(reply, renamed);
    }

    fn open(&self, _request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), self.opened(ino.0));
    }

    fn create(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.add(parent, name, Node::File(Image::default())) {
            Ok(attributes) => {
                let how = self.opened(attributes.ino.0);
                reply.created(
                    &NEVER_CACHED,
                    &attributes,
                    Generation(0),
                    FileHandle(0),
                    how,
                );
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut state = self.state();
        let path = state.tree.path(ino.0);
        if state.faults.read_fails(&path) {
            self.0.changed.notify_all();
            return reply.error(Errno::EIO);
        }
        match state.tree.image(ino.0) {
            Some(image) => reply.data(image.read(place(offset), size as usize)),
            None => reply.error(Errno::EBADF),
        }
    }

    fn write(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let through = flags.0 & libc::O_DSYNC != 0;
        match self.write_now(ino.0, place(offset), data, through) {
            Ok(()) => reply.written(u32::try_from(data.len()).expect("it came in one request")),
            Err(error) => reply.error(error),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // Of a descriptor that is closed; it promises nothing.
        reply.ok();
    }

    fn release(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.released();
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        _data_alone: bool,
        reply: ReplyEmpty,
    ) {
        done(reply, self.flush_now(ino.0));
    }

    fn opendir(&self, _request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.opened(ino.0);
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn readdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.state();
        let Some(directory) = state.tree.directory(ino.0) else {
            return reply.error(Errno::ENOTDIR);
        };
        let dots = [(".", ino.0), ("..", ino.0)];
        let names = directory.names.iter();
        let names = names.map(|(name, number)| (name.as_str(), *number));
        let all = (1_u64..).zip(dots.into_iter().chain(names));
        for (next, (name, number)) in all.skip(place(offset)) {
            let kind = match state.tree.directory(number) {
                Some(_) => FileType::Directory,
                None => FileType::RegularFile,
            };
            if reply.add(INodeNo(number), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.released();
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        _data_alone: bool,
        reply: ReplyEmpty,
    ) {
        let flushed = self
            .change()
            .map(|mut state| state.tree.flush_directory(ino.0));
        done(reply, flushed);
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, 1 << 20, 1 << 20, 4096, 255, 4096);
    }

    fn fallocate(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _offset: u64,
        _length: u64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        // There is space; the broker asks for it without a change of size.
        done(reply, self.change().map(|_| ()));
    }
}
