//! Heartbeat (12), versions 0-4: a member of a classic group says that it lives (KIP-345 static members from 3). Flexible from 4.
//!
//! The answer REBALANCE_IN_PROGRESS asks the member to rejoin.

use super::{ErrorCode, Text};

message! {
    struct HeartbeatRequest, flexible 4 {
        group_id: Text, since 0;
        generation_id: i32, since 0;
        member_id: Text, since 0;
        group_instance_id: Option<Text>, since 3;
    }

    struct HeartbeatResponse, flexible 4 {
        throttle_time_ms: i32, since 1;
        error_code: ErrorCode, since 0;
    }
}
