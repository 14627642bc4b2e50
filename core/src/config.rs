//! What the operator and the topics ask for: broker and topic configuration, parsed once into types that cannot be wrong.
//!
//! Decides what a value means and which one wins; never acts on it and never reads a clock. The only file access is
//! [`properties::read_file`].

pub mod broker;
mod broker_keys;
pub mod definition;
pub mod describe;
pub mod dynamic;
pub mod group;
pub mod listener;
pub mod properties;
pub mod topic;
mod topic_keys;
