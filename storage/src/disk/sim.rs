//! A disk in memory that loses power on command: unflushed writes then survive in part, sector by sector, as a seed decides.
//!
//! For tests and simulations. Never touches a real file, a clock or a thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::{BufMut, Bytes};

use super::{BLOCK, Disk, DiskFile, Durability, OpenMode, align_up, aligned_buffer};

/// What a device keeps or loses as one when power fails.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub struct SimDisk {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Rc<RefCell<Node>>>,
    /// Writes, flushes and changes of names still to be done before the power fails.
    operations_left: Option<u64>,
    operations: u64,
    power_lost: bool,
    /// The first write whose number this is fails with an I/O error.
    write_error_at: Option<u64>,
    capacity: Option<usize>,
}

#[derive(Default)]
struct Node {
    content: Vec<u8>,
    /// Bytes that count as used though the content is shorter.
    allocated: usize,
    /// What was there before each unflushed write, newest last: undoing them restores the flushed content.
    unflushed: Vec<Change>,
}

struct Change {
    position: usize,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl SimDisk {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power fails at the `count`-th write, flush or change of names from now: that one is cut short and every later
    /// one fails.
    pub fn lose_power_after(&self, count: u64) {
        self.state.borrow_mut().operations_left = Some(count);
    }

    /// How many writes, flushes and changes of names there have been.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.borrow().operations
    }

    #[must_use]
    pub fn power_lost(&self) -> bool {
        self.state.borrow().power_lost
    }

    /// Every write from now on that would make the files larger than this in total fails with `StorageFull`.
    pub fn limit_capacity(&self, bytes: Option<usize>) {
        self.state.borrow_mut().capacity = bytes;
    }

    /// The next write fails with an I/O error, the ones after it succeed.
    pub fn fail_next_write(&self) {
        self.state.borrow_mut().write_error_at = Some(0);
    }

    /// The disk as it is found when power returns: of every unflushed write each sector survives or not, as `seed` decides.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let mut random = seed;
        let mut next = move || {
            // splitmix64: any generator does, as long as the seed decides everything.
            random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = random;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        let mut files = BTreeMap::new();
        for (path, node) in &self.state.borrow().files {
            let node = node.borrow();
            let mut content = node.content.clone();
            for change in node.unflushed.iter().rev() {
                let end = change.position + change.before.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[change.position..end].copy_from_slice(&change.before);
            }
            // Unflushed writes may reach the platter in part and in any order; later ones over earlier ones is one of them.
            for change in &node.unflushed {
                let mode = next() % 4;
                for (index, sector) in change.after.chunks(SECTOR).enumerate() {
                    let survives = match mode {
                        0 => false,
                        1 => true,
                        _ => next() % 2 == 0,
                    };
                    if survives {
                        let from = change.position + index * SECTOR;
                        content[from..from + sector.len()].copy_from_slice(sector);
                    }
                }
            }
            files.insert(
                path.clone(),
                Rc::new(RefCell::new(Node {
                    allocated: 0,
                    content,
                    unflushed: Vec::new(),
                })),
            );
        }
        Self {
            state: Rc::new(RefCell::new(State {
                files,
                ..State::default()
            })),
        }
    }

    /// The disk as it is found when only the process died: everything written is there.
    #[must_use]
    pub fn after_process_death(&self) -> Self {
        let state = self.state.borrow();
        let files = state.files.iter().map(|(path, node)| {
            let content = node.borrow().content.clone();
            (
                path.clone(),
                Rc::new(RefCell::new(Node {
                    allocated: 0,
                    content,
                    unflushed: Vec::new(),
                })),
            )
        });
        Self {
            state: Rc::new(RefCell::new(State {
                files: files.collect(),
                ..State::default()
            })),
        }
    }

    /// Flips one bit, as a device does in time.
    ///
    /// # Panics
    /// When the file is absent or shorter.
    pub fn flip_bit(&self, path: &Path, position: usize) {
        self.state.borrow().files[path].borrow_mut().content[position] ^= 1;
    }

    /// Paths of all files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.state.borrow().files.keys().cloned().collect()
    }

    /// Counts one operation. `Ok(false)`: the power fails during this one.
    fn step(&self) -> io::Result<bool> {
        let mut state = self.state.borrow_mut();
        if state.power_lost {
            return Err(io::Error::other("the power is gone"));
        }
        state.operations += 1;
        match &mut state.operations_left {
            Some(0) => {
                state.power_lost = true;
                Ok(false)
            }
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => Ok(true),
        }
    }

    fn change_names(
        &self,
        change: impl FnOnce(&mut BTreeMap<PathBuf, Rc<RefCell<Node>>>) -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.step()? {
            return Err(io::Error::other("the power fails"));
        }
        change(&mut self.state.borrow_mut().files)
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    async fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        futures_lite::future::yield_now().await;
        let mut state = self.state.borrow_mut();
        if state.power_lost {
            return Err(io::Error::other("the power is gone"));
        }
        if mode == OpenMode::Existing && !state.files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let node = state.files.entry(path.to_owned()).or_default();
        Ok(SimFile {
            disk: self.clone(),
            node: Rc::clone(node),
        })
    }

    async fn create_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_names(|files| {
            let moved: Vec<_> = files
                .keys()
                .filter(|path| path.starts_with(from))
                .cloned()
                .collect();
            for path in moved {
                let node = files.remove(&path).expect("it was just listed");
                let rest = path.strip_prefix(from).expect("it starts with it");
                let target = if rest.as_os_str().is_empty() {
                    to.to_owned()
                } else {
                    to.join(rest)
                };
                files.insert(target, node);
            }
            Ok(())
        })
    }

    async fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change_names(|files| match files.remove(path) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    async fn remove_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.state.borrow();
        let mut names: Vec<PathBuf> = state
            .files
            .keys()
            .filter_map(|file| {
                file.strip_prefix(path)
                    .ok()?
                    .iter()
                    .next()
                    .map(PathBuf::from)
            })
            .collect();
        names.dedup();
        Ok(names)
    }

    async fn size(&self, path: &Path) -> io::Result<u64> {
        match self.state.borrow().files.get(path) {
            Some(node) => Ok(node.borrow().content.len() as u64),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// An open file of a [`SimDisk`].
pub struct SimFile {
    disk: SimDisk,
    node: Rc<RefCell<Node>>,
}

impl SimFile {
    fn refuse_write(&self, end: usize) -> Option<io::Error> {
        let mut state = self.disk.state.borrow_mut();
        if let Some(0) = state.write_error_at.take() {
            return Some(io::Error::from_raw_os_error(5));
        }
        let growth = end.saturating_sub(self.node.borrow().size_on_disk());
        let used: usize = state
            .files
            .values()
            .map(|node| node.borrow().size_on_disk())
            .sum();
        (growth > 0
            && state
                .capacity
                .is_some_and(|capacity| used + growth > capacity))
        .then(|| io::ErrorKind::StorageFull.into())
    }
}

impl DiskFile for SimFile {
    async fn write_at(&self, data: Bytes, position: u64, durability: Durability) -> io::Result<()> {
        assert!(
            position.is_multiple_of(BLOCK as u64) && data.len().is_multiple_of(BLOCK),
            "whole blocks only"
        );
        assert_eq!(data.as_ptr().align_offset(BLOCK), 0, "aligned memory only");
        futures_lite::future::yield_now().await;
        let position = usize::try_from(position).expect("files are small here");
        let end = position + data.len();
        if let Some(error) = self.refuse_write(end) {
            return Err(error);
        }
        let powered = self.disk.step()?;
        let mut node = self.node.borrow_mut();
        if node.content.len() < end {
            node.content.resize(end, 0);
        }
        let before = node.content[position..end].to_vec();
        node.content[position..end].copy_from_slice(&data);
        node.unflushed.push(Change {
            position,
            before,
            after: data.to_vec(),
        });
        if !powered {
            return Err(io::Error::other("the power fails"));
        }
        if durability == Durability::Flushed {
            // A device that honours FUA makes only this write durable; the earlier unflushed ones may still be lost. They
            // stay listed, and being older they are undone and redone below it: keep the order by flushing just this one.
            node.flush_last();
        }
        Ok(())
    }

    async fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        assert!(
            position.is_multiple_of(BLOCK as u64) && length.is_multiple_of(BLOCK),
            "whole blocks only"
        );
        futures_lite::future::yield_now().await;
        if self.disk.power_lost() {
            return Err(io::Error::other("the power is gone"));
        }
        let node = self.node.borrow();
        let from = usize::try_from(position)
            .expect("files are small here")
            .min(node.content.len());
        let to = (from + length).min(node.content.len());
        let mut buffer = aligned_buffer(align_up(length));
        buffer.put_slice(&node.content[from..to]);
        Ok(buffer.freeze())
    }

    async fn sync(&self) -> io::Result<()> {
        futures_lite::future::yield_now().await;
        if !self.disk.step()? {
            return Err(io::Error::other("the power fails"));
        }
        self.node.borrow_mut().unflushed.clear();
        Ok(())
    }

    async fn allocate(&self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).expect("files are small here");
        let (used, capacity) = {
            let state = self.disk.state.borrow();
            let nodes = state.files.values();
            let used: usize = nodes.map(|node| node.borrow().size_on_disk()).sum();
            (used, state.capacity)
        };
        let mut node = self.node.borrow_mut();
        let growth = size.saturating_sub(node.size_on_disk());
        if growth > 0 && capacity.is_some_and(|capacity| used + growth > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        node.allocated = node.allocated.max(size);
        Ok(())
    }

    async fn truncate(&self, size: u64) -> io::Result<()> {
        if !self.disk.step()? {
            return Err(io::Error::other("the power fails"));
        }
        let mut node = self.node.borrow_mut();
        // Sizes are metadata, which the file system's own journal keeps in order: modelled as durable at once.
        node.unflushed.clear();
        node.content
            .resize(usize::try_from(size).expect("files are small here"), 0);
        node.allocated = 0;
        Ok(())
    }
}

impl Node {
    fn size_on_disk(&self) -> usize {
        self.content.len().max(self.allocated)
    }

    /// Makes the newest write durable while older ones stay at risk.
    fn flush_last(&mut self) {
        let Some(last) = self.unflushed.pop() else {
            return;
        };
        let range = last.position..last.position + last.after.len();
        for older in &mut self.unflushed {
            // Where the flushed write covers an older one, undoing or redoing that one must not bring old bytes back.
            let from = older.position.max(range.start);
            let to = (older.position + older.after.len()).min(range.end);
            if from < to {
                let fresh = &last.after[from - range.start..to - range.start];
                older.before[from - older.position..to - older.position].copy_from_slice(fresh);
                older.after[from - older.position..to - older.position].copy_from_slice(fresh);
            }
        }
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
                file.write_at(block(1), 0, Durability::Flushed)
                    .await
                    .expect("written");
                file.write_at(block(2), BLOCK as u64, Durability::Written)
                    .await
                    .expect("written");
                let disk = disk.after_power_loss(seed);
                disk.read_all(Path::new("a"), 1 << 20)
                    .await
                    .expect("read")
                    .expect("there")
            });
            assert!(content[..BLOCK].iter().all(|&byte| byte == 1));
            if content[BLOCK..].iter().any(|&byte| byte != 2) {
                lost += 1;
            }
        }
        assert!(lost > 10, "power loss must lose something");
    }

    #[test]
    fn nothing_works_after_the_power_is_gone() {
        let disk = SimDisk::new();
        block_on(async {
            let file = disk
                .open(Path::new("a"), OpenMode::Create)
                .await
                .expect("opened");
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
}
