//! ConsumerGroupHeartbeat (68), versions 0-1: the one request by which members join, own, give up and leave in KIP-848's protocol
//! (KIP-848 regular expressions and KIP-1082 member ids from the client in 1). Flexible from 0.
//!
//! Whatever did not change since the last heartbeat is null, in both directions.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct ConsumerGroupHeartbeatRequest, flexible 0 {
        group_id: Text, since 0;
        /// In version 0 empty on joining; from 1 on always there, made by the client.
        member_id: Text, since 0;
        /// 0 joins, -1 leaves, -2 leaves and comes back: a static member.
        member_epoch: i32, since 0;
        instance_id: Option<Text>, since 0;
        rack_id: Option<Text>, since 0;
        /// -1: unchanged.
        rebalance_timeout_ms: i32, since 0, default -1;
        subscribed_topic_names: Option<Vec<Text>>, since 0;
        /// In RE2's language.
        subscribed_topic_regex: Option<Text>, since 1;
        server_assignor: Option<Text>, since 0;
        /// What the member owns.
        topic_partitions: Option<Vec<TopicPartitions>>, since 0;
    }

    struct TopicPartitions, flexible 0 {
        topic_id: Uuid, since 0;
        partitions: Vec<i32>, since 0;
    }

    struct ConsumerGroupHeartbeatResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        member_id: Option<Text>, since 0;
        member_epoch: i32, since 0;
        heartbeat_interval_ms: i32, since 0;
        assignment: Option<Assignment>, since 0;
    }

    struct Assignment, flexible 0 {
        topic_partitions: Vec<TopicPartitions>, since 0;
    }
}
