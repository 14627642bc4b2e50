//! AlterClientQuotas (49), versions 0-1: sets and removes quotas of users, client ids and addresses (KIP-546). Flexible from 1.
//!
//! A value is any 64-bit float, not a number included: who uses one must look.

use super::{ErrorCode, Text};

message! {
    struct AlterClientQuotasRequest, flexible 1 {
        entries: Vec<EntryData>, since 0;
        validate_only: bool, since 0;
    }

    struct EntryData, flexible 1 {
        entity: Vec<EntityData>, since 0;
        ops: Vec<OpData>, since 0;
    }

    struct EntityData, flexible 1 {
        /// `user`, `client-id` or `ip`.
        entity_type: Text, since 0;
        /// Null: the default entity.
        entity_name: Option<Text>, since 0;
    }

    struct OpData, flexible 1 {
        key: Text, since 0;
        /// Ignored where the key is removed.
        value: f64, since 0;
        remove: bool, since 0;
    }

    struct AlterClientQuotasResponse, flexible 1 {
        throttle_time_ms: i32, since 0;
        entries: Vec<EntryResult>, since 0;
    }

    struct EntryResult, flexible 1 {
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        entity: Vec<EntityData>, since 0;
    }
}
