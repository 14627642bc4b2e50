//! AlterConfigs (33), versions 0-2: sets all keys of a resource at once (KIP-133). Flexible from 2.
//!
//! Keys that are not named go back to their defaults, which is why IncrementalAlterConfigs came after it.

use super::{ErrorCode, Text};

message! {
    struct AlterConfigsRequest, flexible 2 {
        resources: Vec<AlterConfigsResource>, since 0;
        validate_only: bool, since 0;
    }

    struct AlterConfigsResource, flexible 2 {
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        resource_type: i8, since 0;
        resource_name: Text, since 0;
        configs: Vec<AlterableConfig>, since 0;
    }

    struct AlterableConfig, flexible 2 {
        name: Text, since 0;
        value: Option<Text>, since 0;
    }

    struct AlterConfigsResponse, flexible 2 {
        throttle_time_ms: i32, since 0;
        responses: Vec<AlterConfigsResourceResponse>, since 0;
    }

    struct AlterConfigsResourceResponse, flexible 2 {
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        resource_type: i8, since 0;
        resource_name: Text, since 0;
    }
}
