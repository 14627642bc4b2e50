//! The deciding half of the broker: configuration, metadata and the controller.
//!
//! Holds no connection, no file and no clock; the binary's shards and APIs drive it.

pub mod config;
pub mod controller;
pub mod metadata;
