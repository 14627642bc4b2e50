//! How files leave: a segment's are renamed first and removed later, a partition's directory likewise.
//!
//! That something is gone already is never an error: a crash may have come in between.

use std::io;
use std::path::PathBuf;

use super::{Kind, LogHandle, SegmentFiles, topic_of};
use crate::disk::Disk;
use crate::log::SegmentName;
use crate::topic_partition::TopicPartition;

impl<D: Disk> SegmentFiles<D> {
    /// Takes the file of a segment that is no longer part of the log out of the way, and its indexes with it.
    ///
    /// # Errors
    /// Those of the disk. That it is gone already is none.
    pub async fn retire(&self, log: &LogHandle, name: SegmentName) -> io::Result<()> {
        let (key, directory) = {
            let log = log.borrow();
            ((log.topic_partition, name), log.directory.clone())
        };
        self.open.borrow_mut().remove(&key);
        self.unsynced.borrow_mut().remove(&key);
        self.indexes.borrow_mut().remove(&key);
        self.read_ahead.forget(key);
        let path = self.path(&directory, name, Kind::Log);
        let renamed = self.disk.rename(&path, &retired(&path)).await;
        found(renamed)?;
        for kind in [Kind::OffsetIndex, Kind::TimeIndex] {
            found(
                self.disk
                    .remove_file(&self.path(&directory, name, kind))
                    .await,
            )?;
        }
        Ok(())
    }

    /// Removes the files of a segment that is no longer part of the log, wherever its retirement had come.
    ///
    /// # Errors
    /// Those of the disk. That they are gone already is none.
    pub async fn remove_segment(&self, directory: &str, name: SegmentName) -> io::Result<()> {
        let path = self.path(directory, name, Kind::Log);
        found(self.disk.remove_file(&retired(&path)).await)?;
        for kind in [Kind::Log, Kind::OffsetIndex, Kind::TimeIndex] {
            found(
                self.disk
                    .remove_file(&self.path(directory, name, kind))
                    .await,
            )?;
        }
        // Whoever listed them for removal forgets them now: no loss of power may bring them back.
        found(self.disk.sync_directory(&self.root.join(directory)).await)
    }

    /// Forgets the log's files and moves its directory out of the way by one rename. What remains is in the directory of
    /// this name, if it ever had one.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn move_away(&self, log: &LogHandle) -> io::Result<Option<PathBuf>> {
        let (topic_partition, directory, made) = {
            let log = log.borrow();
            (
                log.topic_partition,
                log.directory.clone(),
                log.directory_made,
            )
        };
        self.open
            .borrow_mut()
            .retain(|key, _| key.0 != topic_partition);
        self.unsynced
            .borrow_mut()
            .retain(|key, _| key.0 != topic_partition);
        self.new_directories.borrow_mut().remove(&topic_partition);
        self.indexes
            .borrow_mut()
            .retain(|key, _| key.0 != topic_partition);
        self.read_ahead.clear();
        let directory = self.root.join(directory);
        // One that nothing was written to may have been left by a start that got no further than that.
        let of_ours = topic_partition.topic_id.to_string();
        if !made && topic_of(&self.disk, &directory).await != Some(of_ours) {
            return Ok(None);
        }
        let doomed = self.root.join(deleted_name(topic_partition));
        self.disk.rename(&directory, &doomed).await?;
        self.disk.sync_directory(&self.root).await?;
        Ok(Some(doomed))
    }
}

/// What the file of a segment is called between its retirement and its end, as in Kafka.
fn retired(path: &std::path::Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".deleted");
    path.with_file_name(name)
}

/// That something to be removed is not there is as good.
fn found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What a directory is called between its topic's deletion and its own.
fn deleted_name(topic_partition: TopicPartition) -> String {
    format!("{topic_partition}{DELETED_SUFFIX}")
}

/// Directories with this ending are removed at start.
pub const DELETED_SUFFIX: &str = "-delete";

/// Removes a directory and the files in it.
///
/// # Errors
/// Those of the disk.
pub async fn remove_directory<D: Disk>(disk: &D, directory: &std::path::Path) -> io::Result<()> {
    for name in disk.list(directory).await? {
        disk.remove_file(&directory.join(name)).await?;
    }
    disk.remove_directory(directory).await
}
