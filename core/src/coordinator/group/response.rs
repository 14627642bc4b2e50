//! What the group coordinator answers, by request.
//!
//! Never holds a slice of a request: an answer may come long after it.

use std::sync::Arc;

use bytes::Bytes;

use super::consumer::error::ConsumerGroupError;
use super::consumer::heartbeat::HeartbeatResponse;
use super::error::{AppendFailure, GroupError};

/// The answer to whatever waits with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    Join(Result<Joined, JoinRefused>),
    Sync(Result<Synced, GroupError>),
    Heartbeat(Result<(), GroupError>),
    Leave(Result<Vec<Left>, GroupError>),
    OffsetCommit(Vec<TopicResult>),
    OffsetDelete(Result<Vec<TopicResult>, GroupError>),
    DeleteGroups(Vec<(Arc<str>, Result<(), GroupError>)>),
    ConsumerHeartbeat(Result<HeartbeatResponse, ConsumerHeartbeatRefused>),
}

/// Why a ConsumerGroupHeartbeat is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerHeartbeatRefused {
    /// By the group.
    Group(ConsumerGroupError),
    /// By the coordinator, or because of its log.
    Coordinator(GroupError),
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    /// A member id.
    pub leader: Arc<str>,
    pub member_id: Arc<str>,
    /// Version 9: the leader, being static and back again, need not assign; everybody keeps what they have.
    pub skip_assignment: bool,
    /// For the leader only.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    /// For the protocol that was chosen.
    pub metadata: Bytes,
}

/// Generation -1, no protocol, no leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRefused {
    pub error: GroupError,
    /// The new id with `MemberIdRequired`; else the one that was given, or empty.
    pub member_id: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol_name: Option<Arc<str>>,
    pub assignment: Bytes,
}

/// A member that was to leave, as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub result: Result<(), GroupError>,
}

/// Partitions of a topic, each with what came of it, in the request's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResult {
    pub name: Arc<str>,
    pub partitions: Vec<(i32, Result<(), GroupError>)>,
}

/// Offsets of a topic, in the request's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    pub name: Arc<str>,
    pub partitions: Vec<FetchedOffset>,
}

/// Offset -1, epoch -1 and empty metadata where nothing is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Box<str>,
}

/// A group as DescribeGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Kafka's spelling, such as `PreparingRebalance`.
    pub state: &'static str,
    pub protocol_type: Arc<str>,
    /// The chosen protocol, and empty unless the group is stable.
    pub protocol: Arc<str>,
    pub members: Vec<DescribedMember>,
}

/// Metadata and assignment are empty unless the group is stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

/// A group as ListGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group_id: Arc<str>,
    pub protocol_type: Arc<str>,
    pub state: &'static str,
    /// `classic` or `consumer`.
    pub group_type: &'static str,
}

impl Response {
    /// The same answer when what it waited for could not be written: what had gone well has failed after all.
    pub(super) fn into_failed(self, failure: AppendFailure) -> Self {
        let error = failure.group_error();
        match self {
            Self::Join(joined) => Self::Join(joined.and_then(|joined| {
                Err(JoinRefused {
                    error,
                    member_id: joined.member_id,
                })
            })),
            Self::Sync(synced) => Self::Sync(synced.and(Err(error))),
            Self::Heartbeat(result) => Self::Heartbeat(result.and(Err(error))),
            Self::Leave(left) => Self::Leave(left.and(Err(error))),
            Self::OffsetCommit(topics) => {
                Self::OffsetCommit(fail_topics(topics, failure.offset_error()))
            }
            Self::OffsetDelete(topics) => {
                Self::OffsetDelete(topics.map(|topics| fail_topics(topics, failure.offset_error())))
            }
            Self::DeleteGroups(groups) => Self::DeleteGroups(
                groups
                    .into_iter()
                    .map(|(group, result)| (group, result.and(Err(error))))
                    .collect(),
            ),
            Self::ConsumerHeartbeat(result) => Self::ConsumerHeartbeat(
                result.and(Err(ConsumerHeartbeatRefused::Coordinator(error))),
            ),
        }
    }
}

fn fail_topics(mut topics: Vec<TopicResult>, error: GroupError) -> Vec<TopicResult> {
    for (_, result) in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        *result = result.and(Err(error));
    }
    topics
}
