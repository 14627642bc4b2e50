//! The command line against a real broker, and its group commands against a scripted one: what is printed, where to, and the exit
//! code.
//!
//! - `cargo test -p rinka-core --test command_line`
//! - `RINKA_TEST_BOOTSTRAP=host:port`: against a broker that runs already, Apache Kafka too.

mod admin;
mod fake_broker;
mod groups;
mod records;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod topics;
mod trouble;
