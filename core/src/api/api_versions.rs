//! ApiVersions (18): what this broker offers, read off the codec's own table, and the features the cluster has agreed on.

use rinka_net::wire::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};

use super::Context;
use crate::controller::features;

fn offered() -> Vec<ApiVersion> {
    ApiKey::served().map(range).collect()
}

fn range(api: ApiKey) -> ApiVersion {
    let versions = api.advertised();
    ApiVersion {
        api_key: api.number(),
        min_version: versions.min,
        max_version: versions.max,
    }
}

pub(super) fn handle(
    context: &Context,
    version: i16,
    request: &ApiVersionsRequest,
) -> ApiVersionsResponse {
    let named = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if version >= 3 && !named {
        return ApiVersionsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            ..Default::default()
        };
    }
    let image = context.shard.image.borrow();
    ApiVersionsResponse {
        api_keys: offered(),
        supported_features: supported(version),
        finalized_features_epoch: i64::try_from(image.version()).unwrap_or(i64::MAX),
        finalized_features: features::finalized(&image)
            .map(|(feature, level)| FinalizedFeature {
                name: Text::from(feature.name),
                max_version_level: level,
                min_version_level: level,
            })
            .collect(),
        ..Default::default()
    }
}

/// Clients below version 4 do not all read a lowest level of 0 (KAFKA-17011).
fn supported(version: i16) -> Vec<SupportedFeature> {
    features::supported()
        .filter(|feature| version >= 4 || feature.min > 0)
        .map(|feature| SupportedFeature {
            name: Text::from(feature.name),
            min_version: feature.min,
            max_version: feature.max,
        })
        .collect()
}

/// The answer to a version we do not know, at version 0: the error and our range of this API (KIP-511).
pub(super) fn unsupported_version() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![range(ApiKey::ApiVersions)],
        ..Default::default()
    }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (KIP-511).
fn is_software_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|&byte| inside(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_handler_is_not_offered() {
        let offered: Vec<i16> = offered().iter().map(|api| api.api_key).collect();
        assert!(offered.contains(&ApiKey::ApiVersions.number()));
        for &api in ApiKey::ALL {
            let is_offered = offered.contains(&api.number());
            assert_eq!(is_offered, api.is_served(), "{api}");
        }
    }

    #[test]
    fn software_names() {
        for good in ["a", "librdkafka", "apache-kafka-java", "2.15.0-RC1"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä", "a_b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
