//! DescribeGroups (15), versions 0-6: state and members of classic groups (KIP-430 authorised operations from 3, KIP-345 static
//! members from 4, KIP-1043 error for an unknown group in 6). Flexible from 5.
//!
//! Up to version 5 an unknown group is a dead one without an error; version 6 says GROUP_ID_NOT_FOUND.

use bytes::Bytes;

use super::{ErrorCode, Text};

message! {
    struct DescribeGroupsRequest, flexible 5 {
        groups: Vec<Text>, since 0;
        include_authorized_operations: bool, since 3;
    }

    struct DescribeGroupsResponse, flexible 5 {
        throttle_time_ms: i32, since 1;
        groups: Vec<DescribedGroup>, since 0;
    }

    struct DescribedGroup, flexible 5 {
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 6;
        group_id: Text, since 0;
        /// `PreparingRebalance`, `CompletingRebalance`, `Stable`, `Empty` or `Dead`.
        group_state: Text, since 0;
        protocol_type: Text, since 0;
        /// The assignor that was chosen.
        protocol_data: Text, since 0;
        members: Vec<DescribedGroupMember>, since 0;
        /// A bit set; the smallest integer when it was not asked for.
        authorized_operations: i32, since 3, default i32::MIN;
    }

    struct DescribedGroupMember, flexible 5 {
        member_id: Text, since 0;
        group_instance_id: Option<Text>, since 4;
        client_id: Text, since 0;
        client_host: Text, since 0;
        /// Of the protocol that was chosen.
        member_metadata: Bytes, since 0;
        member_assignment: Bytes, since 0;
    }
}
