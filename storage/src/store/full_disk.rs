//! What the store does when the disk is full: it gives up a reserve, so that everything taken is brought to segments, refuses
//! records, and takes them again once the reserve has its space back.
//!
//! The reserve is as large as what may have been taken and be in no segment: the journal's capacity, and what may be on its way
//! past it. So records are taken only while they are sure to find room, in recovery too. Deletes need no room: their entries
//! go to the journal, whose space was taken at the start.

use std::io;

use super::{Store, UNCOMMITTED_BYTES_MAX, layout};
use crate::disk::{Disk, DiskFile, OpenMode, is_full};

impl<D: Disk> Store<D> {
    /// Why no records are taken now, if the disk is full. The broker's own, which make space, are.
    #[must_use]
    pub fn full(&self) -> Option<String> {
        self.full.borrow().clone()
    }

    /// # Errors
    /// Those of the disk.
    pub(super) async fn take_reserve(&self) -> io::Result<()> {
        let path = layout::reserve(&self.config.root, self.config.shard);
        let size = self.config.journal_bytes + UNCOMMITTED_BYTES_MAX as u64;
        let reserve = self.disk.open(&path, OpenMode::Create).await?;
        if let Err(error) = reserve.allocate(size).await {
            // What it got before there was no more would be missing elsewhere.
            drop(reserve);
            self.disk.remove_file(&path).await?;
            return Err(error);
        }
        self.has_reserve.set(true);
        Ok(())
    }

    pub(super) fn is_now_full(&self, error: &io::Error) {
        if self.full.borrow().is_none() {
            log::error!(
                "shard {}: the disk is full, no records are taken until there is space: {error}",
                self.config.shard
            );
            *self.full.borrow_mut() = Some(format!("the disk is full: {error}"));
        }
        // Who waits for room is refused instead, and upkeep looks for space from now on.
        self.progress.ring();
        self.upkeep.ring();
    }

    /// An operation found the disk full: from now on records are refused, and what was taken may use the reserve.
    pub(super) async fn meet_full(&self, error: &io::Error) {
        self.is_now_full(error);
        if !self.has_reserve.replace(false) {
            return;
        }
        let path = layout::reserve(&self.config.root, self.config.shard);
        if let Err(error) = self.disk.remove_file(&path).await {
            log::error!("the reserve could not be given up: {error}");
        }
        self.progress.ring();
    }

    /// After a write that failed: returns when it is worth another attempt.
    ///
    /// # Errors
    /// The given one, when the disk is not full but failed, or the store stops and waits no longer.
    pub(super) async fn wait_for_space(&self, error: io::Error) -> io::Result<()> {
        if !is_full(&error) || self.failed.borrow().is_some() || self.stopping.get() {
            return Err(error);
        }
        if self.has_reserve.get() {
            self.meet_full(&error).await;
            return Ok(());
        }
        self.is_now_full(&error);
        self.progress.wait().await;
        Ok(())
    }

    /// Brings everything to segments, and takes the reserve back: if both succeed, records are taken again.
    pub(super) async fn leave_full(&self) -> io::Result<()> {
        if self.checkpoint_due.get() {
            self.checkpoint().await?;
        }
        self.evict();
        self.take_reserve().await?;
        log::info!(
            "shard {}: there is space again, records are taken",
            self.config.shard
        );
        *self.full.borrow_mut() = None;
        Ok(())
    }
}
