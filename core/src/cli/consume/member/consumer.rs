//! A member of a group of the consumer protocol (KIP-848): the broker says what it is to have, and it gives up what moves before it says
//! so; what stays goes on meanwhile.
//!
//! One thread, as its classic neighbour. Offsets of what is given up are committed by whoever consumes, before the acknowledgement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rinka_net::wire::consumer_group_heartbeat::{
    Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use uuid::Uuid;

use super::{Standing, tell};
use crate::cli::client::{Client, Deadline, TopicPartition, explain};
use crate::cli::failure::{Failure, Result, failed};
use crate::cli::group::offsets::{Committer, commit};
use crate::cli::output::{printable, remark};

/// How long giving up partitions may take.
const REBALANCE_TIMEOUT_MS: i32 = 60_000;

/// The epoch of a member that joins, and of one that leaves.
const JOIN: i32 = 0;
const LEAVE: i32 = -1;

/// What came of joining.
pub(super) enum Joined {
    Member(BTreeSet<TopicPartition>),
    /// Not by this protocol; the reason.
    Refused(String),
}

pub(super) struct ConsumerMember {
    group: String,
    id: String,
    /// [`JOIN`]: no member.
    epoch: i32,
    interval: Duration,
    heartbeat: Instant,
    /// What was last said of it.
    topics: Vec<String>,
    owned: BTreeSet<TopicPartition>,
    /// The broker does not know yet that we have these and no others.
    is_unacknowledged: bool,
    /// What the broker calls topics.
    names: BTreeMap<Uuid, String>,
}

impl ConsumerMember {
    /// Whether the group's coordinator offers the protocol.
    pub(super) fn is_offered(client: &mut Client, group: &str, deadline: Deadline) -> Result<bool> {
        let address = client.coordinator(group, deadline)?;
        client.offers(&address, ApiKey::ConsumerGroupHeartbeat, deadline)
    }

    pub(super) fn new(group: String) -> Self {
        Self {
            group,
            id: Uuid::new_v4().to_string(),
            epoch: JOIN,
            interval: Duration::ZERO,
            heartbeat: Instant::now(),
            topics: Vec::new(),
            owned: BTreeSet::new(),
            is_unacknowledged: false,
            names: BTreeMap::new(),
        }
    }

    pub(super) fn join(&mut self, client: &mut Client, topics: &[String]) -> Result<Joined> {
        self.epoch = JOIN;
        self.owned.clear();
        self.topics = topics.to_vec();
        let request = ConsumerGroupHeartbeatRequest {
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            subscribed_topic_names: Some(names(topics)),
            topic_partitions: Some(Vec::new()),
            ..self.request()
        };
        let response = self.send(client, &request)?;
        let message = response.error_message.as_deref();
        match response.error_code {
            ErrorCode::NONE => {}
            // The group is one that the newer protocol cannot take over, or the broker has it switched off.
            code @ (ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::GROUP_ID_NOT_FOUND
            | ErrorCode::INCONSISTENT_GROUP_PROTOCOL) => {
                return Ok(Joined::Refused(self.cannot_join(code, message)));
            }
            code => return failed(self.cannot_join(code, message)),
        }
        self.on_response(&response);
        self.is_unacknowledged = true;
        let assigned = match response.assignment {
            Some(assignment) => self.resolve(client, &assignment)?,
            None => BTreeSet::new(),
        };
        self.owned.clone_from(&assigned);
        tell(&self.group, "epoch", self.epoch, &assigned);
        Ok(Joined::Member(assigned))
    }

    fn cannot_join(&self, code: ErrorCode, message: Option<&str>) -> String {
        let group = printable(&self.group);
        let reason = explain(code, message);
        format!("group {group} cannot be joined by the protocol `consumer`: {reason}")
    }

    /// If it is time to, or there is something to say.
    pub(super) fn heartbeat(&mut self, client: &mut Client, topics: &[String]) -> Result<Standing> {
        let subscribes = self.topics != topics;
        if !subscribes && self.heartbeat.elapsed() < self.interval {
            return Ok(Standing::Good);
        }
        if subscribes {
            self.topics = topics.to_vec();
        }
        let request = ConsumerGroupHeartbeatRequest {
            subscribed_topic_names: subscribes.then(|| names(topics)),
            ..self.request()
        };
        self.exchange(client, request)
    }

    pub(super) fn acknowledge(
        &mut self,
        client: &mut Client,
        owned: BTreeSet<TopicPartition>,
    ) -> Result<Standing> {
        tell(&self.group, "epoch", self.epoch, &owned);
        self.owned = owned;
        self.is_unacknowledged = true;
        let request = self.request();
        self.exchange(client, request)
    }

    fn exchange(
        &mut self,
        client: &mut Client,
        mut request: ConsumerGroupHeartbeatRequest,
    ) -> Result<Standing> {
        if self.is_unacknowledged {
            request.topic_partitions = Some(self.owned_by_id());
        }
        let response = self.send(client, &request)?;
        match response.error_code {
            ErrorCode::NONE => {}
            code if self.is_lost(code) => return Ok(Standing::Rejoin),
            code => {
                let reason = explain(code, response.error_message.as_deref());
                return failed(format!("group {}: {reason}", printable(&self.group)));
            }
        }
        self.on_response(&response);
        self.is_unacknowledged = false;
        let Some(assignment) = response.assignment else {
            return Ok(Standing::Good);
        };
        let assigned = self.resolve(client, &assignment)?;
        match assigned == self.owned {
            true => Ok(Standing::Good),
            false => Ok(Standing::Assigned(assigned)),
        }
    }

    fn on_response(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.epoch = response.member_epoch;
        if let Some(id) = &response.member_id {
            self.id = id.to_string();
        }
        let interval = response.heartbeat_interval_ms.max(1).unsigned_abs();
        self.interval = Duration::from_millis(interval.into());
    }

    /// Whether the group has gone on without us: then nothing is ours any more.
    fn is_lost(&mut self, code: ErrorCode) -> bool {
        let is_lost = matches!(
            code,
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH
        );
        if is_lost {
            self.epoch = JOIN;
            self.owned.clear();
        }
        is_lost
    }

    /// A heartbeat that says nothing new.
    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone().into(),
            member_id: self.id.clone().into(),
            member_epoch: self.epoch,
            ..Default::default()
        }
    }

    fn send(
        &mut self,
        client: &mut Client,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse> {
        self.heartbeat = Instant::now();
        let deadline = client.deadline();
        client.ask_coordinator(
            &self.group,
            ApiKey::ConsumerGroupHeartbeat,
            i16::MAX,
            request,
            |response: &ConsumerGroupHeartbeatResponse| response.error_code,
            deadline,
        )
    }

    /// The names of what is assigned. A topic that is not there any more has nothing to be read.
    fn resolve(
        &mut self,
        client: &mut Client,
        assignment: &Assignment,
    ) -> Result<BTreeSet<TopicPartition>> {
        let mut topics = assignment.topic_partitions.iter();
        if topics.any(|topic| !self.names.contains_key(&topic.topic_id)) {
            let deadline = client.deadline();
            let metadata = client.metadata(Some(&self.topics), deadline)?;
            let topics = metadata.topics.into_iter();
            self.names = topics.map(|(name, topic)| (topic.id, name)).collect();
        }
        let mut partitions = BTreeSet::new();
        for topic in &assignment.topic_partitions {
            let Some(name) = self.names.get(&topic.topic_id) else {
                continue;
            };
            partitions.extend(topic.partitions.iter().map(|&partition| TopicPartition {
                topic: name.clone(),
                partition,
            }));
        }
        Ok(partitions)
    }

    fn owned_by_id(&self) -> Vec<TopicPartitions> {
        let of_topic = |(id, name): (&Uuid, &String)| {
            let partitions = self.owned.iter().filter(|at| at.topic == *name);
            let partitions: Vec<i32> = partitions.map(|at| at.partition).collect();
            (!partitions.is_empty()).then_some(TopicPartitions {
                topic_id: *id,
                partitions,
            })
        };
        self.names.iter().filter_map(of_topic).collect()
    }

    pub(super) fn commit(
        &mut self,
        client: &mut Client,
        positions: &BTreeMap<TopicPartition, i64>,
    ) -> Result<()> {
        if self.epoch == JOIN || positions.is_empty() {
            return Ok(());
        }
        let committer = Committer {
            group: &self.group,
            generation: self.epoch,
            member: &self.id,
        };
        let deadline = client.deadline();
        let refused = commit(client, &committer, positions, deadline)?;
        let Some((at, code)) = refused.into_iter().next() else {
            return Ok(());
        };
        // An epoch is stale only when the answer that told the next one was lost: the next heartbeat tells it again.
        if !self.is_lost(code) && code != ErrorCode::STALE_MEMBER_EPOCH {
            return failed(format!("{at}: not committed: {}", explain(code, None)));
        }
        let group = printable(&self.group);
        remark(format_args!(
            "rinka: group {group} has gone on; the last offsets were not committed"
        ));
        Ok(())
    }

    pub(super) fn leave(&mut self, client: &mut Client) -> Result<()> {
        if self.epoch == JOIN {
            return Ok(());
        }
        self.epoch = LEAVE;
        let request = self.request();
        match self.send(client, &request) {
            // Whatever the answer says, we are no member any more; without one the session times out on its own.
            Ok(_) | Err(Failure::Connection(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

fn names(topics: &[String]) -> Vec<Text> {
    topics.iter().cloned().map(Text::from).collect()
}
