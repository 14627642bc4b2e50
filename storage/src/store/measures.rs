//! What the store counts, for metrics. Only reads.

use super::Store;
use crate::disk::Disk;
use crate::latency_histogram::LatencySnapshot;

impl<D: Disk> Store<D> {
    /// Bytes in memory that reads may use.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.cached_bytes.get()
    }

    /// Journal blocks committed since the start.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.get()
    }

    /// Their bytes, padding included.
    #[must_use]
    pub fn journal_bytes(&self) -> u64 {
        self.journal_bytes.get()
    }

    /// How much of what recovery may have to do is there, 0 to 1.
    #[must_use]
    pub fn journal_fullness(&self) -> f64 {
        self.fullness.get()
    }

    /// Bytes taken and not in the journal yet.
    #[must_use]
    pub fn uncommitted_bytes(&self) -> usize {
        self.uncommitted_bytes.get()
    }

    /// Bytes that no segment holds yet.
    #[must_use]
    pub fn unwritten_bytes(&self) -> usize {
        let unwritten = self.unwritten.borrow();
        unwritten
            .values()
            .map(|log| log.borrow().bytes_to_write())
            .sum()
    }

    /// How long journal blocks took from their submission to their completion.
    #[must_use]
    pub fn flush_latency(&self) -> LatencySnapshot {
        self.flush_latency.snapshot()
    }
}
