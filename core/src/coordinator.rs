//! The coordinators: who is in a group, and what a group has read.
//!
//! Decides only: no connection, no clock, no log. Shells append the records it decides and replay them.

pub mod group;
