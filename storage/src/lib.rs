//! Bytes on disk: the words of a log (offset, epoch, batch), and the journal, segments, indexes and recovery that keep them.
//!
//! Knows nothing of networks, requests or other brokers. All file access goes through [`disk::Disk`].

pub mod disk;
pub mod leader_epoch;
pub mod offset;
pub mod topic_partition;
