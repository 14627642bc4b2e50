//! Bugs that tests can switch on, so that the simulation can show that it would find them.
//!
//! Outside of tests every question is a constant "no". Never more than one bug at a time, and only on the thread that asked for it.

/// Each is one branch at the place where the real mistake would be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    /// A partition is given away although another member has it.
    OwnersUnchecked,
    /// A heartbeat that does not say what the member has is taken for "nothing".
    SilenceIsRevocation,
    /// What a member has yet to give up is forgotten in its record.
    PendingRevocationNotRecorded,
    /// A member that leaves does not make the group assign anew.
    LeavingBumpsNothing,
    /// The last member to leave takes the group's epoch with it.
    EmptyGroupBeginsAnew,
    /// Replay does not free what a removed member had.
    RemovedMemberOwnsOn,
    /// A member that does not give up what it must is never fenced.
    RebalanceTimeoutIgnored,
    /// A commit with an old epoch is taken for every partition that the member has now.
    AssignmentEpochsIgnored,
    /// Changes of topics go unnoticed.
    TopicChangesIgnored,
}

#[cfg(test)]
pub(super) use switch::{plant, planted};

/// There are none.
#[cfg(not(test))]
pub(super) const fn planted(_bug: Planted) -> bool {
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
    pub(in super::super) fn plant(bug: Option<Planted>) {
        CHOSEN.set(bug);
    }

    pub(in super::super) fn planted(bug: Planted) -> bool {
        CHOSEN.get() == Some(bug)
    }
}
