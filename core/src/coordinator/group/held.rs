//! Requests that wait until the records of their group are committed: a consumer group decides nothing between a decision and the
//! replay of its records.
//!
//! Holds copies, never slices of a request, and decides nothing itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::consumer::heartbeat::HeartbeatRequest as ConsumerHeartbeatRequest;
use super::error::GroupError;
use super::request::{HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, SyncRequest};
use super::response::{ConsumerHeartbeatRefused, JoinRefused, Response};
use super::timers::Timer;
use super::turn::AppendId;

/// The groups that wait for an append, each with what came for it meanwhile.
#[derive(Debug)]
pub(super) struct Holds<T> {
    groups: BTreeMap<Arc<str>, Hold<T>>,
    /// Requests of all groups.
    count: usize,
}

#[derive(Debug)]
struct Hold<T> {
    append: AppendId,
    waiting: VecDeque<Waiting<T>>,
}

/// What comes next when the group decides again.
#[derive(Debug)]
pub(super) enum Waiting<T> {
    Request(HeldRequest, T),
    Timer(Timer),
}

#[derive(Debug)]
pub(super) enum HeldRequest {
    Join(Box<HeldJoin>),
    Sync(Box<HeldSync>),
    Heartbeat {
        group_id: Box<str>,
        generation: i32,
        member_id: Box<str>,
        instance_id: Option<Box<str>>,
    },
    Leave {
        group_id: Box<str>,
        members: Vec<(Box<str>, Option<Box<str>>)>,
    },
    ConsumerHeartbeat {
        group_id: Box<str>,
        request: Box<ConsumerHeartbeatRequest>,
    },
}

#[derive(Debug)]
pub(super) struct HeldJoin {
    group_id: Box<str>,
    member_id: Box<str>,
    instance_id: Option<Box<str>>,
    client_id: Box<str>,
    client_host: Box<str>,
    new_member_uuid: Box<str>,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
    protocol_type: Box<str>,
    protocols: Vec<(Box<str>, Box<[u8]>)>,
    requires_known_member_id: bool,
    supports_skipping_assignment: bool,
}

#[derive(Debug)]
pub(super) struct HeldSync {
    group_id: Box<str>,
    generation: i32,
    member_id: Box<str>,
    instance_id: Option<Box<str>>,
    protocol_type: Option<Box<str>>,
    protocol_name: Option<Box<str>>,
    assignments: Vec<(Box<str>, Box<[u8]>)>,
}

impl<T> Default for Holds<T> {
    fn default() -> Self {
        Self {
            groups: BTreeMap::new(),
            count: 0,
        }
    }
}

impl<T> Holds<T> {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// From now on the group waits for this append.
    pub(super) fn begin(&mut self, group: Arc<str>, append: AppendId) {
        let waiting = VecDeque::new();
        let former = self.groups.insert(group, Hold { append, waiting });
        assert!(former.is_none(), "a group waits for one append at a time");
    }

    /// It comes behind what waits already. Given back if the group does not wait.
    pub(super) fn push(&mut self, group: &str, waiting: Waiting<T>) -> Option<Waiting<T>> {
        let Some(hold) = self.groups.get_mut(group) else {
            return Some(waiting);
        };
        hold.waiting.push_back(waiting);
        self.count += 1;
        None
    }

    /// The append is resolved: what the group waited with, if that is what it waited for.
    pub(super) fn end(&mut self, group: &str, append: AppendId) -> Option<VecDeque<Waiting<T>>> {
        if self.groups.get(group)?.append != append {
            return None;
        }
        let hold = self.groups.remove(group)?;
        self.count -= hold.waiting.len();
        Some(hold.waiting)
    }

    /// Everything that waits, of all groups; none waits any more.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Waiting<T>> + use<T> {
        self.count = 0;
        let groups = std::mem::take(&mut self.groups);
        groups.into_values().flat_map(|hold| hold.waiting)
    }
}

fn copied(text: Option<&str>) -> Option<Box<str>> {
    text.map(Box::from)
}

fn copied_pairs(pairs: &[(&str, &[u8])]) -> Vec<(Box<str>, Box<[u8]>)> {
    let pairs = pairs.iter();
    pairs
        .map(|&(name, bytes)| (name.into(), bytes.into()))
        .collect()
}

fn borrowed_pairs(pairs: &[(Box<str>, Box<[u8]>)]) -> Vec<(&str, &[u8])> {
    let pairs = pairs.iter();
    pairs.map(|(name, bytes)| (&**name, &**bytes)).collect()
}

impl HeldRequest {
    pub(super) fn join(request: &JoinRequest<'_>) -> Self {
        Self::Join(Box::new(HeldJoin {
            group_id: request.group_id.into(),
            member_id: request.member_id.into(),
            instance_id: copied(request.instance_id),
            client_id: request.client_id.into(),
            client_host: request.client_host.into(),
            new_member_uuid: request.new_member_uuid.into(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocol_type: request.protocol_type.into(),
            protocols: copied_pairs(&request.protocols),
            requires_known_member_id: request.requires_known_member_id,
            supports_skipping_assignment: request.supports_skipping_assignment,
        }))
    }

    pub(super) fn sync(request: &SyncRequest<'_>) -> Self {
        Self::Sync(Box::new(HeldSync {
            group_id: request.group_id.into(),
            generation: request.generation,
            member_id: request.member_id.into(),
            instance_id: copied(request.instance_id),
            protocol_type: copied(request.protocol_type),
            protocol_name: copied(request.protocol_name),
            assignments: copied_pairs(&request.assignments),
        }))
    }

    pub(super) fn heartbeat(request: &HeartbeatRequest<'_>) -> Self {
        Self::Heartbeat {
            group_id: request.group_id.into(),
            generation: request.generation,
            member_id: request.member_id.into(),
            instance_id: copied(request.instance_id),
        }
    }

    pub(super) fn leave(request: &LeaveRequest<'_>) -> Self {
        let members = request.members.iter();
        Self::Leave {
            group_id: request.group_id.into(),
            members: members
                .map(|member| (member.member_id.into(), copied(member.instance_id)))
                .collect(),
        }
    }

    pub(super) fn consumer_heartbeat(group_id: &str, request: &ConsumerHeartbeatRequest) -> Self {
        Self::ConsumerHeartbeat {
            group_id: group_id.into(),
            request: Box::new(request.clone()),
        }
    }

    /// What is answered instead of deciding it.
    pub(super) fn refused(self, error: GroupError) -> Response {
        match self {
            Self::Join(join) => Response::Join(Err(JoinRefused {
                error,
                member_id: join.member_id.into(),
            })),
            Self::Sync(_) => Response::Sync(Err(error)),
            Self::Heartbeat { .. } => Response::Heartbeat(Err(error)),
            Self::Leave { .. } => Response::Leave(Err(error)),
            Self::ConsumerHeartbeat { .. } => {
                Response::ConsumerHeartbeat(Err(ConsumerHeartbeatRefused::Coordinator(error)))
            }
        }
    }
}

impl HeldJoin {
    pub(super) fn request(&self) -> JoinRequest<'_> {
        JoinRequest {
            group_id: &self.group_id,
            member_id: &self.member_id,
            instance_id: self.instance_id.as_deref(),
            client_id: &self.client_id,
            client_host: &self.client_host,
            new_member_uuid: &self.new_member_uuid,
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            protocol_type: &self.protocol_type,
            protocols: borrowed_pairs(&self.protocols),
            requires_known_member_id: self.requires_known_member_id,
            supports_skipping_assignment: self.supports_skipping_assignment,
        }
    }
}

impl HeldSync {
    pub(super) fn request(&self) -> SyncRequest<'_> {
        SyncRequest {
            group_id: &self.group_id,
            generation: self.generation,
            member_id: &self.member_id,
            instance_id: self.instance_id.as_deref(),
            protocol_type: self.protocol_type.as_deref(),
            protocol_name: self.protocol_name.as_deref(),
            assignments: borrowed_pairs(&self.assignments),
        }
    }
}

/// Members as the request named them.
pub(super) fn leaving(members: &[(Box<str>, Option<Box<str>>)]) -> Vec<LeavingMember<'_>> {
    let members = members.iter();
    members
        .map(|(member_id, instance_id)| LeavingMember {
            member_id,
            instance_id: instance_id.as_deref(),
        })
        .collect()
}
