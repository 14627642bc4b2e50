//! ApiVersions (18): what this broker offers, read off the codec's own table.

use rinka_net::wire::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature,
};
use rinka_net::wire::{ApiKey, ErrorCode};

/// The feature by which tools see that groups of KIP-848 are offered.
const GROUP_VERSION: &str = "group.version";
const GROUP_VERSION_MAX: i16 = 1;

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

pub(super) fn handle(version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let named = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if version >= 3 && !named {
        return ApiVersionsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            ..Default::default()
        };
    }
    ApiVersionsResponse {
        api_keys: offered(),
        supported_features: vec![SupportedFeature {
            name: GROUP_VERSION.into(),
            // Some clients of the versions below 4 cannot read 0 (KAFKA-17011).
            min_version: (version < 4).into(),
            max_version: GROUP_VERSION_MAX,
        }],
        finalized_features_epoch: 0,
        finalized_features: vec![FinalizedFeature {
            name: GROUP_VERSION.into(),
            max_version_level: GROUP_VERSION_MAX,
            min_version_level: GROUP_VERSION_MAX,
        }],
        ..Default::default()
    }
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
