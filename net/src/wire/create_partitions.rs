//! CreatePartitions (37), versions 0-3: adds partitions to topics (KIP-195, KIP-599 a quota may refuse in 3). Flexible from 2.
//!
//! The count is what the topic shall have then, not how many are added.

use super::{ErrorCode, Text};

message! {
    struct CreatePartitionsRequest, flexible 2 {
        topics: Vec<CreatePartitionsTopic>, since 0;
        timeout_ms: i32, since 0;
        validate_only: bool, since 0;
    }

    struct CreatePartitionsTopic, flexible 2 {
        name: Text, since 0;
        count: i32, since 0;
        /// One for each new partition; null leaves them to the controller.
        assignments: Option<Vec<CreatePartitionsAssignment>>, since 0;
    }

    struct CreatePartitionsAssignment, flexible 2 {
        broker_ids: Vec<i32>, since 0;
    }

    struct CreatePartitionsResponse, flexible 2 {
        throttle_time_ms: i32, since 0;
        results: Vec<CreatePartitionsTopicResult>, since 0;
    }

    struct CreatePartitionsTopicResult, flexible 2 {
        name: Text, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
    }
}
