//! Why the group coordinator refuses, and why records could not be written.
//!
//! Knows no error numbers: `api` maps each case to its wire code in one exhaustive `match`, and each case's comment names it.

use std::fmt;

use super::consumer::error::ConsumerGroupError;

/// Why a group's request is refused: Kafka's own errors, by Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupError {
    /// UNKNOWN_SERVER_ERROR (-1).
    UnknownServerError,
    /// OFFSET_METADATA_TOO_LARGE (12): longer than `offset.metadata.max.bytes`.
    OffsetMetadataTooLarge,
    /// COORDINATOR_NOT_AVAILABLE (15): try again, after finding the coordinator again.
    CoordinatorNotAvailable,
    /// NOT_COORDINATOR (16): the partition has another leader now.
    NotCoordinator,
    /// ILLEGAL_GENERATION (22).
    IllegalGeneration,
    /// INCONSISTENT_GROUP_PROTOCOL (23).
    InconsistentGroupProtocol,
    /// INVALID_GROUP_ID (24).
    InvalidGroupId,
    /// UNKNOWN_MEMBER_ID (25).
    UnknownMemberId,
    /// INVALID_SESSION_TIMEOUT (26).
    InvalidSessionTimeout,
    /// REBALANCE_IN_PROGRESS (27).
    RebalanceInProgress,
    /// INVALID_COMMIT_OFFSET_SIZE (28): more offsets than can be kept, or than fit into a batch.
    InvalidCommitOffsetSize,
    /// NON_EMPTY_GROUP (68).
    NonEmptyGroup,
    /// GROUP_ID_NOT_FOUND (69).
    GroupIdNotFound,
    /// MEMBER_ID_REQUIRED (79): join again with the id that comes with this.
    MemberIdRequired,
    /// GROUP_MAX_SIZE_REACHED (81).
    GroupMaxSizeReached,
    /// FENCED_INSTANCE_ID (82): another member has the instance id now.
    FencedInstanceId,
    /// GROUP_SUBSCRIBED_TO_TOPIC (86).
    GroupSubscribedToTopic,
    /// STALE_MEMBER_EPOCH (113): of a member of a consumer group.
    StaleMemberEpoch,
    /// UNSUPPORTED_VERSION (35): the request cannot say a member's epoch.
    UnsupportedVersion,
}

impl fmt::Display for GroupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownServerError => {
                "The server experienced an unexpected error when processing the request."
            }
            Self::OffsetMetadataTooLarge => {
                "The metadata field of the offset request was too large."
            }
            Self::CoordinatorNotAvailable => "The coordinator is not available.",
            Self::NotCoordinator => "This is not the correct coordinator.",
            Self::IllegalGeneration => "Specified group generation id is not valid.",
            Self::InconsistentGroupProtocol => {
                "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list."
            }
            Self::InvalidGroupId => "The group id is invalid.",
            Self::UnknownMemberId => "The coordinator is not aware of this member.",
            Self::InvalidSessionTimeout => {
                "The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms)."
            }
            Self::RebalanceInProgress => "The group is rebalancing, so a rejoin is needed.",
            Self::InvalidCommitOffsetSize => "The committing offset data size is not valid.",
            Self::NonEmptyGroup => "The group is not empty.",
            Self::GroupIdNotFound => "The group id does not exist.",
            Self::MemberIdRequired => {
                "The group member needs to have a valid member id before actually entering a consumer group."
            }
            Self::GroupMaxSizeReached => "The consumer group has reached its max size.",
            Self::FencedInstanceId => {
                "The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id."
            }
            Self::GroupSubscribedToTopic => {
                "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."
            }
            Self::StaleMemberEpoch => "The member epoch is stale.",
            Self::UnsupportedVersion => "The version of API is not supported.",
        })
    }
}

impl std::error::Error for GroupError {}

/// What a consumer group's refusal is to a request of the classic protocol, or of offsets. The rest are about requests of neither.
impl From<&ConsumerGroupError> for GroupError {
    fn from(error: &ConsumerGroupError) -> Self {
        match error {
            ConsumerGroupError::UnknownMember { .. }
            | ConsumerGroupError::UnknownInstance(_)
            | ConsumerGroupError::NotClassic(_) => Self::UnknownMemberId,
            ConsumerGroupError::GroupFull { .. } => Self::GroupMaxSizeReached,
            ConsumerGroupError::GroupNotFound(_) => Self::GroupIdNotFound,
            ConsumerGroupError::FencedInstance { .. } => Self::FencedInstanceId,
            ConsumerGroupError::StaleEpoch { .. }
            | ConsumerGroupError::StalePartition {
                is_classic: false, ..
            } => Self::StaleMemberEpoch,
            ConsumerGroupError::OldOffsetCommit => Self::UnsupportedVersion,
            ConsumerGroupError::MemberIdRequired(_) => Self::MemberIdRequired,
            ConsumerGroupError::IllegalGeneration { .. }
            | ConsumerGroupError::StalePartition {
                is_classic: true, ..
            } => Self::IllegalGeneration,
            ConsumerGroupError::InconsistentProtocol
            | ConsumerGroupError::MalformedSubscription => Self::InconsistentGroupProtocol,
            ConsumerGroupError::InvalidRequest(_)
            | ConsumerGroupError::UnsupportedAssignor { .. }
            | ConsumerGroupError::InvalidRegularExpression { .. }
            | ConsumerGroupError::UpgradeRefused { .. }
            | ConsumerGroupError::FencedEpoch { .. }
            | ConsumerGroupError::UnknownMemberState
            | ConsumerGroupError::UnreleasedInstance { .. } => Self::UnknownServerError,
        }
    }
}

/// Why records are not in the log and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFailure {
    /// Too few in-sync replicas, or no topic: it may be better in a moment.
    Unavailable,
    /// The partition is led by another broker, or its storage failed.
    NotLeader,
    /// The batch is larger than the topic takes.
    TooLarge,
}

impl AppendFailure {
    /// What the requests that are about members are told.
    #[must_use]
    pub fn group_error(self) -> GroupError {
        match self {
            Self::Unavailable => GroupError::CoordinatorNotAvailable,
            Self::NotLeader => GroupError::NotCoordinator,
            Self::TooLarge => GroupError::UnknownServerError,
        }
    }

    /// What the requests that are about offsets are told.
    #[must_use]
    pub fn offset_error(self) -> GroupError {
        match self {
            Self::Unavailable => GroupError::CoordinatorNotAvailable,
            Self::NotLeader => GroupError::NotCoordinator,
            Self::TooLarge => GroupError::InvalidCommitOffsetSize,
        }
    }
}
