//! UpdateFeatures (57): sets the finalized levels of features. The controller decides; all updates are made or none.

use rinka_net::wire::update_features::{
    UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::{partition_error, update_feature_error};
use crate::controller::features::{FeatureUpdate, update_features};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let names: Vec<Text> = request
        .feature_updates
        .iter()
        .map(|update| update.feature.clone())
        .collect();
    let updates: Vec<FeatureUpdate> = request
        .feature_updates
        .into_iter()
        .map(|update| FeatureUpdate {
            feature: update.feature.to_string(),
            level: update.max_version_level,
            upgrade_type: match (version, update.allow_downgrade) {
                (0, true) => SAFE_DOWNGRADE,
                (0, false) => UPGRADE,
                _ => update.upgrade_type,
            },
        })
        .collect();
    let validate_only = request.validate_only;
    let decided = context
        .shard
        .change_metadata(move |image, _| update_features(&updates, validate_only, image))
        .await;
    let (error_code, error_message) = match decided {
        Ok(Ok(())) => (ErrorCode::NONE, None),
        Ok(Err(error)) => (
            update_feature_error(&error),
            Some(Text::from(error.to_string())),
        ),
        Err(error) => (partition_error(&error), None),
    };
    // The results of single features, which version 2 has no more, are there only when all went well.
    let results = match error_code {
        ErrorCode::NONE => names,
        _ => Vec::new(),
    };
    UpdateFeaturesResponse {
        error_code,
        error_message,
        results: results
            .into_iter()
            .map(|feature| UpdatableFeatureResult {
                feature,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}
