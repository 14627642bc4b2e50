//! Why a consumer group refuses a request, in Kafka's words and codes.
//!
//! The words are for people; which code a client gets is in one exhaustive `match`.

use std::fmt;
use std::sync::Arc;

use rinka_net::wire::ErrorCode;

/// A request changes nothing and is answered with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerGroupError {
    /// A field that must not be empty, null or negative.
    InvalidRequest(&'static str),
    UnsupportedAssignor {
        name: Arc<str>,
        supported: String,
    },
    InvalidRegularExpression {
        pattern: Arc<str>,
        reason: String,
    },
    GroupNotFound(Arc<str>),
    /// The group is one of the classic protocol and stays one.
    UpgradeRefused {
        group_id: Arc<str>,
        reason: &'static str,
    },
    GroupFull {
        members_max: usize,
    },
    UnknownMember {
        member_id: Arc<str>,
        group_id: Arc<str>,
    },
    UnknownInstance(Arc<str>),
    /// The member must give up everything and join again.
    FencedEpoch {
        received: i32,
        known: i32,
    },
    /// The member's state was written by a later release: it must give up everything and join again.
    UnknownMemberState,
    /// Another member has the instance id and has not left.
    UnreleasedInstance {
        instance_id: Arc<str>,
        owner: Arc<str>,
    },
    /// Another member has taken over the instance id.
    FencedInstance {
        instance_id: Arc<str>,
        owner: Arc<str>,
    },
    /// The epoch of a commit or fetch is not the member's.
    StaleEpoch {
        received: i32,
        known: i32,
    },
    /// The older epoch of a commit is from before the member got one of the partitions; `None`: it does not have it.
    StalePartition {
        received: i32,
        held_since: Option<i32>,
        is_classic: bool,
    },
    /// OffsetCommit below version 9 cannot carry a member's epoch.
    OldOffsetCommit,

    // Of members that speak the classic protocol.
    /// Join again with this id.
    MemberIdRequired(Arc<str>),
    IllegalGeneration {
        received: i32,
        known: i32,
    },
    InconsistentProtocol,
    /// The member speaks the consumer protocol.
    NotClassic(Arc<str>),
    /// What the member says of its subscription cannot be read.
    MalformedSubscription,
}

impl ConsumerGroupError {
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest(_) => ErrorCode::INVALID_REQUEST,
            Self::UnsupportedAssignor { .. } => ErrorCode::UNSUPPORTED_ASSIGNOR,
            Self::InvalidRegularExpression { .. } => ErrorCode::INVALID_REGULAR_EXPRESSION,
            Self::GroupNotFound(_) | Self::UpgradeRefused { .. } => ErrorCode::GROUP_ID_NOT_FOUND,
            Self::GroupFull { .. } => ErrorCode::GROUP_MAX_SIZE_REACHED,
            Self::UnknownMember { .. } | Self::UnknownInstance(_) | Self::NotClassic(_) => {
                ErrorCode::UNKNOWN_MEMBER_ID
            }
            Self::FencedEpoch { .. } | Self::UnknownMemberState => ErrorCode::FENCED_MEMBER_EPOCH,
            Self::UnreleasedInstance { .. } => ErrorCode::UNRELEASED_INSTANCE_ID,
            Self::FencedInstance { .. } => ErrorCode::FENCED_INSTANCE_ID,
            Self::StaleEpoch { .. }
            | Self::StalePartition {
                is_classic: false, ..
            } => ErrorCode::STALE_MEMBER_EPOCH,
            Self::OldOffsetCommit => ErrorCode::UNSUPPORTED_VERSION,
            Self::MemberIdRequired(_) => ErrorCode::MEMBER_ID_REQUIRED,
            Self::IllegalGeneration { .. }
            | Self::StalePartition {
                is_classic: true, ..
            } => ErrorCode::ILLEGAL_GENERATION,
            Self::InconsistentProtocol | Self::MalformedSubscription => {
                ErrorCode::INCONSISTENT_GROUP_PROTOCOL
            }
        }
    }
}

impl fmt::Display for ConsumerGroupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidRequest(reason) => formatter.write_str(reason),
            Self::UnsupportedAssignor { name, supported } => write!(
                formatter,
                "ServerAssignor {name} is not supported. Supported assignors: {supported}."
            ),
            Self::InvalidRegularExpression { pattern, reason } => write!(
                formatter,
                "SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}."
            ),
            Self::GroupNotFound(group_id) => {
                write!(formatter, "Consumer group {group_id} not found.")
            }
            Self::UpgradeRefused { group_id, reason } => write!(
                formatter,
                "Cannot upgrade classic group {group_id} to consumer group because {reason}."
            ),
            Self::GroupFull { members_max } => write!(
                formatter,
                "The consumer group has reached its maximum capacity of {members_max} members."
            ),
            Self::UnknownMember {
                member_id,
                group_id,
            } => write!(
                formatter,
                "Member {member_id} is not a member of group {group_id}."
            ),
            Self::UnknownInstance(instance_id) => {
                write!(formatter, "Instance id {instance_id} is unknown.")
            }
            Self::FencedEpoch { received, known } => {
                let than = if received > known { "greater" } else { "smaller" };
                write!(
                    formatter,
                    "The consumer group member has a {than} member epoch ({received}) than the one known by the group coordinator ({known}). The member must abandon all its partitions and rejoin."
                )
            }
            Self::UnknownMemberState => formatter.write_str(
                "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.",
            ),
            Self::UnreleasedInstance { instance_id, owner } => write!(
                formatter,
                "A static member with instance id {instance_id} cannot join the group because the instance id is owned by {owner} member."
            ),
            Self::FencedInstance { instance_id, owner } => write!(
                formatter,
                "The static member with instance id {instance_id} was fenced by member {owner}."
            ),
            Self::StaleEpoch { received, known } => write!(
                formatter,
                "The received member epoch {received} does not match the expected member epoch {known}."
            ),
            Self::StalePartition {
                held_since: None, ..
            } => formatter
                .write_str("A partition is not assigned or pending revocation for the member."),
            Self::StalePartition {
                received,
                held_since: Some(since),
                ..
            } => write!(
                formatter,
                "The received member epoch {received} is older than assignment epoch {since} of a partition."
            ),
            Self::OldOffsetCommit => formatter.write_str(
                "OffsetCommit version 9 or above must be used by members using the modern group protocol",
            ),
            Self::MemberIdRequired(member_id) => {
                write!(formatter, "The member must join again with id {member_id}.")
            }
            Self::IllegalGeneration { received, known } => write!(
                formatter,
                "The received generation id {received} does not match the expected member epoch {known}."
            ),
            Self::InconsistentProtocol => {
                formatter.write_str("The member's protocols are not supported by the group.")
            }
            Self::NotClassic(member_id) => write!(
                formatter,
                "Member {member_id} does not use the classic protocol."
            ),
            Self::MalformedSubscription => {
                formatter.write_str("The member's subscription cannot be read.")
            }
        }
    }
}

impl std::error::Error for ConsumerGroupError {}
