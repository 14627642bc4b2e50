//! A small ext4 of its own on a loop device, for faults that need a whole file system. Needs root; unmounts what it mounted, and
//! touches nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::toolchain::{self, Absent};

/// A mounted file system, until it is dropped.
pub(crate) struct SmallDisk {
    image: PathBuf,
    mount: PathBuf,
    /// The image and the mount point.
    _directory: TempDir,
}

impl SmallDisk {
    /// `Err`: not here, for want of root or of loop devices.
    pub(crate) fn mount(suite: &'static str, bytes: u64) -> Result<Self, Absent> {
        toolchain::need(suite, &["mkfs.ext4", "mount", "umount", "fsfreeze", "id"])?;
        let absent = |missing: String| Absent {
            suite,
            missing,
            impossible: true,
        };
        let user = run("id", &["-u"]);
        if user.stdout.trim_ascii() != b"0" {
            return Err(absent("needs root to mount a file system".to_owned()));
        }
        let directory = tempfile::Builder::new()
            .prefix("rinka-chaos-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a temporary directory");
        let image = directory.path().join("image");
        File::create(&image)
            .and_then(|file| file.set_len(bytes))
            .expect("an image file");
        let mount = directory.path().join("mount");
        fs::create_dir(&mount).expect("a mount point");
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0", text(&image)]);
        assert!(made.status.success(), "mkfs.ext4 failed: {}", said(&made));
        let mounted = run("mount", &["-o", "loop", text(&image), text(&mount)]);
        if !mounted.status.success() {
            return Err(absent(format!("no loop mount: {}", said(&mounted))));
        }
        Ok(Self {
            image,
            mount,
            _directory: directory,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mount
    }

    /// Takes all that is free, until the result is dropped.
    pub(crate) fn fill(&self) -> Filler {
        let path = self.mount.join("filler");
        let mut file = File::create(&path).expect("an empty file needs no room");
        for size in [1 << 20, 4096] {
            let zeros = vec![1; size];
            while file
                .write_all(&zeros)
                .and_then(|()| file.sync_data())
                .is_ok()
            {}
        }
        Filler(path)
    }

    /// From now on every write and flush fails with EIO, and what the file system's own journal had not written yet is lost
    /// (`EXT4_IOC_SHUTDOWN`). No power cut: data that was written and not flushed is still there afterwards.
    pub(crate) fn fail(&self) {
        let script = "import fcntl, os, struct, sys\n\
                      fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        let failed = run("python3", &["-c", script, text(&self.mount)]);
        assert!(failed.status.success(), "no shutdown: {}", said(&failed));
    }

    /// Mounts the file system anew, which replays its journal. Nobody may use it any more.
    pub(crate) fn mount_again(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let unmounted = run("umount", &[text(&self.mount)]);
            if unmounted.status.success() {
                break;
            }
            // The kernel ends the last operations of a killed process on its own time, and tells nobody.
            assert!(Instant::now() < deadline, "umount: {}", said(&unmounted));
            std::thread::sleep(Duration::from_millis(20));
        }
        let mounted = run(
            "mount",
            &["-o", "loop", text(&self.image), text(&self.mount)],
        );
        assert!(mounted.status.success(), "mount: {}", said(&mounted));
    }

    /// Holds up every write until the result is dropped.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        let frozen = run("fsfreeze", &["-f", text(&self.mount)]);
        assert!(frozen.status.success(), "fsfreeze: {}", said(&frozen));
        Frozen(self)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a broker that was just killed may hold files until its last operation is over.
        let _ = run("umount", &["-l", text(&self.mount)]);
    }
}

pub(crate) struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) struct Frozen<'a>(&'a SmallDisk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ = run("fsfreeze", &["-u", text(&self.0.mount)]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our own paths are text")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
