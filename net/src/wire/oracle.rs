//! Every message at every version against the `kafka-protocol` crate, both ways; and bytes that nobody should send.
//!
//! What we write it must read and write back byte for byte, and that we must read as what we wrote: each field then has its
//! place, its width and its default. The few versions that it lacks are tested with bytes made by hand, beside the message.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// splitmix64.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> usize {
        (self.next() % bound) as usize
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A value that a field may have at a version.
pub(crate) trait Sample {
    fn sample(random: &mut Random, version: Version, nullable: bool) -> Self;
}

macro_rules! sample_integers {
    ($($type:ty),*) => {
        $(impl Sample for $type {
            fn sample(random: &mut Random, _: Version, _: bool) -> Self {
                // Small ones and extremes are the interesting ones.
                match random.below(4) {
                    0 => <$type>::MIN,
                    1 => <$type>::MAX,
                    2 => random.below(3) as $type,
                    _ => random.next() as $type,
                }
            }
        })*
    };
}

sample_integers!(i8, i16, u16, i32, i64);

impl Sample for f64 {
    fn sample(random: &mut Random, _: Version, _: bool) -> Self {
        // No "not a number": it is not equal to itself.
        match random.below(4) {
            0 => Self::MIN,
            1 => Self::INFINITY,
            2 => -0.0,
            _ => random.next() as Self / 1024.0,
        }
    }
}

impl Sample for bool {
    fn sample(random: &mut Random, _: Version, _: bool) -> Self {
        random.one_in(2)
    }
}

impl Sample for Uuid {
    fn sample(random: &mut Random, _: Version, _: bool) -> Self {
        Self::from_u64_pair(random.next(), random.next())
    }
}

impl Sample for ErrorCode {
    fn sample(random: &mut Random, _: Version, _: bool) -> Self {
        Self(random.below(135) as i16 - 1)
    }
}

impl Sample for Text {
    fn sample(random: &mut Random, _: Version, _: bool) -> Self {
        // Lengths around 127 and 128 need one and two bytes in the compact form.
        let length = if random.one_in(8) {
            120 + random.below(12)
        } else {
            random.below(6)
        };
        Self::from("aé".repeat(length).chars().take(length).collect::<String>())
    }
}

impl Sample for Option<Text> {
    fn sample(random: &mut Random, version: Version, nullable: bool) -> Self {
        (!(nullable && random.one_in(3))).then(|| Text::sample(random, version, false))
    }
}

impl Sample for Bytes {
    fn sample(random: &mut Random, _: Version, _: bool) -> Self {
        Self::from(vec![7; random.below(200)])
    }
}

impl Sample for Records {
    fn sample(random: &mut Random, _: Version, _: bool) -> Self {
        let bytes = |random: &mut Random| Bytes::from(vec![7; 1 + random.below(200)]);
        Self((!random.one_in(4)).then(|| vec![bytes(random)]))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(random: &mut Random, version: Version, _: bool) -> Self {
        (0..random.below(4))
            .map(|_| T::sample(random, version, false))
            .collect()
    }
}

impl<T: Sample> Sample for Option<Vec<T>> {
    fn sample(random: &mut Random, version: Version, nullable: bool) -> Self {
        (!(nullable && random.one_in(3))).then(|| Vec::sample(random, version, false))
    }
}

impl<T: Structure + Sample> Sample for Option<T> {
    fn sample(random: &mut Random, version: Version, nullable: bool) -> Self {
        (!(nullable && random.one_in(3))).then(|| T::sample(random, version, false))
    }
}

fn write<M: Field>(message: &M, version: Version) -> Bytes {
    let mut writer = Writer::new();
    message.write(&mut writer, version);
    Bytes::from(writer.finish().concat())
}

/// The message after it was written and read at a version.
pub(crate) fn written_and_read<M: Field>(message: &M, version: Version) -> M {
    let mut reader = Reader::new(write(message, version));
    let read = M::read(&mut reader, version).expect("what we wrote is readable");
    assert!(reader.is_empty());
    read
}

/// For what the oracle lacks: these bytes are the message, both ways.
pub(crate) fn check_bytes<M>(message: &M, version: Version, bytes: &[u8])
where
    M: Field + PartialEq + std::fmt::Debug,
{
    assert_eq!(write(message, version), bytes);
    assert_eq!(&written_and_read(message, version), message);
}

/// Requests that the oracle lacks at their last version; each has bytes made by hand in its file.
const BY_HAND: &[(ApiKey, i16)] = &[
    (ApiKey::ListOffsets, 11),
    (ApiKey::OffsetCommit, 10),
    (ApiKey::OffsetFetch, 10),
];

fn check<Ours, Theirs>(api: ApiKey, versions: VersionRange, seed: u64)
where
    Ours: Field + Sample + PartialEq + std::fmt::Debug,
    Theirs: Decodable + Encodable + Message,
{
    for number in versions.min..=versions.max {
        let version = Version {
            number,
            flexible: api.is_flexible(number),
        };
        let ours = Ours::sample(&mut Random(seed), version, false);
        let bytes = write(&ours, version);
        let what = format!("{api} version {number} seed {seed}: {ours:?}");
        if number > Theirs::VERSIONS.max && BY_HAND.contains(&(api, number)) {
            assert_eq!(written_and_read(&ours, version), ours, "{what}");
            continue;
        }
        let mut input = bytes.clone();
        let theirs =
            Theirs::decode(&mut input, number).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(input.is_empty(), "{what}: they leave {} bytes", input.len());
        let mut output = BytesMut::new();
        theirs
            .encode(&mut output, number)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(output, bytes, "{what}");
        let mut reader = Reader::new(output.freeze());
        assert_eq!(
            Ours::read(&mut reader, version).as_ref(),
            Ok(&ours),
            "{what}"
        );
        assert!(reader.is_empty(), "{what}");
    }
}

macro_rules! apis {
    ($($api:ident, $module:ident, $request:ident, $response:ident;)*) => {
        /// Both messages of every API, at every version we offer.
        fn check_all(seed: u64) {
            $(
                let api = ApiKey::$api;
                check::<$module::$request, kafka_protocol::messages::$request>(api, api.versions(), seed);
                check::<$module::$response, kafka_protocol::messages::$response>(api, api.versions(), seed);
            )*
        }

        /// Reads the body of a request as its header says, as the dispatch does.
        fn read_any_request(api: ApiKey, number: i16, body: Bytes) -> bool {
            let mut reader = Reader::new(body);
            match api {
                $(ApiKey::$api => $module::$request::read(&mut reader, api.version(number)).is_ok(),)*
            }
        }

        /// Reads the body of a response, as a client does.
        fn read_any_response(api: ApiKey, number: i16, body: Bytes) -> bool {
            let mut reader = Reader::new(body);
            match api {
                $(ApiKey::$api => $module::$response::read(&mut reader, api.version(number)).is_ok(),)*
            }
        }

        fn sample_request(api: ApiKey, number: i16, seed: u64) -> Bytes {
            let version = api.version(number);
            match api {
                $(ApiKey::$api => write(&$module::$request::sample(&mut Random(seed), version, false), version),)*
            }
        }

        fn sample_response(api: ApiKey, number: i16, seed: u64) -> Bytes {
            let version = api.version(number);
            match api {
                $(ApiKey::$api => write(&$module::$response::sample(&mut Random(seed), version, false), version),)*
            }
        }

        /// The oracle's header versions of request and response.
        fn their_header_versions(api: ApiKey, number: i16) -> (i16, i16) {
            match api {
                $(ApiKey::$api => (
                    kafka_protocol::messages::$request::header_version(number),
                    kafka_protocol::messages::$response::header_version(number),
                ),)*
            }
        }
    };
}

apis! {
    Produce, produce, ProduceRequest, ProduceResponse;
    Fetch, fetch, FetchRequest, FetchResponse;
    ListOffsets, list_offsets, ListOffsetsRequest, ListOffsetsResponse;
    Metadata, metadata, MetadataRequest, MetadataResponse;
    OffsetCommit, offset_commit, OffsetCommitRequest, OffsetCommitResponse;
    OffsetFetch, offset_fetch, OffsetFetchRequest, OffsetFetchResponse;
    FindCoordinator, find_coordinator, FindCoordinatorRequest, FindCoordinatorResponse;
    JoinGroup, join_group, JoinGroupRequest, JoinGroupResponse;
    Heartbeat, heartbeat, HeartbeatRequest, HeartbeatResponse;
    LeaveGroup, leave_group, LeaveGroupRequest, LeaveGroupResponse;
    SyncGroup, sync_group, SyncGroupRequest, SyncGroupResponse;
    DescribeGroups, describe_groups, DescribeGroupsRequest, DescribeGroupsResponse;
    ListGroups, list_groups, ListGroupsRequest, ListGroupsResponse;
    ApiVersions, api_versions, ApiVersionsRequest, ApiVersionsResponse;
    CreateTopics, create_topics, CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics, delete_topics, DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords, delete_records, DeleteRecordsRequest, DeleteRecordsResponse;
    InitProducerId, init_producer_id, InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch, offset_for_leader_epoch, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    DescribeAcls, describe_acls, DescribeAclsRequest, DescribeAclsResponse;
    CreateAcls, create_acls, CreateAclsRequest, CreateAclsResponse;
    DeleteAcls, delete_acls, DeleteAclsRequest, DeleteAclsResponse;
    DescribeConfigs, describe_configs, DescribeConfigsRequest, DescribeConfigsResponse;
    AlterConfigs, alter_configs, AlterConfigsRequest, AlterConfigsResponse;
    AlterReplicaLogDirs, alter_replica_log_dirs, AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse;
    DescribeLogDirs, describe_log_dirs, DescribeLogDirsRequest, DescribeLogDirsResponse;
    CreatePartitions, create_partitions, CreatePartitionsRequest, CreatePartitionsResponse;
    DeleteGroups, delete_groups, DeleteGroupsRequest, DeleteGroupsResponse;
    ElectLeaders, elect_leaders, ElectLeadersRequest, ElectLeadersResponse;
    IncrementalAlterConfigs, incremental_alter_configs, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    AlterPartitionReassignments, alter_partition_reassignments, AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
    ListPartitionReassignments, list_partition_reassignments, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
    OffsetDelete, offset_delete, OffsetDeleteRequest, OffsetDeleteResponse;
    DescribeClientQuotas, describe_client_quotas, DescribeClientQuotasRequest, DescribeClientQuotasResponse;
    AlterClientQuotas, alter_client_quotas, AlterClientQuotasRequest, AlterClientQuotasResponse;
    DescribeQuorum, describe_quorum, DescribeQuorumRequest, DescribeQuorumResponse;
    UpdateFeatures, update_features, UpdateFeaturesRequest, UpdateFeaturesResponse;
    DescribeCluster, describe_cluster, DescribeClusterRequest, DescribeClusterResponse;
    DescribeProducers, describe_producers, DescribeProducersRequest, DescribeProducersResponse;
    ConsumerGroupHeartbeat, consumer_group_heartbeat, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
    ConsumerGroupDescribe, consumer_group_describe, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
    ListConfigResources, list_config_resources, ListConfigResourcesRequest, ListConfigResourcesResponse;
    DescribeTopicPartitions, describe_topic_partitions, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
}

fn any_api() -> impl Strategy<Value = (ApiKey, i16)> {
    proptest::sample::select(ApiKey::ALL).prop_flat_map(|api| {
        let versions = api.versions();
        (Just(api), versions.min..=versions.max)
    })
}

proptest! {
    #[test]
    fn every_message_at_every_version_agrees_with_the_oracle(seed: u64) {
        check_all(seed);
    }

    #[test]
    fn any_bytes_are_read_or_refused((api, version) in any_api(), body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(body);
        read_any_request(api, version, body.clone());
        read_any_response(api, version, body);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        (api, version) in any_api(),
        seed: u64,
        at: prop::sample::Index,
        byte: u8,
        keep: prop::sample::Index,
    ) {
        let damaged = |message: Bytes| {
            let mut body = message.to_vec();
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body.truncate(keep.index(body.len() + 1));
            Bytes::from(body)
        };
        read_any_request(api, version, damaged(sample_request(api, version, seed)));
        read_any_response(api, version, damaged(sample_response(api, version, seed)));
    }

    #[test]
    fn headers_agree_with_the_oracle((api, version) in any_api(), correlation_id: i32, name in proptest::option::of("[a-z]{0,9}")) {
        use kafka_protocol::messages::RequestHeader as Theirs;
        use kafka_protocol::protocol::StrBytes;
        let (header_version, response_header_version) = their_header_versions(api, version);
        prop_assert_eq!(api.request_header_version(version), header_version);
        prop_assert_eq!(api.response_header_version(version), response_header_version);
        let theirs = Theirs::default()
            .with_request_api_key(api.number())
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(name.clone().map(StrBytes::from_string));
        let mut bytes = BytesMut::new();
        theirs.encode(&mut bytes, header_version).expect("encoded");
        let mut reader = Reader::new(bytes.freeze());
        let ours = decode_request_header(&mut reader).expect("decoded");
        prop_assert!(reader.is_empty());
        prop_assert_eq!(ours, RequestHeader {
            api_key: api.number(),
            api_version: version,
            correlation_id,
            client_id: name.map(Text::from),
        });
    }
}

#[test]
fn a_byte_below_zero_stands_for_a_structure_that_is_null() {
    use describe_topic_partitions::DescribeTopicPartitionsRequest as Request;
    // No topics, a limit of 2, the byte, what may follow it, and no tagged field.
    let read = |marked: &[u8]| {
        let body = [&[1, 0, 0, 0, 2], marked, &[0]].concat();
        let mut reader = Reader::new(Bytes::from(body));
        let read = Request::read(&mut reader, Request::version(0))?;
        assert!(reader.is_empty());
        Ok::<_, DecodeError>(read.cursor.map(|cursor| cursor.partition_index))
    };
    assert_eq!(read(&[0xFF]), Ok(None));
    assert_eq!(read(&[0x80]), Ok(None));
    assert_eq!(read(&[1, 2, b't', 0, 0, 0, 9, 0]), Ok(Some(9)));
    assert_eq!(read(&[1, 2, b't', 0, 0, 0]), Err(DecodeError::Truncated));
}

#[test]
fn a_count_is_not_believed_beyond_the_bytes() {
    // Metadata version 1 with two billion topics in six bytes, and version 9 in the compact form.
    let lies: [(i16, &[u8]); 2] = [
        (1, &[0x7F, 0xFF, 0xFF, 0xFF, 0, 0]),
        (9, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]),
    ];
    for (number, body) in lies {
        let version = Version {
            number,
            flexible: number >= 9,
        };
        let read =
            metadata::MetadataRequest::read(&mut Reader::new(Bytes::from_static(body)), version);
        assert_eq!(read, Err(DecodeError::Length));
    }
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let version = Version {
        number: 3,
        flexible: true,
    };
    let body: &[u8] = &[2, b'x', 2, b'1', 1, 99, 3, 1, 2, 3];
    let mut reader = Reader::new(Bytes::from_static(body));
    let request = api_versions::ApiVersionsRequest::read(&mut reader, version).expect("readable");
    assert_eq!(
        (request.client_software_name.as_str(), reader.len()),
        ("x", 0)
    );
}

#[test]
fn records_are_sent_as_the_slices_they_are() {
    let batch = Bytes::from(vec![1; 5000]);
    let response = fetch::FetchResponse {
        responses: vec![fetch::FetchableTopicResponse {
            partitions: vec![fetch::PartitionData {
                records: Records(Some(vec![batch.clone(), batch.clone()])),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let parts = encode_response(ApiKey::Fetch, 13, 5, &response);
    assert!(
        parts
            .iter()
            .filter(|part| part.as_ptr() == batch.as_ptr())
            .count()
            == 2
    );
    let frame = parts.concat();
    let length = i32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
    assert_eq!(length as usize, frame.len() - 4);
    let (correlation_id, read) =
        decode_response::<fetch::FetchResponse>(ApiKey::Fetch, 13, Bytes::from(frame).slice(4..))
            .expect("readable");
    assert_eq!(correlation_id, 5);
    assert_eq!(read.responses[0].partitions[0].records.len(), 10_000);
}
