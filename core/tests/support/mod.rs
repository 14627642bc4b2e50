//! What the suites that run the real broker share: starting and ending it, free ports, seeded randomness, building the clients,
//! a client of our own codec. Knows nothing of what is tested.

#![allow(
    dead_code,
    reason = "every suite compiles its own copy and uses a part of it"
)]

pub(crate) mod admin;
pub(crate) mod broker;
pub(crate) mod ending;
pub(crate) mod eventually;
pub(crate) mod groups;
pub(crate) mod kafka_jars;
pub(crate) mod ports;
pub(crate) mod random;
pub(crate) mod toolchain;
pub(crate) mod wire;
