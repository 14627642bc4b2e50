//! Why the controller refused: one small enum per operation, whose text is what the client is told.
//!
//! Knows no error numbers: `api` maps each case to its wire code in one exhaustive `match`, and each case's comment names it.

use std::fmt;

use rinka_storage::topic_partition::TopicId;

use super::topic_name::InvalidTopicName;
use crate::config::definition::InvalidValue;
use crate::config::group::InvalidGroupConfig;
use crate::config::topic::InvalidConfig;

/// Why a topic was not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateTopicError {
    /// INVALID_TOPIC_EXCEPTION (17).
    InvalidName(InvalidTopicName),
    /// INVALID_TOPIC_EXCEPTION (17).
    NameCollides { name: String, existing: String },
    /// TOPIC_AUTHORIZATION_FAILED (29), as Kafka answers for a name that is the cluster's own.
    Reserved(String),
    /// TOPIC_ALREADY_EXISTS (36).
    Exists(String),
    /// INVALID_PARTITIONS (37).
    InvalidPartitions,
    /// INVALID_REPLICATION_FACTOR (38).
    InvalidReplicationFactor,
    /// INVALID_REPLICATION_FACTOR (38).
    TooFewBrokers(TooFewBrokers),
    /// INVALID_REPLICA_ASSIGNMENT (39).
    InvalidAssignment(InvalidAssignment),
    /// INVALID_CONFIG (40).
    InvalidConfig(InvalidConfig),
    /// INVALID_REQUEST (42).
    Duplicate,
    /// INVALID_REQUEST (42).
    AssignmentWithPartitions,
    /// INVALID_REQUEST (42).
    AssignmentWithReplicationFactor,
    /// POLICY_VIOLATION (44).
    TooManyPartitions,
    /// UNKNOWN_SERVER_ERROR (-1): the id that was to be new is not.
    IdInUse(TopicId),
}

impl fmt::Display for CreateTopicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName(error) => error.fmt(formatter),
            Self::NameCollides { name, existing } => write!(
                formatter,
                "Topic '{name}' collides with existing topic: {existing}"
            ),
            Self::Reserved(name) => {
                write!(formatter, "Creation of internal topic {name} is prohibited.")
            }
            Self::Exists(name) => write!(formatter, "Topic '{name}' already exists."),
            Self::InvalidPartitions => formatter
                .write_str("Number of partitions was set to an invalid non-positive value."),
            Self::InvalidReplicationFactor => formatter.write_str(
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ),
            Self::TooFewBrokers(error) => error.fmt(formatter),
            Self::InvalidAssignment(error) => error.fmt(formatter),
            Self::InvalidConfig(error) => error.fmt(formatter),
            Self::Duplicate => formatter.write_str("Duplicate topic name."),
            Self::AssignmentWithPartitions => formatter.write_str(
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            ),
            Self::AssignmentWithReplicationFactor => formatter.write_str(
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            ),
            Self::TooManyPartitions => {
                formatter.write_str("Excessively large number of partitions per request.")
            }
            Self::IdInUse(id) => write!(formatter, "Topic id {id} is in use."),
        }
    }
}

/// More replicas were asked for than there are brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewBrokers {
    pub replication_factor: i16,
    pub broker_count: usize,
    /// Registered ones that may not lead for now are among the brokers, but hold nothing new if there is no other.
    pub all_fenced: bool,
}

impl fmt::Display for TooFewBrokers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            replication_factor,
            broker_count,
            all_fenced,
        } = self;
        write!(
            formatter,
            "Unable to replicate the partition {replication_factor} time(s): "
        )?;
        if *all_fenced {
            formatter.write_str(
                "All brokers are currently fenced, or have all their log directories cordoned.",
            )
        } else {
            write!(
                formatter,
                "The target replication factor of {replication_factor} cannot be reached because only {broker_count} broker(s) are registered or some brokers have all their log directories cordoned."
            )
        }
    }
}

/// A manual assignment that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidAssignment {
    NoReplicas,
    UnknownBroker(i32),
    DuplicateBroker(i32),
    /// Two shards of a node, under core routing.
    SameNode([i32; 2]),
    DuplicatePartition(i32),
    Gap,
    Uneven {
        count: usize,
        before: usize,
    },
    AllFenced(i32),
    WrongCount {
        given: usize,
        needed: usize,
    },
}

impl fmt::Display for InvalidAssignment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReplicas => formatter
                .write_str("The manual partition assignment includes an empty replica list."),
            Self::UnknownBroker(broker) => write!(
                formatter,
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ),
            Self::DuplicateBroker(broker) => write!(
                formatter,
                "The manual partition assignment includes the broker {broker} more than once."
            ),
            Self::SameNode([one, other]) => write!(
                formatter,
                "The manual partition assignment includes the brokers {one} and {other}, which are shards of one node: it holds one replica of a partition."
            ),
            Self::DuplicatePartition(partition) => write!(
                formatter,
                "Found multiple manual partition assignments for partition {partition}"
            ),
            Self::Gap => {
                formatter.write_str("partitions should be a consecutive 0-based integer sequence")
            }
            Self::Uneven { count, before } => write!(
                formatter,
                "The manual partition assignment includes a partition with {count} replica(s), but this is not consistent with previous partitions, which have {before} replica(s)."
            ),
            Self::AllFenced(partition) => write!(
                formatter,
                "All brokers specified in the manual partition assignment for partition {partition} are fenced or in controlled shutdown."
            ),
            Self::WrongCount { given, needed } => write!(
                formatter,
                "Attempted to add {needed} additional partition(s), but only {given} assignment(s) were specified."
            ),
        }
    }
}

/// Why a topic was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteTopicError {
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    UnknownName,
    /// UNKNOWN_TOPIC_ID (100).
    UnknownId,
    /// INVALID_REQUEST (42): a name and an id, which could be two topics.
    NameAndId,
    /// INVALID_REQUEST (42).
    NeitherNameNorId,
    /// TOPIC_DELETION_DISABLED (73), INVALID_REQUEST (42) below version 3.
    Disabled,
    /// INVALID_REQUEST (42).
    DuplicateName,
    /// INVALID_REQUEST (42).
    DuplicateId,
    /// INVALID_REQUEST (42): its id is given as well.
    NameOfGivenId,
}

impl fmt::Display for DeleteTopicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownName => "This server does not host this topic-partition.",
            Self::UnknownId => "This server does not host this topic ID.",
            Self::Disabled => "Topic deletion is disabled.",
            Self::NameAndId => "You may not specify both topic name and topic id.",
            Self::NeitherNameNorId => "Neither topic name nor id were specified.",
            Self::DuplicateName => "Duplicate topic name.",
            Self::DuplicateId => "Duplicate topic id.",
            Self::NameOfGivenId => {
                "The provided topic name maps to an ID that was already supplied."
            }
        })
    }
}

/// Why a topic was not given more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreatePartitionsError {
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    UnknownTopic,
    /// INVALID_PARTITIONS (37).
    NotMore {
        name: String,
        current: usize,
        requested: i32,
    },
    /// INVALID_REPLICATION_FACTOR (38).
    TooFewBrokers(TooFewBrokers),
    /// INVALID_REPLICA_ASSIGNMENT (39).
    InvalidAssignment(InvalidAssignment),
    /// INVALID_REQUEST (42).
    Duplicate,
    /// POLICY_VIOLATION (44).
    TooManyPartitions,
}

impl fmt::Display for CreatePartitionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTopic => {
                formatter.write_str("This server does not host this topic-partition.")
            }
            Self::NotMore {
                name,
                current,
                requested,
            } => match usize::try_from(*requested) {
                Ok(requested) if requested == *current => {
                    write!(formatter, "Topic already has {current} partition(s).")
                }
                _ => write!(
                    formatter,
                    "The topic {name} currently has {current} partition(s); {requested} would not be an increase."
                ),
            },
            Self::TooFewBrokers(error) => error.fmt(formatter),
            Self::InvalidAssignment(error) => error.fmt(formatter),
            Self::Duplicate => formatter.write_str("Duplicate topic name."),
            Self::TooManyPartitions => {
                formatter.write_str("Excessively large number of partitions per request.")
            }
        }
    }
}

/// Why a configuration was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterConfigsError {
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    UnknownTopic(String),
    /// INVALID_TOPIC_EXCEPTION (17).
    InvalidTopicName(InvalidTopicName),
    /// INVALID_CONFIG (40).
    Invalid(InvalidConfig),
    /// INVALID_CONFIG (40).
    InvalidGroup(InvalidGroupConfig),
    /// INVALID_CONFIG (40) for a key that does not exist, else INVALID_REQUEST (42).
    InvalidBroker(InvalidBrokerConfig),
    /// INVALID_CONFIG (40).
    NotAList {
        key: String,
        operation: &'static str,
    },
    /// INVALID_REQUEST (42).
    NullValue(String),
    /// INVALID_REQUEST (42).
    DuplicateKey(String),
    /// INVALID_REQUEST (42).
    DuplicateResource,
    /// INVALID_REQUEST (42): the name is empty.
    NoName(&'static str),
    /// POLICY_VIOLATION (44).
    TooManyGroups,
}

/// Why a running broker cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidBrokerConfig {
    /// Kafka takes such a key and shows it; here it is refused, since it is a mistake more often than not.
    UnknownKey(String),
    NotDynamic(String),
    Value(InvalidValue),
    /// Each value is right by itself.
    Together(String),
}

impl fmt::Display for InvalidBrokerConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(key) => write!(formatter, "Unknown broker config name: {key}"),
            Self::NotDynamic(key) => {
                write!(
                    formatter,
                    "Cannot update these configs dynamically: [{key}]"
                )
            }
            Self::Value(error) => error.fmt(formatter),
            Self::Together(problem) => formatter.write_str(problem),
        }
    }
}

impl fmt::Display for AlterConfigsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTopic(name) => write!(formatter, "The topic '{name}' does not exist."),
            Self::InvalidTopicName(error) => error.fmt(formatter),
            Self::Invalid(error) => error.fmt(formatter),
            Self::InvalidGroup(error) => error.fmt(formatter),
            Self::InvalidBroker(error) => error.fmt(formatter),
            Self::NotAList { key, operation } => write!(
                formatter,
                "Can't {operation} to key {key} because its type is not LIST."
            ),
            Self::NullValue(key) => write!(formatter, "Null value not supported for : {key}"),
            Self::DuplicateKey(key) => {
                write!(formatter, "Error due to duplicate config keys: {key}")
            }
            Self::DuplicateResource => {
                formatter.write_str("Each resource must appear at most once.")
            }
            Self::NoName(what) => write!(formatter, "{what} are not allowed."),
            Self::TooManyGroups => {
                formatter.write_str("Too many groups have a configuration of their own.")
            }
        }
    }
}

/// Why a quota was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterQuotaError {
    /// INVALID_REQUEST (42).
    NoEntity,
    /// INVALID_REQUEST (42).
    UnknownEntityType(String),
    /// INVALID_REQUEST (42).
    DuplicateEntityType,
    /// INVALID_REQUEST (42).
    EmptyName(&'static str),
    /// INVALID_REQUEST (42).
    AddressWithOthers,
    /// INVALID_REQUEST (42).
    InvalidAddress(String),
    /// INVALID_REQUEST (42).
    UnknownKey(String),
    /// INVALID_REQUEST (42).
    Limit { key: String },
    /// INVALID_REQUEST (42).
    Fraction { key: String },
    /// POLICY_VIOLATION (44).
    TooManyEntities,
}

impl fmt::Display for AlterQuotaError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEntity => formatter.write_str("Invalid empty client quota entity"),
            Self::UnknownEntityType(entity_type) => {
                write!(formatter, "Unhandled client quota entity type: {entity_type}")
            }
            Self::DuplicateEntityType => {
                formatter.write_str("Invalid client quota entity, duplicate entity type")
            }
            Self::EmptyName(entity_type) => write!(formatter, "Empty {entity_type} not supported"),
            Self::AddressWithOthers => formatter.write_str(
                "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
            ),
            Self::InvalidAddress(address) => {
                write!(formatter, "{address} is not a valid IP or resolvable host.")
            }
            Self::UnknownKey(key) => write!(formatter, "Invalid configuration key {key}"),
            Self::Limit { key } => {
                write!(formatter, "Quota {key} must be greater than 0")
            }
            Self::Fraction { key } => write!(formatter, "{key} cannot be a fractional value."),
            Self::TooManyEntities => formatter.write_str("Too many entities have a quota."),
        }
    }
}

/// Why a partition has no other leader now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectLeaderError {
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    UnknownTopic(String),
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    UnknownPartition { topic: String, partition: i32 },
    /// PREFERRED_LEADER_NOT_AVAILABLE (80).
    PreferredNotAvailable,
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE (83).
    NoneAvailable,
    /// ELECTION_NOT_NEEDED (84).
    NotNeeded,
}

impl fmt::Display for ElectLeaderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTopic(topic) => write!(formatter, "No such topic as {topic}"),
            Self::UnknownPartition { topic, partition } => {
                write!(formatter, "No such partition as {topic}-{partition}")
            }
            Self::PreferredNotAvailable => {
                formatter.write_str("The preferred leader was not available.")
            }
            Self::NoneAvailable => {
                formatter.write_str("Eligible topic partition leaders are not available.")
            }
            Self::NotNeeded => {
                formatter.write_str("Leader election not needed for topic partition.")
            }
        }
    }
}

/// Why a partition was not put on other brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReassignmentError {
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    UnknownTopic(String),
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    UnknownPartition { topic: String, partition: i32 },
    /// INVALID_REPLICATION_FACTOR (38).
    ReplicationFactor { current: usize, requested: usize },
    /// INVALID_REPLICA_ASSIGNMENT (39).
    InvalidAssignment(InvalidAssignment),
    /// INVALID_REPLICA_ASSIGNMENT (39): nothing copies records to a broker that lacks them.
    NotHere { current: Vec<i32> },
    /// INVALID_REQUEST (42).
    Duplicate,
    /// NO_REASSIGNMENT_IN_PROGRESS (85).
    NotInProgress,
}

impl fmt::Display for ReassignmentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTopic(topic) => {
                write!(formatter, "Unable to find a topic named {topic}.")
            }
            Self::UnknownPartition { topic, partition } => {
                write!(formatter, "Unable to find partition {topic}:{partition}.")
            }
            Self::ReplicationFactor { current, requested } => write!(
                formatter,
                "The replication factor is changed from {current} to {requested}"
            ),
            Self::InvalidAssignment(error) => error.fmt(formatter),
            Self::NotHere { current } => write!(
                formatter,
                "Partitions do not move between brokers yet: the replicas can be put into another order, and stay {current:?}."
            ),
            Self::Duplicate => formatter.write_str("The partition is in the request twice."),
            Self::NotInProgress => formatter.write_str("No partition reassignment is in progress."),
        }
    }
}

/// Why the level of a feature was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateFeatureError {
    /// INVALID_UPDATE_VERSION (95).
    Unsupported { feature: String, level: i16 },
    /// INVALID_UPDATE_VERSION (95).
    OutOfRange {
        feature: String,
        level: i16,
        min: i16,
        max: i16,
    },
    /// INVALID_UPDATE_VERSION (95).
    Negative { feature: String, level: i16 },
    /// INVALID_UPDATE_VERSION (95).
    DowngradeNotAllowed { feature: String, level: i16 },
    /// INVALID_UPDATE_VERSION (95).
    UnknownUpgradeType { feature: String, level: i16 },
    /// INVALID_REQUEST (42).
    Duplicate { feature: String },
}

impl fmt::Display for UpdateFeatureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invalid = |formatter: &mut fmt::Formatter<'_>, feature: &str, level: i16, why: &str| {
            write!(
                formatter,
                "The update failed for all features since the following feature had an error: Invalid update version {level} for feature {feature}. {why}"
            )
        };
        match self {
            Self::Unsupported { feature, level } => invalid(
                formatter,
                feature,
                *level,
                "Local controller does not support this feature.",
            ),
            Self::OutOfRange {
                feature,
                level,
                min,
                max,
            } => invalid(
                formatter,
                feature,
                *level,
                &format!("Local controller only supports versions {min}-{max}"),
            ),
            Self::Negative { feature, level } => invalid(
                formatter,
                feature,
                *level,
                "A feature version cannot be less than 0.",
            ),
            Self::DowngradeNotAllowed { feature, level } => invalid(
                formatter,
                feature,
                *level,
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.",
            ),
            Self::UnknownUpgradeType { feature, level } => invalid(
                formatter,
                feature,
                *level,
                "The controller does not support the given upgrade type.",
            ),
            Self::Duplicate { feature } => {
                write!(formatter, "Feature {feature} is in the request twice.")
            }
        }
    }
}

/// All producer ids there are were given out: UNKNOWN_SERVER_ERROR (-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdsExhausted;

impl fmt::Display for ProducerIdsExhausted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("There are no more producer ids.")
    }
}
