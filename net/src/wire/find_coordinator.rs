//! FindCoordinator (10), versions 0-6: which broker coordinates a group or transaction (KIP-699 batches from 4). Flexible from 3.
//!
//! Key type 0 is a group, 1 a transactional id, 2 a share group.

use super::{ErrorCode, Text};

message! {
    struct FindCoordinatorRequest, flexible 3 {
        key: Text, since 0, until 3;
        key_type: i8, since 1;
        coordinator_keys: Vec<Text>, since 4;
    }

    struct FindCoordinatorResponse, flexible 3 {
        throttle_time_ms: i32, since 1;
        error_code: ErrorCode, since 0, until 3;
        error_message: Option<Text>, since 1, until 3;
        node_id: i32, since 0, until 3;
        host: Text, since 0, until 3;
        port: i32, since 0, until 3;
        coordinators: Vec<Coordinator>, since 4;
    }

    struct Coordinator, flexible 3 {
        key: Text, since 4;
        node_id: i32, since 4;
        host: Text, since 4;
        port: i32, since 4;
        error_code: ErrorCode, since 4;
        error_message: Option<Text>, since 4;
    }
}
