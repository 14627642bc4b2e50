//! Kafka's APIs: one file each, which decodes nothing and sends nothing but turns a request into a response.
//!
//! Keeps no state but fetch sessions; what must be decided is decided by the controller and the partitions.

mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod config_resources;
pub(crate) mod connections;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod dispatch;
mod elect_leaders;
mod errors;
pub(crate) mod fetch;
mod find_coordinator;
mod group_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod throttle;
mod topics;
mod update_features;

use std::net::IpAddr;
use std::rc::Rc;

use crate::shard::Shard;

/// What a handler knows besides the request.
pub(crate) struct Context {
    pub(crate) shard: Rc<Shard>,
    /// Which of the configured listeners the client came in by.
    pub(crate) listener: usize,
    /// The address it reached us at.
    pub(crate) local: IpAddr,
    /// The client's own.
    pub(crate) peer: IpAddr,
}
