//! For tests: a coordinator whose shell is played by hand, with a log in memory, and requests that are made in one line.
//!
//! Checks by itself that every answer goes to somebody who waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::consumer::config::ConsumerGroupConfig;
use super::error::{AppendFailure, GroupError};
use super::records::EncodedRecord;
use super::request::{
    HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, OffsetCommitRequest,
    OffsetCommitTopic, OffsetFetchRequest, OffsetToCommit, SyncRequest, Time,
};
use super::response::{Joined, Left, Response, Synced};
use super::settings::{Bounds, Settings};
use super::{Action, AppendId, Coordinator};

pub(super) const GROUP: &str = "group";

/// Milliseconds since 1970 when a test begins.
pub(super) const START_MS: i64 = 1_000_000_000_000;

pub(super) fn settings() -> Settings {
    Settings {
        initial_rebalance_delay: Duration::from_secs(3),
        session_timeout_ms_min: 6_000,
        session_timeout_ms_max: 1_800_000,
        group_size_max: 100,
        offset_metadata_max: 4096,
        offsets_retention_ms: 7 * 24 * 3_600_000,
        offsets_check_interval: Duration::from_secs(600),
        bounds: Bounds::default(),
        consumer: ConsumerGroupConfig::default(),
        consumer_of_groups: Arc::default(),
    }
}

/// The metadata of a consumer that subscribes to one topic.
pub(super) fn subscription(topic: &str) -> Vec<u8> {
    let mut metadata = b"\x00\x01\x00\x00\x00\x01".to_vec();
    metadata.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    metadata.extend_from_slice(topic.as_bytes());
    metadata.extend_from_slice(&[0xFF; 4]);
    metadata
}

/// A consumer of version 4 and later with one protocol; a test changes what it is about.
pub(super) fn joining<'a>(member_id: &'a str, uuid: &'a str) -> JoinRequest<'a> {
    JoinRequest {
        group_id: GROUP,
        member_id,
        instance_id: None,
        client_id: "client",
        client_host: "/127.0.0.1",
        new_member_uuid: uuid,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer",
        protocols: vec![("range", b"metadata")],
        requires_known_member_id: true,
        supports_skipping_assignment: true,
    }
}

pub(super) fn static_joining<'a>(instance_id: &'a str, uuid: &'a str) -> JoinRequest<'a> {
    JoinRequest {
        instance_id: Some(instance_id),
        ..joining("", uuid)
    }
}

pub(super) struct ShellByHand {
    pub(super) coordinator: Coordinator<usize>,
    pub(super) time: Time,
    /// Appends that are neither committed nor failed.
    pub(super) appends: Vec<(AppendId, Vec<EncodedRecord>)>,
    pub(super) log: Vec<EncodedRecord>,
    /// Whether appends are committed as soon as they are made.
    pub(super) commits_at_once: bool,
    settings: Settings,
    answers: BTreeMap<usize, Response>,
    tokens: usize,
    out: Vec<Action<usize>>,
}

impl ShellByHand {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            coordinator: Coordinator::new(settings.clone()),
            time: Time {
                now: Duration::from_secs(100),
                wall_ms: START_MS,
            },
            appends: Vec::new(),
            log: Vec::new(),
            commits_at_once: true,
            settings,
            answers: BTreeMap::new(),
            tokens: 0,
            out: Vec::new(),
        }
    }

    pub(super) fn ask(
        &mut self,
        ask: impl FnOnce(&mut Coordinator<usize>, usize, Time, &mut Vec<Action<usize>>),
    ) -> usize {
        self.tokens += 1;
        ask(&mut self.coordinator, self.tokens, self.time, &mut self.out);
        self.carry_out();
        self.tokens
    }

    fn carry_out(&mut self) {
        while !self.out.is_empty() {
            for action in std::mem::take(&mut self.out) {
                match action {
                    Action::Answer { token, response } => {
                        let twice = self.answers.insert(token, response);
                        assert_eq!(twice, None, "request {token} was answered twice");
                    }
                    Action::Append { id, records } => {
                        assert!(!records.is_empty());
                        self.appends.push((id, records));
                    }
                }
            }
            if self.commits_at_once {
                self.commit_all();
            }
        }
    }

    pub(super) fn commit_all(&mut self) {
        for (id, records) in std::mem::take(&mut self.appends) {
            self.log.extend(records);
            self.coordinator.on_committed(id, self.time, &mut self.out);
        }
        self.carry_out();
    }

    pub(super) fn fail_all(&mut self, failure: AppendFailure) {
        for (id, _) in std::mem::take(&mut self.appends) {
            self.coordinator
                .on_failed(id, failure, self.time, &mut self.out);
        }
        self.carry_out();
    }

    /// Time goes by, with a tick whenever one is due.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        let end = self.time.now + Duration::from_millis(milliseconds);
        while let Some(deadline) = self.coordinator.next_deadline()
            && deadline <= end
        {
            self.set_now(deadline.max(self.time.now));
            self.coordinator.on_tick(self.time, &mut self.out);
            self.carry_out();
        }
        self.set_now(end);
    }

    /// Time goes by, and the shell is late with its ticks.
    pub(super) fn pass_without_ticks(&mut self, milliseconds: u64) {
        self.set_now(self.time.now + Duration::from_millis(milliseconds));
    }

    fn set_now(&mut self, now: Duration) {
        self.time.wall_ms += i64::try_from((now - self.time.now).as_millis()).unwrap();
        self.time.now = now;
    }

    /// The coordinator is lost and comes back from what is in the log.
    pub(super) fn restart(&mut self) {
        self.coordinator = Coordinator::new(self.settings.clone());
        self.appends.clear();
        for record in &self.log {
            self.coordinator
                .replay(&record.key, record.value.as_deref())
                .unwrap();
        }
        self.coordinator.on_loaded(self.time, &mut self.out);
        self.carry_out();
    }

    pub(super) fn is_answered(&self, token: usize) -> bool {
        self.answers.contains_key(&token)
    }

    #[track_caller]
    pub(super) fn answer(&mut self, token: usize) -> Response {
        let answer = self.answers.remove(&token);
        answer.unwrap_or_else(|| panic!("request {token} waits"))
    }

    pub(super) fn join(&mut self, request: &JoinRequest<'_>) -> usize {
        self.ask(|coordinator, token, time, out| coordinator.on_join(request, token, time, out))
    }

    #[track_caller]
    pub(super) fn joined(&mut self, token: usize) -> Joined {
        match self.answer(token) {
            Response::Join(Ok(joined)) => joined,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn join_refused(&mut self, token: usize) -> (GroupError, Arc<str>) {
        match self.answer(token) {
            Response::Join(Err(refused)) => (refused.error, refused.member_id),
            other => panic!("{other:?}"),
        }
    }

    /// Joins as a new dynamic member does, in two steps; the second one waits.
    pub(super) fn join_in_two_steps(&mut self, uuid: &str) -> (Arc<str>, usize) {
        let token = self.join(&joining("", uuid));
        let (error, member_id) = self.join_refused(token);
        assert_eq!(error, GroupError::MemberIdRequired);
        let token = self.join(&joining(&member_id, ""));
        (member_id, token)
    }

    /// A group of these dynamic members, each with its own id as its assignment; the leader first.
    pub(super) fn stable_group(&mut self, uuids: &[&str]) -> Vec<Joined> {
        let tokens: Vec<usize> = uuids
            .iter()
            .map(|uuid| self.join_in_two_steps(uuid).1)
            .collect();
        self.pass(6_000);
        self.complete(&tokens)
    }

    /// Takes the answers of these joins and has the generation stable.
    pub(super) fn complete(&mut self, tokens: &[usize]) -> Vec<Joined> {
        let mut members: Vec<Joined> = tokens.iter().map(|&token| self.joined(token)).collect();
        members.sort_by_key(|member| member.members.is_empty());
        let ids: Vec<Arc<str>> = members[0]
            .members
            .iter()
            .map(|member| member.member_id.clone())
            .collect();
        for member in &members {
            let assignments: Vec<(&str, &[u8])> = match member.members.is_empty() {
                true => Vec::new(),
                false => ids.iter().map(|id| (&**id, id.as_bytes())).collect(),
            };
            let token = self.sync(&member.member_id, member.generation, &assignments);
            let synced = self.synced(token);
            assert_eq!(synced.assignment, member.member_id.as_bytes());
        }
        members
    }

    pub(super) fn sync(
        &mut self,
        member_id: &str,
        generation: i32,
        assignments: &[(&str, &[u8])],
    ) -> usize {
        self.sync_request(&SyncRequest {
            group_id: GROUP,
            generation,
            member_id,
            instance_id: None,
            protocol_type: None,
            protocol_name: None,
            assignments: assignments.to_vec(),
        })
    }

    pub(super) fn sync_request(&mut self, request: &SyncRequest<'_>) -> usize {
        self.ask(|coordinator, token, time, out| coordinator.on_sync(request, token, time, out))
    }

    #[track_caller]
    pub(super) fn synced(&mut self, token: usize) -> Synced {
        match self.answer(token) {
            Response::Sync(Ok(synced)) => synced,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn sync_refused(&mut self, token: usize) -> GroupError {
        match self.answer(token) {
            Response::Sync(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn heartbeat(&mut self, member_id: &str, generation: i32) -> Result<(), GroupError> {
        self.heartbeat_as(member_id, None, generation)
    }

    #[track_caller]
    pub(super) fn heartbeat_as(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        let request = HeartbeatRequest {
            group_id: GROUP,
            generation,
            member_id,
            instance_id,
        };
        let token = self.ask(|coordinator, token, time, out| {
            coordinator.on_heartbeat(&request, token, time, out);
        });
        match self.answer(token) {
            Response::Heartbeat(result) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> usize {
        let members = members
            .iter()
            .map(|&(member_id, instance_id)| LeavingMember {
                member_id,
                instance_id,
            });
        let request = LeaveRequest {
            group_id: GROUP,
            members: members.collect(),
        };
        self.ask(|coordinator, token, time, out| coordinator.on_leave(&request, token, time, out))
    }

    #[track_caller]
    pub(super) fn left(&mut self, token: usize) -> Result<Vec<Left>, GroupError> {
        match self.answer(token) {
            Response::Leave(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// A commit for one partition.
    pub(super) fn commit(
        &mut self,
        (member_id, generation): (&str, i32),
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> usize {
        let offset = OffsetToCommit {
            partition,
            offset,
            leader_epoch: 5,
            metadata: "metadata",
        };
        self.commit_request(&OffsetCommitRequest {
            group_id: GROUP,
            generation,
            member_id,
            instance_id: None,
            retention_ms: None,
            reports_unknown_group: true,
            topics: vec![OffsetCommitTopic {
                name: topic,
                id: None,
                partitions: vec![offset],
            }],
        })
    }

    pub(super) fn commit_request(&mut self, request: &OffsetCommitRequest<'_>) -> usize {
        self.ask(|coordinator, token, time, out| {
            coordinator.on_offset_commit(request, token, time, out);
        })
    }

    /// What came of the commit's first partition.
    #[track_caller]
    pub(super) fn committed(&mut self, token: usize) -> Result<(), GroupError> {
        match self.answer(token) {
            Response::OffsetCommit(topics) => topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    /// The offset of one partition.
    pub(super) fn fetch(&self, topic: &str, partition: i32) -> i64 {
        let topics = self.coordinator.offset_fetch(&OffsetFetchRequest {
            group_id: GROUP,
            topics: Some(vec![(topic, vec![partition])]),
            require_stable: true,
        });
        topics[0].partitions[0].offset
    }

    pub(super) fn state(&self) -> Option<&'static str> {
        self.coordinator.describe(GROUP).map(|group| group.state)
    }
}
