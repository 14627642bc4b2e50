//! DescribeLogDirs (35), versions 1-4: bytes on disk by directory and partition (KIP-113, top-level error from 3, KIP-827 size of
//! the volume in 4). Flexible from 2.
//!
//! No topics (null) means all.

use super::{ErrorCode, Text};

message! {
    struct DescribeLogDirsRequest, flexible 2 {
        topics: Option<Vec<DescribableLogDirTopic>>, since 0;
    }

    struct DescribableLogDirTopic, flexible 2 {
        topic: Text, since 0;
        partitions: Vec<i32>, since 0;
    }

    struct DescribeLogDirsResponse, flexible 2 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 3;
        results: Vec<DescribeLogDirsResult>, since 0;
    }

    struct DescribeLogDirsResult, flexible 2 {
        error_code: ErrorCode, since 0;
        log_dir: Text, since 0;
        topics: Vec<DescribeLogDirsTopic>, since 0;
        /// -1: not known.
        total_bytes: i64, since 4, default -1;
        /// -1: not known.
        usable_bytes: i64, since 4, default -1;
    }

    struct DescribeLogDirsTopic, flexible 2 {
        name: Text, since 0;
        partitions: Vec<DescribeLogDirsPartition>, since 0;
    }

    struct DescribeLogDirsPartition, flexible 2 {
        partition_index: i32, since 0;
        partition_size: i64, since 0;
        /// How far the log's end is behind the high watermark; of a future log, behind the current one's end.
        offset_lag: i64, since 0;
        /// Whether this copy is being moved here to take the current one's place.
        is_future_key: bool, since 0;
    }
}
