//! A consumer as clients of the classic protocol behave: it joins, asks for its assignment, sends heartbeats and commits offsets.
//!
//! Decides only what it asks next; when an answer comes, or none, is the world's affair.

use std::sync::Arc;

use super::super::error::GroupError;
use super::super::response::{Joined, Response};
use super::Random;

/// Of the one topic that everybody subscribes to.
pub(super) const PARTITIONS: u8 = 6;

#[derive(Clone, Debug)]
pub(super) enum Ask {
    Join {
        member_id: Arc<str>,
    },
    Sync {
        member_id: Arc<str>,
        generation: i32,
        assignments: Vec<(Arc<str>, Vec<u8>)>,
    },
    Heartbeat {
        member_id: Arc<str>,
        generation: i32,
    },
    Commit {
        member_id: Arc<str>,
        generation: i32,
        partition: u8,
    },
    Leave {
        member_id: Arc<str>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not running.
    Off,
    Joining,
    Syncing(Vec<(Arc<str>, Vec<u8>)>),
    Member,
}

#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) instance_id: Option<String>,
    pub(super) requires_known_member_id: bool,
    pub(super) supports_skipping_assignment: bool,
    /// In the order it likes them.
    pub(super) protocols: Vec<&'static str>,
    pub(super) phase: Phase,
    pub(super) member_id: Arc<str>,
    pub(super) generation: i32,
    pub(super) owned: Vec<u8>,
    /// Busy with something else: it sends heartbeats and does not join when it is told to.
    pub(super) stubborn: bool,
    /// The request that it waits for, and until when.
    pub(super) waits_for: Option<(u64, u64)>,
    /// Does nothing and hears nothing until then.
    pub(super) paused_until_ms: u64,
    /// Which of its plans to wake up counts.
    pub(super) wake: u64,
}

impl Client {
    pub(super) fn new(index: usize, random: &mut Random) -> Self {
        let mut protocols = vec!["range", "sticky"];
        if random.one_in(3) {
            protocols.reverse();
        }
        Self {
            instance_id: random.one_in(3).then(|| format!("instance{index}")),
            requires_known_member_id: !random.one_in(4),
            supports_skipping_assignment: !random.one_in(3),
            protocols,
            phase: Phase::Off,
            member_id: Arc::default(),
            generation: -1,
            owned: Vec::new(),
            stubborn: false,
            waits_for: None,
            paused_until_ms: 0,
            wake: 0,
        }
    }

    /// A new process: of its former self it knows its instance id.
    pub(super) fn start(&mut self) {
        self.forget();
        self.phase = Phase::Joining;
        self.waits_for = None;
    }

    pub(super) fn stop(&mut self) {
        self.forget();
        self.phase = Phase::Off;
        self.waits_for = None;
    }

    fn forget(&mut self) {
        self.stubborn = false;
        self.member_id = Arc::default();
        self.generation = -1;
        self.owned.clear();
    }

    /// What it asks next, and how long it waits for the answer.
    pub(super) fn next(&self, random: &mut Random) -> Option<(Ask, u64)> {
        let member_id = self.member_id.clone();
        let generation = self.generation;
        match &self.phase {
            Phase::Off => None,
            Phase::Joining => Some((Ask::Join { member_id }, 40_000)),
            Phase::Syncing(assignments) => Some((
                Ask::Sync {
                    member_id,
                    generation,
                    assignments: assignments.clone(),
                },
                25_000,
            )),
            Phase::Member if !self.owned.is_empty() && random.one_in(2) => {
                let at = random.below(self.owned.len() as u64);
                let partition = self.owned[at as usize];
                Some((
                    Ask::Commit {
                        member_id,
                        generation,
                        partition,
                    },
                    5_000,
                ))
            }
            Phase::Member => Some((
                Ask::Heartbeat {
                    member_id,
                    generation,
                },
                5_000,
            )),
        }
    }

    /// The answer came; gives how long it waits before it goes on.
    pub(super) fn on_response(&mut self, response: &Response, random: &mut Random) -> u64 {
        self.waits_for = None;
        match response {
            Response::Join(Ok(joined)) => {
                self.member_id = joined.member_id.clone();
                self.generation = joined.generation;
                self.phase = Phase::Syncing(assign(joined, random));
                0
            }
            Response::Join(Err(refused)) if refused.error == GroupError::MemberIdRequired => {
                self.member_id = refused.member_id.clone();
                0
            }
            Response::Join(Err(refused)) => self.on_error(refused.error),
            Response::Sync(Ok(synced)) => {
                self.owned = synced.assignment.to_vec();
                self.phase = Phase::Member;
                random.below(1_000)
            }
            Response::Heartbeat(Err(GroupError::RebalanceInProgress)) if self.stubborn => 2_000,
            Response::Sync(Err(error)) | Response::Heartbeat(Err(error)) => self.on_error(*error),
            Response::Heartbeat(Ok(())) => 500 + random.below(2_500),
            Response::OffsetCommit(topics) => match topics[0].partitions[0].1 {
                Ok(()) => random.below(2_500),
                // A commit is not urgent: the next heartbeat says what is the matter.
                Err(_) => 500,
            },
            Response::Leave(_)
            | Response::OffsetDelete(_)
            | Response::DeleteGroups(_)
            | Response::ConsumerHeartbeat(_) => 0,
        }
    }

    fn on_error(&mut self, error: GroupError) -> u64 {
        self.phase = Phase::Joining;
        match error {
            GroupError::UnknownMemberId => self.forget(),
            // Such a client ends, and somebody starts it again.
            GroupError::FencedInstanceId => {
                self.forget();
                return 2_000;
            }
            _ => {}
        }
        match error {
            GroupError::RebalanceInProgress | GroupError::UnknownMemberId => 10,
            _ => 300,
        }
    }

    /// No answer, or no connection: it joins again as whom it was, or asks again.
    pub(super) fn on_timeout(&mut self) {
        self.waits_for = None;
        if matches!(self.phase, Phase::Syncing(_)) {
            self.phase = Phase::Joining;
        }
    }
}

/// As the leader does it: each partition goes to one of the members it was told of.
fn assign(joined: &Joined, random: &mut Random) -> Vec<(Arc<str>, Vec<u8>)> {
    if joined.skip_assignment || joined.members.is_empty() {
        return Vec::new();
    }
    let members = joined.members.iter();
    let mut assignments: Vec<_> = members
        .map(|member| (member.member_id.clone(), Vec::new()))
        .collect();
    for partition in 0..PARTITIONS {
        let at = random.below(assignments.len() as u64);
        assignments[at as usize].1.push(partition);
    }
    assignments
}
