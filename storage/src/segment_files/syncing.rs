//! How what was written becomes durable: files first, then the names of new ones, many at a time.
//!
//! A file system makes what changed together durable together: the more syncs are under way, the less each of them costs. Names are
//! synced here and not when they are made, since the journal has what belongs to them until then.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{FileKey, LogHandle, SegmentFiles};
use crate::disk::{Disk, DiskFile};
use crate::lanes;
use crate::log::SegmentName;
use crate::offset::Offset;
use crate::planted::{Planted, planted};
use crate::topic_partition::TopicPartition;

/// Syncs under way at a time.
const AT_A_TIME: usize = 16;

/// A file to sync and what it was when the sync began.
struct Written<F> {
    key: FileKey,
    file: Rc<F>,
    last_write: u64,
    new_in: Option<PathBuf>,
}

impl<D: Disk> SegmentFiles<D> {
    /// Files that are kept open until they are synced.
    #[must_use]
    pub fn unsynced_files(&self) -> usize {
        self.unsynced.borrow().len() + self.new_directories.borrow().len()
    }

    /// Logs with writes that no sync has covered yet.
    #[must_use]
    pub fn unsynced_logs(&self) -> Vec<TopicPartition> {
        let mut names: Vec<_> = self.unsynced.borrow().keys().map(|key| key.0).collect();
        names.dedup();
        names
    }

    /// Syncs everything that was written before the call.
    ///
    /// # Errors
    /// The first failure; what was to be synced then counts as lost.
    pub async fn sync(&self) -> io::Result<()> {
        let keys = self.unsynced.borrow().keys().copied().collect();
        let directories = self.new_directories.borrow().keys().copied().collect();
        self.sync_files(keys, directories).await
    }

    /// Syncs one log's files.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn sync_log(&self, log: &LogHandle) -> io::Result<()> {
        let name = log.borrow().topic_partition;
        let bound = |base, revision| (name, SegmentName { base, revision });
        let of_log = bound(Offset(i64::MIN), 0)..=bound(Offset(i64::MAX), u32::MAX);
        let keys = {
            let unsynced = self.unsynced.borrow();
            unsynced.range(of_log).map(|(key, _)| *key).collect()
        };
        let is_new = self.new_directories.borrow().contains_key(&name);
        self.sync_files(keys, is_new.then_some(name).into_iter().collect())
            .await
    }

    async fn sync_names(&self, directory: &Path) -> io::Result<()> {
        match self.disk.sync_directory(directory).await {
            // Moved away meanwhile, with all that was in it: its topic is deleted.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_new_in(directory) => {
                Ok(())
            }
            other => other,
        }
    }

    fn is_new_in(&self, directory: &Path) -> bool {
        let unsynced = self.unsynced.borrow();
        unsynced
            .values()
            .any(|file| file.new_in.as_deref() == Some(directory))
    }

    /// A file stays listed until its sync is done: whoever else must be sure of it then waits for a sync too.
    async fn sync_files(
        &self,
        keys: Vec<FileKey>,
        directories: Vec<TopicPartition>,
    ) -> io::Result<()> {
        if (planted(Planted::CheckpointAheadOfSegmentSync) && !self.replaying)
            || (planted(Planted::RecoveredNotFlushed) && self.replaying)
        {
            return Ok(());
        }
        let written: Vec<_> = {
            let unsynced = self.unsynced.borrow();
            let each = keys.into_iter().filter_map(|key| {
                let found = unsynced.get(&key)?;
                Some(Written {
                    key,
                    file: Rc::clone(&found.file),
                    last_write: found.last_write,
                    new_in: found.new_in.clone(),
                })
            });
            each.collect()
        };
        let owners: Vec<_> = {
            let new = self.new_directories.borrow();
            let each = directories
                .iter()
                .filter_map(|name| Some((*name, Rc::clone(new.get(name)?))));
            each.collect()
        };
        let files = written.iter().map(|written| &written.file);
        let files = files.chain(owners.iter().map(|(_, file)| file));
        lanes::until_an_error(AT_A_TIME, files.map(|file| file.sync())).await?;
        if !planted(Planted::SegmentNameNotSynced) {
            let mut changed: BTreeSet<PathBuf> = written
                .iter()
                .filter_map(|written| written.new_in.clone())
                .collect();
            if !owners.is_empty() {
                changed.insert(self.root.clone());
            }
            let names = changed.iter().map(|path| self.sync_names(path));
            lanes::until_an_error(AT_A_TIME, names).await?;
        }
        let mut unsynced = self.unsynced.borrow_mut();
        for file in written {
            if unsynced
                .get(&file.key)
                .is_some_and(|now| now.last_write == file.last_write)
            {
                unsynced.remove(&file.key);
            }
        }
        let mut new = self.new_directories.borrow_mut();
        for (name, file) in owners {
            if new.get(&name).is_some_and(|now| Rc::ptr_eq(now, &file)) {
                new.remove(&name);
            }
        }
        Ok(())
    }
}
