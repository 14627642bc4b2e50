//! Requests without sense: any ids, any generations, any timeouts, records resolved in any order, and restarts.
//!
//! Nothing may panic, every count must stay true, and everybody must be answered once.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

use super::super::consumer::assignment::Assignment;
use super::super::consumer::config::ConsumerGroupConfig;
use super::super::consumer::heartbeat::HeartbeatRequest as ConsumerHeartbeatRequest;
use super::super::consumer::topics_view::TopicsView;
use super::super::error::{AppendFailure, GroupError};
use super::super::records::EncodedRecord;
use super::super::request::{
    HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, OffsetCommitRequest,
    OffsetCommitTopic, OffsetDeleteRequest, OffsetFetchRequest, OffsetToCommit, SyncRequest, Time,
};
use super::super::response::Response;
use super::super::settings::{Bounds, Settings};
use super::super::{Action, AppendId, Coordinator};
use super::Random;
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::PartitionState;

const GROUPS: &[&str] = &["", "a", "b"];
const TOPICS: &[&str] = &["t", "u", "v"];
const STEPS: u64 = 1_000;
const SEEDS: u64 = 1_000;

/// As whom a request comes. Half of them are as the last answers had it, and the others mixed.
#[derive(Clone, Debug)]
struct Identity {
    group: &'static str,
    instance_id: Option<&'static str>,
    member_id: String,
    generation: i32,
}

struct Stranger {
    random: Random,
    time: Time,
    coordinator: Coordinator<u64>,
    settings: Settings,
    /// Ids that were given out, and some that never were.
    known: Vec<Identity>,
    /// Who waits, and with what a join named itself.
    open: BTreeMap<u64, Identity>,
    tokens: u64,
    under_way: BTreeMap<AppendId, Vec<EncodedRecord>>,
    log: Vec<EncodedRecord>,
    out: Vec<Action<u64>>,
    /// Assignments that were handed out, and heartbeats of consumer groups that were accepted.
    synced: u64,
    beaten: u64,
}

impl Stranger {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let tight = random.one_in(2);
        let bounds = match tight {
            true => Bounds {
                groups_max: 2,
                members_max: 3,
                pending_members_max: 2,
                group_bytes_max: 1_000,
                coordinator_bytes_max: 1_500,
                offsets_max: 5,
                appends_max: 4,
                held_max: 2,
            },
            false => Bounds::default(),
        };
        let settings = Settings {
            initial_rebalance_delay: Duration::from_millis(random.below(2) * 3_000),
            session_timeout_ms_min: 0,
            session_timeout_ms_max: i32::MAX,
            group_size_max: if random.one_in(2) { 2 } else { 100 },
            offset_metadata_max: 4,
            offsets_retention_ms: 100_000,
            offsets_check_interval: Duration::from_secs(60),
            bounds,
            consumer: ConsumerGroupConfig::default(),
            consumer_of_groups: Arc::default(),
        };
        Self {
            random,
            time: Time {
                now: Duration::ZERO,
                wall_ms: 0,
            },
            coordinator: Coordinator::new(settings.clone()),
            settings,
            known: Vec::new(),
            open: BTreeMap::new(),
            tokens: 0,
            under_way: BTreeMap::new(),
            log: Vec::new(),
            out: Vec::new(),
            synced: 0,
            beaten: 0,
        }
    }

    fn of<'a, V: ?Sized>(&mut self, values: &[&'a V]) -> &'a V {
        values[self.random.below(values.len() as u64) as usize]
    }

    fn number(&mut self, numbers: &[i32]) -> i32 {
        numbers[self.random.below(numbers.len() as u64) as usize]
    }

    fn recent(&mut self) -> Option<Identity> {
        let from = self.known.len().saturating_sub(6);
        let count = (self.known.len() - from) as u64;
        (count > 0).then(|| self.known[from + self.random.below(count) as usize].clone())
    }

    fn whom(&mut self) -> Identity {
        let recent = self.recent();
        if let Some(recent) = &recent
            && !self.random.one_in(4)
        {
            return recent.clone();
        }
        let mut member_id = recent.map(|recent| recent.member_id).unwrap_or_default();
        if self.random.one_in(2) {
            member_id = self.of(&["", "", "nobody"]).to_owned();
        }
        let instance_id = match self.random.below(4) {
            0 => Some(self.of(&["i", "j", ""])),
            _ => None,
        };
        Identity {
            group: self.of(GROUPS),
            instance_id,
            member_id,
            generation: self.number(&[-1, -1, 0, 1, 2]),
        }
    }

    fn run(mut self) -> (u64, u64) {
        self.coordinator.on_topics_changed(topics());
        for _ in 0..STEPS {
            self.step();
            self.carry_out();
            self.coordinator.assert_counts();
        }
        self.coordinator.on_unloaded(self.time, &mut self.out);
        self.carry_out();
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
        assert_eq!(self.coordinator.next_deadline(), None);
        self.coordinator.assert_counts();
        (self.synced, self.beaten)
    }

    fn step(&mut self) {
        match self.random.below(17) {
            14..17 => self.consumer_heartbeat(),
            0..3 => self.join(),
            3..5 => self.sync(),
            5 => self.heartbeat(),
            6 => self.leave(),
            7..9 => self.commit(),
            9 => self.remove(),
            10 | 11 => self.resolve(),
            12 => self.pass(),
            _ if self.random.one_in(10) => self.restart(),
            _ => self.look(),
        }
    }

    fn token(&mut self, whom: &Identity) -> u64 {
        self.tokens += 1;
        self.open.insert(self.tokens, whom.clone());
        self.tokens
    }

    fn join(&mut self) {
        let whom = self.whom();
        let token = self.token(&whom);
        let uuid = format!("{token:036}");
        let metadata: &[&[u8]] = &[b"", b"x", &[0; 600], b"\x00\x00\x00\x00\x00\x01\x00\x01t"];
        let protocols = (0..1 + self.random.below(3)).map(|_| {
            let name = ["range", "range", "sticky"][self.random.below(3) as usize];
            let at = self.random.below(metadata.len() as u64) as usize;
            (name, metadata[at])
        });
        let protocols = protocols.collect();
        let request = JoinRequest {
            group_id: whom.group,
            member_id: &whom.member_id,
            instance_id: whom.instance_id,
            client_id: self.of(&["", "client"]),
            client_host: "",
            new_member_uuid: &uuid,
            session_timeout_ms: self.number(&[-1, 0, 1, 60_000, 60_000, 60_000, i32::MAX]),
            rebalance_timeout_ms: self.number(&[-1, 0, 1, 10_000, i32::MAX, i32::MIN]),
            protocol_type: self.of(&[
                "consumer", "consumer", "consumer", "consumer", "connect", "",
            ]),
            protocols,
            requires_known_member_id: self.random.one_in(2),
            supports_skipping_assignment: self.random.one_in(2),
        };
        self.coordinator
            .on_join(&request, token, self.time, &mut self.out);
    }

    fn sync(&mut self) {
        let whom = self.whom();
        let others = [whom.member_id.clone(), self.whom().member_id];
        let token = self.token(&whom);
        let large = [0; 600];
        let assignments = others.iter().map(|id| {
            let assignment: &[u8] = match self.random.one_in(4) {
                true => &large,
                false => b"x",
            };
            (&**id, assignment)
        });
        let assignments = assignments.collect();
        let request = SyncRequest {
            group_id: whom.group,
            generation: whom.generation,
            member_id: &whom.member_id,
            instance_id: whom.instance_id,
            protocol_type: self.random.one_in(4).then_some("consumer"),
            protocol_name: self.random.one_in(4).then_some("range"),
            assignments,
        };
        self.coordinator
            .on_sync(&request, token, self.time, &mut self.out);
    }

    fn heartbeat(&mut self) {
        let whom = self.whom();
        let token = self.token(&whom);
        let request = HeartbeatRequest {
            group_id: whom.group,
            generation: whom.generation,
            member_id: &whom.member_id,
            instance_id: whom.instance_id,
        };
        self.coordinator
            .on_heartbeat(&request, token, self.time, &mut self.out);
    }

    fn consumer_heartbeat(&mut self) {
        let whom = self.whom();
        let token = self.token(&whom);
        let epoch = match self.random.below(4) {
            0 | 1 => 0,
            2 => whom.generation,
            _ => self.number(&[-3, -2, -1, 1, i32::MAX, i32::MIN]),
        };
        let says = epoch == 0 || self.random.one_in(3);
        let names = ["t", "u", "unknown"].map(Arc::from);
        let count = self.random.below(4) as usize;
        let regexes = ["", "t|u", ".*", "("];
        let owned = match epoch {
            0 => Assignment::default(),
            _ => (0..self.random.below(3))
                .map(|partition| TopicPartition {
                    topic_id: TopicId(Uuid::from_u128(1 + u128::from(partition % 2))),
                    partition: partition as i32 - 1,
                })
                .collect(),
        };
        let request = ConsumerHeartbeatRequest {
            version: self.random.below(2) as i16,
            member_id: whom.member_id.as_str().into(),
            member_epoch: epoch,
            instance_id: whom.instance_id.map(Arc::from),
            rack_id: None,
            rebalance_timeout_ms: says.then(|| self.number(&[-1, 0, 10_000, i32::MAX, i32::MIN])),
            subscribed_topic_names: says.then(|| names[..count].to_vec()),
            subscribed_topic_regex: (says && self.random.one_in(4))
                .then(|| self.of(&regexes).into()),
            server_assignor: self.random.one_in(4).then(|| "range".into()),
            owned: says.then_some(owned),
            client_id: "client".into(),
            client_host: "".into(),
            new_member_id: format!("{token:036}").into(),
        };
        let (time, out) = (self.time, &mut self.out);
        self.coordinator
            .on_consumer_heartbeat(whom.group, &request, token, time, out);
    }

    fn leave(&mut self) {
        let whom = self.whom();
        let token = self.token(&whom);
        let members = [whom.clone(), self.whom()];
        let members = members.iter().map(|member| LeavingMember {
            member_id: &member.member_id,
            instance_id: member.instance_id,
        });
        let members = members.collect();
        let request = LeaveRequest {
            group_id: whom.group,
            members,
        };
        self.coordinator
            .on_leave(&request, token, self.time, &mut self.out);
    }

    fn commit(&mut self) {
        let whom = self.whom();
        let token = self.token(&whom);
        let offsets = (0..self.random.below(4)).map(|_| OffsetToCommit {
            partition: self.random.below(3) as i32 - 1,
            offset: self.random.below(100) as i64 - 1,
            leader_epoch: -1,
            metadata: ["", "m", "too long"][self.random.below(3) as usize],
        });
        let partitions = offsets.collect();
        let topic = OffsetCommitTopic {
            name: self.of(TOPICS),
            id: None,
            partitions,
        };
        let retentions = [None, None, Some(i64::MAX), Some(i64::MIN), Some(50_000)];
        let request = OffsetCommitRequest {
            group_id: whom.group,
            generation: whom.generation,
            member_id: &whom.member_id,
            instance_id: whom.instance_id,
            retention_ms: retentions[self.random.below(5) as usize],
            reports_unknown_group: self.random.one_in(2),
            topics: vec![topic],
        };
        self.coordinator
            .on_offset_commit(&request, token, self.time, &mut self.out);
    }

    fn remove(&mut self) {
        match self.random.below(3) {
            0 => {
                let token = {
                    let whom = self.whom();
                    self.token(&whom)
                };
                let groups = [self.of(GROUPS), self.of(GROUPS), "unknown"];
                self.coordinator
                    .on_delete_groups(&groups, token, self.time, &mut self.out);
            }
            1 => {
                let token = {
                    let whom = self.whom();
                    self.token(&whom)
                };
                let request = OffsetDeleteRequest {
                    group_id: self.of(GROUPS),
                    topics: vec![(self.of(TOPICS), vec![0, 1, 0])],
                };
                self.coordinator
                    .on_offset_delete(&request, token, self.time, &mut self.out);
            }
            _ => {
                let topics = [self.of(TOPICS)];
                self.coordinator
                    .on_topics_deleted(&topics, self.time, &mut self.out);
            }
        }
    }

    /// Any of those under way, and sometimes one that is not.
    fn resolve(&mut self) {
        let count = self.under_way.len() as u64;
        if count == 0 {
            return self
                .coordinator
                .on_committed(AppendId(1), self.time, &mut self.out);
        }
        let at = match self.random.one_in(2) {
            true => 0,
            false => self.random.below(count) as usize,
        };
        let id = *self.under_way.keys().nth(at).unwrap();
        let records = self.under_way.remove(&id).unwrap();
        if self.random.one_in(3) {
            let failures = [
                AppendFailure::Unavailable,
                AppendFailure::NotLeader,
                AppendFailure::TooLarge,
            ];
            let failure = failures[self.random.below(3) as usize];
            self.coordinator
                .on_failed(id, failure, self.time, &mut self.out);
        } else {
            self.log.extend(records);
            self.coordinator.on_committed(id, self.time, &mut self.out);
        }
    }

    fn pass(&mut self) {
        let ms = self.number(&[0, 1, 3_000, 3_000, 6_000, 6_000, 20_000, 200_000]);
        self.time.now += Duration::from_millis(ms as u64);
        self.time.wall_ms += i64::from(ms);
        let out = &mut self.out;
        self.coordinator.on_tick(self.time, out);
    }

    fn restart(&mut self) {
        self.coordinator.on_unloaded(self.time, &mut self.out);
        self.carry_out();
        self.under_way.clear();
        self.coordinator = Coordinator::new(self.settings.clone());
        self.coordinator.on_topics_changed(topics());
        for record in &self.log {
            let value = record.value.as_deref();
            self.coordinator.replay(&record.key, value).unwrap();
        }
        self.coordinator.on_loaded(self.time, &mut self.out);
    }

    fn look(&mut self) {
        let group_id = self.of(GROUPS);
        let _ = self.coordinator.describe(group_id);
        let _ = self.coordinator.describe_consumer_group(group_id);
        let _ = self.coordinator.list(&Default::default());
        let _ = self.coordinator.offset_fetch(&OffsetFetchRequest {
            group_id,
            topics: None,
            require_stable: true,
        });
    }

    fn carry_out(&mut self) {
        for action in std::mem::take(&mut self.out) {
            match action {
                Action::Append { id, records } => {
                    assert!(!records.is_empty(), "an append of nothing");
                    self.under_way.insert(id, records);
                }
                Action::Answer { token, response } => {
                    let whom = self.open.remove(&token);
                    let mut whom = whom.unwrap_or_else(|| panic!("{token} is told {response:?}"));
                    match response {
                        Response::Join(Ok(joined)) => {
                            whom.member_id = joined.member_id.to_string();
                            whom.generation = joined.generation;
                            self.known.push(whom);
                        }
                        Response::Join(Err(refused))
                            if refused.error == GroupError::MemberIdRequired =>
                        {
                            whom.member_id = refused.member_id.to_string();
                            self.known.push(whom);
                        }
                        Response::Sync(Ok(_)) => self.synced += 1,
                        Response::ConsumerHeartbeat(Ok(accepted)) => {
                            whom.member_id = accepted.member_id.to_string();
                            whom.generation = accepted.member_epoch;
                            self.beaten += 1;
                            self.known.push(whom);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

fn topics() -> TopicsView {
    let mut image = MetadataImage::default();
    for (id, (name, partitions)) in (1..).zip([("t", 2), ("u", 1)]) {
        let record = MetadataRecord::TopicCreated {
            id: TopicId(Uuid::from_u128(id)),
            name: name.to_owned(),
            partitions: vec![PartitionState::new(vec![1], vec![1]); partitions],
        };
        image.replay(&record).expect("a new topic");
    }
    let version = image.version();
    TopicsView::new(image, version)
}

#[test]
fn strangers_break_nothing_whatever_they_ask() {
    if let Some(seed) = super::number("RINKA_SEED") {
        Stranger::new(seed).run();
        return;
    }
    let first = super::number("RINKA_SEED_FIRST").unwrap_or(0);
    let seeds = super::number("RINKA_SEEDS").unwrap_or(SEEDS);
    let (mut synced, mut beaten) = (0, 0);
    for seed in first..first + seeds {
        let lived = catch_unwind(AssertUnwindSafe(|| Stranger::new(seed).run()));
        let lived = lived.unwrap_or_else(|_| {
            panic!("replay it: RINKA_SEED={seed} cargo test -p rinka-core --lib hostile::strangers")
        });
        synced += lived.0;
        beaten += lived.1;
    }
    assert!(beaten >= seeds, "only {beaten} heartbeats were accepted");
    assert!(synced >= seeds / 2, "only {synced} got an assignment");
}
