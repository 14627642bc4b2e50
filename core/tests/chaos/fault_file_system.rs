//! A file system of our own, in memory, that fails on command: it forgets what was not flushed, tears writes, answers with EIO, lies
//! about a flush, is slow. The release binary runs on it unmodified, through FUSE. Needs root and /dev/fuse; touches no disk.

mod image;
mod kernel;
mod tree;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::toolchain::{self, Absent};
use image::Cut;
use kernel::Kernel;
use tree::Tree;

/// How long the kernel may take for what a killed process had in flight, and the broker under load for its next checkpoint.
const WITHIN: Duration = Duration::from_secs(60);

/// Requests that are answered at the same time: a slow write must not hold up a look-up.
const THREADS: usize = 8;

/// Which files a fault is for, by their path below the mount point.
pub(crate) type Which = fn(&str) -> bool;

/// The journals of all shards.
pub(crate) fn journals(path: &str) -> bool {
    path.contains("/rinka/journal-")
}

/// The files of partitions that hold records.
pub(crate) fn segments(path: &str) -> bool {
    path.ends_with(".log")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    /// What changes something is held.
    Off,
    /// What changes something fails, until the next boot.
    Dead,
}

#[derive(Debug)]
struct State {
    tree: Tree,
    faults: Faults,
    power: Power,
    /// Requests that came without power.
    held: usize,
    /// Descriptors of files and directories that the kernel has not let go of.
    open: usize,
    writes: usize,
}

#[derive(Debug, Default)]
struct Faults {
    fail_reads: Option<Which>,
    reads_failed: usize,
    fail_writes: Option<Which>,
    fail_next_flush: Option<Which>,
    writes_failed: usize,
    flushes_failed: usize,
    write_delay: Duration,
}

impl Faults {
    fn read_fails(&mut self, path: &str) -> bool {
        let fails = self.fail_reads.is_some_and(|which| which(path));
        self.reads_failed += usize::from(fails);
        fails
    }

    fn write_fails(&mut self, path: &str) -> bool {
        let fails = self.fail_writes.is_some_and(|which| which(path));
        self.writes_failed += usize::from(fails);
        fails
    }

    fn flush_fails(&mut self, path: &str) -> bool {
        let fails = self.fail_next_flush.is_some_and(|which| which(path));
        if fails {
            self.fail_next_flush = None;
            self.flushes_failed += 1;
        }
        fails
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A mounted file system, until it is dropped.
#[derive(Debug)]
pub(crate) struct FaultDisk {
    shared: Arc<Shared>,
    mount: TempDir,
    _session: fuser::BackgroundSession,
}

impl FaultDisk {
    /// `Err`: not here, for want of root or of FUSE.
    pub(crate) fn mount(suite: &'static str) -> Result<Self, Absent> {
        toolchain::need(suite, &["umount"])?;
        let absent = |missing: String| Absent {
            suite,
            missing,
            impossible: true,
        };
        let opened = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        drop(opened.map_err(|error| absent(format!("no /dev/fuse: {error}")))?);
        let mount = tempfile::Builder::new()
            .prefix("rinka-faults-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a temporary directory");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                tree: Tree::new(),
                faults: Faults::default(),
                power: Power::On,
                held: 0,
                open: 0,
                writes: 0,
            }),
            changed: Condvar::new(),
        });
        let mut options = fuser::Config::default();
        options.n_threads = Some(THREADS);
        options.mount_options = vec![fuser::MountOption::FSName("rinka-faults".to_owned())];
        let kernel = Kernel(Arc::clone(&shared));
        let session = fuser::spawn_mount(kernel, mount.path(), &options)
            .map_err(|error| absent(format!("no FUSE mount: {error}")))?;
        Ok(Self {
            shared,
            mount,
            _session: session,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.mount.path()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no panic while held")
    }

    fn wait_until(&self, what: &str, mut reached: impl FnMut(&State) -> bool) {
        let deadline = Instant::now() + WITHIN;
        let mut state = self.state();
        while !reached(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} within {WITHIN:?}");
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.expect("no panic while held").0;
        }
    }

    /// The power goes while the broker writes: from now on nothing is flushed and nothing answered. Returns as soon as there is a
    /// request that has to wait; what comes until [`FaultDisk::boot`] is in flight.
    pub(crate) fn power_off_while_writing(&self) {
        self.state().power = Power::Off;
        self.wait_until("a request", |state| state.held > 0);
    }

    /// To be called once the processes that use the file system have been sent their SIGKILL: lets the kernel end them.
    pub(crate) fn let_go(&self) {
        self.state().power = Power::Dead;
        self.shared.changed.notify_all();
    }

    /// The power comes back. What was not flushed is gone, or some of it, as the seed says; `None`: all of it.
    pub(crate) fn boot(&self, seed: Option<u64>) {
        self.wait_until("nobody holds a file", |state| state.open == 0);
        let mut cut = seed.map_or_else(Cut::clean, Cut::new);
        let mut state = self.state();
        state.tree.power_cut(&mut cut);
        state.faults = Faults::default();
        state.power = Power::On;
        state.held = 0;
    }

    /// The next flush of one of these files, or write that is to be durable when it is answered, fails with EIO, and what it stood
    /// for will never be written. All later ones succeed.
    pub(crate) fn fail_next_flush(&self, which: Which) {
        self.state().faults.fail_next_flush = Some(which);
    }

    pub(crate) fn wait_for_failed_flush(&self) {
        self.wait_until("a flush", |state| state.faults.flushes_failed > 0);
    }

    /// Reads of these files fail with EIO, until it is healed.
    pub(crate) fn fail_reads(&self, which: Which) {
        self.state().faults.fail_reads = Some(which);
    }

    pub(crate) fn wait_for_failed_read(&self) {
        self.wait_until("a read", |state| state.faults.reads_failed > 0);
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        self.state().faults = Faults::default();
    }

    /// Writes to these files fail with EIO, until the next boot.
    pub(crate) fn fail_writes(&self, which: Which) {
        self.state().faults.fail_writes = Some(which);
    }

    pub(crate) fn wait_for_failed_write(&self) {
        self.wait_until("a write", |state| state.faults.writes_failed > 0);
    }

    /// Every write takes this much longer, until the next boot.
    pub(crate) fn delay_writes(&self, delay: Duration) {
        self.state().faults.write_delay = delay;
    }

    /// Writes asked for since it was mounted.
    pub(crate) fn writes(&self) -> usize {
        self.state().writes
    }
}

impl Drop for FaultDisk {
    fn drop(&mut self) {
        // A held request would hold its process, and the process the mount.
        if let Ok(mut state) = self.shared.state.lock() {
            state.power = Power::Dead;
        }
        self.shared.changed.notify_all();
        // Lazily: a broker that was just killed may hold files until its last operation is over.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)?;
    file.write_all_at(content, 0)?;
    Ok(file)
}

mod tests {
    use super::*;

    /// With a file and a directory that are durable.
    fn mounted() -> Option<FaultDisk> {
        match FaultDisk::mount("fault file system") {
            Ok(disk) => {
                fs::create_dir(disk.path().join("data")).expect("a directory");
                Some(disk)
            }
            Err(absent) => {
                toolchain::skip(&absent);
                None
            }
        }
    }

    fn cut(disk: &FaultDisk) {
        disk.let_go();
        disk.boot(None);
    }

    #[test]
    fn through_the_kernel_a_flush_keeps_and_a_power_cut_takes() {
        let Some(disk) = mounted() else { return };
        let data = disk.path().join("data");
        let file = write_new(&data.join("file"), b"flushed").expect("written");
        file.sync_data().expect("flushed");
        File::open(&data)
            .and_then(|directory| directory.sync_all())
            .expect("flushed");
        file.write_all_at(b"unflush", 0).expect("written");
        drop(write_new(&data.join("unnamed"), b"no flush").expect("written"));
        assert_eq!(
            fs::read(data.join("file")).expect("readable"),
            b"unflush",
            "seen until the cut"
        );
        drop(file);
        cut(&disk);
        assert_eq!(fs::read(data.join("file")).expect("readable"), b"flushed");
        let unnamed = fs::read(data.join("unnamed")).expect_err("gone");
        assert_eq!(unnamed.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn through_the_kernel_a_write_to_a_journal_can_be_flushed_alone() {
        let Some(disk) = mounted() else { return };
        let directory = disk.path().join("data/rinka/journal-0");
        fs::create_dir_all(&directory).expect("directories");
        let path = directory.join("000.journal");
        let written = write_new(&path, b"a").expect("written");
        let flushing = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DSYNC)
            .open(&path)
            .expect("opened");
        flushing.write_all_at(b"b", 1).expect("written");
        for of in [
            &directory,
            &disk.path().join("data/rinka"),
            &disk.path().join("data"),
        ] {
            let opened = File::open(of).and_then(|directory| directory.sync_all());
            opened.expect("flushed");
        }
        drop((written, flushing));
        cut(&disk);
        assert_eq!(fs::read(&path).expect("readable"), b"\0b");
    }

    #[test]
    fn through_the_kernel_a_failed_flush_is_not_made_good_by_the_next() {
        let Some(disk) = mounted() else { return };
        let data = disk.path().join("data");
        let file = write_new(&data.join("file"), b"first").expect("written");
        file.sync_all().expect("flushed");
        File::open(&data)
            .and_then(|directory| directory.sync_all())
            .expect("flushed");
        disk.fail_next_flush(|path| path == "/data/file");
        file.write_all_at(b"other", 0).expect("written");
        let failed = file.sync_data().expect_err("once");
        assert_eq!(failed.raw_os_error(), Some(libc::EIO));
        file.sync_data().expect("this one succeeds");
        drop(file);
        cut(&disk);
        assert_eq!(fs::read(data.join("file")).expect("readable"), b"first");
    }

    #[test]
    fn through_the_kernel_writes_of_chosen_files_fail() {
        let Some(disk) = mounted() else { return };
        disk.fail_writes(segments);
        let failed = write_new(&disk.path().join("data/0.log"), b"bytes").expect_err("refused");
        assert_eq!(failed.raw_os_error(), Some(libc::EIO));
        drop(write_new(&disk.path().join("data/0.index"), b"bytes").expect("written"));
    }
}
