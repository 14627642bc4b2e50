//! One member of a classic group.
//!
//! Never decides; the group keeps its counts in step with what changes here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::records::group_metadata::MemberMetadata;
use super::super::request::JoinRequest;
use super::super::timers::Alarm;
use super::super::turn::AppendId;

#[derive(Debug)]
pub(in super::super) struct Member<T> {
    pub(super) id: Arc<str>,
    /// `Some`: static.
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    /// The favourite first; each name once.
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// It has never been told its id, and so cannot send heartbeats.
    pub(super) is_new: bool,
    pub(super) awaiting_join: Option<T>,
    pub(super) awaiting_sync: Option<T>,
    /// The append that makes this id of a static member known.
    pub(super) replacing: Option<AppendId>,
    pub(super) session: Alarm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Protocol {
    pub(super) name: Arc<str>,
    pub(super) metadata: Bytes,
}

/// What a member or a protocol takes besides its texts and bytes, roughly.
const OVERHEAD_BYTES: usize = 64;

impl<T> Member<T> {
    pub(super) fn new(id: Arc<str>, request: &JoinRequest<'_>) -> Self {
        Self {
            id,
            instance_id: request.instance_id.map(Arc::from),
            client_id: request.client_id.into(),
            client_host: request.client_host.into(),
            rebalance_timeout_ms: rebalance_timeout_ms(request),
            session_timeout_ms: request.session_timeout_ms,
            protocols: protocols(request),
            assignment: Bytes::new(),
            is_new: true,
            awaiting_join: None,
            awaiting_sync: None,
            replacing: None,
            session: Alarm::default(),
        }
    }

    pub(super) fn load(record: MemberMetadata, protocol: &Arc<str>) -> Self {
        Self {
            id: record.member_id.into(),
            instance_id: record.instance_id.map(Arc::from),
            client_id: record.client_id.into(),
            client_host: record.client_host.into(),
            rebalance_timeout_ms: record.rebalance_timeout_ms,
            session_timeout_ms: record.session_timeout_ms,
            protocols: vec![Protocol {
                name: protocol.clone(),
                metadata: record.subscription,
            }],
            assignment: record.assignment,
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
            replacing: None,
            session: Alarm::default(),
        }
    }

    /// What it said when it joined, for the protocol; empty if it does not support it.
    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let mut protocols = self.protocols.iter();
        protocols
            .find(|supported| &*supported.name == protocol)
            .map(|supported| supported.metadata.clone())
            .unwrap_or_default()
    }

    /// Whether it joins again as it was.
    pub(super) fn matches(&self, request: &JoinRequest<'_>) -> bool {
        self.protocols == protocols(request)
    }

    pub(super) fn session_timeout(&self) -> Duration {
        milliseconds(self.session_timeout_ms)
    }

    pub(super) fn rebalance_timeout(&self) -> Duration {
        milliseconds(self.rebalance_timeout_ms)
    }

    /// Who waits for an answer cannot send heartbeats; but who was never told its id must not wait for ever.
    pub(super) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// What the bounds count.
    pub(super) fn bytes(&self) -> usize {
        let instance_id = self.instance_id.as_ref().map_or(0, |id| id.len());
        let ids = self.id.len() + instance_id + self.client_id.len() + self.client_host.len();
        let protocols: usize = self.protocols.iter().map(Protocol::bytes).sum();
        OVERHEAD_BYTES + ids + protocols + self.assignment.len()
    }
}

impl Protocol {
    fn bytes(&self) -> usize {
        OVERHEAD_BYTES + self.name.len() + self.metadata.len()
    }
}

/// What a new member of this request would count at least.
pub(in super::super) fn bytes_of(request: &JoinRequest<'_>) -> usize {
    let protocols = request.protocols.iter();
    let protocols = protocols.map(|(name, metadata)| OVERHEAD_BYTES + name.len() + metadata.len());
    let ids = request.instance_id.map_or(0, str::len) + 2 * request.client_id.len();
    OVERHEAD_BYTES + ids + request.client_host.len() + protocols.sum::<usize>()
}

/// The protocols of a request. One that is named twice must not count for two members: the first one counts.
pub(super) fn protocols(request: &JoinRequest<'_>) -> Vec<Protocol> {
    let mut seen = std::collections::BTreeSet::new();
    let protocols = request.protocols.iter();
    protocols
        .filter(|(name, _)| seen.insert(*name))
        .map(|&(name, metadata)| Protocol {
            name: name.into(),
            metadata: Bytes::copy_from_slice(metadata),
        })
        .collect()
}

pub(super) fn rebalance_timeout_ms(request: &JoinRequest<'_>) -> i32 {
    match request.rebalance_timeout_ms {
        ..0 => request.session_timeout_ms,
        timeout => timeout,
    }
}

fn milliseconds(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
