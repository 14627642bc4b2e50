//! Metadata (3), versions 0-13: brokers, topics, leaders (KIP-516 topic ids, KIP-1102 top-level error). Flexible from 9.
//!
//! No topics means all in version 0; from version 1 on null means all and none means none.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct MetadataRequest, flexible 9 {
        topics: Option<Vec<MetadataRequestTopic>>, since 0, nullable 1, default Some(Vec::new());
        allow_auto_topic_creation: bool, since 4, default true;
        include_cluster_authorized_operations: bool, since 8, until 10;
        include_topic_authorized_operations: bool, since 8;
    }

    struct MetadataRequestTopic, flexible 9 {
        topic_id: Uuid, since 10;
        name: Option<Text>, since 0, nullable 10, default Some(Text::default());
    }

    struct MetadataResponse, flexible 9 {
        throttle_time_ms: i32, since 3;
        brokers: Vec<MetadataBroker>, since 0;
        cluster_id: Option<Text>, since 2;
        controller_id: i32, since 1, default -1;
        topics: Vec<MetadataTopic>, since 0;
        /// A bit set; the smallest integer when it was not asked for.
        cluster_authorized_operations: i32, since 8, until 10, default i32::MIN;
        error_code: ErrorCode, since 13;
    }

    struct MetadataBroker, flexible 9 {
        node_id: i32, since 0;
        host: Text, since 0;
        port: i32, since 0;
        rack: Option<Text>, since 1;
    }

    struct MetadataTopic, flexible 9 {
        error_code: ErrorCode, since 0;
        name: Option<Text>, since 0, nullable 12, default Some(Text::default());
        topic_id: Uuid, since 10;
        is_internal: bool, since 1;
        partitions: Vec<MetadataPartition>, since 0;
        /// A bit set; the smallest integer when it was not asked for.
        topic_authorized_operations: i32, since 8, default i32::MIN;
    }

    struct MetadataPartition, flexible 9 {
        error_code: ErrorCode, since 0;
        partition_index: i32, since 0;
        leader_id: i32, since 0;
        leader_epoch: i32, since 7, default -1;
        replica_nodes: Vec<i32>, since 0;
        isr_nodes: Vec<i32>, since 0;
        offline_replicas: Vec<i32>, since 5;
    }
}
