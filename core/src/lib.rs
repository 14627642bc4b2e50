//! The broker: what decides (configuration, metadata, controller), the shards that own partitions, and Kafka's APIs.
//!
//! The deciding modules hold no connection, no file and no clock; `shard`, `api` and `server` drive them.

pub(crate) mod admin;
pub(crate) mod api;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod doctor;
pub mod dump;
pub mod machine;
pub mod metadata;
pub(crate) mod metrics;
pub mod node;
pub(crate) mod offline;
pub mod quota;
pub mod server;
pub(crate) mod shard;
