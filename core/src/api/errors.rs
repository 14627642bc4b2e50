//! Which error code a failure has on the wire: exhaustive, so that a new failure cannot be forgotten.
//!
//! Decides nothing else.

use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::producer_state::ProducerStateError;
use rinka_storage::record_batch::{InvalidRecord, ProduceBatchError, RecordFault};
use rinka_storage::store::AppendError;

use crate::controller::error::{
    AlterConfigsError, AlterQuotaError, CreatePartitionsError, CreateTopicError, DeleteTopicError,
    ElectLeaderError, InvalidBrokerConfig, ReassignmentError, UpdateFeatureError,
};
use crate::coordinator::group::error::GroupError;
use crate::shard::coordinator::CoordinatorUnavailable;
use crate::shard::partition::PartitionError;

pub(super) fn partition_error(error: &PartitionError) -> ErrorCode {
    match error {
        PartitionError::Unknown => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        PartitionError::FencedLeaderEpoch => ErrorCode::FENCED_LEADER_EPOCH,
        PartitionError::UnknownLeaderEpoch => ErrorCode::UNKNOWN_LEADER_EPOCH,
        PartitionError::OffsetOutOfRange => ErrorCode::OFFSET_OUT_OF_RANGE,
        PartitionError::NotDeletable => ErrorCode::POLICY_VIOLATION,
        PartitionError::NotEnoughReplicas => ErrorCode::NOT_ENOUGH_REPLICAS,
        PartitionError::Batch(error) => match error {
            ProduceBatchError::Corrupt => ErrorCode::CORRUPT_MESSAGE,
            ProduceBatchError::InvalidRecord(_) => ErrorCode::INVALID_RECORD,
            ProduceBatchError::Records(invalid) if has_timestamp(invalid) => {
                ErrorCode::INVALID_TIMESTAMP
            }
            ProduceBatchError::Records(_) => ErrorCode::INVALID_RECORD,
            ProduceBatchError::UnsupportedCompression => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            ProduceBatchError::TooLarge => ErrorCode::MESSAGE_TOO_LARGE,
            ProduceBatchError::NoTransaction => ErrorCode::INVALID_TXN_STATE,
        },
        PartitionError::Append(error) => match error {
            AppendError::Failed(_) => ErrorCode::KAFKA_STORAGE_ERROR,
            AppendError::LargerThanSegment => ErrorCode::RECORD_LIST_TOO_LARGE,
            AppendError::Producer(ProducerStateError::OutOfOrderSequence { .. }) => {
                ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            }
            AppendError::Producer(ProducerStateError::InvalidProducerEpoch { .. }) => {
                ErrorCode::INVALID_PRODUCER_EPOCH
            }
        },
        PartitionError::TimedOut => ErrorCode::REQUEST_TIMED_OUT,
        PartitionError::Storage(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        PartitionError::Damaged => ErrorCode::CORRUPT_MESSAGE,
        // The client looks for the partition again, and finds it when the broker is back.
        PartitionError::Stopping => ErrorCode::NOT_LEADER_OR_FOLLOWER,
    }
}

/// A sentence for the client's log, where the code alone does not say it.
pub(super) fn partition_error_message(error: &PartitionError) -> Option<Text> {
    match error {
        PartitionError::Batch(ProduceBatchError::InvalidRecord(reason)) => {
            Some(Text::from(*reason))
        }
        PartitionError::Batch(ProduceBatchError::Records(invalid)) if has_timestamp(invalid) => {
            Some(Text::from(
                "One or more records have been rejected due to invalid timestamp",
            ))
        }
        PartitionError::Batch(ProduceBatchError::Records(invalid)) => Some(Text::from(format!(
            "One or more records have been rejected due to {} record errors in total",
            invalid.len()
        ))),
        PartitionError::Append(AppendError::Failed(reason)) | PartitionError::Storage(reason) => {
            Some(Text::from(reason.clone()))
        }
        PartitionError::Append(AppendError::Producer(ProducerStateError::OutOfOrderSequence {
            expected,
        })) => Some(Text::from(format!(
            "Out of order sequence number: expected {expected}."
        ))),
        _ => None,
    }
}

fn has_timestamp(invalid: &[InvalidRecord]) -> bool {
    let is_timestamp = |record: &InvalidRecord| matches!(record.fault, RecordFault::Timestamp(_));
    invalid.iter().any(is_timestamp)
}

/// A sentence for one record of a batch.
pub(super) fn record_error_message(fault: RecordFault) -> Text {
    match fault {
        RecordFault::KeyMissing => Text::from("Compacted topic cannot accept message without key."),
        RecordFault::Timestamp(timestamp) => Text::from(format!(
            "Timestamp {timestamp} is out of range: see message.timestamp.before.max.ms and message.timestamp.after.max.ms"
        )),
    }
}

pub(super) fn create_topic_error(error: &CreateTopicError) -> ErrorCode {
    match error {
        CreateTopicError::InvalidName(_) | CreateTopicError::NameCollides { .. } => {
            ErrorCode::INVALID_TOPIC_EXCEPTION
        }
        CreateTopicError::Reserved(_) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        CreateTopicError::Exists(_) => ErrorCode::TOPIC_ALREADY_EXISTS,
        CreateTopicError::InvalidPartitions => ErrorCode::INVALID_PARTITIONS,
        CreateTopicError::InvalidReplicationFactor | CreateTopicError::TooFewBrokers(_) => {
            ErrorCode::INVALID_REPLICATION_FACTOR
        }
        CreateTopicError::InvalidAssignment(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        CreateTopicError::InvalidConfig(_) => ErrorCode::INVALID_CONFIG,
        CreateTopicError::Duplicate
        | CreateTopicError::AssignmentWithPartitions
        | CreateTopicError::AssignmentWithReplicationFactor => ErrorCode::INVALID_REQUEST,
        CreateTopicError::TooManyPartitions => ErrorCode::POLICY_VIOLATION,
        CreateTopicError::IdInUse(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
    }
}

pub(super) fn delete_topic_error(error: DeleteTopicError, version: i16) -> ErrorCode {
    match error {
        DeleteTopicError::UnknownName => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        DeleteTopicError::UnknownId => ErrorCode::UNKNOWN_TOPIC_ID,
        // The code is younger than the API.
        DeleteTopicError::Disabled if version < 3 => ErrorCode::INVALID_REQUEST,
        DeleteTopicError::Disabled => ErrorCode::TOPIC_DELETION_DISABLED,
        DeleteTopicError::NameAndId
        | DeleteTopicError::NeitherNameNorId
        | DeleteTopicError::DuplicateName
        | DeleteTopicError::DuplicateId
        | DeleteTopicError::NameOfGivenId => ErrorCode::INVALID_REQUEST,
    }
}

pub(super) fn create_partitions_error(error: &CreatePartitionsError) -> ErrorCode {
    match error {
        CreatePartitionsError::UnknownTopic => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        CreatePartitionsError::NotMore { .. } => ErrorCode::INVALID_PARTITIONS,
        CreatePartitionsError::TooFewBrokers(_) => ErrorCode::INVALID_REPLICATION_FACTOR,
        CreatePartitionsError::InvalidAssignment(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        CreatePartitionsError::Duplicate => ErrorCode::INVALID_REQUEST,
        CreatePartitionsError::TooManyPartitions => ErrorCode::POLICY_VIOLATION,
    }
}

pub(super) fn alter_configs_error(error: &AlterConfigsError) -> ErrorCode {
    match error {
        AlterConfigsError::UnknownTopic(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        AlterConfigsError::InvalidTopicName(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        AlterConfigsError::Invalid(_)
        | AlterConfigsError::InvalidGroup(_)
        | AlterConfigsError::NotAList { .. }
        | AlterConfigsError::InvalidBroker(InvalidBrokerConfig::UnknownKey(_)) => {
            ErrorCode::INVALID_CONFIG
        }
        // As Kafka answers (KAFKA-13609).
        AlterConfigsError::InvalidBroker(
            InvalidBrokerConfig::NotDynamic(_)
            | InvalidBrokerConfig::Value(_)
            | InvalidBrokerConfig::Together(_),
        )
        | AlterConfigsError::NullValue(_)
        | AlterConfigsError::DuplicateKey(_)
        | AlterConfigsError::DuplicateResource
        | AlterConfigsError::NoName(_) => ErrorCode::INVALID_REQUEST,
        AlterConfigsError::TooManyGroups => ErrorCode::POLICY_VIOLATION,
    }
}

pub(super) fn alter_quota_error(error: &AlterQuotaError) -> ErrorCode {
    match error {
        AlterQuotaError::NoEntity
        | AlterQuotaError::UnknownEntityType(_)
        | AlterQuotaError::DuplicateEntityType
        | AlterQuotaError::EmptyName(_)
        | AlterQuotaError::AddressWithOthers
        | AlterQuotaError::InvalidAddress(_)
        | AlterQuotaError::UnknownKey(_)
        | AlterQuotaError::Limit { .. }
        | AlterQuotaError::Fraction { .. } => ErrorCode::INVALID_REQUEST,
        AlterQuotaError::TooManyEntities => ErrorCode::POLICY_VIOLATION,
    }
}

pub(super) fn elect_leader_error(error: &ElectLeaderError) -> ErrorCode {
    match error {
        ElectLeaderError::UnknownTopic(_) | ElectLeaderError::UnknownPartition { .. } => {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        }
        ElectLeaderError::PreferredNotAvailable => ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE,
        ElectLeaderError::NoneAvailable => ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE,
        ElectLeaderError::NotNeeded => ErrorCode::ELECTION_NOT_NEEDED,
    }
}

pub(super) fn reassignment_error(error: &ReassignmentError) -> ErrorCode {
    match error {
        ReassignmentError::UnknownTopic(_) | ReassignmentError::UnknownPartition { .. } => {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        }
        ReassignmentError::ReplicationFactor { .. } => ErrorCode::INVALID_REPLICATION_FACTOR,
        ReassignmentError::InvalidAssignment(_) | ReassignmentError::NotHere { .. } => {
            ErrorCode::INVALID_REPLICA_ASSIGNMENT
        }
        ReassignmentError::Duplicate => ErrorCode::INVALID_REQUEST,
        ReassignmentError::NotInProgress => ErrorCode::NO_REASSIGNMENT_IN_PROGRESS,
    }
}

pub(super) fn update_feature_error(error: &UpdateFeatureError) -> ErrorCode {
    match error {
        UpdateFeatureError::Unsupported { .. }
        | UpdateFeatureError::OutOfRange { .. }
        | UpdateFeatureError::Negative { .. }
        | UpdateFeatureError::DowngradeNotAllowed { .. }
        | UpdateFeatureError::UnknownUpgradeType { .. } => ErrorCode::INVALID_UPDATE_VERSION,
        UpdateFeatureError::Duplicate { .. } => ErrorCode::INVALID_REQUEST,
    }
}

/// The coordinator cannot be asked now, or not here.
pub(super) fn coordinator_error(unavailable: CoordinatorUnavailable) -> ErrorCode {
    match unavailable {
        CoordinatorUnavailable::Loading => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        CoordinatorUnavailable::NotHere => ErrorCode::NOT_COORDINATOR,
    }
}

impl From<GroupError> for ErrorCode {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::UnknownServerError => Self::UNKNOWN_SERVER_ERROR,
            GroupError::OffsetMetadataTooLarge => Self::OFFSET_METADATA_TOO_LARGE,
            GroupError::CoordinatorNotAvailable => Self::COORDINATOR_NOT_AVAILABLE,
            GroupError::NotCoordinator => Self::NOT_COORDINATOR,
            GroupError::IllegalGeneration => Self::ILLEGAL_GENERATION,
            GroupError::InconsistentGroupProtocol => Self::INCONSISTENT_GROUP_PROTOCOL,
            GroupError::InvalidGroupId => Self::INVALID_GROUP_ID,
            GroupError::UnknownMemberId => Self::UNKNOWN_MEMBER_ID,
            GroupError::InvalidSessionTimeout => Self::INVALID_SESSION_TIMEOUT,
            GroupError::RebalanceInProgress => Self::REBALANCE_IN_PROGRESS,
            GroupError::InvalidCommitOffsetSize => Self::INVALID_COMMIT_OFFSET_SIZE,
            GroupError::NonEmptyGroup => Self::NON_EMPTY_GROUP,
            GroupError::GroupIdNotFound => Self::GROUP_ID_NOT_FOUND,
            GroupError::MemberIdRequired => Self::MEMBER_ID_REQUIRED,
            GroupError::GroupMaxSizeReached => Self::GROUP_MAX_SIZE_REACHED,
            GroupError::FencedInstanceId => Self::FENCED_INSTANCE_ID,
            GroupError::GroupSubscribedToTopic => Self::GROUP_SUBSCRIBED_TO_TOPIC,
            GroupError::StaleMemberEpoch => Self::STALE_MEMBER_EPOCH,
            GroupError::UnsupportedVersion => Self::UNSUPPORTED_VERSION,
        }
    }
}
