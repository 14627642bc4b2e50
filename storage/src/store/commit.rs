//! The end of every append: one block after another is written to the journal, what is large goes past it, and the shard hears whose
//! records are durable now.
//!
//! One block is under way at a time; the next one fills meanwhile.

use std::io;
use std::rc::Rc;

use super::{CHECKPOINT_FULLNESS, CachedBlock, Committed, Sealed, Store};
use crate::disk::{Disk, Durability};
use crate::journal::Journal;
use crate::planted::{Planted, planted};

/// The one writer of the shard's journal.
pub struct Committer<D: Disk> {
    pub(super) store: Rc<Store<D>>,
    pub(super) journal: Journal<D>,
}

impl<D: Disk> Committer<D> {
    /// Waits for appends, makes the next block of them durable, and says whose. `None`: the store is stopping and
    /// everything is committed, or it has failed.
    pub async fn commit(&mut self) -> Option<Vec<Committed>> {
        let store = Rc::clone(&self.store);
        let sealed = loop {
            if store.failed.borrow().is_some() {
                return None;
            }
            let work = store.work.wait();
            if store.sealed.borrow().is_empty() {
                store.seal();
            }
            if let Some(sealed) = store.sealed.borrow_mut().pop_front() {
                break sealed;
            }
            if store.stopping.get() {
                return None;
            }
            work.await;
        };
        store.committing.set(true);
        self.make_room(sealed.block.len()).await?;
        let journal = write_journal(&store, &mut self.journal, &sealed);
        let direct = write_direct(&store, &sealed);
        let (journal, ()) = futures_lite::future::zip(journal, direct).await;
        store.committing.set(false);
        store.note_fullness(&self.journal);
        store
            .uncommitted_bytes
            .set(store.uncommitted_bytes.get() - sealed.bytes);
        let committed = sealed
            .logs
            .iter()
            .map(|part| {
                let log = part.log.borrow();
                Committed {
                    topic_partition: log.topic_partition,
                    end: part.end,
                    durability: sealed.durability,
                    appends: part.appends,
                    failed: match &journal {
                        Ok(()) => log.failed.clone(),
                        Err(error) => Some(error.to_string()),
                    },
                }
            })
            .collect();
        if journal.is_ok() {
            for (log, at) in &sealed.log_starts {
                let mut partition = log.borrow_mut();
                partition.log_start_is_durable(*at);
                if partition.has_dead_segments() {
                    let name = partition.topic_partition;
                    let mut shortened = store.shortened.borrow_mut();
                    shortened.entry(name).or_insert_with(|| Rc::clone(log));
                }
            }
        }
        let logs = sealed
            .logs
            .into_iter()
            .map(|part| (part.log, part.end))
            .collect();
        let bytes = sealed.block.len().max(sealed.bytes);
        store
            .cache
            .borrow_mut()
            .push_back(CachedBlock { bytes, logs });
        store.cached_bytes.set(store.cached_bytes.get() + bytes);
        store
            .undrained_bytes
            .set(store.undrained_bytes.get() + bytes);
        store.commits.set(store.commits.get() + 1);
        store.files.note_commit();
        store
            .journal_bytes
            .set(store.journal_bytes.get() + sealed.block.len() as u64);
        if let Err(error) = journal {
            store.fail(&format!("the journal could not be written: {error}"));
        }
        if store.needs_upkeep() || store.fullness.get() > CHECKPOINT_FULLNESS {
            store.upkeep.ring();
        }
        store.progress.ring();
        Some(committed)
    }

    /// Waits until the journal can take a block; a checkpoint makes room.
    async fn make_room(&mut self, length: usize) -> Option<()> {
        loop {
            let progress = self.store.progress.wait();
            self.journal.release(self.store.released.get());
            self.store.note_fullness(&self.journal);
            if self.journal.has_room(length) {
                return Some(());
            }
            if self.store.failed.borrow().is_some() {
                return None;
            }
            self.store.upkeep.ring();
            progress.await;
        }
    }
}

/// Writes a block again and again while the disk is full: its offsets are given away, and nothing of it is acknowledged yet.
async fn write_journal<D: Disk>(
    store: &Rc<Store<D>>,
    journal: &mut Journal<D>,
    sealed: &Sealed,
) -> io::Result<()> {
    loop {
        let begun = store.disk.clock();
        let written = journal
            .write(sealed.block.clone(), sealed.sequence, sealed.durability)
            .await;
        store.flush_latency.record(store.disk.clock() - begun);
        match written {
            Err(error) => store.wait_for_space(error).await?,
            Ok(()) => return Ok(()),
        }
    }
}

/// Brings the large batches of a block to their segments, as durable as the block itself.
async fn write_direct<D: Disk>(store: &Rc<Store<D>>, sealed: &Sealed) {
    for part in sealed.logs.iter().filter(|part| part.direct) {
        let written = async {
            while let Err(error) = store.write_back(&part.log, part.end).await {
                store.wait_for_space(error).await?;
            }
            if sealed.durability == Durability::Flushed && !planted(Planted::DirectBatchNotFlushed)
            {
                store.files.sync_log(&part.log).await?;
            }
            // A flush of the same file that failed meanwhile has dropped what this one then found nothing wrong with.
            if let Some(reason) = store.failure() {
                return Err(io::Error::other(reason));
            }
            Ok::<_, io::Error>(())
        };
        if let Err(error) = written.await {
            store.fail(&error.to_string());
            let mut log = part.log.borrow_mut();
            log::error!("{} takes nothing until a restart: {error}", log.directory);
            log.failed = Some(error.to_string());
        }
    }
}
