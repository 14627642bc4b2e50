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

pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod elect_leaders;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sync_group;
pub mod update_features;

#[cfg(test)]
mod oracle;

pub use api_key::{ApiKey, VersionRange};
pub use error_code::ErrorCode;
pub use header::{
    RequestHeader, decode_request_header, decode_response, encode_request, encode_response,
};
pub use message::{Field, Structure, Version};
pub use reader::{DecodeError, Reader};
pub use text::Text;
pub use writer::{Records, Writer};
