//! AlterPartitionReassignments (45), versions 0-1: puts partitions on other brokers (KIP-455, KIP-860 from 1). Flexible from 0.
//!
//! No replicas (null) ends a move that is under way.

use super::{ErrorCode, Text};

message! {
    struct AlterPartitionReassignmentsRequest, flexible 0 {
        timeout_ms: i32, since 0, default 60_000;
        /// Whether a partition may come to have more or fewer replicas than it has.
        allow_replication_factor_change: bool, since 1, default true;
        topics: Vec<ReassignableTopic>, since 0;
    }

    struct ReassignableTopic, flexible 0 {
        name: Text, since 0;
        partitions: Vec<ReassignablePartition>, since 0;
    }

    struct ReassignablePartition, flexible 0 {
        partition_index: i32, since 0;
        replicas: Option<Vec<i32>>, since 0;
    }

    struct AlterPartitionReassignmentsResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        /// As in the request.
        allow_replication_factor_change: bool, since 1, default true;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        responses: Vec<ReassignableTopicResponse>, since 0;
    }

    struct ReassignableTopicResponse, flexible 0 {
        name: Text, since 0;
        partitions: Vec<ReassignablePartitionResponse>, since 0;
    }

    struct ReassignablePartitionResponse, flexible 0 {
        partition_index: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
    }
}
