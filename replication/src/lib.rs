//! Agreement between brokers: the leader of a partition, and who waits for its marks.
//!
//! No I/O, no clock, no task: inputs in, actions out. What carries them out is in core.

pub mod offset_waiters;
pub mod partition;
