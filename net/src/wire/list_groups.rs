//! ListGroups (16), versions 0-5: the groups that a broker coordinates (KIP-518 states from 4, KIP-848 types from 5). Flexible
//! from 3.
//!
//! An empty filter lets all pass.

use super::{ErrorCode, Text};

message! {
    struct ListGroupsRequest, flexible 3 {
        states_filter: Vec<Text>, since 4;
        types_filter: Vec<Text>, since 5;
    }

    struct ListGroupsResponse, flexible 3 {
        throttle_time_ms: i32, since 1;
        error_code: ErrorCode, since 0;
        groups: Vec<ListedGroup>, since 0;
    }

    struct ListedGroup, flexible 3 {
        group_id: Text, since 0;
        /// `consumer`, `connect`, ...; empty for a group that has only offsets.
        protocol_type: Text, since 0;
        group_state: Text, since 4;
        /// `classic` or `consumer`.
        group_type: Text, since 5;
    }
}
