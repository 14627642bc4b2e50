//! Any bytes as a request: header, then the body of the API and version that the header names.
//!
//! Bad bytes may only be refused: no panic, no hang, no allocation that the bytes do not justify.

use std::fmt::Debug;

use bytes::Bytes;
use rinka_net::wire::api_versions::ApiVersionsRequest;
use rinka_net::wire::create_topics::CreateTopicsRequest;
use rinka_net::wire::delete_records::DeleteRecordsRequest;
use rinka_net::wire::delete_topics::DeleteTopicsRequest;
use rinka_net::wire::describe_cluster::DescribeClusterRequest;
use rinka_net::wire::describe_configs::DescribeConfigsRequest;
use rinka_net::wire::fetch::FetchRequest;
use rinka_net::wire::find_coordinator::FindCoordinatorRequest;
use rinka_net::wire::init_producer_id::InitProducerIdRequest;
use rinka_net::wire::list_offsets::ListOffsetsRequest;
use rinka_net::wire::metadata::MetadataRequest;
use rinka_net::wire::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
use rinka_net::wire::produce::ProduceRequest;
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
        ApiKey::FindCoordinator => body::<FindCoordinatorRequest>(reader, version),
        ApiKey::ApiVersions => body::<ApiVersionsRequest>(reader, version),
        ApiKey::CreateTopics => body::<CreateTopicsRequest>(reader, version),
        ApiKey::DeleteRecords => body::<DeleteRecordsRequest>(reader, version),
        ApiKey::DeleteTopics => body::<DeleteTopicsRequest>(reader, version),
        ApiKey::InitProducerId => body::<InitProducerIdRequest>(reader, version),
        ApiKey::OffsetForLeaderEpoch => body::<OffsetForLeaderEpochRequest>(reader, version),
        ApiKey::DescribeConfigs => body::<DescribeConfigsRequest>(reader, version),
        ApiKey::DescribeCluster => body::<DescribeClusterRequest>(reader, version),
    }
}

fn body<R: Field + Debug>(mut reader: Reader, version: Version) {
    if let Ok(request) = R::read(&mut reader, version) {
        // Printing walks over every field, so that a length that was believed too early shows.
        let _ = format!("{request:?}");
    }
}
