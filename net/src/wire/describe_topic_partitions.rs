//! DescribeTopicPartitions (75), version 0: partitions of topics page by page, with their eligible leader replicas (KIP-966).
//! Flexible from 0.
//!
//! Topics come in the order of their names; a cursor says where the next page begins.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct DescribeTopicPartitionsRequest, flexible 0 {
        /// None means all.
        topics: Vec<TopicRequest>, since 0;
        response_partition_limit: i32, since 0, default 2000;
        /// Null: from the beginning.
        cursor: Option<Cursor>, since 0;
    }

    struct TopicRequest, flexible 0 {
        name: Text, since 0;
    }

    /// The first partition of the page.
    struct Cursor, flexible 0 {
        topic_name: Text, since 0;
        partition_index: i32, since 0;
    }

    struct DescribeTopicPartitionsResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        topics: Vec<DescribeTopicPartitionsResponseTopic>, since 0;
        /// Null: that was all.
        next_cursor: Option<Cursor>, since 0;
    }

    struct DescribeTopicPartitionsResponseTopic, flexible 0 {
        error_code: ErrorCode, since 0;
        name: Option<Text>, since 0;
        topic_id: Uuid, since 0;
        is_internal: bool, since 0;
        partitions: Vec<DescribeTopicPartitionsResponsePartition>, since 0;
        /// A bit set; the smallest integer when it is not known.
        topic_authorized_operations: i32, since 0, default i32::MIN;
    }

    struct DescribeTopicPartitionsResponsePartition, flexible 0 {
        error_code: ErrorCode, since 0;
        partition_index: i32, since 0;
        leader_id: i32, since 0;
        leader_epoch: i32, since 0, default -1;
        replica_nodes: Vec<i32>, since 0;
        isr_nodes: Vec<i32>, since 0;
        /// Not in sync, but with every committed record: they may lead. Null where the cluster keeps none.
        eligible_leader_replicas: Option<Vec<i32>>, since 0;
        /// Who was in sync or eligible last, before nobody was.
        last_known_elr: Option<Vec<i32>>, since 0;
        offline_replicas: Vec<i32>, since 0;
    }
}
