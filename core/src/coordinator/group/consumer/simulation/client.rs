//! A member as its own process sees itself: what it believes to have, what it is about to give up, what it says next.
//!
//! Behaves as Java's consumer does with either protocol, except that it may be slow.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::assignment::Assignment;
use super::super::classic::{ClassicHeartbeat, JoinRequest, SyncRequest};
use super::super::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use super::super::member::ClassicProtocol;
use super::super::migration::partitions_of;
use super::super::topics_view::TopicsView;
use super::random::Random;
use crate::coordinator::group::consumer_protocol::{ProtocolAssignment, Subscription};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) enum Kind {
    Consumer,
    /// Classic, and gives up everything before it joins.
    Eager,
    /// Classic, and gives up what it must after it joined.
    Cooperative,
}

/// What a client of the classic protocol does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) enum Phase {
    Join,
    Sync,
    Heartbeat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::coordinator::group) enum Subscribed {
    Names(Vec<Arc<str>>),
    Regex(Arc<str>),
}

#[derive(Clone, Debug)]
pub(in crate::coordinator::group) struct Client {
    pub(in crate::coordinator::group) kind: Kind,
    pub(in crate::coordinator::group) id: Arc<str>,
    pub(in crate::coordinator::group) instance_id: Option<Arc<str>>,
    pub(in crate::coordinator::group) epoch: i32,
    pub(in crate::coordinator::group) subscribed: Subscribed,
    pub(in crate::coordinator::group) assignor: Option<Arc<str>>,
    /// What it believes to have.
    pub(in crate::coordinator::group) owned: Assignment,
    /// What it is to have instead, once it has given up what it must.
    pub(in crate::coordinator::group) pending: Option<(Assignment, Duration)>,
    pub(in crate::coordinator::group) phase: Phase,
    /// The next heartbeat says everything.
    pub(in crate::coordinator::group) says_all: bool,
    pub(in crate::coordinator::group) owned_changed: bool,
    pub(in crate::coordinator::group) subscription_changed: bool,
    pub(in crate::coordinator::group) next_action: Duration,
    /// `None`: for good.
    pub(in crate::coordinator::group) silent_until: Option<Duration>,
    pub(in crate::coordinator::group) dead: bool,
}

pub(in crate::coordinator::group) const REBALANCE_TIMEOUT_MS: i32 = 15_000;
pub(in crate::coordinator::group) const CLASSIC_SESSION_TIMEOUT_MS: i32 = 10_000;
const HEARTBEAT: Duration = Duration::from_secs(3);

impl Client {
    pub(in crate::coordinator::group) fn is_alive(&self) -> bool {
        !self.dead
    }

    pub(in crate::coordinator::group) fn names(&self) -> &[Arc<str>] {
        match &self.subscribed {
            Subscribed::Names(names) => names,
            Subscribed::Regex(_) => &[],
        }
    }

    pub(in crate::coordinator::group) fn regex(&self) -> Option<&Arc<str>> {
        match &self.subscribed {
            Subscribed::Names(_) => None,
            Subscribed::Regex(regex) => Some(regex),
        }
    }

    pub(in crate::coordinator::group) fn heartbeat(&self, random: &mut Random) -> HeartbeatRequest {
        let joins = self.epoch == 0;
        let all = joins || self.says_all;
        let says_topics = all || self.subscription_changed;
        let says_owned = all || self.owned_changed;
        let regex = self.regex().cloned().unwrap_or_default();
        HeartbeatRequest {
            version: 1,
            member_id: Arc::clone(&self.id),
            member_epoch: self.epoch,
            instance_id: self.instance_id.clone(),
            rack_id: None,
            rebalance_timeout_ms: all.then_some(REBALANCE_TIMEOUT_MS),
            subscribed_topic_names: says_topics.then(|| self.names().to_vec()),
            subscribed_topic_regex: says_topics.then_some(regex),
            server_assignor: all.then(|| self.assignor.clone()).flatten(),
            owned: says_owned.then(|| self.owned.clone()),
            client_id: "client".into(),
            client_host: "/host".into(),
            new_member_id: new_id(random),
        }
    }

    pub(in crate::coordinator::group) fn join(
        &self,
        topics: &TopicsView,
        random: &mut Random,
    ) -> JoinRequest {
        let eager = self.kind == Kind::Eager;
        let named = self.owned.topics().filter_map(|(id, partitions)| {
            let name = Arc::clone(topics.name(id)?);
            Some((name, partitions.iter().copied().collect()))
        });
        let subscription = Subscription {
            topics: self.names().to_vec(),
            owned: named.collect(),
            generation: self.epoch,
            ..Subscription::default()
        };
        JoinRequest {
            version: 5,
            member_id: Arc::clone(&self.id),
            instance_id: self.instance_id.clone(),
            session_timeout_ms: CLASSIC_SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            protocol_type: "consumer".into(),
            protocols: vec![ClassicProtocol {
                name: "range".into(),
                metadata: subscription.encode(if eager { 0 } else { 2 }),
            }],
            client_id: "client".into(),
            client_host: "/host".into(),
            new_member_id: new_id(random),
        }
    }

    pub(in crate::coordinator::group) fn sync(&self) -> SyncRequest {
        SyncRequest {
            member_id: Arc::clone(&self.id),
            instance_id: self.instance_id.clone(),
            generation: self.epoch,
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
        }
    }

    pub(in crate::coordinator::group) fn classic_heartbeat(&self) -> ClassicHeartbeat {
        ClassicHeartbeat {
            member_id: Arc::clone(&self.id),
            instance_id: self.instance_id.clone(),
            generation: self.epoch,
        }
    }

    /// The request arrived, and so did its response.
    pub(in crate::coordinator::group) fn on_heartbeat_response(
        &mut self,
        response: HeartbeatResponse,
        now: Duration,
        slow: Duration,
    ) {
        self.id = response.member_id;
        self.epoch = response.member_epoch;
        self.says_all = false;
        self.owned_changed = false;
        self.subscription_changed = false;
        self.next_action = now + HEARTBEAT;
        if let Some(assignment) = response.assignment {
            let gives_up = !self.owned.is_subset(&assignment);
            let slow = if gives_up { slow } else { Duration::ZERO };
            self.pending = Some((assignment, now + slow));
        }
    }

    /// SyncGroup's assignment. A cooperative member that must give up something joins again when it has.
    pub(in crate::coordinator::group) fn on_sync_response(
        &mut self,
        bytes: &Bytes,
        topics: &TopicsView,
        now: Duration,
        slow: Duration,
    ) {
        let assignment = ProtocolAssignment::decode(bytes).expect("the broker wrote it");
        let assignment = partitions_of(&assignment.partitions, topics);
        self.phase = Phase::Heartbeat;
        self.next_action = now + HEARTBEAT;
        let gives_up = !self.owned.is_subset(&assignment);
        let slow = if gives_up { slow } else { Duration::ZERO };
        self.pending = Some((assignment, now + slow));
    }

    /// A classic member is told of a rebalance.
    pub(in crate::coordinator::group) fn on_rebalance(&mut self, now: Duration, slow: Duration) {
        self.phase = Phase::Join;
        self.next_action = now;
        if self.kind == Kind::Eager {
            // What it was about to take it takes no more.
            let nothing = Assignment::default();
            self.pending = (!self.owned.is_empty()).then_some((nothing, now + slow));
        }
    }

    /// Takes what it is to have once it has given up what it must, and says so at once.
    pub(in crate::coordinator::group) fn settle(&mut self, now: Duration) {
        let Some((assignment, _)) = self.pending.take_if(|(_, at)| *at <= now) else {
            return;
        };
        let gave_up = !self.owned.is_subset(&assignment);
        if assignment != self.owned {
            self.owned = assignment;
            self.owned_changed = true;
            if self.kind == Kind::Consumer {
                self.next_action = now;
            }
        }
        if self.kind == Kind::Cooperative && gave_up && self.phase == Phase::Heartbeat {
            self.phase = Phase::Join;
            self.next_action = now;
        }
    }

    /// Whether it must first finish what it is doing: a member of the classic protocol gives up before it joins.
    pub(in crate::coordinator::group) fn is_busy(&self) -> bool {
        self.kind != Kind::Consumer && self.phase == Phase::Join && self.pending.is_some()
    }

    /// It is no member any more, and has nothing.
    pub(in crate::coordinator::group) fn on_fenced(&mut self, now: Duration) {
        self.owned = Assignment::default();
        self.pending = None;
        self.epoch = 0;
        self.owned_changed = false;
        self.phase = Phase::Join;
        self.next_action = now;
        if self.kind != Kind::Consumer {
            self.id = "".into();
            self.epoch = -1;
        }
    }

    /// Whatever became of its request: it says everything again.
    pub(in crate::coordinator::group) fn on_no_response(&mut self, now: Duration, after: Duration) {
        self.says_all = true;
        self.next_action = now + after;
    }
}

pub(in crate::coordinator::group) fn new_id(random: &mut Random) -> Arc<str> {
    format!("m{:08x}", random.next() >> 32).into()
}
