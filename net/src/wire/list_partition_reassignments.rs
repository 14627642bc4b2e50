//! ListPartitionReassignments (46), version 0: the partitions that are moving between brokers (KIP-455). Flexible from 0.
//!
//! No topics (null) means all.

use super::{ErrorCode, Text};

message! {
    struct ListPartitionReassignmentsRequest, flexible 0 {
        timeout_ms: i32, since 0, default 60_000;
        topics: Option<Vec<ListPartitionReassignmentsTopics>>, since 0;
    }

    struct ListPartitionReassignmentsTopics, flexible 0 {
        name: Text, since 0;
        partition_indexes: Vec<i32>, since 0;
    }

    struct ListPartitionReassignmentsResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        topics: Vec<OngoingTopicReassignment>, since 0;
    }

    struct OngoingTopicReassignment, flexible 0 {
        name: Text, since 0;
        partitions: Vec<OngoingPartitionReassignment>, since 0;
    }

    struct OngoingPartitionReassignment, flexible 0 {
        partition_index: i32, since 0;
        replicas: Vec<i32>, since 0;
        adding_replicas: Vec<i32>, since 0;
        removing_replicas: Vec<i32>, since 0;
    }
}
