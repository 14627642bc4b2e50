//! ElectLeaders (43), versions 0-2: elects the preferred leader, or any (KIP-183, KIP-460 unclean election from 1). Flexible from 2.
//!
//! No partitions (null) means all.

use super::{ErrorCode, Text};

message! {
    struct ElectLeadersRequest, flexible 2 {
        /// 0: the preferred replica, 1: any replica that lives, be records lost.
        election_type: i8, since 1;
        topic_partitions: Option<Vec<TopicPartitions>>, since 0;
        timeout_ms: i32, since 0, default 60_000;
    }

    struct TopicPartitions, flexible 2 {
        topic: Text, since 0;
        partitions: Vec<i32>, since 0;
    }

    struct ElectLeadersResponse, flexible 2 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 1;
        replica_election_results: Vec<ReplicaElectionResult>, since 0;
    }

    struct ReplicaElectionResult, flexible 2 {
        topic: Text, since 0;
        partition_result: Vec<PartitionResult>, since 0;
    }

    struct PartitionResult, flexible 2 {
        partition_id: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
    }
}
