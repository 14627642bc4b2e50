//! IncrementalAlterConfigs (44), versions 0-1: changes single keys of a resource (KIP-339). Flexible from 1.
//!
//! Keys that are not named stay as they are.

use super::{ErrorCode, Text};

message! {
    struct IncrementalAlterConfigsRequest, flexible 1 {
        resources: Vec<AlterConfigsResource>, since 0;
        validate_only: bool, since 0;
    }

    struct AlterConfigsResource, flexible 1 {
        /// 2: topic, 4: broker, 8: broker logger, 16: client metrics, 32: group.
        resource_type: i8, since 0;
        resource_name: Text, since 0;
        configs: Vec<AlterableConfig>, since 0;
    }

    struct AlterableConfig, flexible 1 {
        name: Text, since 0;
        /// 0: set, 1: delete, 2: append, 3: subtract; the last two are for lists.
        config_operation: i8, since 0;
        value: Option<Text>, since 0;
    }

    struct IncrementalAlterConfigsResponse, flexible 1 {
        throttle_time_ms: i32, since 0;
        responses: Vec<AlterConfigsResourceResponse>, since 0;
    }

    struct AlterConfigsResourceResponse, flexible 1 {
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        resource_type: i8, since 0;
        resource_name: Text, since 0;
    }
}
