//! Bugs that can be switched on, so that the simulation can show that it would find them.
//!
//! Only with the feature `planted-bugs`, which the crate's own tests have. Without it every question is a constant "no" and
//! costs nothing. Never more than one bug at a time, and only on the thread that asked for it.

/// Each is one branch at the place where the real mistake would be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The journal acknowledges what was only written.
    AckBeforeFlush,
    /// A failed flush of segments is tried again, and its "fine" is believed.
    FlushErrorRetriedAsClean,
    /// A failed disk is noted and forgotten.
    FailureForgotten,
    /// Blocks of an earlier start are replayed. Their entries are known by their offsets, mostly; what is always seen is the
    /// work.
    JournalGenerationUnchecked,
    /// Journal files are replayed in the order of their names and all of their blocks, as if none were ever used again.
    /// (Old blocks behind the new ones alone do no harm: their entries say where they belong, and are known.)
    RecycledFileReadAsNew,
    /// The checkpoint is written before the segments it describes are flushed.
    CheckpointAheadOfSegmentSync,
    /// The journal is released before its checkpoint is durable.
    JournalReleasedBeforeCheckpoint,
    /// A block counts as whole when its headers are.
    TornTailAccepted,
    /// Whatever lies where a reference points is taken for its batch.
    ReferenceUnchecked,
    /// Replay leaves producers as the checkpoint had them.
    ProducerStateNotRestored,
    /// An index file is believed even where it points past the log, or into the middle of a batch.
    IndexAheadOfLog,
    /// A large batch is acknowledged when it is written.
    DirectBatchNotFlushed,
    /// What was written to a file is counted from none again after each sync, so that two syncs beside each other mix up which of the
    /// writes they cover.
    WritesCountedAnew,
    /// The name of a new segment is left to luck.
    SegmentNameNotSynced,
    /// A file takes another's place before its content is durable.
    ReplacementNotFlushed,
    /// Recovery's own writes are not flushed before the journal is given up.
    RecoveredNotFlushed,
    /// Recovery removes what it no longer needs before it is done.
    LeftoversRemovedFirst,
    /// Recovery overwrites the large batch that begins in the block where it ends. Only a replay that does not fit into
    /// memory at once could notice: with this bug each block's entries are written alone.
    ReplayOverwritesWhatFollows,
    /// Segments are served without a look at their checksums.
    DamageServed,
    /// A read begins at the wrong batch when an index says so.
    FirstBatchUnchecked,
    /// Recovery reads every log from its beginning.
    RecoveryReadsEverything,
    /// A segment that compaction wrote takes its place before it is durable.
    CompactedNotSynced,
    /// The old segments' files go before a checkpoint names the new one.
    ReplacedBeforeCheckpoint,
    /// A tombstone goes as soon as compaction sees it.
    TombstoneDroppedEarly,
    /// Compaction asks the disk for the next thing whether or not a commit waits for it.
    CompactionInFront,
    /// Compaction writes files that no checkpoint has heard of.
    ClaimsNotInCheckpoint,
    /// A checkpoint insists on the records of a topic that was deleted meanwhile.
    DeletedInsistedOn,
    /// A large batch that was lost below the log's start leaves a hole in its segment.
    HoleInSegment,
    /// A checkpoint does not name a deleted topic's log whose directory is still there.
    DeletedForgotten,
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Planted;

    thread_local! {
        static CHOSEN: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// From now on this thread runs with that bug, or with none.
    pub fn plant(bug: Option<Planted>) {
        CHOSEN.set(bug);
    }

    pub(crate) fn planted(bug: Planted) -> bool {
        CHOSEN.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::plant;
#[cfg(feature = "planted-bugs")]
pub(crate) use switch::planted;

/// There are none.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn planted(_bug: Planted) -> bool {
    false
}
