//! A member of a group of the classic protocol: joins, says that it lives, commits, leaves (KIP-62, KIP-345, KIP-394). At every rebalance
//! it gives up all it has, and what it is to have is decided by the member that leads.
//!
//! One thread: heartbeats are sent between fetches, in time as long as whoever reads the output reads on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rinka_net::wire::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use rinka_net::wire::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use rinka_net::wire::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use rinka_net::wire::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};

use super::super::range;
use super::Standing;
use crate::cli::client::{Client, Deadline, TopicPartition, explain};
use crate::cli::failure::{Failure, Result, failed};
use crate::cli::group::assignment;
use crate::cli::group::offsets::{Committer, commit};
use crate::cli::output::{printable, remark};
use rinka_core::coordinator::group::consumer_protocol::Subscription;

/// Without a heartbeat for so long the group goes on without us.
const SESSION_TIMEOUT_MS: i32 = 45_000;

/// How long others may take to rejoin.
const REBALANCE_TIMEOUT_MS: i32 = 60_000;

const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);

/// The one assignor that we know.
const ASSIGNOR: &str = "range";

pub(super) struct ClassicMember {
    group: String,
    /// Empty until the coordinator has given one.
    id: String,
    generation: i32,
    joined: bool,
    heartbeat: Instant,
    /// What it joined with.
    topics: Vec<String>,
}

impl ClassicMember {
    pub(super) fn new(group: String) -> Self {
        Self {
            group,
            id: String::new(),
            generation: -1,
            joined: false,
            heartbeat: Instant::now(),
            topics: Vec::new(),
        }
    }

    fn committer(&self) -> Committer<'_> {
        Committer {
            group: &self.group,
            generation: self.generation,
            member: &self.id,
        }
    }

    /// Joins or rejoins, and returns the partitions that are ours then.
    pub(super) fn join(
        &mut self,
        client: &mut Client,
        topics: &[String],
    ) -> Result<BTreeSet<TopicPartition>> {
        self.topics = topics.to_vec();
        loop {
            let response = self.join_once(client, topics)?;
            let Some(response) = response else { continue };
            self.generation = response.generation_id;
            self.id = response.member_id.to_string();
            let assignments = if *response.leader == *self.id && !response.skip_assignment {
                self.lead(client, &response)?
            } else {
                Vec::new()
            };
            if let Some(partitions) = self.sync(client, assignments)? {
                self.joined = true;
                self.heartbeat = Instant::now();
                super::tell(&self.group, "generation", self.generation, &partitions);
                return Ok(partitions);
            }
        }
    }

    /// Nothing when it must be tried again at once.
    fn join_once(
        &mut self,
        client: &mut Client,
        topics: &[String],
    ) -> Result<Option<JoinGroupResponse>> {
        let request = JoinGroupRequest {
            group_id: self.group.clone().into(),
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: self.id.clone().into(),
            protocol_type: Text::from("consumer"),
            protocols: vec![JoinGroupRequestProtocol {
                name: Text::from(ASSIGNOR),
                metadata: subscription(topics),
            }],
            ..Default::default()
        };
        // The answer comes when all members are there.
        let patience = Duration::from_millis(REBALANCE_TIMEOUT_MS.unsigned_abs().into());
        let deadline = Deadline::after(patience + client.deadline().left());
        let response: JoinGroupResponse = client.ask_coordinator(
            &self.group,
            ApiKey::JoinGroup,
            i16::MAX,
            &request,
            |response: &JoinGroupResponse| response.error_code,
            deadline,
        )?;
        match response.error_code {
            ErrorCode::NONE => Ok(Some(response)),
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.id = response.member_id.to_string();
                Ok(None)
            }
            ErrorCode::UNKNOWN_MEMBER_ID if !self.id.is_empty() => {
                self.id.clear();
                Ok(None)
            }
            ErrorCode::REBALANCE_IN_PROGRESS => Ok(None),
            code => failed(format!(
                "group {} cannot be joined: {}",
                printable(&self.group),
                explain(code, None)
            )),
        }
    }

    /// Shares out the partitions among all members.
    fn lead(
        &self,
        client: &mut Client,
        response: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>> {
        let mut members = BTreeMap::new();
        for member in &response.members {
            // Whoever's subscription cannot be read gets nothing, and does not keep the others from theirs.
            let subscription = Subscription::decode_beginning(&member.metadata);
            let topics = subscription.unwrap_or_default().topics;
            let topics = topics.iter().map(|topic| topic.to_string()).collect();
            members.insert(member.member_id.to_string(), topics);
        }
        let topics: BTreeSet<&String> = members.values().flatten().collect();
        let topics: Vec<String> = topics.into_iter().cloned().collect();
        let deadline = client.deadline();
        let metadata = client.metadata(Some(&topics), deadline)?;
        let partitions = metadata
            .topics
            .iter()
            .map(|(name, topic)| (name.clone(), topic.partitions.keys().copied().collect()))
            .collect();
        let assigned = range::assign(&members, &partitions).into_iter();
        let assignments = assigned.map(|(member, partitions)| SyncGroupRequestAssignment {
            member_id: Text::from(member),
            assignment: assignment::write(&partitions),
        });
        Ok(assignments.collect())
    }

    /// Nothing when it must be joined again.
    fn sync(
        &mut self,
        client: &mut Client,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Result<Option<BTreeSet<TopicPartition>>> {
        let request = SyncGroupRequest {
            group_id: self.group.clone().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            protocol_type: Some(Text::from("consumer")),
            protocol_name: Some(Text::from(ASSIGNOR)),
            assignments,
            ..Default::default()
        };
        let patience = Duration::from_millis(REBALANCE_TIMEOUT_MS.unsigned_abs().into());
        let deadline = Deadline::after(patience + client.deadline().left());
        let response: SyncGroupResponse = client.ask_coordinator(
            &self.group,
            ApiKey::SyncGroup,
            i16::MAX,
            &request,
            |response: &SyncGroupResponse| response.error_code,
            deadline,
        )?;
        let group = printable(&self.group);
        match response.error_code {
            ErrorCode::NONE => match assignment::read(&response.assignment) {
                Ok(partitions) => Ok(Some(partitions)),
                Err(error) => failed(format!(
                    "group {group}: our assignment cannot be read: {error}"
                )),
            },
            code if self.must_rejoin(code) => Ok(None),
            code => failed(format!("group {group}: {}", explain(code, None))),
        }
    }

    /// Whether an error only means that the group has gone on without us.
    fn must_rejoin(&mut self, code: ErrorCode) -> bool {
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => true,
            ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID => {
                // Whoever is still known keeps its id: under another one the group would wait for the former until its session ends.
                if code == ErrorCode::UNKNOWN_MEMBER_ID {
                    self.id.clear();
                }
                self.generation = -1;
                self.joined = false;
                true
            }
            _ => false,
        }
    }

    /// If it is time to. What it subscribes to it can only say when it joins.
    pub(super) fn heartbeat(&mut self, client: &mut Client, topics: &[String]) -> Result<Standing> {
        if self.topics != topics {
            return Ok(Standing::Rejoin);
        }
        if self.heartbeat.elapsed() < HEARTBEAT_EVERY {
            return Ok(Standing::Good);
        }
        self.heartbeat = Instant::now();
        let request = HeartbeatRequest {
            group_id: self.group.clone().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            ..Default::default()
        };
        let deadline = client.deadline();
        let response: HeartbeatResponse = client.ask_coordinator(
            &self.group,
            ApiKey::Heartbeat,
            i16::MAX,
            &request,
            |response: &HeartbeatResponse| response.error_code,
            deadline,
        )?;
        match response.error_code {
            ErrorCode::NONE => Ok(Standing::Good),
            code if self.must_rejoin(code) => Ok(Standing::Rejoin),
            code => failed(format!(
                "group {}: {}",
                printable(&self.group),
                explain(code, None)
            )),
        }
    }

    /// Nothing is committed for a group that has gone on without us: somebody else has these partitions.
    pub(super) fn commit(
        &mut self,
        client: &mut Client,
        positions: &BTreeMap<TopicPartition, i64>,
    ) -> Result<()> {
        if !self.joined || positions.is_empty() {
            return Ok(());
        }
        let deadline = client.deadline();
        let refused = commit(client, &self.committer(), positions, deadline)?;
        let Some((at, code)) = refused.into_iter().next() else {
            return Ok(());
        };
        if !self.must_rejoin(code) {
            return failed(format!("{at}: not committed: {}", explain(code, None)));
        }
        let group = printable(&self.group);
        remark(format_args!(
            "rinka: group {group} was sharing out anew; the last offsets were not committed"
        ));
        Ok(())
    }

    /// So that the others need not wait until our session times out.
    pub(super) fn leave(&mut self, client: &mut Client) -> Result<()> {
        if self.id.is_empty() {
            return Ok(());
        }
        let request = LeaveGroupRequest {
            group_id: self.group.clone().into(),
            member_id: self.id.clone().into(),
            members: vec![MemberIdentity {
                member_id: self.id.clone().into(),
                ..Default::default()
            }],
        };
        let deadline = client.deadline();
        let left: Result<LeaveGroupResponse> = client.ask_coordinator(
            &self.group,
            ApiKey::LeaveGroup,
            i16::MAX,
            &request,
            |response: &LeaveGroupResponse| response.error_code,
            deadline,
        );
        match left {
            // Whatever the answer says, we are no member any more; without one the session times out on its own.
            Ok(_) | Err(Failure::Connection(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

/// As every client reads it.
fn subscription(topics: &[String]) -> Bytes {
    let subscription = Subscription {
        topics: topics.iter().map(|topic| topic.as_str().into()).collect(),
        ..Subscription::default()
    };
    subscription.encode(0)
}
