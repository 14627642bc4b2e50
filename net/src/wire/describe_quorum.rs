//! DescribeQuorum (55), versions 0-2: leader, voters and observers of the metadata quorum (KIP-595, KIP-836 times of the replicas
//! from 1, KIP-853 directories and listeners in 2). Flexible from 0.
//!
//! The only topic there is to ask for is `__cluster_metadata`.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct DescribeQuorumRequest, flexible 0 {
        topics: Vec<TopicRequest>, since 0;
    }

    struct TopicRequest, flexible 0 {
        topic_name: Text, since 0;
        partitions: Vec<PartitionRequest>, since 0;
    }

    struct PartitionRequest, flexible 0 {
        partition_index: i32, since 0;
    }

    struct DescribeQuorumResponse, flexible 0 {
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 2;
        topics: Vec<TopicData>, since 0;
        nodes: Vec<Node>, since 2;
    }

    struct TopicData, flexible 0 {
        topic_name: Text, since 0;
        partitions: Vec<PartitionData>, since 0;
    }

    struct PartitionData, flexible 0 {
        partition_index: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 2;
        /// -1: none, or not known.
        leader_id: i32, since 0;
        leader_epoch: i32, since 0;
        high_watermark: i64, since 0;
        current_voters: Vec<ReplicaState>, since 0;
        observers: Vec<ReplicaState>, since 0;
    }

    struct ReplicaState, flexible 0 {
        replica_id: i32, since 0;
        replica_directory_id: Uuid, since 2;
        /// -1: not known.
        log_end_offset: i64, since 0;
        /// In milliseconds since 1970; -1: not known.
        last_fetch_timestamp: i64, since 1, default -1;
        /// In milliseconds since 1970; -1: not known.
        last_caught_up_timestamp: i64, since 1, default -1;
    }

    struct Node, flexible 0 {
        node_id: i32, since 2;
        listeners: Vec<Listener>, since 2;
    }

    struct Listener, flexible 0 {
        name: Text, since 2;
        host: Text, since 2;
        port: u16, since 2;
    }
}
