//! InitProducerId (22), versions 0-5: an id for an idempotent producer (KIP-98, KIP-360 from 3). Flexible from 2.
//!
//! Without a transactional id every call gets a fresh id.

use super::{ErrorCode, Text};

message! {
    struct InitProducerIdRequest, flexible 2 {
        transactional_id: Option<Text>, since 0;
        transaction_timeout_ms: i32, since 0;
        producer_id: i64, since 3, default -1;
        producer_epoch: i16, since 3, default -1;
    }

    struct InitProducerIdResponse, flexible 2 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 0;
        producer_id: i64, since 0, default -1;
        producer_epoch: i16, since 0;
    }
}
