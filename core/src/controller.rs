//! Decides every change of the metadata: which records a request comes to, and what it is answered once they are committed.
//!
//! Never writes the records, never changes an image, and knows neither the wire nor the clock: ids and numbers that must be
//! new or random are arguments.

use crate::metadata::records::MetadataRecord;

pub mod brokers;
pub mod configs;
pub mod elections;
pub mod error;
pub mod features;
pub mod partitions;
mod placement;
pub mod producer_ids;
pub mod quotas;
pub mod reassignments;
pub mod shown_brokers;
pub mod topic_name;
pub mod topics;

/// What a request comes to. The response may be sent when all the records are committed, and at once when there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision<R> {
    /// To be logged together or not at all.
    pub records: Vec<MetadataRecord>,
    pub response: R,
}
