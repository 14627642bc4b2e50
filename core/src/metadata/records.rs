//! The records of the metadata log and their bytes.
//!
//! Each begins with its type and its version, both `u16`; numbers are big-endian, and a length is checked against the bytes that
//! remain before anything is allocated. Never guesses: an unknown type, a newer version or a byte too many is an error.

use std::fmt;

use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::topic_partition::TopicId;
use uuid::Uuid;

use super::client_quotas::{EntityName, QuotaEntity, QuotaLimit};
use super::topic::PartitionState;

/// One change of the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The first record of a log: what its later records may contain.
    FormatVersion {
        version: u16,
    },
    ClusterId {
        id: String,
    },
    /// A broker is there, or is there again; replaces what was known of it.
    BrokerRegistered(BrokerRegistration),
    /// A fenced broker is registered but may not lead and is not told to clients.
    BrokerFenced {
        node_id: i32,
        fenced: bool,
    },
    BrokerUnregistered {
        node_id: i32,
    },
    TopicCreated {
        id: TopicId,
        name: String,
        partitions: Vec<PartitionState>,
    },
    TopicDeleted {
        id: TopicId,
    },
    /// `None` removes the override.
    TopicConfigSet {
        id: TopicId,
        key: String,
        value: Option<String>,
    },
    /// Partitions behind those that the topic had, the first of them numbered `first`.
    PartitionsAdded {
        id: TopicId,
        first: i32,
        partitions: Vec<PartitionState>,
    },
    /// The whole state of one partition, as it is from here on.
    PartitionChanged {
        id: TopicId,
        partition: i32,
        state: PartitionState,
    },
    /// Producer ids below `next` have been given to brokers, whether used or not.
    ProducerIdsAllocated {
        next: i64,
    },
    /// A broker's configuration that was set while it ran; without a node, the default of all. `None` removes it.
    BrokerConfigSet {
        node_id: Option<i32>,
        key: String,
        value: Option<String>,
    },
    /// A group's configuration. `None` removes it.
    GroupConfigSet {
        group: String,
        key: String,
        value: Option<String>,
    },
    /// `None` removes it.
    ClientQuotaSet {
        entity: QuotaEntity,
        key: String,
        limit: Option<QuotaLimit>,
    },
    /// The level of a feature that the cluster has agreed on; 0: none.
    FeatureLevelSet {
        name: String,
        level: i16,
    },
}

/// A broker as it registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub node_id: i32,
    /// Another one with every start of the process.
    pub incarnation: Uuid,
    pub rack: Option<String>,
    pub endpoints: Vec<BrokerEndpoint>,
}

/// Where clients reach a broker by one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEndpoint {
    pub listener: String,
    /// `None`: whichever of its addresses the client came by.
    pub host: Option<String>,
    pub port: u16,
}

/// The bytes are not a record that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    UnknownType {
        record_type: u16,
    },
    /// Written by a later version of Rinka.
    NewerVersion {
        record_type: u16,
        version: u16,
        supported: u16,
    },
    /// A field needs more bytes than there are.
    Truncated {
        field: &'static str,
    },
    Invalid {
        field: &'static str,
    },
    TrailingBytes {
        count: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType { record_type } => {
                write!(formatter, "metadata record of unknown type {record_type}")
            }
            Self::NewerVersion {
                record_type,
                version,
                supported,
            } => write!(
                formatter,
                "metadata record of type {record_type} has version {version}, and this release reads up to {supported}: use the newer release that wrote it"
            ),
            Self::Truncated { field } => {
                write!(formatter, "metadata record ends within its {field}")
            }
            Self::Invalid { field } => {
                write!(formatter, "metadata record with an impossible {field}")
            }
            Self::TrailingBytes { count } => {
                write!(formatter, "metadata record with {count} bytes too many")
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// The numbers on disk. Never reuse one.
mod record_type {
    pub(super) const FORMAT_VERSION: u16 = 1;
    pub(super) const CLUSTER_ID: u16 = 2;
    pub(super) const BROKER_REGISTERED: u16 = 3;
    pub(super) const BROKER_FENCED: u16 = 4;
    pub(super) const BROKER_UNREGISTERED: u16 = 5;
    pub(super) const TOPIC_CREATED: u16 = 6;
    pub(super) const TOPIC_DELETED: u16 = 7;
    pub(super) const TOPIC_CONFIG_SET: u16 = 8;
    pub(super) const PARTITIONS_ADDED: u16 = 9;
    pub(super) const PARTITION_CHANGED: u16 = 10;
    pub(super) const PRODUCER_IDS_ALLOCATED: u16 = 11;
    pub(super) const BROKER_CONFIG_SET: u16 = 12;
    pub(super) const GROUP_CONFIG_SET: u16 = 13;
    pub(super) const CLIENT_QUOTA_SET: u16 = 14;
    pub(super) const FEATURE_LEVEL_SET: u16 = 15;
}

/// Every type is at its first version.
const VERSION: u16 = 0;

impl MetadataRecord {
    /// Appends the record's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer(out);
        writer.u16(self.record_type());
        writer.u16(VERSION);
        match self {
            Self::FormatVersion { version } => writer.u16(*version),
            Self::ClusterId { id } => writer.text(id),
            Self::BrokerRegistered(broker) => {
                writer.i32(broker.node_id);
                writer.uuid(broker.incarnation);
                writer.optional_text(broker.rack.as_deref());
                writer.count(broker.endpoints.len());
                for endpoint in &broker.endpoints {
                    writer.text(&endpoint.listener);
                    writer.optional_text(endpoint.host.as_deref());
                    writer.u16(endpoint.port);
                }
            }
            Self::BrokerFenced { node_id, fenced } => {
                writer.i32(*node_id);
                writer.boolean(*fenced);
            }
            Self::BrokerUnregistered { node_id } => writer.i32(*node_id),
            Self::TopicCreated {
                id,
                name,
                partitions,
            } => {
                writer.uuid(id.0);
                writer.text(name);
                writer.partitions(partitions);
            }
            Self::TopicDeleted { id } => writer.uuid(id.0),
            Self::TopicConfigSet { id, key, value } => {
                writer.uuid(id.0);
                writer.text(key);
                writer.optional_text(value.as_deref());
            }
            Self::PartitionsAdded {
                id,
                first,
                partitions,
            } => {
                writer.uuid(id.0);
                writer.i32(*first);
                writer.partitions(partitions);
            }
            Self::PartitionChanged {
                id,
                partition,
                state,
            } => {
                writer.uuid(id.0);
                writer.i32(*partition);
                writer.partition(state);
            }
            Self::ProducerIdsAllocated { next } => writer.i64(*next),
            Self::BrokerConfigSet {
                node_id,
                key,
                value,
            } => {
                writer.boolean(node_id.is_some());
                if let Some(node_id) = node_id {
                    writer.i32(*node_id);
                }
                writer.text(key);
                writer.optional_text(value.as_deref());
            }
            Self::GroupConfigSet { group, key, value } => {
                writer.text(group);
                writer.text(key);
                writer.optional_text(value.as_deref());
            }
            Self::ClientQuotaSet { entity, key, limit } => {
                for part in [&entity.user, &entity.client_id, &entity.ip] {
                    writer.entity_name(part.as_ref());
                }
                writer.text(key);
                writer.boolean(limit.is_some());
                if let Some(limit) = limit {
                    writer.bytes(&limit.get().to_be_bytes());
                }
            }
            Self::FeatureLevelSet { name, level } => {
                writer.text(name);
                writer.bytes(&level.to_be_bytes());
            }
        }
    }

    /// The record that `bytes` are, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader(bytes);
        let record_type = reader.u16("type")?;
        let version = reader.u16("version")?;
        if !(record_type::FORMAT_VERSION..=record_type::FEATURE_LEVEL_SET).contains(&record_type) {
            return Err(RecordError::UnknownType { record_type });
        }
        if version > VERSION {
            return Err(RecordError::NewerVersion {
                record_type,
                version,
                supported: VERSION,
            });
        }
        let record = Self::decode_fields(record_type, &mut reader)?;
        match reader.0.len() {
            0 => Ok(record),
            count => Err(RecordError::TrailingBytes { count }),
        }
    }

    fn decode_fields(record_type: u16, reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(match record_type {
            record_type::FORMAT_VERSION => Self::FormatVersion {
                version: reader.u16("format version")?,
            },
            record_type::CLUSTER_ID => Self::ClusterId {
                id: reader.text("cluster id")?,
            },
            record_type::BROKER_REGISTERED => Self::BrokerRegistered(BrokerRegistration {
                node_id: reader.i32("node id")?,
                incarnation: reader.uuid("incarnation")?,
                rack: reader.optional_text("rack")?,
                endpoints: reader.list("endpoints", |reader| {
                    Ok(BrokerEndpoint {
                        listener: reader.text("listener")?,
                        host: reader.optional_text("host")?,
                        port: reader.u16("port")?,
                    })
                })?,
            }),
            record_type::BROKER_FENCED => Self::BrokerFenced {
                node_id: reader.i32("node id")?,
                fenced: reader.boolean("fenced")?,
            },
            record_type::BROKER_UNREGISTERED => Self::BrokerUnregistered {
                node_id: reader.i32("node id")?,
            },
            record_type::TOPIC_CREATED => Self::TopicCreated {
                id: reader.topic_id()?,
                name: reader.text("topic name")?,
                partitions: reader.list("partitions", Reader::partition)?,
            },
            record_type::TOPIC_DELETED => Self::TopicDeleted {
                id: reader.topic_id()?,
            },
            record_type::TOPIC_CONFIG_SET => Self::TopicConfigSet {
                id: reader.topic_id()?,
                key: reader.text("config key")?,
                value: reader.optional_text("config value")?,
            },
            record_type::PARTITIONS_ADDED => Self::PartitionsAdded {
                id: reader.topic_id()?,
                first: reader.i32("first partition")?,
                partitions: reader.list("partitions", Reader::partition)?,
            },
            record_type::PARTITION_CHANGED => Self::PartitionChanged {
                id: reader.topic_id()?,
                partition: reader.i32("partition")?,
                state: reader.partition()?,
            },
            record_type::PRODUCER_IDS_ALLOCATED => Self::ProducerIdsAllocated {
                next: reader.i64("next producer id")?,
            },
            record_type::BROKER_CONFIG_SET => Self::BrokerConfigSet {
                node_id: match reader.boolean("node id")? {
                    true => Some(reader.i32("node id")?),
                    false => None,
                },
                key: reader.text("config key")?,
                value: reader.optional_text("config value")?,
            },
            record_type::GROUP_CONFIG_SET => Self::GroupConfigSet {
                group: reader.text("group")?,
                key: reader.text("config key")?,
                value: reader.optional_text("config value")?,
            },
            record_type::CLIENT_QUOTA_SET => Self::ClientQuotaSet {
                entity: QuotaEntity {
                    user: reader.entity_name("user")?,
                    client_id: reader.entity_name("client id")?,
                    ip: reader.entity_name("address")?,
                },
                key: reader.text("quota key")?,
                limit: match reader.boolean("quota limit")? {
                    true => Some(reader.limit("quota limit")?),
                    false => None,
                },
            },
            record_type::FEATURE_LEVEL_SET => Self::FeatureLevelSet {
                name: reader.text("feature")?,
                level: reader.array("feature level").map(i16::from_be_bytes)?,
            },
            record_type => return Err(RecordError::UnknownType { record_type }),
        })
    }

    fn record_type(&self) -> u16 {
        match self {
            Self::FormatVersion { .. } => record_type::FORMAT_VERSION,
            Self::ClusterId { .. } => record_type::CLUSTER_ID,
            Self::BrokerRegistered(_) => record_type::BROKER_REGISTERED,
            Self::BrokerFenced { .. } => record_type::BROKER_FENCED,
            Self::BrokerUnregistered { .. } => record_type::BROKER_UNREGISTERED,
            Self::TopicCreated { .. } => record_type::TOPIC_CREATED,
            Self::TopicDeleted { .. } => record_type::TOPIC_DELETED,
            Self::TopicConfigSet { .. } => record_type::TOPIC_CONFIG_SET,
            Self::PartitionsAdded { .. } => record_type::PARTITIONS_ADDED,
            Self::PartitionChanged { .. } => record_type::PARTITION_CHANGED,
            Self::ProducerIdsAllocated { .. } => record_type::PRODUCER_IDS_ALLOCATED,
            Self::BrokerConfigSet { .. } => record_type::BROKER_CONFIG_SET,
            Self::GroupConfigSet { .. } => record_type::GROUP_CONFIG_SET,
            Self::ClientQuotaSet { .. } => record_type::CLIENT_QUOTA_SET,
            Self::FeatureLevelSet { .. } => record_type::FEATURE_LEVEL_SET,
        }
    }
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// 0: no such part, 1: the default, 2: a name.
    fn entity_name(&mut self, name: Option<&EntityName>) {
        match name {
            None => self.bytes(&[0]),
            Some(EntityName::Default) => self.bytes(&[1]),
            Some(EntityName::Named(name)) => {
                self.bytes(&[2]);
                self.text(name);
            }
        }
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn boolean(&mut self, value: bool) {
        self.0.push(value.into());
    }

    fn uuid(&mut self, value: Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }

    fn count(&mut self, count: usize) {
        let count =
            u32::try_from(count).expect("a request's size bounds every list far below 2^32");
        self.0.extend_from_slice(&count.to_be_bytes());
    }

    fn text(&mut self, value: &str) {
        self.count(value.len());
        self.0.extend_from_slice(value.as_bytes());
    }

    fn optional_text(&mut self, value: Option<&str>) {
        self.boolean(value.is_some());
        if let Some(value) = value {
            self.text(value);
        }
    }

    fn nodes(&mut self, nodes: &[i32]) {
        self.count(nodes.len());
        for &node in nodes {
            self.i32(node);
        }
    }

    fn partition(&mut self, state: &PartitionState) {
        self.nodes(&state.replicas);
        self.nodes(&state.isr);
        self.boolean(state.leader.is_some());
        if let Some(leader) = state.leader {
            self.i32(leader);
        }
        self.i32(state.leader_epoch.0);
        self.i32(state.partition_epoch);
    }

    fn partitions(&mut self, partitions: &[PartitionState]) {
        self.count(partitions.len());
        for state in partitions {
            self.partition(state);
        }
    }
}

/// The bytes that are left.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(RecordError::Truncated { field })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordError> {
        let bytes = self.take(N, field)?;
        Ok(bytes.try_into().expect("take returned N bytes"))
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, RecordError> {
        self.array(field).map(u16::from_be_bytes)
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, RecordError> {
        self.array(field).map(i32::from_be_bytes)
    }

    fn i64(&mut self, field: &'static str) -> Result<i64, RecordError> {
        self.array(field).map(i64::from_be_bytes)
    }

    fn boolean(&mut self, field: &'static str) -> Result<bool, RecordError> {
        match self.array::<1>(field)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(RecordError::Invalid { field }),
        }
    }

    fn uuid(&mut self, field: &'static str) -> Result<Uuid, RecordError> {
        self.array(field).map(Uuid::from_bytes)
    }

    fn topic_id(&mut self) -> Result<TopicId, RecordError> {
        self.uuid("topic id").map(TopicId)
    }

    fn count(&mut self, field: &'static str) -> Result<usize, RecordError> {
        let count = self.array(field).map(u32::from_be_bytes)?;
        usize::try_from(count).map_err(|_| RecordError::Invalid { field })
    }

    fn text(&mut self, field: &'static str) -> Result<String, RecordError> {
        let length = self.count(field)?;
        let bytes = self.take(length, field)?;
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Invalid { field })?;
        Ok(text.to_owned())
    }

    fn optional_text(&mut self, field: &'static str) -> Result<Option<String>, RecordError> {
        match self.boolean(field)? {
            true => self.text(field).map(Some),
            false => Ok(None),
        }
    }

    /// Grows as elements are found: a count that the bytes do not bear out allocates nothing.
    fn list<T>(
        &mut self,
        field: &'static str,
        element: impl Fn(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.count(field)?;
        if count > self.0.len() {
            return Err(RecordError::Truncated { field });
        }
        (0..count).map(|_| element(self)).collect()
    }

    fn entity_name(&mut self, field: &'static str) -> Result<Option<EntityName>, RecordError> {
        Ok(match self.array::<1>(field)? {
            [0] => None,
            [1] => Some(EntityName::Default),
            [2] => Some(EntityName::Named(self.text(field)?)),
            _ => return Err(RecordError::Invalid { field }),
        })
    }

    fn limit(&mut self, field: &'static str) -> Result<QuotaLimit, RecordError> {
        let limit = self.array(field).map(f64::from_be_bytes)?;
        QuotaLimit::new(limit).ok_or(RecordError::Invalid { field })
    }

    fn nodes(&mut self, field: &'static str) -> Result<Vec<i32>, RecordError> {
        self.list(field, |reader| reader.i32(field))
    }

    fn partition(&mut self) -> Result<PartitionState, RecordError> {
        Ok(PartitionState {
            replicas: self.nodes("replicas")?,
            isr: self.nodes("in-sync replicas")?,
            leader: match self.boolean("leader")? {
                true => Some(self.i32("leader")?),
                false => None,
            },
            leader_epoch: LeaderEpoch(self.i32("leader epoch")?),
            partition_epoch: self.i32("partition epoch")?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn arbitrary_partition() -> impl Strategy<Value = PartitionState> {
        (
            vec(any::<i32>(), 0..4),
            vec(any::<i32>(), 0..4),
            option::of(any::<i32>()),
            any::<(i32, i32)>(),
        )
            .prop_map(|(replicas, isr, leader, epochs)| PartitionState {
                replicas,
                isr,
                leader,
                leader_epoch: LeaderEpoch(epochs.0),
                partition_epoch: epochs.1,
            })
    }

    fn arbitrary_id() -> impl Strategy<Value = TopicId> {
        any::<u128>().prop_map(|bits| TopicId(Uuid::from_u128(bits)))
    }

    fn arbitrary_broker() -> impl Strategy<Value = BrokerRegistration> {
        let endpoint =
            (".{0,8}", option::of(".{0,8}"), any::<u16>()).prop_map(|(listener, host, port)| {
                BrokerEndpoint {
                    listener,
                    host,
                    port,
                }
            });
        (
            any::<(i32, u128)>(),
            option::of(".{0,8}"),
            vec(endpoint, 0..3),
        )
            .prop_map(|((node_id, bits), rack, endpoints)| BrokerRegistration {
                node_id,
                incarnation: Uuid::from_u128(bits),
                rack,
                endpoints,
            })
    }

    fn arbitrary_entity() -> impl Strategy<Value = QuotaEntity> {
        let name = || {
            prop_oneof![
                Just(None),
                Just(Some(EntityName::Default)),
                ".{0,9}".prop_map(|name| Some(EntityName::Named(name))),
            ]
        };
        (name(), name(), name()).prop_map(|(user, client_id, ip)| QuotaEntity {
            user,
            client_id,
            ip,
        })
    }

    fn arbitrary_record() -> impl Strategy<Value = MetadataRecord> {
        let partitions = || vec(arbitrary_partition(), 0..4);
        prop_oneof![
            any::<u16>().prop_map(|version| MetadataRecord::FormatVersion { version }),
            ".{0,20}".prop_map(|id| MetadataRecord::ClusterId { id }),
            arbitrary_broker().prop_map(MetadataRecord::BrokerRegistered),
            any::<(i32, bool)>()
                .prop_map(|(node_id, fenced)| MetadataRecord::BrokerFenced { node_id, fenced }),
            any::<i32>().prop_map(|node_id| MetadataRecord::BrokerUnregistered { node_id }),
            (arbitrary_id(), ".{0,20}", partitions()).prop_map(|(id, name, partitions)| {
                MetadataRecord::TopicCreated {
                    id,
                    name,
                    partitions,
                }
            }),
            arbitrary_id().prop_map(|id| MetadataRecord::TopicDeleted { id }),
            (arbitrary_id(), ".{0,9}", option::of(".{0,9}"))
                .prop_map(|(id, key, value)| MetadataRecord::TopicConfigSet { id, key, value }),
            (arbitrary_id(), any::<i32>(), partitions()).prop_map(|(id, first, partitions)| {
                MetadataRecord::PartitionsAdded {
                    id,
                    first,
                    partitions,
                }
            }),
            (arbitrary_id(), any::<i32>(), arbitrary_partition()).prop_map(
                |(id, partition, state)| MetadataRecord::PartitionChanged {
                    id,
                    partition,
                    state,
                }
            ),
            any::<i64>().prop_map(|next| MetadataRecord::ProducerIdsAllocated { next }),
            (option::of(any::<i32>()), ".{0,9}", option::of(".{0,9}")).prop_map(
                |(node_id, key, value)| MetadataRecord::BrokerConfigSet {
                    node_id,
                    key,
                    value,
                }
            ),
            (".{0,9}", ".{0,9}", option::of(".{0,9}")).prop_map(|(group, key, value)| {
                MetadataRecord::GroupConfigSet { group, key, value }
            }),
            (arbitrary_entity(), ".{0,9}", option::of(0.001f64..1e18)).prop_map(
                |(entity, key, limit)| MetadataRecord::ClientQuotaSet {
                    entity,
                    key,
                    limit: limit.and_then(QuotaLimit::new),
                }
            ),
            (".{0,9}", any::<i16>())
                .prop_map(|(name, level)| MetadataRecord::FeatureLevelSet { name, level }),
        ]
    }

    fn encoded(record: &MetadataRecord) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_bytes_of_a_record() {
        let record = MetadataRecord::ProducerIdsAllocated { next: 1000 };
        assert_eq!(encoded(&record), [0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 3, 232]);
    }

    #[test]
    fn what_a_later_release_wrote_is_refused_by_name() {
        let error = MetadataRecord::decode(&[0, 11, 0, 1, 0, 0]).unwrap_err();
        assert_eq!(
            error,
            RecordError::NewerVersion {
                record_type: 11,
                version: 1,
                supported: 0
            }
        );
        let error = MetadataRecord::decode(&[0, 99, 0, 0]).unwrap_err();
        assert_eq!(error, RecordError::UnknownType { record_type: 99 });
    }

    #[test]
    fn a_count_beyond_the_bytes_allocates_nothing() {
        let mut bytes = vec![0, 6, 0, 0];
        bytes.extend([0; 16]);
        bytes.extend([0, 0, 0, 0]);
        bytes.extend([255, 255, 255, 255]);
        let error = MetadataRecord::decode(&bytes).unwrap_err();
        assert_eq!(
            error,
            RecordError::Truncated {
                field: "partitions"
            }
        );
    }

    proptest! {
        #[test]
        fn round_trip(record in arbitrary_record()) {
            prop_assert_eq!(MetadataRecord::decode(&encoded(&record)), Ok(record));
        }

        #[test]
        fn every_shorter_or_longer_text_is_an_error(record in arbitrary_record(), cut: prop::sample::Index) {
            let bytes = encoded(&record);
            prop_assert!(MetadataRecord::decode(&bytes[..cut.index(bytes.len())]).is_err());
            let longer = [bytes.as_slice(), &[0]].concat();
            prop_assert!(MetadataRecord::decode(&longer).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(record_type in 0u16..17, bytes in vec(any::<u8>(), 0..200)) {
            let typed = [&record_type.to_be_bytes(), &[0, 0], bytes.as_slice()].concat();
            let _ = MetadataRecord::decode(&typed);
            let _ = MetadataRecord::decode(&bytes);
        }
    }
}
