//! Bytes on disk: the words of a log (offset, epoch, batch), and the journal, segments, indexes and recovery that keep them.
//!
//! Knows nothing of networks, requests or other brokers. All file access goes through [`disk::Disk`].

pub mod checkpoint;
pub mod compaction;
pub mod compression;
pub mod data_dir;
pub mod disk;
pub mod journal;
mod lanes;
pub mod latency_histogram;
pub mod leader_epoch;
pub mod leader_epoch_history;
pub mod log;
pub mod offset;
pub mod offset_index;
pub mod planted;
pub mod producer_state;
pub mod record;
pub mod record_batch;
pub mod recovery;
pub mod segment_files;
pub mod signal;
pub mod store;
pub mod time_index;
pub mod topic_partition;
