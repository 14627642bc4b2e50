//! DeleteGroups (42), versions 0-2: deletes groups without members, and their offsets (KIP-229). Flexible from 2.
//!
//! Each group has an error of its own.

use super::{ErrorCode, Text};

message! {
    struct DeleteGroupsRequest, flexible 2 {
        groups_names: Vec<Text>, since 0;
    }

    struct DeleteGroupsResponse, flexible 2 {
        throttle_time_ms: i32, since 0;
        results: Vec<DeletableGroupResult>, since 0;
    }

    struct DeletableGroupResult, flexible 2 {
        group_id: Text, since 0;
        error_code: ErrorCode, since 0;
    }
}
