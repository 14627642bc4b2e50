//! What the cluster agrees on: topics, partitions, their leaders, configurations and brokers, as records and as the image they make.
//!
//! Decides nothing: records come from `controller`, their order from the metadata log.

pub mod client_quotas;
pub mod delta;
pub mod image;
pub mod records;
mod shared_map;
pub mod topic;
