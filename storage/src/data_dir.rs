//! The data directory as a whole: one broker at a time, and which broker and format it belongs to.
//!
//! Runs once at start-up with ordinary blocking calls. Never touches a log.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The newest layout this release reads and the one it writes. Format 2 added log starts to the journal.
pub const FORMAT: u32 = 2;

const FORMAT_KEY: &str = "rinka.format";

/// A locked data directory. The lock ends with this value, or with the process.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    cluster_id: String,
    lock: File,
}

/// How long a lock is waited for. The kernel ends what a killed process had in flight on its own time, and the lock with it.
const LOCK_WITHIN: Duration = Duration::from_secs(3);
const LOCK_RETRY: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub enum DataDirectoryError {
    Io {
        path: PathBuf,
        error: io::Error,
    },
    /// Another process has it.
    Locked(PathBuf),
    /// Written by a newer release.
    NewerFormat {
        path: PathBuf,
        format: String,
    },
    /// It belongs to another node.
    OtherNode {
        path: PathBuf,
        node_id: String,
    },
    /// There are files in it which no Rinka wrote, a Kafka node's for instance.
    Foreign(PathBuf),
}

impl fmt::Display for DataDirectoryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(formatter, "cannot use {}: {error}", path.display()),
            Self::Locked(path) => write!(
                formatter,
                "{} is in use by another broker; stop it, or give this one another directory with --set log.dirs=DIR",
                path.display()
            ),
            Self::NewerFormat { path, format } => write!(
                formatter,
                "{} has format {format}, this release understands up to {FORMAT}; start the release that wrote it",
                path.display()
            ),
            Self::OtherNode { path, node_id } => write!(
                formatter,
                "{} belongs to the node with node.id={node_id}; start with that id or with another log.dirs",
                path.display()
            ),
            Self::Foreign(path) => write!(
                formatter,
                "{} was written by another program (its meta.properties has no {FORMAT_KEY}); give Rinka an empty directory",
                path.display()
            ),
        }
    }
}

impl DataDirectory {
    /// Creates the directory when absent, locks it, and checks that it is ours. `new_cluster_id` names a fresh one.
    ///
    /// # Errors
    /// [`DataDirectoryError`], each of which says what to do.
    pub fn open(
        path: &Path,
        node_id: i32,
        new_cluster_id: &str,
    ) -> Result<Self, DataDirectoryError> {
        let io = |error| DataDirectoryError::Io {
            path: path.to_owned(),
            error,
        };
        std::fs::create_dir_all(path).map_err(io)?;
        let lock = lock(path)?;
        let properties = path.join("meta.properties");
        let cluster_id = match std::fs::read_to_string(&properties) {
            Ok(text) => {
                let cluster_id = check(path, node_id, &text)?;
                // From here on an older release would misread it.
                let upgraded = with_this_format(&text);
                if upgraded != text {
                    write_durably(path, &properties, &upgraded).map_err(io)?;
                }
                cluster_id
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = format!(
                    "version=1\ncluster.id={new_cluster_id}\nnode.id={node_id}\n{FORMAT_KEY}={FORMAT}\n"
                );
                write_durably(path, &properties, &text).map_err(io)?;
                new_cluster_id.to_owned()
            }
            Err(error) => return Err(io(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            cluster_id,
            lock,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The locked file. Whoever may still write to the directory after this process' death must hold it too: see
    /// [`crate::disk::ring::RingDisk`].
    #[must_use]
    pub fn lock(&self) -> &File {
        &self.lock
    }

    /// The cluster the data belongs to.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }
}

/// Keeps every broker out of a directory that is there, for as long as the file is open.
///
/// # Errors
/// [`DataDirectoryError`]; one that a broker has is [`DataDirectoryError::Locked`].
pub fn lock(path: &Path) -> Result<File, DataDirectoryError> {
    let io = |error| DataDirectoryError::Io {
        path: path.to_owned(),
        error,
    };
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(".lock"))
        .map_err(io)?;
    let deadline = Instant::now() + LOCK_WITHIN;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirectoryError::Locked(path.to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
    }
}

/// The cluster that a directory belongs to, whatever its node. Changes nothing.
///
/// # Errors
/// [`DataDirectoryError`] when no release up to this one wrote it.
pub fn cluster_of(path: &Path) -> Result<String, DataDirectoryError> {
    let properties = path.join("meta.properties");
    let text = std::fs::read_to_string(&properties).map_err(|error| DataDirectoryError::Io {
        path: properties,
        error,
    })?;
    let value = |line: &str| line.strip_prefix("node.id=")?.trim().parse().ok();
    check(path, text.lines().find_map(value).unwrap_or(-1), &text)
}

fn check(path: &Path, node_id: i32, text: &str) -> Result<String, DataDirectoryError> {
    let properties: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let Some(format) = properties.get(FORMAT_KEY) else {
        return Err(DataDirectoryError::Foreign(path.to_owned()));
    };
    if format.parse::<u32>().is_ok_and(|format| format > FORMAT) || format.parse::<u32>().is_err() {
        return Err(DataDirectoryError::NewerFormat {
            path: path.to_owned(),
            format: (*format).to_owned(),
        });
    }
    match properties.get("node.id") {
        Some(id) if *id != node_id.to_string() => Err(DataDirectoryError::OtherNode {
            path: path.to_owned(),
            node_id: (*id).to_owned(),
        }),
        _ => Ok(properties
            .get("cluster.id")
            .copied()
            .unwrap_or_default()
            .to_owned()),
    }
}

fn with_this_format(text: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim() == FORMAT_KEY => format!("{FORMAT_KEY}={FORMAT}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn write_durably(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broker_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data");
        let first = DataDirectory::open(&path, 1, "cluster").expect("fresh");
        let error = DataDirectory::open(&path, 1, "other").expect_err("locked");
        assert!(matches!(error, DataDirectoryError::Locked(_)), "{error}");
        drop(first);
        let again = DataDirectory::open(&path, 1, "other").expect("free again");
        assert_eq!(
            again.cluster_id(),
            "cluster",
            "a directory keeps its cluster"
        );
    }

    #[test]
    fn directories_of_others_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let write =
            |text: &str| std::fs::write(path.join("meta.properties"), text).expect("written");
        write("version=1\ncluster.id=x\nnode.id=1\nrinka.format=3\n");
        let error = DataDirectory::open(path, 1, "x").expect_err("newer");
        assert!(
            matches!(error, DataDirectoryError::NewerFormat { .. }),
            "{error}"
        );
        write("version=1\ncluster.id=x\nnode.id=1\nrinka.format=1\n");
        drop(DataDirectory::open(path, 1, "x").expect("older"));
        let text = std::fs::read_to_string(path.join("meta.properties")).expect("there");
        assert!(text.ends_with("rinka.format=2\n"), "{text}");
        write("version=1\ncluster.id=x\nnode.id=1\n");
        let error = DataDirectory::open(path, 1, "x").expect_err("Kafka's");
        assert!(matches!(error, DataDirectoryError::Foreign(_)), "{error}");
        write("version=1\ncluster.id=x\nnode.id=2\nrinka.format=1\n");
        let error = DataDirectory::open(path, 1, "x").expect_err("another node's");
        assert!(
            matches!(error, DataDirectoryError::OtherNode { .. }),
            "{error}"
        );
    }
}
