//! One partition's replication, by role. Today there is the leader; followers come with replication.
//!
//! Knows offsets and epochs, never bytes.

mod in_sync_set;
mod leader;

pub use in_sync_set::{BrokerId, InSyncSet};
pub use leader::{Action, Leader, NotEnoughReplicas, PartitionEpoch};
