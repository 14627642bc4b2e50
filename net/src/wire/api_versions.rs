//! ApiVersions (18), versions 0-4: what the broker offers (KIP-35, KIP-511, KIP-584). Flexible from 3.
//!
//! The response header stays at version 0; an unknown request version is answered at version 0 with error 35.

use super::{ErrorCode, Text};

message! {
    struct ApiVersionsRequest, flexible 3 {
        client_software_name: Text, since 3;
        client_software_version: Text, since 3;
    }

    struct ApiVersionsResponse, flexible 3 {
        error_code: ErrorCode, since 0;
        api_keys: Vec<ApiVersion>, since 0;
        throttle_time_ms: i32, since 1;
        supported_features: Vec<SupportedFeature>, since 3, tag 0;
        /// -1: not known.
        finalized_features_epoch: i64, since 3, default -1, tag 1;
        /// True only where the epoch is known.
        finalized_features: Vec<FinalizedFeature>, since 3, tag 2;
        zk_migration_ready: bool, since 3, tag 3;
    }

    struct ApiVersion, flexible 3 {
        api_key: i16, since 0;
        min_version: i16, since 0;
        max_version: i16, since 0;
    }

    struct SupportedFeature, flexible 3 {
        name: Text, since 3;
        /// Of clients below version 4 some do not read 0: there such a feature is better left out (KAFKA-17011).
        min_version: i16, since 3;
        max_version: i16, since 3;
    }

    struct FinalizedFeature, flexible 3 {
        name: Text, since 3;
        max_version_level: i16, since 3;
        min_version_level: i16, since 3;
    }
}
