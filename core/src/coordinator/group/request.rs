//! What the group coordinator is asked. Everything is borrowed from the request: what is kept is copied.
//!
//! Never the wire's own structures: versions are already levelled out, and where one still matters a field says so.

use std::time::Duration;

use rinka_storage::topic_partition::TopicId;

/// What time it is, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Since any fixed moment; never goes back. Deadlines count by it.
    pub now: Duration,
    /// Milliseconds since 1970, which go into records.
    pub wall_ms: i64,
}

/// JoinGroup 0-9.
#[derive(Clone, Debug)]
pub struct JoinRequest<'a> {
    pub group_id: &'a str,
    /// Empty: a new one is wanted.
    pub member_id: &'a str,
    /// Of a static member (version 5).
    pub instance_id: Option<&'a str>,
    pub client_id: &'a str,
    pub client_host: &'a str,
    /// 32 hexadecimal digits in five groups, never used before: the end of a new member's id.
    pub new_member_uuid: &'a str,
    pub session_timeout_ms: i32,
    /// Negative: as the session's (version 0 has none).
    pub rebalance_timeout_ms: i32,
    pub protocol_type: &'a str,
    /// Names and metadata, the member's favourite first.
    pub protocols: Vec<(&'a str, &'a [u8])>,
    /// Version 4 and later: a new dynamic member is told its id first, and joins with it.
    pub requires_known_member_id: bool,
    /// Version 9 and later.
    pub supports_skipping_assignment: bool,
}

/// SyncGroup 0-5.
#[derive(Clone, Debug)]
pub struct SyncRequest<'a> {
    pub group_id: &'a str,
    pub generation: i32,
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    /// Version 5; checked when there.
    pub protocol_type: Option<&'a str>,
    /// Version 5; checked when there.
    pub protocol_name: Option<&'a str>,
    /// Member ids and assignments: from the leader, and empty from everybody else.
    pub assignments: Vec<(&'a str, &'a [u8])>,
}

/// Heartbeat 0-4.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatRequest<'a> {
    pub group_id: &'a str,
    pub generation: i32,
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
}

/// LeaveGroup 0-5; before version 3 with one member.
#[derive(Clone, Debug)]
pub struct LeaveRequest<'a> {
    pub group_id: &'a str,
    pub members: Vec<LeavingMember<'a>>,
}

/// By its id, or by its instance id with an empty member id, as tools do.
#[derive(Clone, Copy, Debug)]
pub struct LeavingMember<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
}

/// OffsetCommit 2-10.
#[derive(Clone, Debug)]
pub struct OffsetCommitRequest<'a> {
    pub group_id: &'a str,
    /// Negative: not of a member.
    pub generation: i32,
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    /// Versions 2-4: how long to keep the offsets. `None`: as the broker is configured.
    pub retention_ms: Option<i64>,
    /// Version 9 and later: an unknown group is GROUP_ID_NOT_FOUND instead of ILLEGAL_GENERATION.
    pub reports_unknown_group: bool,
    /// Only of topics that exist and that the client may read.
    pub topics: Vec<OffsetCommitTopic<'a>>,
}

#[derive(Clone, Debug)]
pub struct OffsetCommitTopic<'a> {
    pub name: &'a str,
    /// Goes into the record where it is known.
    pub id: Option<TopicId>,
    pub partitions: Vec<OffsetToCommit<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub struct OffsetToCommit<'a> {
    pub partition: i32,
    pub offset: i64,
    /// -1: not known.
    pub leader_epoch: i32,
    /// Null on the wire is empty.
    pub metadata: &'a str,
}

/// One group of OffsetFetch 1-10.
#[derive(Clone, Debug)]
pub struct OffsetFetchRequest<'a> {
    pub group_id: &'a str,
    /// `None`: all that the group has.
    pub topics: Option<Vec<(&'a str, Vec<i32>)>>,
    /// Version 7 and later. Offsets of open transactions would be UNSTABLE_OFFSET_COMMIT; there are none yet.
    pub require_stable: bool,
}

/// OffsetDelete 0.
#[derive(Clone, Debug)]
pub struct OffsetDeleteRequest<'a> {
    pub group_id: &'a str,
    pub topics: Vec<(&'a str, Vec<i32>)>,
}

/// ListGroups 0-5. Empty filters let everything through.
#[derive(Clone, Debug, Default)]
pub struct ListRequest<'a> {
    /// Version 4; in any case of letters.
    pub states: Vec<&'a str>,
    /// Version 5; in any case of letters.
    pub types: Vec<&'a str>,
}
