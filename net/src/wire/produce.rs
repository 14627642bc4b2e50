//! Produce (0), versions 3-13: appends batches (KIP-98, KIP-467 record errors, KIP-951 leader hints, KIP-516 topic ids in 13).
//! Flexible from 9.
//!
//! From version 3 on the records of a partition are exactly one batch of magic 2.

use uuid::Uuid;

use super::{ErrorCode, Records, Text};

message! {
    struct ProduceRequest, flexible 9 {
        transactional_id: Option<Text>, since 3;
        /// 0: no response, 1: the leader, -1: all in-sync replicas.
        acks: i16, since 0;
        timeout_ms: i32, since 0;
        topic_data: Vec<TopicProduceData>, since 0;
    }

    struct TopicProduceData, flexible 9 {
        name: Text, since 0, until 12;
        topic_id: Uuid, since 13;
        partition_data: Vec<PartitionProduceData>, since 0;
    }

    struct PartitionProduceData, flexible 9 {
        index: i32, since 0;
        records: Records, since 0;
    }

    struct ProduceResponse, flexible 9 {
        responses: Vec<TopicProduceResponse>, since 0;
        throttle_time_ms: i32, since 1;
        node_endpoints: Vec<NodeEndpoint>, since 10, tag 0;
    }

    struct TopicProduceResponse, flexible 9 {
        name: Text, since 0, until 12;
        topic_id: Uuid, since 13;
        partition_responses: Vec<PartitionProduceResponse>, since 0;
    }

    struct PartitionProduceResponse, flexible 9 {
        index: i32, since 0;
        error_code: ErrorCode, since 0;
        base_offset: i64, since 0;
        /// -1 unless the topic stamps batches itself.
        log_append_time_ms: i64, since 2, default -1;
        log_start_offset: i64, since 5, default -1;
        record_errors: Vec<BatchIndexAndErrorMessage>, since 8;
        error_message: Option<Text>, since 8;
        current_leader: LeaderIdAndEpoch, since 10, tag 0;
    }

    struct BatchIndexAndErrorMessage, flexible 9 {
        batch_index: i32, since 8;
        batch_index_error_message: Option<Text>, since 8;
    }

    struct LeaderIdAndEpoch, flexible 9 {
        leader_id: i32, since 10, default -1;
        leader_epoch: i32, since 10, default -1;
    }

    struct NodeEndpoint, flexible 9 {
        node_id: i32, since 10;
        host: Text, since 10;
        port: i32, since 10;
        rack: Option<Text>, since 10;
    }
}
