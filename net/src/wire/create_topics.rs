//! CreateTopics (19), versions 2-7: KIP-464 defaults from 4, KIP-525 configs in the response from 5, topic ids from 7.
//! Flexible from 5.
//!
//! -1 partitions or replicas mean the broker's default.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct CreateTopicsRequest, flexible 5 {
        topics: Vec<CreatableTopic>, since 0;
        timeout_ms: i32, since 0, default 60_000;
        validate_only: bool, since 1;
    }

    struct CreatableTopic, flexible 5 {
        name: Text, since 0;
        num_partitions: i32, since 0;
        replication_factor: i16, since 0;
        assignments: Vec<CreatableReplicaAssignment>, since 0;
        configs: Vec<CreatableTopicConfig>, since 0;
    }

    struct CreatableReplicaAssignment, flexible 5 {
        partition_index: i32, since 0;
        broker_ids: Vec<i32>, since 0;
    }

    struct CreatableTopicConfig, flexible 5 {
        name: Text, since 0;
        value: Option<Text>, since 0;
    }

    struct CreateTopicsResponse, flexible 5 {
        throttle_time_ms: i32, since 2;
        topics: Vec<CreatableTopicResult>, since 0;
    }

    struct CreatableTopicResult, flexible 5 {
        name: Text, since 0;
        topic_id: Uuid, since 7;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 1;
        topic_config_error_code: ErrorCode, since 5, tag 0;
        num_partitions: i32, since 5, default -1;
        replication_factor: i16, since 5, default -1;
        configs: Option<Vec<CreatableTopicConfigs>>, since 5;
    }

    struct CreatableTopicConfigs, flexible 5 {
        name: Text, since 5;
        value: Option<Text>, since 5;
        read_only: bool, since 5;
        config_source: i8, since 5, default -1;
        is_sensitive: bool, since 5;
    }
}
