//! What operators ask of the cluster: DescribeQuorum, UpdateFeatures and the features that ApiVersions tells.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use rinka_net::wire::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use rinka_net::wire::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, PartitionRequest, TopicRequest,
};
use rinka_net::wire::update_features::{
    FeatureUpdate, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use super::*;

fn quorum(bench: &mut Bench, topic: &'static str) -> DescribeQuorumResponse {
    let request = DescribeQuorumRequest {
        topics: vec![TopicRequest {
            topic_name: Text::from(topic),
            partitions: vec![PartitionRequest { partition_index: 0 }],
        }],
    };
    bench.connection.call(ApiKey::DescribeQuorum, 2, &request)
}

#[test]
fn the_quorum_tells_its_leader_its_voters_and_where_its_log_stands() {
    let mut bench = Bench::new(&[]);
    let answer = quorum(&mut bench, "__cluster_metadata");
    assert_eq!(answer.error_code, ErrorCode::NONE);
    let partition = &answer.topics[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NONE);
    assert_eq!(partition.leader_id, 1);
    let [voter] = &partition.current_voters[..] else {
        panic!("{partition:?}");
    };
    assert_eq!(voter.replica_id, 1);
    assert!(partition.high_watermark > 0 && voter.log_end_offset >= partition.high_watermark);
    assert!(voter.last_caught_up_timestamp > now() - 60_000);
    assert_eq!(answer.nodes[0].node_id, 1);
    assert!(!answer.nodes[0].listeners.is_empty());
    let grown = |bench: &mut Bench| {
        quorum(bench, "__cluster_metadata").topics[0].partitions[0].high_watermark
    };
    let before = partition.high_watermark;
    create_topic(bench.broker.bootstrap(), &fresh_name("grows"), 1, &[]);
    let after = eventually(|| grown(&mut bench), |after| *after > before);
    assert!(after > before);
    let other = quorum(&mut bench, "another");
    assert_eq!(
        other.topics[0].partitions[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[test]
fn the_metadata_version_is_that_of_a_kafka_4() {
    let mut bench = Bench::new(&[]);
    for version in [3, 4] {
        let request = ApiVersionsRequest {
            client_software_name: Text::from("a-client"),
            client_software_version: Text::from("1.0"),
        };
        let response: ApiVersionsResponse =
            bench
                .connection
                .call(ApiKey::ApiVersions, version, &request);
        let mut finalized = response.finalized_features.iter();
        let found = finalized.find(|feature| &*feature.name == "metadata.version");
        let found = found.expect("told");
        assert!(found.max_version_level >= 25, "4.0-IV3 or later");
        assert!(response.finalized_features_epoch >= 0);
        let supported = response.supported_features.iter();
        assert!(
            supported
                .clone()
                .any(|feature| &*feature.name == "metadata.version")
        );
        let mut zero = supported.filter(|feature| feature.min_version == 0);
        assert!(version >= 4 || zero.next().is_none(), "KAFKA-17011");
    }
}

fn update(
    bench: &mut Bench,
    version: i16,
    feature: &'static str,
    level: i16,
) -> UpdateFeaturesResponse {
    let request = UpdateFeaturesRequest {
        timeout_ms: 30_000,
        feature_updates: vec![FeatureUpdate {
            feature: Text::from(feature),
            max_version_level: level,
            upgrade_type: 1,
            ..Default::default()
        }],
        validate_only: true,
    };
    bench
        .connection
        .call(ApiKey::UpdateFeatures, version, &request)
}

#[test]
fn an_endpoint_of_another_type_is_not_this_one() {
    let mut bench = Bench::new(&[]);
    for (endpoint_type, expected) in [
        (1, ErrorCode::NONE),
        (2, ErrorCode::MISMATCHED_ENDPOINT_TYPE),
        (9, ErrorCode::UNSUPPORTED_ENDPOINT_TYPE),
    ] {
        let request = DescribeClusterRequest {
            endpoint_type,
            ..Default::default()
        };
        let answer: DescribeClusterResponse =
            bench.connection.call(ApiKey::DescribeCluster, 1, &request);
        assert_eq!(answer.error_code, expected, "{endpoint_type}");
    }
}

#[test]
fn features_that_are_not_there_or_not_at_that_level_are_refused() {
    let mut bench = Bench::new(&[]);
    for (feature, level) in [("colour", 1), ("metadata.version", 1000)] {
        for version in [1, 2] {
            let answer = update(&mut bench, version, feature, level);
            assert_eq!(
                answer.error_code,
                ErrorCode::INVALID_UPDATE_VERSION,
                "{feature} {version}"
            );
            assert!(answer.error_message.is_some());
            assert!(answer.results.is_empty(), "one error for all");
        }
    }
}
