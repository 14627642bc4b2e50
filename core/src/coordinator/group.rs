//! Groups of consumers, and what their members tell each other.
//!
//! Holds state machines only; whoever drives them has the log and the clock.

pub mod consumer;
pub mod consumer_protocol;
