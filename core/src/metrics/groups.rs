//! What a shard's group coordinators come to.
//!
//! Holds numbers only; `coordinator::group::counters` makes them.

use crate::coordinator::group::counters::{Census, CommittedPosition, Counters};

/// Committed offsets that one shard tells of, one by one: each becomes two lines of the page.
pub(crate) const POSITIONS_MAX: usize = 10_000;

/// One shard's groups at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupsReport {
    pub(crate) classic: Census,
    pub(crate) consumer: Census,
    pub(crate) offsets: u64,
    pub(crate) counters: Counters,
    /// Partitions of `__consumer_offsets`: those that serve their groups, whose log is being read, and that serve nobody.
    pub(crate) active: u64,
    pub(crate) loading: u64,
    pub(crate) failed: u64,
    /// Since the start.
    pub(crate) failed_loads: u64,
    pub(crate) positions: Vec<CommittedPosition>,
    /// Committed offsets beyond [`POSITIONS_MAX`].
    pub(crate) positions_left_out: u64,
}

impl GroupsReport {
    pub(crate) fn add(&mut self, other: &Self) {
        self.classic.add(&other.classic);
        self.consumer.add(&other.consumer);
        self.offsets += other.offsets;
        self.counters.add(&other.counters);
        self.active += other.active;
        self.loading += other.loading;
        self.failed += other.failed;
        self.failed_loads += other.failed_loads;
        self.positions.extend_from_slice(&other.positions);
        self.positions_left_out += other.positions_left_out;
    }
}

/// Where the logs end that groups have offsets of: the first offset that is not committed, by topic and partition.
pub(crate) type LogEnds = std::collections::BTreeMap<(std::sync::Arc<str>, i32), i64>;
