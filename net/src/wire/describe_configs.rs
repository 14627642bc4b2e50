//! DescribeConfigs (32), versions 1-4: every key of a topic or broker (KIP-133, KIP-226 sources, KIP-569 types). Flexible from 4.
//!
//! No keys (null) means all.

use super::{ErrorCode, Text};

message! {
    struct DescribeConfigsRequest, flexible 4 {
        resources: Vec<DescribeConfigsResource>, since 0;
        include_synonyms: bool, since 1;
        include_documentation: bool, since 3;
    }

    struct DescribeConfigsResource, flexible 4 {
        /// 2: topic, 4: broker.
        resource_type: i8, since 0;
        resource_name: Text, since 0;
        configuration_keys: Option<Vec<Text>>, since 0;
    }

    struct DescribeConfigsResponse, flexible 4 {
        throttle_time_ms: i32, since 0;
        results: Vec<DescribeConfigsResult>, since 0;
    }

    struct DescribeConfigsResult, flexible 4 {
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        resource_type: i8, since 0;
        resource_name: Text, since 0;
        configs: Vec<DescribeConfigsResourceResult>, since 0;
    }

    struct DescribeConfigsResourceResult, flexible 4 {
        name: Text, since 0;
        value: Option<Text>, since 0;
        read_only: bool, since 0;
        config_source: i8, since 1, default -1;
        is_sensitive: bool, since 0;
        synonyms: Vec<DescribeConfigsSynonym>, since 1;
        config_type: i8, since 3;
        documentation: Option<Text>, since 3;
    }

    struct DescribeConfigsSynonym, flexible 4 {
        name: Text, since 1;
        value: Option<Text>, since 1;
        source: i8, since 1;
    }
}
