//! SyncGroup (14), versions 0-5: the leader hands out the assignments, every member gets its own (KIP-345 static members from 3,
//! KIP-559 protocol type and name from 5). Flexible from 4.
//!
//! What an assignment says is between the members.

use bytes::Bytes;

use super::{ErrorCode, Text};

message! {
    struct SyncGroupRequest, flexible 4 {
        group_id: Text, since 0;
        generation_id: i32, since 0;
        member_id: Text, since 0;
        group_instance_id: Option<Text>, since 3;
        /// Null: the member does not say, and nothing is compared.
        protocol_type: Option<Text>, since 5;
        protocol_name: Option<Text>, since 5;
        /// None from members that do not lead.
        assignments: Vec<SyncGroupRequestAssignment>, since 0;
    }

    struct SyncGroupRequestAssignment, flexible 4 {
        member_id: Text, since 0;
        assignment: Bytes, since 0;
    }

    struct SyncGroupResponse, flexible 4 {
        throttle_time_ms: i32, since 1;
        error_code: ErrorCode, since 0;
        protocol_type: Option<Text>, since 5;
        protocol_name: Option<Text>, since 5;
        assignment: Bytes, since 0;
    }
}
