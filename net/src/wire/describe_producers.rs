//! DescribeProducers (61), version 0: the producers that a partition remembers, and their open transactions (KIP-664). Flexible
//! from 0.
//!
//! Only the leader answers.

use super::{ErrorCode, Text};

message! {
    struct DescribeProducersRequest, flexible 0 {
        topics: Vec<TopicRequest>, since 0;
    }

    struct TopicRequest, flexible 0 {
        name: Text, since 0;
        partition_indexes: Vec<i32>, since 0;
    }

    struct DescribeProducersResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        topics: Vec<TopicResponse>, since 0;
    }

    struct TopicResponse, flexible 0 {
        name: Text, since 0;
        partitions: Vec<PartitionResponse>, since 0;
    }

    struct PartitionResponse, flexible 0 {
        partition_index: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        active_producers: Vec<ProducerState>, since 0;
    }

    struct ProducerState, flexible 0 {
        producer_id: i64, since 0;
        producer_epoch: i32, since 0;
        last_sequence: i32, since 0, default -1;
        /// In milliseconds since 1970; -1: not known.
        last_timestamp: i64, since 0, default -1;
        coordinator_epoch: i32, since 0;
        /// -1: no transaction is open.
        current_txn_start_offset: i64, since 0, default -1;
    }
}
