//! ListConfigResources (74), versions 0-1: what has configuration (KIP-1000 client metrics only, KIP-1142 every type from 1).
//! Flexible from 0.
//!
//! No types means all of those there are.

use super::{ErrorCode, Text};

message! {
    struct ListConfigResourcesRequest, flexible 0 {
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        resource_types: Vec<i8>, since 1;
    }

    struct ListConfigResourcesResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 0;
        config_resources: Vec<ConfigResource>, since 0;
    }

    struct ConfigResource, flexible 0 {
        resource_name: Text, since 0;
        resource_type: i8, since 1, default 16;
    }
}
