//! Bytes on the wire: the Kafka codec, and the sockets it travels through.
//!
//! Knows no log, no topic's state and no shard; what a request means is core's business.

pub mod budget;
pub mod connection;
pub mod frame;
pub mod listener;
pub mod rejected;
pub mod socket;
pub mod wire;
