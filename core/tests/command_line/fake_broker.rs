//! A scripted broker on a real socket, with the answers of Rinka's own codec: one topic's records, groups of both protocols.
//!
//! Keeps what it was told, for a test to look at; never plays a part that no test asks for.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rinka_net::wire::api_versions::{ApiVersion, ApiVersionsResponse};
use rinka_net::wire::consumer_group_describe as consumer;
use rinka_net::wire::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use rinka_net::wire::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use rinka_net::wire::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult,
};
use rinka_net::wire::describe_groups as classic;
use rinka_net::wire::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use rinka_net::wire::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, PartitionData as QuorumPartition, ReplicaState,
    TopicData,
};
use rinka_net::wire::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use rinka_net::wire::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use rinka_net::wire::heartbeat::HeartbeatResponse;
use rinka_net::wire::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use rinka_net::wire::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use rinka_net::wire::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use rinka_net::wire::list_groups::{ListGroupsResponse, ListedGroup};
use rinka_net::wire::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use rinka_net::wire::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
use rinka_net::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use rinka_net::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use rinka_net::wire::sync_group::{SyncGroupRequest, SyncGroupResponse};
use rinka_net::wire::{
    ApiKey, ErrorCode, Field, Reader, Records, Text, decode_request_header, encode_response,
};
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{RecordBatchBuilder, set_base_offset_and_epoch};

/// The one topic.
pub(crate) const TOPIC: &str = "orders";

/// Its partitions begin here; where each ends is in [`State::ends`].
pub(crate) const EARLIEST: i64 = 10;

/// What it offers: all that a test needs, in versions before and after tagged fields.
const OFFERED: &[ApiKey] = &[
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::FindCoordinator,
    ApiKey::JoinGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::SyncGroup,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::ApiVersions,
    ApiKey::DeleteGroups,
    ApiKey::ConsumerGroupDescribe,
    ApiKey::CreatePartitions,
    ApiKey::DescribeConfigs,
    ApiKey::DescribeLogDirs,
    ApiKey::DescribeQuorum,
    ApiKey::IncrementalAlterConfigs,
];

#[derive(Default)]
pub(crate) struct State {
    /// By partition.
    pub(crate) ends: BTreeMap<i32, i64>,
    pub(crate) groups: BTreeMap<String, Group>,
    /// So many answers of the coordinator are that it is still loading.
    pub(crate) loading: usize,
    /// So many heartbeats are answered with a rebalance.
    pub(crate) rebalances: usize,
    pub(crate) joins: usize,
    /// Members that left.
    pub(crate) left: Vec<String>,
    /// So many fetches are answered that somebody else leads.
    pub(crate) moved: usize,
    /// Partitions without a leader.
    pub(crate) leaderless: Vec<i32>,
    /// Keys that were set, and deleted.
    pub(crate) set: Vec<(String, String)>,
    pub(crate) deleted: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Group {
    /// KIP-848's protocol.
    pub(crate) new_protocol: bool,
    pub(crate) members: Vec<Member>,
    /// By partition of the topic.
    pub(crate) committed: BTreeMap<i32, i64>,
}

pub(crate) struct Member {
    pub(crate) id: &'static str,
    pub(crate) host: &'static str,
    pub(crate) partitions: Vec<i32>,
    /// In the place of a classic assignment.
    pub(crate) bytes: Option<&'static [u8]>,
}

pub(crate) struct FakeBroker {
    pub(crate) bootstrap: String,
    pub(crate) state: Arc<Mutex<State>>,
    /// A request was answered.
    answered: Arc<Condvar>,
}

impl FakeBroker {
    /// `flexible`: the highest versions; else the highest without tagged fields, of the APIs that have those.
    pub(crate) fn start(state: State, flexible: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(Mutex::new(state));
        let answered = Arc::new(Condvar::new());
        let (shared, tells) = (Arc::clone(&state), Arc::clone(&answered));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut peer = Peer {
                    stream: stream.expect("accepted"),
                    state: Arc::clone(&shared),
                    answered: Arc::clone(&tells),
                    port,
                    flexible,
                };
                std::thread::spawn(move || while peer.serve().is_some() {});
            }
        });
        Self {
            bootstrap: format!("127.0.0.1:{port}"),
            state,
            answered,
        }
    }

    /// Waits until requests have made it so.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&State) -> bool) {
        let state = self.state.lock().expect("no panic while held");
        let within = Duration::from_secs(30);
        let waited = self
            .answered
            .wait_timeout_while(state, within, |state| !is_so(state));
        let waited = waited.expect("no panic while held").1;
        assert!(!waited.timed_out(), "never came to pass: {what}");
    }

    pub(crate) fn committed(&self, group: &str) -> BTreeMap<i32, i64> {
        let state = self.state.lock().expect("no panic while held");
        state.groups[group].committed.clone()
    }
}

struct Peer {
    stream: TcpStream,
    state: Arc<Mutex<State>>,
    answered: Arc<Condvar>,
    port: u16,
    flexible: bool,
}

impl Peer {
    fn version_max(&self, api: ApiKey) -> i16 {
        let versions = api.versions();
        let plain = (versions.min..=versions.max).filter(|version| !api.is_flexible(*version));
        match plain.max() {
            Some(version) if !self.flexible => version,
            _ => versions.max,
        }
    }

    fn serve(&mut self) -> Option<()> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).ok()?;
        let mut reader = Reader::new(Bytes::from(frame));
        let header = decode_request_header(&mut reader).expect("a header");
        let api = ApiKey::from_number(header.api_key).expect("an API that is offered");
        let version = header.api_version;
        let answer = if api == ApiKey::ApiVersions && version > self.version_max(api) {
            // As brokers answer a version that is too new for them (KIP-511).
            let refused = ApiVersionsResponse {
                error_code: ErrorCode::UNSUPPORTED_VERSION,
                api_keys: self.offered(),
                ..Default::default()
            };
            encode_response(api, 0, header.correlation_id, &refused)
        } else {
            assert!(version <= self.version_max(api), "{api} {version}");
            self.answer(api, version, header.correlation_id, reader)
        };
        self.answered.notify_all();
        self.stream.write_all(&answer.concat()).ok()
    }

    fn offered(&self) -> Vec<ApiVersion> {
        let offered = OFFERED.iter().map(|api| ApiVersion {
            api_key: api.number(),
            min_version: api.versions().min,
            max_version: self.version_max(*api),
        });
        // And one that nobody knows.
        let unknown = ApiVersion {
            api_key: 4_711,
            min_version: 0,
            max_version: 9,
        };
        offered.chain([unknown]).collect()
    }

    fn answer(&self, api: ApiKey, version: i16, correlation: i32, reader: Reader) -> Vec<Bytes> {
        let mut state = self.state.lock().expect("no panic while held");
        let coordinates = matches!(
            api,
            ApiKey::OffsetFetch
                | ApiKey::OffsetCommit
                | ApiKey::DescribeGroups
                | ApiKey::ListGroups
        );
        let code = if coordinates && state.loading > 0 {
            state.loading -= 1;
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        } else {
            ErrorCode::NONE
        };
        macro_rules! with {
            ($handler:ident) => {
                encode_response(
                    api,
                    version,
                    correlation,
                    &state.$handler(read(api, version, reader), code),
                )
            };
        }
        match api {
            ApiKey::ApiVersions => {
                let response = ApiVersionsResponse {
                    api_keys: self.offered(),
                    ..Default::default()
                };
                encode_response(api, version, correlation, &response)
            }
            ApiKey::Metadata => {
                let request: MetadataRequest = read(api, version, reader);
                let response = state.metadata(request, self.port);
                encode_response(api, version, correlation, &response)
            }
            ApiKey::FindCoordinator => {
                let request: FindCoordinatorRequest = read(api, version, reader);
                let response = find_coordinator(request, self.port);
                encode_response(api, version, correlation, &response)
            }
            ApiKey::Fetch => {
                let request: FetchRequest = read(api, version, reader);
                let response = state.fetch(&request);
                drop(state);
                if response.responses.is_empty() {
                    let wait = u64::try_from(request.max_wait_ms).expect("no negative wait");
                    // As brokers do when nothing comes.
                    std::thread::sleep(Duration::from_millis(wait));
                }
                encode_response(api, version, correlation, &response)
            }
            ApiKey::ListOffsets => with!(list_offsets),
            ApiKey::ListGroups => with!(list_groups),
            ApiKey::DescribeGroups => with!(describe_groups),
            ApiKey::ConsumerGroupDescribe => with!(consumer_group_describe),
            ApiKey::OffsetFetch => with!(offset_fetch),
            ApiKey::OffsetCommit => with!(offset_commit),
            ApiKey::DeleteGroups => with!(delete_groups),
            ApiKey::JoinGroup => with!(join),
            ApiKey::SyncGroup => with!(sync),
            ApiKey::LeaveGroup => with!(leave),
            ApiKey::CreatePartitions => with!(create_partitions),
            ApiKey::DescribeConfigs => with!(describe_configs),
            ApiKey::DescribeLogDirs => with!(describe_log_dirs),
            ApiKey::DescribeQuorum => with!(describe_quorum),
            ApiKey::IncrementalAlterConfigs => with!(alter_configs),
            ApiKey::Heartbeat => {
                let rebalance = state.rebalances > 0;
                state.rebalances = state.rebalances.saturating_sub(1);
                let response = HeartbeatResponse {
                    error_code: if rebalance {
                        ErrorCode::REBALANCE_IN_PROGRESS
                    } else {
                        ErrorCode::NONE
                    },
                    ..Default::default()
                };
                encode_response(api, version, correlation, &response)
            }
            other => panic!("{other} is not offered"),
        }
    }
}

fn read<R: Field>(api: ApiKey, version: i16, mut reader: Reader) -> R {
    R::read(&mut reader, api.version(version)).expect("a request of this version")
}

fn find_coordinator(request: FindCoordinatorRequest, port: u16) -> FindCoordinatorResponse {
    let coordinators = request.coordinator_keys.into_iter().map(|key| Coordinator {
        key,
        host: "127.0.0.1".into(),
        port: port.into(),
        ..Default::default()
    });
    FindCoordinatorResponse {
        host: "127.0.0.1".into(),
        port: port.into(),
        coordinators: coordinators.collect(),
        ..Default::default()
    }
}

impl State {
    fn metadata(&self, request: MetadataRequest, port: u16) -> MetadataResponse {
        let partitions = self.ends.keys().map(|partition| MetadataPartition {
            partition_index: *partition,
            leader_id: if self.leaderless.contains(partition) {
                -1
            } else {
                1
            },
            replica_nodes: vec![1],
            isr_nodes: vec![1],
            ..Default::default()
        });
        let topic = MetadataTopic {
            name: Some(Text::from(TOPIC)),
            partitions: partitions.collect(),
            ..Default::default()
        };
        let topics = match request.topics {
            None => vec![topic],
            Some(topics) => topics
                .into_iter()
                .map(|asked| match asked.name {
                    Some(name) if *name == *TOPIC => topic.clone(),
                    name => MetadataTopic {
                        error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        name,
                        ..Default::default()
                    },
                })
                .collect(),
        };
        MetadataResponse {
            brokers: vec![MetadataBroker {
                node_id: 1,
                host: "127.0.0.1".into(),
                port: port.into(),
                rack: None,
            }],
            controller_id: 1,
            topics,
            ..Default::default()
        }
    }

    /// All records of a partition from the offset on, in one batch from [`EARLIEST`] on, as a broker would have it.
    fn fetch(&mut self, request: &FetchRequest) -> FetchResponse {
        let mut responses = Vec::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                if self.moved > 0 {
                    self.moved -= 1;
                    responses.push(FetchableTopicResponse {
                        topic: topic.topic.clone(),
                        topic_id: topic.topic_id,
                        partitions: vec![PartitionData {
                            partition_index: partition.partition,
                            error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                            ..Default::default()
                        }],
                    });
                    continue;
                }
                let end = self.ends[&partition.partition];
                if partition.fetch_offset >= end {
                    continue;
                }
                let mut builder = RecordBatchBuilder::new();
                for offset in EARLIEST..end {
                    let value = format!("{}:{offset}", partition.partition);
                    builder.append(offset, None, Some(value.as_bytes()));
                }
                let mut batch = builder.build().to_vec();
                set_base_offset_and_epoch(&mut batch, Offset(EARLIEST), LeaderEpoch(0));
                responses.push(FetchableTopicResponse {
                    topic: topic.topic.clone(),
                    topic_id: topic.topic_id,
                    partitions: vec![PartitionData {
                        partition_index: partition.partition,
                        high_watermark: end,
                        records: Records(Some(vec![Bytes::from(batch)])),
                        ..Default::default()
                    }],
                });
            }
        }
        FetchResponse {
            responses,
            ..Default::default()
        }
    }

    fn list_offsets(&self, request: ListOffsetsRequest, _: ErrorCode) -> ListOffsetsResponse {
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let end = self.ends[&partition.partition_index];
                ListOffsetsPartitionResponse {
                    partition_index: partition.partition_index,
                    offset: match partition.timestamp {
                        -2 => EARLIEST,
                        -1 => end,
                        // A record's timestamp is its offset.
                        time if time < end => time.max(EARLIEST),
                        _ => -1,
                    },
                    ..Default::default()
                }
            });
            ListOffsetsTopicResponse {
                name: topic.name,
                partitions: partitions.collect(),
            }
        });
        ListOffsetsResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    fn list_groups(
        &self,
        _: rinka_net::wire::list_groups::ListGroupsRequest,
        code: ErrorCode,
    ) -> ListGroupsResponse {
        let groups = self.groups.iter().map(|(name, group)| ListedGroup {
            group_id: name.clone().into(),
            protocol_type: "consumer".into(),
            group_state: state_of(group).into(),
            group_type: if group.new_protocol {
                "consumer".into()
            } else {
                "classic".into()
            },
        });
        ListGroupsResponse {
            error_code: code,
            groups: groups.collect(),
            ..Default::default()
        }
    }

    fn describe_groups(
        &self,
        request: classic::DescribeGroupsRequest,
        code: ErrorCode,
    ) -> classic::DescribeGroupsResponse {
        let groups = request.groups.into_iter().map(|name| {
            let Some(group) = self.groups.get(&*name) else {
                // In all versions but the newest there is no error for it.
                return classic::DescribedGroup {
                    group_id: name,
                    group_state: "Dead".into(),
                    ..Default::default()
                };
            };
            let members = group
                .members
                .iter()
                .map(|member| classic::DescribedGroupMember {
                    member_id: member.id.into(),
                    client_id: "client".into(),
                    client_host: member.host.into(),
                    member_assignment: match member.bytes {
                        Some(bytes) => Bytes::from_static(bytes),
                        None => assignment(&member.partitions),
                    },
                    ..Default::default()
                });
            classic::DescribedGroup {
                error_code: code,
                group_id: name,
                group_state: state_of(group).into(),
                protocol_type: "consumer".into(),
                protocol_data: "range".into(),
                members: members.collect(),
                ..Default::default()
            }
        });
        classic::DescribeGroupsResponse {
            groups: groups.collect(),
            ..Default::default()
        }
    }

    fn consumer_group_describe(
        &self,
        request: consumer::ConsumerGroupDescribeRequest,
        _: ErrorCode,
    ) -> consumer::ConsumerGroupDescribeResponse {
        let groups = request.group_ids.into_iter().map(|name| {
            let group = self.groups.get(&*name).filter(|group| group.new_protocol);
            let Some(group) = group else {
                return consumer::DescribedGroup {
                    error_code: ErrorCode::GROUP_ID_NOT_FOUND,
                    group_id: name,
                    ..Default::default()
                };
            };
            let members = group.members.iter().map(|member| consumer::Member {
                member_id: member.id.into(),
                client_id: "client".into(),
                client_host: member.host.into(),
                assignment: consumer::Assignment {
                    topic_partitions: vec![consumer::TopicPartitions {
                        topic_name: TOPIC.into(),
                        partitions: member.partitions.clone(),
                        ..Default::default()
                    }],
                },
                ..Default::default()
            });
            consumer::DescribedGroup {
                group_id: name,
                group_state: state_of(group).into(),
                group_epoch: 7,
                assignor_name: "uniform".into(),
                members: members.collect(),
                ..Default::default()
            }
        });
        consumer::ConsumerGroupDescribeResponse {
            groups: groups.collect(),
            ..Default::default()
        }
    }

    fn offset_fetch(&self, request: OffsetFetchRequest, code: ErrorCode) -> OffsetFetchResponse {
        let topics = |name: &Text| {
            let committed = self.groups.get(&**name).map(|group| &group.committed);
            let partitions = committed.into_iter().flatten();
            let partitions = partitions.map(|(partition, offset)| OffsetFetchResponsePartition {
                partition_index: *partition,
                committed_offset: *offset,
                ..Default::default()
            });
            vec![OffsetFetchResponseTopic {
                name: TOPIC.into(),
                partitions: partitions.collect(),
                ..Default::default()
            }]
        };
        let groups = request.groups.iter().map(|group| OffsetFetchResponseGroup {
            group_id: group.group_id.clone(),
            topics: topics(&group.group_id),
            error_code: code,
        });
        OffsetFetchResponse {
            groups: groups.collect(),
            topics: topics(&request.group_id),
            error_code: code,
            ..Default::default()
        }
    }

    fn offset_commit(
        &mut self,
        request: OffsetCommitRequest,
        code: ErrorCode,
    ) -> OffsetCommitResponse {
        let group = self.groups.entry(request.group_id.to_string()).or_default();
        let topics = request.topics.into_iter().map(|topic| {
            assert_eq!(&*topic.name, TOPIC);
            let partitions = topic.partitions.into_iter().map(|partition| {
                if !code.is_error() {
                    let offset = partition.committed_offset;
                    group.committed.insert(partition.partition_index, offset);
                }
                OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: code,
                }
            });
            OffsetCommitResponseTopic {
                name: topic.name,
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        OffsetCommitResponse {
            topics: topics.collect(),
            ..Default::default()
        }
    }

    fn delete_groups(
        &mut self,
        request: DeleteGroupsRequest,
        _: ErrorCode,
    ) -> DeleteGroupsResponse {
        let results = request.groups_names.into_iter().map(|name| {
            let error_code = match self.groups.get(&*name) {
                None => ErrorCode::GROUP_ID_NOT_FOUND,
                Some(group) if !group.members.is_empty() => ErrorCode::NON_EMPTY_GROUP,
                Some(_) => ErrorCode::NONE,
            };
            if !error_code.is_error() {
                self.groups.remove(&*name);
            }
            DeletableGroupResult {
                group_id: name,
                error_code,
            }
        });
        DeleteGroupsResponse {
            results: results.collect(),
            ..Default::default()
        }
    }

    /// One member alone, which leads; it is given its id first (KIP-394).
    fn join(&mut self, request: JoinGroupRequest, _: ErrorCode) -> JoinGroupResponse {
        if request.member_id.is_empty() {
            return JoinGroupResponse {
                error_code: ErrorCode::MEMBER_ID_REQUIRED,
                member_id: "member-1".into(),
                ..Default::default()
            };
        }
        self.joins += 1;
        let protocol = request.protocols.into_iter().next().expect("an assignor");
        JoinGroupResponse {
            generation_id: i32::try_from(self.joins).expect("few"),
            protocol_type: Some("consumer".into()),
            protocol_name: Some(protocol.name),
            leader: request.member_id.clone(),
            member_id: request.member_id.clone(),
            members: vec![JoinGroupResponseMember {
                member_id: request.member_id,
                metadata: protocol.metadata,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn sync(&mut self, request: SyncGroupRequest, _: ErrorCode) -> SyncGroupResponse {
        let ours = request
            .assignments
            .into_iter()
            .find(|assignment| assignment.member_id == request.member_id);
        SyncGroupResponse {
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignment: ours.expect("the leader's own").assignment,
            ..Default::default()
        }
    }

    fn leave(&mut self, request: LeaveGroupRequest, _: ErrorCode) -> LeaveGroupResponse {
        let members = request
            .members
            .into_iter()
            .map(|member| member.member_id.to_string());
        self.left.extend(members);
        if !request.member_id.is_empty() {
            self.left.push(request.member_id.to_string());
        }
        LeaveGroupResponse::default()
    }
}

/// What administrators ask for.
impl State {
    /// Adds empty partitions; never takes any away.
    fn create_partitions(
        &mut self,
        request: CreatePartitionsRequest,
        _: ErrorCode,
    ) -> CreatePartitionsResponse {
        let validate_only = request.validate_only;
        let results = request.topics.into_iter().map(|topic| {
            let before = i32::try_from(self.ends.len()).expect("few");
            let error_code = if topic.count <= before {
                ErrorCode::INVALID_PARTITIONS
            } else {
                ErrorCode::NONE
            };
            for partition in before..topic.count {
                if !validate_only {
                    self.ends.insert(partition, EARLIEST);
                }
            }
            CreatePartitionsTopicResult {
                name: topic.name,
                error_code,
                error_message: error_code
                    .is_error()
                    .then(|| "would not be an increase".into()),
            }
        });
        CreatePartitionsResponse {
            results: results.collect(),
            ..Default::default()
        }
    }

    /// One key, whose value is a secret.
    fn describe_configs(
        &self,
        request: DescribeConfigsRequest,
        _: ErrorCode,
    ) -> DescribeConfigsResponse {
        let results = request.resources.into_iter().map(|resource| {
            let secret = DescribeConfigsResourceResult {
                name: "a.secret".into(),
                value: None,
                config_source: 1,
                is_sensitive: true,
                ..Default::default()
            };
            DescribeConfigsResult {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
                configs: vec![secret],
                ..Default::default()
            }
        });
        DescribeConfigsResponse {
            results: results.collect(),
            ..Default::default()
        }
    }

    /// 100 bytes of each partition, on one disk; another disk is broken.
    fn describe_log_dirs(
        &self,
        _: DescribeLogDirsRequest,
        _: ErrorCode,
    ) -> DescribeLogDirsResponse {
        let partitions = self.ends.keys().map(|partition| DescribeLogDirsPartition {
            partition_index: *partition,
            partition_size: 100,
            ..Default::default()
        });
        let good = DescribeLogDirsResult {
            log_dir: "/data/one".into(),
            topics: vec![DescribeLogDirsTopic {
                name: TOPIC.into(),
                partitions: partitions.collect(),
            }],
            total_bytes: 1 << 30,
            usable_bytes: 1 << 20,
            ..Default::default()
        };
        let broken = DescribeLogDirsResult {
            error_code: ErrorCode::KAFKA_STORAGE_ERROR,
            log_dir: "/data/two".into(),
            ..Default::default()
        };
        DescribeLogDirsResponse {
            results: vec![good, broken],
            ..Default::default()
        }
    }

    /// Two voters and an observer.
    fn describe_quorum(&self, _: DescribeQuorumRequest, _: ErrorCode) -> DescribeQuorumResponse {
        let replica = |replica_id, log_end_offset| ReplicaState {
            replica_id,
            log_end_offset,
            ..Default::default()
        };
        DescribeQuorumResponse {
            topics: vec![TopicData {
                topic_name: "__cluster_metadata".into(),
                partitions: vec![QuorumPartition {
                    leader_id: 1,
                    leader_epoch: 5,
                    high_watermark: 95,
                    current_voters: vec![replica(1, 100), replica(2, 95)],
                    observers: vec![replica(3, 40)],
                    ..Default::default()
                }],
            }],
            ..Default::default()
        }
    }

    fn alter_configs(
        &mut self,
        request: IncrementalAlterConfigsRequest,
        _: ErrorCode,
    ) -> IncrementalAlterConfigsResponse {
        let validate_only = request.validate_only;
        let responses = request.resources.into_iter().map(|resource| {
            let good = |name: &str| name.contains('.');
            let refused = resource.configs.iter().any(|config| !good(&config.name));
            for config in resource.configs {
                let name = config.name.to_string();
                match (
                    refused || validate_only,
                    config.config_operation,
                    config.value,
                ) {
                    (true, _, _) => {}
                    (false, 0, Some(value)) => self.set.push((name, value.to_string())),
                    (false, 1, None) => self.deleted.push(name),
                    other => panic!("{other:?} is neither setting nor deleting"),
                }
            }
            AlterConfigsResourceResponse {
                error_code: if refused {
                    ErrorCode::INVALID_CONFIG
                } else {
                    ErrorCode::NONE
                },
                error_message: refused.then(|| "no such key".into()),
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
            }
        });
        IncrementalAlterConfigsResponse {
            responses: responses.collect(),
            ..Default::default()
        }
    }
}

fn state_of(group: &Group) -> &'static str {
    if group.members.is_empty() {
        "Empty"
    } else {
        "Stable"
    }
}

/// As a Java client leaves it, in version 3 of the consumer protocol.
fn assignment(partitions: &[i32]) -> Bytes {
    let mut bytes = vec![0, 3, 0, 0, 0, 1, 0, 6];
    bytes.extend_from_slice(TOPIC.as_bytes());
    let count = u32::try_from(partitions.len()).expect("few");
    bytes.extend_from_slice(&count.to_be_bytes());
    for partition in partitions {
        bytes.extend_from_slice(&partition.to_be_bytes());
    }
    bytes.extend_from_slice(&[0xFF; 4]);
    Bytes::from(bytes)
}
