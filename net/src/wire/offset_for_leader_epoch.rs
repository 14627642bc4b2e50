//! OffsetForLeaderEpoch (23), versions 2-4: where an epoch ended, to find truncation (KIP-101, KIP-320). Flexible from 4.
//!
//! -1 for both epoch and offset means that there is no such epoch.

use super::{ErrorCode, Text};

message! {
    struct OffsetForLeaderEpochRequest, flexible 4 {
        /// -2: a debugging consumer, -1: a consumer.
        replica_id: i32, since 3, default -2;
        topics: Vec<OffsetForLeaderTopic>, since 0;
    }

    struct OffsetForLeaderTopic, flexible 4 {
        topic: Text, since 0;
        partitions: Vec<OffsetForLeaderPartition>, since 0;
    }

    struct OffsetForLeaderPartition, flexible 4 {
        partition: i32, since 0;
        current_leader_epoch: i32, since 2, default -1;
        leader_epoch: i32, since 0;
    }

    struct OffsetForLeaderEpochResponse, flexible 4 {
        throttle_time_ms: i32, since 2;
        topics: Vec<OffsetForLeaderTopicResult>, since 0;
    }

    struct OffsetForLeaderTopicResult, flexible 4 {
        topic: Text, since 0;
        partitions: Vec<LeaderEpochEndOffset>, since 0;
    }

    struct LeaderEpochEndOffset, flexible 4 {
        error_code: ErrorCode, since 0;
        partition: i32, since 0;
        leader_epoch: i32, since 1, default -1;
        end_offset: i64, since 0, default -1;
    }
}
