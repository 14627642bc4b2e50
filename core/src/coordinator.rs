//! The coordinators: who is in a group, which offsets it has committed, and (later) what a transaction comes to.
//!
//! Plain state machines, one for each partition of the topic that holds their records: never a clock, a file or a connection.

pub mod group;
pub(crate) mod planted;
