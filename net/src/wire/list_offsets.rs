//! ListOffsets (2), versions 1-11: offsets by timestamp (KIP-79, KIP-734 max timestamp from 7, KIP-405 local from 8,
//! KIP-1005 tiered from 9, KIP-1023 pending upload from 11). Flexible from 6.
//!
//! Timestamps below zero ask for marks: -1 latest, -2 earliest, -3 of the maximum timestamp, -4 earliest local, -5 latest tiered,
//! -6 earliest that waits to be tiered.

use super::{ErrorCode, Text};

message! {
    struct ListOffsetsRequest, flexible 6 {
        /// -1: a consumer.
        replica_id: i32, since 0;
        isolation_level: i8, since 2;
        topics: Vec<ListOffsetsTopic>, since 0;
        timeout_ms: i32, since 10;
    }

    struct ListOffsetsTopic, flexible 6 {
        name: Text, since 0;
        partitions: Vec<ListOffsetsPartition>, since 0;
    }

    struct ListOffsetsPartition, flexible 6 {
        partition_index: i32, since 0;
        current_leader_epoch: i32, since 4, default -1;
        timestamp: i64, since 0;
    }

    struct ListOffsetsResponse, flexible 6 {
        throttle_time_ms: i32, since 2;
        topics: Vec<ListOffsetsTopicResponse>, since 0;
    }

    struct ListOffsetsTopicResponse, flexible 6 {
        name: Text, since 0;
        partitions: Vec<ListOffsetsPartitionResponse>, since 0;
    }

    struct ListOffsetsPartitionResponse, flexible 6 {
        partition_index: i32, since 0;
        error_code: ErrorCode, since 0;
        timestamp: i64, since 1, default -1;
        offset: i64, since 1, default -1;
        leader_epoch: i32, since 4, default -1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle;
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn version_11_is_laid_out_as_version_10() {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: 1,
            topics: vec![ListOffsetsTopic {
                name: Text::from("t"),
                partitions: vec![ListOffsetsPartition {
                    partition_index: 3,
                    current_leader_epoch: -1,
                    timestamp: -6,
                }],
            }],
            timeout_ms: 9,
        };
        let bytes = [
            255, 255, 255, 255,
            1,
            2, // one topic
                2, b't',
                2, // one partition
                    0, 0, 0, 3,
                    255, 255, 255, 255,
                    255, 255, 255, 255, 255, 255, 255, 250,
                    0,
                0,
            0, 0, 0, 9,
            0,
        ];
        oracle::check_bytes(&request, ListOffsetsRequest::version(11), &bytes);
    }
}
