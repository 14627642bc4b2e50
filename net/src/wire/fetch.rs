//! Fetch (1), versions 4-17: reads batches (KIP-227 sessions, KIP-320 epochs, KIP-392 racks, KIP-516 topic ids from 13,
//! KIP-951 endpoints from 16). Flexible from 12.
//!
//! The records of a response begin with the whole batch that holds the offset asked for; the client drops what is before it.

use uuid::Uuid;

use super::{ErrorCode, Records, Text};

message! {
    struct FetchRequest, flexible 12 {
        cluster_id: Option<Text>, since 12, tag 0;
        /// -1: a consumer.
        replica_id: i32, since 0, until 14, default -1;
        replica_state: ReplicaState, since 15, tag 1;
        max_wait_ms: i32, since 0;
        min_bytes: i32, since 0;
        max_bytes: i32, since 3, default i32::MAX;
        /// 0: read_uncommitted, 1: read_committed.
        isolation_level: i8, since 4;
        /// 0: none.
        session_id: i32, since 7;
        /// 0 asks for a new session, -1 for none.
        session_epoch: i32, since 7, default -1;
        topics: Vec<FetchTopic>, since 0;
        forgotten_topics_data: Vec<ForgottenTopic>, since 7;
        rack_id: Text, since 11;
    }

    struct ReplicaState, flexible 12 {
        replica_id: i32, since 15, default -1;
        replica_epoch: i64, since 15, default -1;
    }

    struct FetchTopic, flexible 12 {
        topic: Text, since 0, until 12;
        topic_id: Uuid, since 13;
        partitions: Vec<FetchPartition>, since 0;
    }

    struct FetchPartition, flexible 12 {
        partition: i32, since 0;
        current_leader_epoch: i32, since 9, default -1;
        fetch_offset: i64, since 0;
        last_fetched_epoch: i32, since 12, default -1;
        log_start_offset: i64, since 5, default -1;
        partition_max_bytes: i32, since 0;
        replica_directory_id: Uuid, since 17, tag 0;
    }

    struct ForgottenTopic, flexible 12 {
        topic: Text, since 7, until 12;
        topic_id: Uuid, since 13;
        partitions: Vec<i32>, since 7;
    }

    struct FetchResponse, flexible 12 {
        throttle_time_ms: i32, since 1;
        error_code: ErrorCode, since 7;
        session_id: i32, since 7;
        responses: Vec<FetchableTopicResponse>, since 0;
        node_endpoints: Vec<FetchNodeEndpoint>, since 16, tag 0;
    }

    struct FetchableTopicResponse, flexible 12 {
        topic: Text, since 0, until 12;
        topic_id: Uuid, since 13;
        partitions: Vec<PartitionData>, since 0;
    }

    struct PartitionData, flexible 12 {
        partition_index: i32, since 0;
        error_code: ErrorCode, since 0;
        high_watermark: i64, since 0;
        last_stable_offset: i64, since 4, default -1;
        log_start_offset: i64, since 5, default -1;
        diverging_epoch: EpochEndOffset, since 12, tag 0;
        current_leader: FetchLeaderIdAndEpoch, since 12, tag 1;
        snapshot_id: SnapshotId, since 12, tag 2;
        /// Null for read_uncommitted.
        aborted_transactions: Option<Vec<AbortedTransaction>>, since 4;
        preferred_read_replica: i32, since 11, default -1;
        records: Records, since 0;
    }

    struct EpochEndOffset, flexible 12 {
        epoch: i32, since 12, default -1;
        end_offset: i64, since 12, default -1;
    }

    struct FetchLeaderIdAndEpoch, flexible 12 {
        leader_id: i32, since 12, default -1;
        leader_epoch: i32, since 12, default -1;
    }

    struct SnapshotId, flexible 12 {
        end_offset: i64, since 12, default -1;
        epoch: i32, since 12, default -1;
    }

    struct AbortedTransaction, flexible 12 {
        producer_id: i64, since 4;
        first_offset: i64, since 4;
    }

    struct FetchNodeEndpoint, flexible 12 {
        node_id: i32, since 16;
        host: Text, since 16;
        port: i32, since 16;
        rack: Option<Text>, since 16;
    }
}
