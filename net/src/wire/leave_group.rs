//! LeaveGroup (13), versions 0-5: members leave a group (KIP-345 many at once from 3, KIP-800 reason from 5). Flexible from 4.
//!
//! Up to version 2 one member leaves and the error is at the top; from 3 on each has its own.

use super::{ErrorCode, Text};

message! {
    struct LeaveGroupRequest, flexible 4 {
        group_id: Text, since 0;
        member_id: Text, since 0, until 2;
        members: Vec<MemberIdentity>, since 3;
    }

    struct MemberIdentity, flexible 4 {
        /// May be empty for a static member that an administrator removes.
        member_id: Text, since 3;
        group_instance_id: Option<Text>, since 3;
        reason: Option<Text>, since 5;
    }

    struct LeaveGroupResponse, flexible 4 {
        throttle_time_ms: i32, since 1;
        error_code: ErrorCode, since 0;
        members: Vec<MemberResponse>, since 3;
    }

    struct MemberResponse, flexible 4 {
        member_id: Text, since 3;
        group_instance_id: Option<Text>, since 3;
        error_code: ErrorCode, since 3;
    }
}
