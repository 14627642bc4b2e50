//! Bugs that can be switched on, so that the simulation of the coordinators can show that it would find them.
//!
//! Only in the crate's own tests: elsewhere every question is a constant "no" and costs nothing. Never more than one bug at a
//! time, and only on the thread that asked for it.

/// Each is one branch at the place where the real mistake would be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// A commit of offsets is acknowledged before its records are committed.
    CommitAnsweredAtOnce,
    /// A fetch shows offsets whose records are still under way.
    PendingOffsetShown,
    /// What could not be written is kept all the same.
    FailedCommitKept,
    /// Members get their assignment before its record is committed.
    AssignmentAnsweredAtOnce,
    /// The leader's assignment is taken whatever generation it was made for.
    SyncGenerationUnchecked,
    /// Nobody waits for the end of the join phase.
    JoinTimerForgotten,
    /// Nobody notices that a member went silent.
    SessionTimerForgotten,
    /// A replay takes the first record of a key for its last.
    OlderRecordWins,
    /// A consumer group decides on while the records of its last decision are under way.
    GroupNotHeld,
    /// An upgrade does not see what members have yet to give up.
    UpgradeForgetsUnrevoked,
    /// Whoever loads a group that was downgraded does not know that it must rebalance.
    DowngradeForgetsRebalance,
    /// An upgrade does not wait for an assignment that is under way.
    UpgradeDuringAssignment,
}

#[cfg(test)]
pub(crate) use switch::{plant, planted};

/// There are none.
#[cfg(not(test))]
pub(crate) const fn planted(_bug: Planted) -> bool {
    false
}

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Planted;

    thread_local! {
        static CHOSEN: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// From now on this thread runs with that bug, or with none.
    pub(crate) fn plant(bug: Option<Planted>) {
        CHOSEN.set(bug);
    }

    pub(crate) fn planted(bug: Planted) -> bool {
        CHOSEN.get() == Some(bug)
    }
}
