//! Kafka's wire protocol: primitives, headers, error codes, and one file for each API that reads like its schema.
//!
//! Turns bytes into values and back; knows no connection and decides nothing about a request.

#[macro_use]
mod message;

mod api_key;
mod error_code;
mod header;
mod reader;
mod text;
mod writer;

pub mod api_versions;
pub mod create_topics;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;

#[cfg(test)]
mod oracle;

pub use api_key::{ApiKey, VersionRange};
pub use error_code::ErrorCode;
pub use header::{
    RequestHeader, decode_request_header, decode_response, encode_request, encode_response,
};
pub use message::{Field, Version};
pub use reader::{DecodeError, Reader};
pub use text::Text;
pub use writer::{Records, Writer};
