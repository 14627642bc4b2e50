//! OffsetDelete (47), version 0: a group forgets the offsets of partitions (KIP-496). Never flexible.
//!
//! A topic that a member is subscribed to is refused partition by partition.

use super::{ErrorCode, Text};

message! {
    struct OffsetDeleteRequest, flexible never {
        group_id: Text, since 0;
        topics: Vec<OffsetDeleteRequestTopic>, since 0;
    }

    struct OffsetDeleteRequestTopic, flexible never {
        name: Text, since 0;
        partitions: Vec<OffsetDeleteRequestPartition>, since 0;
    }

    struct OffsetDeleteRequestPartition, flexible never {
        partition_index: i32, since 0;
    }

    struct OffsetDeleteResponse, flexible never {
        error_code: ErrorCode, since 0;
        throttle_time_ms: i32, since 0;
        topics: Vec<OffsetDeleteResponseTopic>, since 0;
    }

    struct OffsetDeleteResponseTopic, flexible never {
        name: Text, since 0;
        partitions: Vec<OffsetDeleteResponsePartition>, since 0;
    }

    struct OffsetDeleteResponsePartition, flexible never {
        partition_index: i32, since 0;
        error_code: ErrorCode, since 0;
    }
}
