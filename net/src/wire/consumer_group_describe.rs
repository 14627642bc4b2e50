//! ConsumerGroupDescribe (69), versions 0-1: state, epochs and members of groups of KIP-848's protocol (KIP-1099 member type in
//! 1). Flexible from 0.
//!
//! A classic group is answered with GROUP_ID_NOT_FOUND: DescribeGroups has those.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct ConsumerGroupDescribeRequest, flexible 0 {
        group_ids: Vec<Text>, since 0;
        include_authorized_operations: bool, since 0;
    }

    struct ConsumerGroupDescribeResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        groups: Vec<DescribedGroup>, since 0;
    }

    struct DescribedGroup, flexible 0 {
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        group_id: Text, since 0;
        /// `Empty`, `Assigning`, `Reconciling`, `Stable` or `Dead`.
        group_state: Text, since 0;
        group_epoch: i32, since 0;
        assignment_epoch: i32, since 0;
        assignor_name: Text, since 0;
        members: Vec<Member>, since 0;
        /// A bit set; the smallest integer when it was not asked for.
        authorized_operations: i32, since 0, default i32::MIN;
    }

    struct Member, flexible 0 {
        member_id: Text, since 0;
        instance_id: Option<Text>, since 0;
        rack_id: Option<Text>, since 0;
        member_epoch: i32, since 0;
        client_id: Text, since 0;
        client_host: Text, since 0;
        subscribed_topic_names: Vec<Text>, since 0;
        subscribed_topic_regex: Option<Text>, since 0;
        assignment: Assignment, since 0;
        target_assignment: Assignment, since 0;
        /// -1: not known, 0: classic, 1: consumer.
        member_type: i8, since 1, default -1;
    }

    struct Assignment, flexible 0 {
        topic_partitions: Vec<TopicPartitions>, since 0;
    }

    struct TopicPartitions, flexible 0 {
        topic_id: Uuid, since 0;
        topic_name: Text, since 0;
        partitions: Vec<i32>, since 0;
    }
}
