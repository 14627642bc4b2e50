//! DescribeClientQuotas (48), versions 0-1: quotas of users, client ids and addresses that match a filter (KIP-546). Flexible
//! from 1.
//!
//! A value is any 64-bit float, not a number included: who uses one must look.

use super::{ErrorCode, Text};

message! {
    struct DescribeClientQuotasRequest, flexible 1 {
        components: Vec<ComponentData>, since 0;
        /// Whether entities with further components do not match.
        strict: bool, since 0;
    }

    struct ComponentData, flexible 1 {
        /// `user`, `client-id` or `ip`.
        entity_type: Text, since 0;
        /// 0: this name, 1: the default entity, 2: any name.
        match_type: i8, since 0;
        /// Null unless a name is meant.
        r#match: Option<Text>, since 0;
    }

    struct DescribeClientQuotasResponse, flexible 1 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        /// Null with an error.
        entries: Option<Vec<EntryData>>, since 0;
    }

    struct EntryData, flexible 1 {
        entity: Vec<EntityData>, since 0;
        values: Vec<ValueData>, since 0;
    }

    struct EntityData, flexible 1 {
        entity_type: Text, since 0;
        /// Null: the default entity.
        entity_name: Option<Text>, since 0;
    }

    struct ValueData, flexible 1 {
        /// `producer_byte_rate`, `consumer_byte_rate`, `request_percentage`, `controller_mutation_rate` or
        /// `connection_creation_rate`.
        key: Text, since 0;
        value: f64, since 0;
    }
}
