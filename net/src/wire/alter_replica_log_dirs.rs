//! AlterReplicaLogDirs (34), versions 1-2: puts a broker's replicas into other directories of it (KIP-113). Flexible from 2.

use super::{ErrorCode, Text};

message! {
    struct AlterReplicaLogDirsRequest, flexible 2 {
        dirs: Vec<AlterReplicaLogDir>, since 1;
    }

    struct AlterReplicaLogDir, flexible 2 {
        /// Absolute, as DescribeLogDirs tells it.
        path: Text, since 1;
        topics: Vec<AlterReplicaLogDirTopic>, since 1;
    }

    struct AlterReplicaLogDirTopic, flexible 2 {
        name: Text, since 1;
        partitions: Vec<i32>, since 1;
    }

    struct AlterReplicaLogDirsResponse, flexible 2 {
        throttle_time_ms: i32, since 1;
        results: Vec<AlterReplicaLogDirTopicResult>, since 1;
    }

    struct AlterReplicaLogDirTopicResult, flexible 2 {
        topic_name: Text, since 1;
        partitions: Vec<AlterReplicaLogDirPartitionResult>, since 1;
    }

    struct AlterReplicaLogDirPartitionResult, flexible 2 {
        partition_index: i32, since 1;
        error_code: ErrorCode, since 1;
    }
}
