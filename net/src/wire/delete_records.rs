//! DeleteRecords (21), versions 0-2: moves the first offset of partitions up (KIP-107). Flexible from 2.

use super::{ErrorCode, Text};

message! {
    struct DeleteRecordsRequest, flexible 2 {
        topics: Vec<DeleteRecordsTopic>, since 0;
        timeout_ms: i32, since 0;
    }

    struct DeleteRecordsTopic, flexible 2 {
        name: Text, since 0;
        partitions: Vec<DeleteRecordsPartition>, since 0;
    }

    struct DeleteRecordsPartition, flexible 2 {
        partition_index: i32, since 0;
        /// -1: the high watermark.
        offset: i64, since 0;
    }

    struct DeleteRecordsResponse, flexible 2 {
        throttle_time_ms: i32, since 0;
        topics: Vec<DeleteRecordsTopicResult>, since 0;
    }

    struct DeleteRecordsTopicResult, flexible 2 {
        name: Text, since 0;
        partitions: Vec<DeleteRecordsPartitionResult>, since 0;
    }

    struct DeleteRecordsPartitionResult, flexible 2 {
        partition_index: i32, since 0;
        /// The first offset there is now; -1 on error.
        low_watermark: i64, since 0;
        error_code: ErrorCode, since 0;
    }
}
