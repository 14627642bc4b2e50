//! UpdateFeatures (57), versions 0-2: sets the finalized levels of features (KIP-584, KIP-778 kinds of downgrade and validation
//! from 1, KIP-1022 all or nothing in 2). Flexible from 0.
//!
//! Version 2 has one error for all and no results of single features.

use super::{ErrorCode, Text};

message! {
    struct UpdateFeaturesRequest, flexible 0 {
        timeout_ms: i32, since 0, default 60_000;
        feature_updates: Vec<FeatureUpdate>, since 0;
        validate_only: bool, since 1;
    }

    struct FeatureUpdate, flexible 0 {
        feature: Text, since 0;
        /// Below 1: the feature is no longer finalized.
        max_version_level: i16, since 0;
        allow_downgrade: bool, since 0, until 0;
        /// 1: upgrade, 2: downgrade that loses nothing, 3: downgrade that may lose metadata.
        upgrade_type: i8, since 1, default 1;
    }

    struct UpdateFeaturesResponse, flexible 0 {
        throttle_time_ms: i32, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
        results: Vec<UpdatableFeatureResult>, since 0, until 1;
    }

    struct UpdatableFeatureResult, flexible 0 {
        feature: Text, since 0;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 0;
    }
}
