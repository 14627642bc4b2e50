//! Any bytes as a request: header, then the body of the API and version that the header names.
//!
//! Bad bytes may only be refused: no panic, no hang, no allocation that the bytes do not justify.

use std::fmt::Debug;

use bytes::Bytes;
use rinka_net::wire::alter_client_quotas::AlterClientQuotasRequest;
use rinka_net::wire::alter_configs::AlterConfigsRequest;
use rinka_net::wire::alter_partition_reassignments::AlterPartitionReassignmentsRequest;
use rinka_net::wire::alter_replica_log_dirs::AlterReplicaLogDirsRequest;
use rinka_net::wire::api_versions::ApiVersionsRequest;
use rinka_net::wire::consumer_group_describe::ConsumerGroupDescribeRequest;
use rinka_net::wire::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use rinka_net::wire::create_acls::CreateAclsRequest;
use rinka_net::wire::create_partitions::CreatePartitionsRequest;
use rinka_net::wire::create_topics::CreateTopicsRequest;
use rinka_net::wire::delete_acls::DeleteAclsRequest;
use rinka_net::wire::delete_groups::DeleteGroupsRequest;
use rinka_net::wire::delete_records::DeleteRecordsRequest;
use rinka_net::wire::delete_topics::DeleteTopicsRequest;
use rinka_net::wire::describe_acls::DescribeAclsRequest;
use rinka_net::wire::describe_client_quotas::DescribeClientQuotasRequest;
use rinka_net::wire::describe_cluster::DescribeClusterRequest;
use rinka_net::wire::describe_configs::DescribeConfigsRequest;
use rinka_net::wire::describe_groups::DescribeGroupsRequest;
use rinka_net::wire::describe_log_dirs::DescribeLogDirsRequest;
use rinka_net::wire::describe_producers::DescribeProducersRequest;
use rinka_net::wire::describe_quorum::DescribeQuorumRequest;
use rinka_net::wire::describe_topic_partitions::DescribeTopicPartitionsRequest;
use rinka_net::wire::elect_leaders::ElectLeadersRequest;
use rinka_net::wire::fetch::FetchRequest;
use rinka_net::wire::find_coordinator::FindCoordinatorRequest;
use rinka_net::wire::heartbeat::HeartbeatRequest;
use rinka_net::wire::incremental_alter_configs::IncrementalAlterConfigsRequest;
use rinka_net::wire::init_producer_id::InitProducerIdRequest;
use rinka_net::wire::join_group::JoinGroupRequest;
use rinka_net::wire::leave_group::LeaveGroupRequest;
use rinka_net::wire::list_config_resources::ListConfigResourcesRequest;
use rinka_net::wire::list_groups::ListGroupsRequest;
use rinka_net::wire::list_offsets::ListOffsetsRequest;
use rinka_net::wire::list_partition_reassignments::ListPartitionReassignmentsRequest;
use rinka_net::wire::metadata::MetadataRequest;
use rinka_net::wire::offset_commit::OffsetCommitRequest;
use rinka_net::wire::offset_delete::OffsetDeleteRequest;
use rinka_net::wire::offset_fetch::OffsetFetchRequest;
use rinka_net::wire::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
use rinka_net::wire::produce::ProduceRequest;
use rinka_net::wire::sync_group::SyncGroupRequest;
use rinka_net::wire::update_features::UpdateFeaturesRequest;
use rinka_net::wire::{ApiKey, Field, Reader, Version, decode_request_header};

pub(crate) fn check(bytes: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
    let Ok(header) = decode_request_header(&mut reader) else {
        return;
    };
    let Some(api) = ApiKey::from_number(header.api_key) else {
        return;
    };
    let number = header.api_version;
    if !api.versions().contains(number) {
        return;
    }
    let version = Version {
        number,
        flexible: api.is_flexible(number),
    };
    match api {
        ApiKey::Produce => body::<ProduceRequest>(reader, version),
        ApiKey::Fetch => body::<FetchRequest>(reader, version),
        ApiKey::ListOffsets => body::<ListOffsetsRequest>(reader, version),
        ApiKey::Metadata => body::<MetadataRequest>(reader, version),
        ApiKey::OffsetCommit => body::<OffsetCommitRequest>(reader, version),
        ApiKey::OffsetFetch => body::<OffsetFetchRequest>(reader, version),
        ApiKey::FindCoordinator => body::<FindCoordinatorRequest>(reader, version),
        ApiKey::JoinGroup => body::<JoinGroupRequest>(reader, version),
        ApiKey::Heartbeat => body::<HeartbeatRequest>(reader, version),
        ApiKey::LeaveGroup => body::<LeaveGroupRequest>(reader, version),
        ApiKey::SyncGroup => body::<SyncGroupRequest>(reader, version),
        ApiKey::DescribeGroups => body::<DescribeGroupsRequest>(reader, version),
        ApiKey::ListGroups => body::<ListGroupsRequest>(reader, version),
        ApiKey::ApiVersions => body::<ApiVersionsRequest>(reader, version),
        ApiKey::CreateTopics => body::<CreateTopicsRequest>(reader, version),
        ApiKey::DeleteTopics => body::<DeleteTopicsRequest>(reader, version),
        ApiKey::DeleteRecords => body::<DeleteRecordsRequest>(reader, version),
        ApiKey::InitProducerId => body::<InitProducerIdRequest>(reader, version),
        ApiKey::OffsetForLeaderEpoch => body::<OffsetForLeaderEpochRequest>(reader, version),
        ApiKey::DescribeAcls => body::<DescribeAclsRequest>(reader, version),
        ApiKey::CreateAcls => body::<CreateAclsRequest>(reader, version),
        ApiKey::DeleteAcls => body::<DeleteAclsRequest>(reader, version),
        ApiKey::DescribeConfigs => body::<DescribeConfigsRequest>(reader, version),
        ApiKey::AlterConfigs => body::<AlterConfigsRequest>(reader, version),
        ApiKey::AlterReplicaLogDirs => body::<AlterReplicaLogDirsRequest>(reader, version),
        ApiKey::DescribeLogDirs => body::<DescribeLogDirsRequest>(reader, version),
        ApiKey::CreatePartitions => body::<CreatePartitionsRequest>(reader, version),
        ApiKey::DeleteGroups => body::<DeleteGroupsRequest>(reader, version),
        ApiKey::ElectLeaders => body::<ElectLeadersRequest>(reader, version),
        ApiKey::IncrementalAlterConfigs => body::<IncrementalAlterConfigsRequest>(reader, version),
        ApiKey::AlterPartitionReassignments => {
            body::<AlterPartitionReassignmentsRequest>(reader, version)
        }
        ApiKey::ListPartitionReassignments => {
            body::<ListPartitionReassignmentsRequest>(reader, version)
        }
        ApiKey::OffsetDelete => body::<OffsetDeleteRequest>(reader, version),
        ApiKey::DescribeClientQuotas => body::<DescribeClientQuotasRequest>(reader, version),
        ApiKey::AlterClientQuotas => body::<AlterClientQuotasRequest>(reader, version),
        ApiKey::DescribeQuorum => body::<DescribeQuorumRequest>(reader, version),
        ApiKey::UpdateFeatures => body::<UpdateFeaturesRequest>(reader, version),
        ApiKey::DescribeCluster => body::<DescribeClusterRequest>(reader, version),
        ApiKey::DescribeProducers => body::<DescribeProducersRequest>(reader, version),
        ApiKey::ConsumerGroupHeartbeat => body::<ConsumerGroupHeartbeatRequest>(reader, version),
        ApiKey::ConsumerGroupDescribe => body::<ConsumerGroupDescribeRequest>(reader, version),
        ApiKey::ListConfigResources => body::<ListConfigResourcesRequest>(reader, version),
        ApiKey::DescribeTopicPartitions => body::<DescribeTopicPartitionsRequest>(reader, version),
    }
}

fn body<R: Field + Debug>(mut reader: Reader, version: Version) {
    if let Ok(request) = R::read(&mut reader, version) {
        // Printing walks over every field, so that a length that was believed too early shows.
        let _ = format!("{request:?}");
    }
}
