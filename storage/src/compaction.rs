//! Log compaction, the part that decides: which logs are worth it, which segments become one, which records go.
//!
//! Follows Kafka's `LogCleanerManager` and `Cleaner`. Never touches a file and never changes an offset, an order or a sequence number;
//! [`crate::store`] carries it out.
//!
//! ```text
//! segments   [ 0 ....... 50 )[ 50 .... 90 )[ 90 ...... 140 )[ 140 .... 170 )[ 170 ... the one that is appended to
//!              clean                        ^ cleaned (70)                 ^ upto (170): rolled, committed, old enough
//! key map                        [ 70 ...................................... ): the newest offset of each key
//! written    [ 0 .......................................................... ): without what a newer record of its key replaces
//! ```
//!
//! Non-obvious:
//! - A key map that is full ends the run early, between two batches: what is behind is dirty still, and the newest record of a key there
//!   is not known, so nothing there goes.
//! - A batch whose last record goes keeps its place as a header without records when it is its producer's last one (a log read from its
//!   beginning must give the same sequence numbers) or the last one of the run.
//! - Tombstones go by the time at which compaction first saw them behind every older record of their key (KIP-534), not by their own:
//!   a reader who begins before that moment has `delete.retention.ms` to get there.
//! - Control batches stay as they are: there are no transactions yet whose end could be forgotten.

mod choice;
mod key_map;
mod pacing;
mod rewrite;
mod sip_hash;

pub use choice::{CompactionConfig, Dirtiness, Group, Plan, plan};
pub use key_map::{KEY_MAP_BYTES_MIN, KeyMap};
pub use pacing::{Pacing, Step, Turn};
pub use rewrite::{Pass, Rewritten};

#[cfg(test)]
mod tests;
