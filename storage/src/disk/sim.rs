//! A disk in memory whose every fault a seed decides: it loses power, tears and reorders what was not flushed, forgets names,
//! fails writes and flushes, fills up, dawdles, flips bits and writes to the wrong place.
//!
//! For tests and simulations. Never touches a real file, a clock or a thread.

mod content;
mod names;
mod random;

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes};

use self::names::{Copy, File, Folder};
use self::random::Random;
use super::{BLOCK, Disk, DiskFile, Durability, OpenMode, align_up, aligned_buffer};

pub use self::names::Lost;

/// What a device keeps or loses as one when power fails: an old one, and one of today.
const GRAINS: [usize; 2] = [512, 4096];

/// The I/O error that a device reports.
const EIO: i32 = 5;

/// How often what goes wrong while the power is on. The numbers are chances in ten thousand per operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimFaults {
    /// A write fails; a part of it may have happened.
    pub write_errors: u32,
    /// A flush fails once and drops what it was to make durable; the next one says that all is fine.
    pub flush_errors: u32,
    /// A write lands at another block of the same or of another file, and success is reported.
    pub misdirected: u32,
    /// Reads, writes and flushes stay pending for up to so many polls.
    pub polls_max: u32,
}

/// What has happened on a disk since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, flushes and changes of names and sizes.
    pub operations: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    /// Failures that were reported, by cause.
    pub write_errors: u64,
    pub flush_errors: u64,
    pub full: u64,
    /// Writes that went elsewhere without a word.
    pub misdirected: u64,
}

/// Hears of each operation when it is asked for: what it is called in [`Disk`] and [`DiskFile`], and of which file.
pub type Listener = Rc<dyn Fn(&'static str, &Path)>;

#[derive(Clone, Default)]
pub struct SimDisk {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    root: Folder,
    /// Operations still to be done before the power fails.
    operations_left: Option<u64>,
    power_lost: bool,
    fail_next_write: bool,
    capacity: Option<usize>,
    faults: SimFaults,
    random: Random,
    counts: Counts,
    listener: Option<Listener>,
}

fn no_power() -> io::Error {
    io::Error::other("the power is gone")
}

impl State {
    fn files(&self) -> Vec<(PathBuf, File)> {
        let mut files = Vec::new();
        names::files(&self.root, Path::new("/"), &mut files);
        files
    }

    fn powered(&self) -> io::Result<()> {
        if self.power_lost {
            Err(no_power())
        } else {
            Ok(())
        }
    }

    /// Counts one operation. `Ok(false)`: the power fails during this one.
    fn step(&mut self) -> io::Result<bool> {
        self.powered()?;
        self.counts.operations += 1;
        match &mut self.operations_left {
            Some(0) => {
                self.power_lost = true;
                Ok(false)
            }
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => Ok(true),
        }
    }

    /// As [`State::step`], for what happens either whole or not at all.
    fn whole_step(&mut self) -> io::Result<()> {
        if self.step()? {
            Ok(())
        } else {
            Err(no_power())
        }
    }

    fn is_full(&self, growth: usize) -> bool {
        let used = || -> usize {
            let files = self.files();
            files
                .iter()
                .map(|(_, file)| file.borrow().size_on_disk())
                .sum()
        };
        growth > 0
            && self
                .capacity
                .is_some_and(|capacity| used() + growth > capacity)
    }
}

impl SimDisk {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(state: State) -> Self {
        Self {
            state: Rc::new(RefCell::new(state)),
        }
    }

    /// The power fails at the `count`-th write, flush or change of names from now: that one is cut short and every later
    /// one fails.
    pub fn lose_power_after(&self, count: u64) {
        self.state.borrow_mut().operations_left = Some(count);
    }

    #[must_use]
    pub fn power_lost(&self) -> bool {
        self.state.borrow().power_lost
    }

    /// From now on these faults happen, as `seed` decides.
    pub fn inject(&self, faults: SimFaults, seed: u64) {
        let mut state = self.state.borrow_mut();
        state.faults = faults;
        state.random = Random(seed);
    }

    /// From now on this hears of every operation that begins.
    pub fn listen(&self, listener: Listener) {
        self.state.borrow_mut().listener = Some(listener);
    }

    fn tell(&self, operation: &'static str, path: &Path) {
        // It may ask the disk something.
        let listener = self.state.borrow().listener.clone();
        if let Some(listener) = listener {
            listener(operation, path);
        }
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.borrow().counts
    }

    /// Every write from now on that would make the files larger than this in total fails with `StorageFull`.
    pub fn limit_capacity(&self, bytes: Option<usize>) {
        self.state.borrow_mut().capacity = bytes;
    }

    /// The next write fails with an I/O error, the ones after it succeed.
    pub fn fail_next_write(&self) {
        self.state.borrow_mut().fail_next_write = true;
    }

    /// The disk as it is found when power returns, and what was lost: of everything that was not flushed each piece
    /// survives or not, as `seed` decides.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> (Self, Lost) {
        let mut random = Random(seed);
        let grain = GRAINS[usize::try_from(random.below(2)).expect("below two")];
        let mut lost = Lost::default();
        let root =
            names::after_power_loss(&self.state.borrow().root, &mut random, grain, &mut lost);
        let state = State {
            root,
            ..State::default()
        };
        (Self::with(state), lost)
    }

    /// The disk as it is found when only the process died: everything written is there, and what was not flushed is
    /// still at risk.
    #[must_use]
    pub fn after_process_death(&self) -> Self {
        let root = Copy::default().directory(&self.state.borrow().root);
        Self::with(State {
            root,
            ..State::default()
        })
    }

    /// Flips one bit, as a device does in time.
    ///
    /// # Panics
    /// When the file is absent or shorter.
    pub fn flip_bit(&self, path: &Path, position: usize) {
        let root = Rc::clone(&self.state.borrow().root);
        let file = names::file(&root, path).expect("the file exists");
        file.borrow_mut().flip_bit(position, 0);
    }

    /// Flips a bit somewhere, as `seed` decides. Says where; nowhere when there are no bytes.
    pub fn flip_some_bit(&self, seed: u64) -> Option<(PathBuf, usize)> {
        let mut random = Random(seed);
        let mut files = self.state.borrow().files();
        files.retain(|(_, file)| !file.borrow().now.is_empty());
        let index = usize::try_from(random.below(files.len() as u64)).expect("few files");
        let (path, file) = files.get(index)?;
        let length = file.borrow().now.len() as u64;
        let position = usize::try_from(random.below(length)).expect("files are small here");
        let bit = u32::try_from(random.below(8)).expect("below eight");
        file.borrow_mut().flip_bit(position, bit);
        Some((path.clone(), position))
    }

    /// Puts a word of a file with this extension into another word's place: every bit of it is right, and it is wrong all the same.
    pub fn misplace_some_word(&self, extension: &str, seed: u64) {
        const WORD: usize = 4;
        let mut random = Random(seed);
        let mut files = self.state.borrow().files();
        files.retain(|(path, file)| {
            path.extension().is_some_and(|found| found == extension)
                && file.borrow().now.len() >= 2 * WORD
        });
        let index = usize::try_from(random.below(files.len() as u64)).expect("few files");
        let Some((_, file)) = files.get(index) else {
            return;
        };
        let words = (file.borrow().now.len() / WORD) as u64;
        let mut place =
            || usize::try_from(random.below(words)).expect("files are small here") * WORD;
        let (from, to) = (place(), place());
        file.borrow_mut().misplace(from, to, WORD);
    }

    /// Paths and sizes of all files.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let files = self.state.borrow().files();
        let sized = files
            .into_iter()
            .map(|(path, file)| (path, file.borrow().now.len() as u64));
        sized.collect()
    }

    /// Lets others go first, for as long as a slow disk takes.
    async fn wait(&self) {
        let polls = {
            let mut state = self.state.borrow_mut();
            match state.faults.polls_max {
                0 => 0,
                most => state.random.below(u64::from(most)),
            }
        };
        for _ in 0..=polls {
            futures_lite::future::yield_now().await;
        }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        self.tell("open", path);
        futures_lite::future::yield_now().await;
        let mut state = self.state.borrow_mut();
        state.powered()?;
        let content = match names::file(&state.root, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && mode == OpenMode::Create => {
                state.whole_step()?;
                names::create_file(&state.root, path)?
            }
            other => other?,
        };
        drop(state);
        Ok(SimFile {
            disk: self.clone(),
            path: path.to_owned(),
            content,
        })
    }

    async fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.whole_step()?;
        names::create_directory(&state.root, path)
    }

    async fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.tell("sync_directory", path);
        self.wait().await;
        let mut state = self.state.borrow_mut();
        state.whole_step()?;
        names::directory(&state.root, path)?.borrow_mut().sync();
        Ok(())
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell("rename", from);
        let mut state = self.state.borrow_mut();
        state.whole_step()?;
        names::rename(&state.root, from, to)
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.tell("remove_file", path);
        let mut state = self.state.borrow_mut();
        state.whole_step()?;
        names::file(&state.root, path)?;
        names::remove(&state.root, path)
    }

    async fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.whole_step()?;
        names::directory(&state.root, path)?;
        names::remove(&state.root, path)
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.state.borrow();
        state.powered()?;
        match names::directory(&state.root, path) {
            Ok(directory) => Ok(directory.borrow().names()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Goes on with every operation, so that some of them are soon after a commit and others long after it.
    fn clock(&self) -> Duration {
        Duration::from_millis(self.state.borrow().counts.operations * 10)
    }

    async fn size(&self, path: &Path) -> io::Result<u64> {
        let state = self.state.borrow();
        state.powered()?;
        Ok(names::file(&state.root, path)?.borrow().now.len() as u64)
    }
}

/// An open file of a [`SimDisk`].
pub struct SimFile {
    disk: SimDisk,
    /// What it was called when it was opened.
    path: PathBuf,
    content: File,
}

impl SimFile {
    /// The failure that the device reports instead of doing all of the write, and how much of it is done.
    fn refuse_write(&self, end: usize, length: usize) -> Option<(io::Error, usize)> {
        let mut state = self.disk.state.borrow_mut();
        let growth = end.saturating_sub(self.content.borrow().size_on_disk());
        if state.is_full(growth) {
            state.counts.full += 1;
            return Some((io::ErrorKind::StorageFull.into(), 0));
        }
        let errors = state.faults.write_errors;
        let fails = std::mem::take(&mut state.fail_next_write) || state.random.chance(errors);
        fails.then(|| {
            state.counts.write_errors += 1;
            let done = state.random.below((length / GRAINS[0]) as u64 + 1);
            let done = usize::try_from(done).expect("files are small here") * GRAINS[0];
            (io::Error::from_raw_os_error(EIO), done)
        })
    }

    /// Another place that the write goes to.
    fn misdirect(&self, position: usize) -> Option<(File, usize)> {
        let mut state = self.disk.state.borrow_mut();
        let chance = state.faults.misdirected;
        if !state.random.chance(chance) {
            return None;
        }
        let target = if state.random.below(2) == 0 {
            Rc::clone(&self.content)
        } else {
            let files = state.files();
            let index = state.random.below(files.len() as u64);
            Rc::clone(&files[usize::try_from(index).expect("few files")].1)
        };
        let blocks = target.borrow().now.len() / BLOCK;
        let block = usize::try_from(state.random.below(blocks as u64)).expect("few blocks");
        if block * BLOCK == position {
            return None;
        }
        state.counts.misdirected += 1;
        Some((target, block * BLOCK))
    }

    /// Whether a flush fails now.
    fn flush_fails(&self) -> bool {
        let mut state = self.disk.state.borrow_mut();
        let chance = state.faults.flush_errors;
        let fails = state.random.chance(chance);
        if fails {
            state.counts.flush_errors += 1;
            let visible = state.random.below(2) == 0;
            self.content.borrow_mut().drop_pending(visible);
        }
        fails
    }
}

impl DiskFile for SimFile {
    async fn write_at(&self, data: Bytes, position: u64, durability: Durability) -> io::Result<()> {
        self.disk.tell("write_at", &self.path);
        assert!(
            position.is_multiple_of(BLOCK as u64) && data.len().is_multiple_of(BLOCK),
            "whole blocks only"
        );
        assert_eq!(data.as_ptr().align_offset(BLOCK), 0, "aligned memory only");
        self.disk.wait().await;
        self.disk.state.borrow().powered()?;
        let position = usize::try_from(position).expect("files are small here");
        let end = position + data.len();
        if let Some((error, done)) = self.refuse_write(end, data.len()) {
            self.content
                .borrow_mut()
                .write(position, data.slice(..done));
            return Err(error);
        }
        let powered = {
            let mut state = self.disk.state.borrow_mut();
            state.counts.bytes_written += data.len() as u64;
            state.step()?
        };
        let (target, at) = match self.misdirect(position) {
            Some(elsewhere) => {
                self.content.borrow_mut().grow(end);
                elsewhere
            }
            None => (Rc::clone(&self.content), position),
        };
        target.borrow_mut().write(at, data);
        if !powered {
            return Err(no_power());
        }
        if durability == Durability::Flushed {
            if self.flush_fails() {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            target.borrow_mut().flush_last();
        }
        Ok(())
    }

    async fn write_vectored_at(
        &self,
        parts: Vec<Bytes>,
        position: u64,
        durability: Durability,
    ) -> io::Result<()> {
        let mut data = aligned_buffer(parts.iter().map(Bytes::len).sum());
        for part in parts {
            assert!(part.len().is_multiple_of(BLOCK), "whole blocks only");
            assert_eq!(part.as_ptr().align_offset(BLOCK), 0, "aligned memory only");
            data.put_slice(&part);
        }
        self.write_at(data.freeze(), position, durability).await
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.disk.tell("read_at", &self.path);
        assert!(
            position.is_multiple_of(BLOCK as u64) && length.is_multiple_of(BLOCK),
            "whole blocks only"
        );
        self.disk.wait().await;
        self.disk.state.borrow().powered()?;
        let content = &self.content.borrow().now;
        let from = usize::try_from(position)
            .expect("files are small here")
            .min(content.len());
        let to = (from + length).min(content.len());
        let mut buffer = aligned_buffer(align_up(length));
        buffer.put_slice(&content[from..to]);
        self.disk.state.borrow_mut().counts.bytes_read += (to - from) as u64;
        Ok(buffer.freeze())
    }

    async fn sync(&self) -> io::Result<()> {
        self.disk.tell("sync", &self.path);
        // What is written while the flush is under way is not covered by it.
        let covered = self.content.borrow().pending();
        self.disk.wait().await;
        self.disk.state.borrow_mut().whole_step()?;
        if self.flush_fails() {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.content.borrow_mut().flush(covered);
        Ok(())
    }

    async fn allocate(&self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).expect("files are small here");
        let growth = size.saturating_sub(self.content.borrow().size_on_disk());
        if self.disk.state.borrow().is_full(growth) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content.borrow_mut().allocate(size);
        Ok(())
    }

    async fn truncate(&self, size: u64) -> io::Result<()> {
        self.disk.tell("truncate", &self.path);
        let size = usize::try_from(size).expect("files are small here");
        self.disk.state.borrow_mut().whole_step()?;
        self.content.borrow_mut().truncate(size);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    fn block(fill: u8) -> Bytes {
        let mut buffer = aligned_buffer(BLOCK);
        buffer.resize(BLOCK, fill);
        buffer.freeze()
    }

    #[test]
    fn flushed_writes_survive_and_unflushed_ones_may_not() {
        let mut lost = 0;
        for seed in 0..64 {
            let disk = SimDisk::new();
            let content = block_on(async {
                let file = disk
                    .open(Path::new("a"), OpenMode::Create)
                    .await
                    .expect("opened");
                disk.sync_directory(Path::new("/")).await.expect("synced");
                file.write_at(block(1), 0, Durability::Flushed)
                    .await
                    .expect("written");
                file.write_at(block(2), BLOCK as u64, Durability::Written)
                    .await
                    .expect("written");
                let (disk, _) = disk.after_power_loss(seed);
                disk.read_all(Path::new("a"), 1 << 20)
                    .await
                    .expect("read")
                    .expect("there")
            });
            assert!(content[..BLOCK].iter().all(|&byte| byte == 1));
            if content.len() == BLOCK || content[BLOCK..].iter().any(|&byte| byte != 2) {
                lost += 1;
            }
        }
        assert!(lost > 10, "power loss must lose something");
    }

    async fn create(disk: &SimDisk, path: &str) -> SimFile {
        disk.open(Path::new(path), OpenMode::Create)
            .await
            .expect("opened")
    }

    async fn found(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        disk.read_all(Path::new(path), 1 << 20).await.expect("read")
    }

    #[test]
    fn nothing_works_after_the_power_is_gone() {
        let disk = SimDisk::new();
        block_on(async {
            let file = create(&disk, "a").await;
            disk.lose_power_after(1);
            file.write_at(block(1), 0, Durability::Flushed)
                .await
                .expect("the last one that works");
            file.write_at(block(2), 0, Durability::Flushed)
                .await
                .expect_err("the power fails");
            file.sync().await.expect_err("the power is gone");
        });
        assert!(disk.power_lost());
    }

    #[test]
    fn names_survive_only_with_their_directory_synced() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..64 {
            block_on(async {
                let disk = SimDisk::new();
                let directory = Path::new("d");
                disk.create_directory(directory).await.expect("made");
                disk.sync_directory(Path::new("/")).await.expect("synced");
                let file = create(&disk, "d/synced").await;
                file.write_at(block(1), 0, Durability::Flushed)
                    .await
                    .expect("written");
                disk.sync_directory(directory).await.expect("synced");
                create(&disk, "d/new").await.sync().await.expect("synced");
                disk.rename(Path::new("d/synced"), Path::new("d/renamed"))
                    .await
                    .expect("renamed");
                let (disk, taken) = disk.after_power_loss(seed);
                let new = found(&disk, "d/new").await.is_some();
                let renamed = found(&disk, "d/renamed").await;
                let synced = found(&disk, "d/synced").await;
                assert!(new || renamed.is_none(), "changes keep their order");
                assert_eq!(
                    renamed.or(synced),
                    Some(vec![1; BLOCK]),
                    "a rename is all or nothing"
                );
                assert_eq!(
                    taken.names == 0,
                    new && found(&disk, "d/renamed").await.is_some()
                );
                kept += u64::from(new);
                lost += u64::from(!new);
            });
        }
        assert!(kept > 5 && lost > 5, "{kept} kept, {lost} lost");
    }

    #[test]
    fn a_failed_flush_drops_its_pages_and_the_next_one_lies() {
        block_on(async {
            let disk = SimDisk::new();
            let file = create(&disk, "a").await;
            disk.sync_directory(Path::new("/")).await.expect("synced");
            file.write_at(block(1), 0, Durability::Flushed)
                .await
                .expect("written");
            file.write_at(block(2), 0, Durability::Written)
                .await
                .expect("written");
            let always = SimFaults {
                flush_errors: 10_000,
                ..SimFaults::default()
            };
            disk.inject(always, 1);
            file.sync().await.expect_err("the flush fails");
            disk.inject(SimFaults::default(), 1);
            file.sync().await.expect("the lie");
            for seed in 0..16 {
                let (disk, _) = disk.after_power_loss(seed);
                assert_eq!(found(&disk, "a").await, Some(vec![1; BLOCK]));
            }
            file.write_at(block(3), 0, Durability::Flushed)
                .await
                .expect("written");
            let (disk, _) = disk.after_power_loss(1);
            assert_eq!(found(&disk, "a").await, Some(vec![3; BLOCK]));
        });
    }

    #[test]
    fn a_misdirected_write_leaves_its_place_as_it_was() {
        block_on(async {
            let disk = SimDisk::new();
            let file = create(&disk, "a").await;
            for number in 0..8 {
                file.write_at(
                    block(number),
                    u64::from(number) * BLOCK as u64,
                    Durability::Flushed,
                )
                .await
                .expect("written");
            }
            let always = SimFaults {
                misdirected: 10_000,
                ..SimFaults::default()
            };
            disk.inject(always, 3);
            while disk.counts().misdirected == 0 {
                file.write_at(block(99), 0, Durability::Flushed)
                    .await
                    .expect("it says so");
            }
            let content = found(&disk, "a").await.expect("there");
            assert_eq!(content.len(), 8 * BLOCK);
            let hit: Vec<_> = content.chunks(BLOCK).map(|block| block[0] == 99).collect();
            assert!(!hit[0] && hit.contains(&true), "{hit:?}");
        });
    }

    #[test]
    fn death_of_the_process_loses_nothing_and_flushes_nothing() {
        block_on(async {
            let disk = SimDisk::new();
            let file = create(&disk, "a").await;
            disk.sync_directory(Path::new("/")).await.expect("synced");
            file.write_at(block(1), 0, Durability::Written)
                .await
                .expect("written");
            let disk = disk.after_process_death();
            assert_eq!(found(&disk, "a").await, Some(vec![1; BLOCK]));
            let mut lost = 0;
            for seed in 0..32 {
                lost += u64::from(
                    found(&disk.after_power_loss(seed).0, "a").await != Some(vec![1; BLOCK]),
                );
            }
            assert!(lost > 5, "{lost}");
        });
    }

    #[test]
    fn a_full_disk_overwrites_but_does_not_grow() {
        block_on(async {
            let disk = SimDisk::new();
            let file = create(&disk, "a").await;
            disk.limit_capacity(Some(BLOCK));
            file.write_at(block(1), 0, Durability::Written)
                .await
                .expect("it fits");
            let error = file
                .write_at(block(1), BLOCK as u64, Durability::Written)
                .await
                .expect_err("full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            file.write_at(block(2), 0, Durability::Written)
                .await
                .expect("in place");
        });
    }
}
