//! Random lives of one group whose members speak both protocols, through the coordinator: it becomes a consumer group and a classic one
//! again and again, while requests and responses get lost, appends are slow or fail, members die, and the coordinator starts anew.
//!
//! One seed decides everything; a failure prints it. `RINKA_SEED=n` replays one and tells what happens, `RINKA_SEEDS=n` runs that many
//! from `RINKA_SEED_FIRST` (0) on:
//!
//! ```text
//! RINKA_SEEDS=100000 cargo test -p rinka-core --lib migration_simulation -- --nocapture
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

use super::consumer::assignment::Assignment;
use super::consumer::config::ConsumerGroupConfig;
use super::consumer::error::ConsumerGroupError;
use super::consumer::member::LEAVE_EPOCH;
use super::consumer::simulation::client::{
    CLASSIC_SESSION_TIMEOUT_MS, Client, Kind, Phase, REBALANCE_TIMEOUT_MS, Subscribed, new_id,
};
use super::consumer::simulation::random::Random;
use super::consumer::topics_view::TopicsView;
use super::consumer_protocol::{ProtocolAssignment, Subscription};
use super::error::{AppendFailure, GroupError};
use super::records::EncodedRecord;
use super::request::{
    HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, ListRequest, SyncRequest, Time,
};
use super::response::{ConsumerHeartbeatRefused, Joined, Response};
use super::settings::{Bounds, Settings};
use super::{Action, AppendId, Coordinator};
use crate::coordinator::planted::{Planted, plant};
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::PartitionState;

const GROUP: &str = "group";
const TOPICS: [(&str, usize); 2] = [("a", 3), ("b", 2)];
const TICK: Duration = Duration::from_millis(500);
const CLIENTS_MAX: usize = 5;

/// Seeds that `cargo test` runs: some seconds of one core.
const SEEDS: u64 = 1_000;

/// Seeds in which a planted bug must show itself.
const SEEDS_PLANTED: u64 = 4_000;

/// Ticks in which everything may happen, and ticks without any fault after which the group must have come to rest.
const CHAOS_TICKS: u64 = 240;
const QUIET_TICKS: u64 = 800;

/// A client that waited so long for an answer asks again.
const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invariant {
    /// No two members have a partition at a time, unless the coordinator has removed one of them, which does not know it yet.
    OnePartitionOneOwner,
    /// At rest every partition that is subscribed to is with a member.
    EveryPartitionOwnedWhenStable,
    /// Without faults a group comes to rest, and is of the kind that its members make it.
    RebalanceTerminates,
    /// Each request is answered, and once.
    EveryRequestAnsweredOnce,
    /// The log makes the group that wrote it.
    ReplayGivesTheSame,
    /// Nothing is answered with an error that no well-behaved member can cause.
    NoUnexpectedError,
}

type Checked<T = ()> = Result<T, (Invariant, String)>;

fn violation<T>(invariant: Invariant, what: impl Into<String>) -> Checked<T> {
    Err((invariant, what.into()))
}

/// Of each member, as SyncGroup has it.
type Assignments = Vec<(Arc<str>, Vec<u8>)>;

type Tally = BTreeMap<&'static str, u64>;

struct Waiting {
    client: usize,
    since: Duration,
    /// The answer does not arrive.
    is_lost: bool,
}

struct World {
    random: Random,
    told: bool,
    now: Duration,
    topics: TopicsView,
    coordinator: Coordinator<usize>,
    out: Vec<Action<usize>>,
    appends: VecDeque<(AppendId, Vec<EncodedRecord>)>,
    log: Vec<EncodedRecord>,
    clients: Vec<Client>,
    /// Of classic clients that lead: what they will hand out.
    assignments: BTreeMap<usize, Assignments>,
    waiting: BTreeMap<usize, Waiting>,
    requests: usize,
    is_consumer_group: bool,
    /// The newest append is not in the log.
    newest_failed: bool,
    tally: Tally,
}

fn settings() -> Settings {
    Settings {
        initial_rebalance_delay: Duration::from_secs(1),
        session_timeout_ms_min: 1,
        session_timeout_ms_max: i32::MAX,
        group_size_max: 100,
        offset_metadata_max: 4096,
        offsets_retention_ms: 1_000_000_000,
        offsets_check_interval: Duration::from_secs(600),
        bounds: Bounds::default(),
        consumer_of_groups: Arc::default(),
        consumer: ConsumerGroupConfig {
            heartbeat_interval_ms: 3_000,
            session_timeout_ms: 10_000,
            // The more assignments the more of what can go wrong; `consumer/simulation` has longer intervals too.
            assignment_interval_ms: 0,
            ..ConsumerGroupConfig::default()
        },
    }
}

fn topics() -> TopicsView {
    let mut image = MetadataImage::default();
    for (id, (name, partitions)) in (1..).zip(TOPICS) {
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

impl World {
    fn new(seed: u64, told: bool) -> Self {
        let mut world = Self {
            random: Random(seed),
            told,
            now: Duration::from_secs(1_000),
            topics: topics(),
            coordinator: Coordinator::new(settings()),
            out: Vec::new(),
            appends: VecDeque::new(),
            log: Vec::new(),
            clients: Vec::new(),
            assignments: BTreeMap::new(),
            waiting: BTreeMap::new(),
            requests: 0,
            is_consumer_group: false,
            newest_failed: false,
            tally: Tally::new(),
        };
        world.coordinator.on_topics_changed(world.topics.clone());
        let time = world.time();
        world.coordinator.on_loaded(time, &mut world.out);
        world
    }

    fn time(&self) -> Time {
        Time {
            now: self.now,
            wall_ms: i64::try_from(self.now.as_millis()).expect("small"),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.told {
            println!("{:>8.1} {}", self.now.as_secs_f64(), what());
        }
    }

    fn tick(&mut self, chaos: bool) -> Checked {
        self.now += TICK;
        let time = self.time();
        if self
            .coordinator
            .next_deadline()
            .is_some_and(|deadline| deadline <= self.now)
        {
            self.coordinator.on_tick(time, &mut self.out);
            self.carry_out(chaos)?;
        }
        if chaos {
            self.something_happens()?;
        }
        while !self.appends.is_empty() && (!chaos || !self.random.one_in(3)) {
            self.resolve(chaos)?;
        }
        for index in 0..self.clients.len() {
            self.client_acts(index, chaos)?;
            self.one_owner()?;
        }
        self.coordinator.assert_counts();
        Ok(())
    }

    fn resolve(&mut self, chaos: bool) -> Checked {
        let Some((id, records)) = self.appends.pop_front() else {
            return Ok(());
        };
        let time = self.time();
        self.newest_failed = chaos && self.random.one_in(15);
        if self.newest_failed {
            self.count("append failed");
            self.say(|| format!("append {id:?} fails"));
            let failure = AppendFailure::Unavailable;
            self.coordinator.on_failed(id, failure, time, &mut self.out);
        } else {
            self.log.extend(records);
            self.coordinator.on_committed(id, time, &mut self.out);
        }
        self.carry_out(chaos)
    }

    fn carry_out(&mut self, chaos: bool) -> Checked {
        for action in std::mem::take(&mut self.out) {
            match action {
                Action::Append { id, records } => self.appends.push_back((id, records)),
                Action::Answer { token, response } => {
                    let Some(waiting) = self.waiting.remove(&token) else {
                        return violation(
                            Invariant::EveryRequestAnsweredOnce,
                            format!("{token} again, with {response:?}"),
                        );
                    };
                    if waiting.is_lost {
                        self.count("response lost");
                        continue;
                    }
                    self.on_response(waiting.client, response, chaos)?;
                }
            }
        }
        let listed = self.coordinator.list(&ListRequest::default());
        let is_consumer_group = listed.iter().any(|group| group.group_type == "consumer");
        if is_consumer_group != self.is_consumer_group && !listed.is_empty() {
            self.count(if is_consumer_group {
                "upgrade"
            } else {
                "downgrade"
            });
            self.say(|| format!("it is {listed:?}"));
            self.is_consumer_group = is_consumer_group;
        }
        if self.coordinator.holds.count() > 0 {
            self.count("held");
        }
        Ok(())
    }

    fn something_happens(&mut self) -> Checked {
        let alive = self.clients.iter().filter(|client| client.is_alive());
        let alive = alive.count();
        match self.random.below(30) {
            0..=2 if alive < CLIENTS_MAX => self.add_client(),
            3 | 4 => self.somebody_goes()?,
            5 => {
                if let Some(index) = self.somebody() {
                    self.count("paused");
                    let seconds = Duration::from_secs(self.random.below(25));
                    self.clients[index].silent_until = Some(self.now + seconds);
                }
            }
            6 if self.random.one_in(3) => self.restart()?,
            _ => {}
        }
        Ok(())
    }

    fn somebody(&mut self) -> Option<usize> {
        let clients = self.clients.iter().enumerate();
        let alive = clients.filter(|(_, client)| client.is_alive());
        let alive: Vec<usize> = alive.map(|(index, _)| index).collect();
        (!alive.is_empty()).then(|| *self.random.of(&alive))
    }

    fn add_client(&mut self) {
        let kinds = [Kind::Consumer, Kind::Eager, Kind::Cooperative];
        let kind = *self.random.of(&kinds);
        let is_consumer = kind == Kind::Consumer;
        let names = TOPICS.map(|(name, _)| Arc::from(name));
        let count = 1 + usize::try_from(self.random.below(2)).expect("small");
        let client = Client {
            kind,
            id: match is_consumer {
                true => new_id(&mut self.random),
                false => "".into(),
            },
            instance_id: None,
            epoch: if is_consumer { 0 } else { -1 },
            subscribed: Subscribed::Names(names[..count].to_vec()),
            assignor: None,
            owned: Assignment::default(),
            pending: None,
            phase: Phase::Join,
            says_all: false,
            owned_changed: false,
            subscription_changed: false,
            next_action: self.now,
            silent_until: None,
            dead: false,
        };
        self.say(|| format!("client {}: {client:?}", self.clients.len()));
        self.clients.push(client);
    }

    fn somebody_goes(&mut self) -> Checked {
        let Some(index) = self.somebody() else {
            return Ok(());
        };
        let client = self.clients[index].clone();
        self.clients[index].dead = true;
        self.say(|| format!("client {index} goes"));
        if self.random.one_in(3) || client.id.is_empty() {
            self.count("died");
            return Ok(());
        }
        self.count("left");
        let time = self.time();
        let token = self.token(index, true);
        if client.kind == Kind::Consumer {
            let request = super::consumer::heartbeat::HeartbeatRequest {
                member_epoch: LEAVE_EPOCH,
                ..client.heartbeat(&mut self.random)
            };
            let out = &mut self.out;
            self.coordinator
                .on_consumer_heartbeat(GROUP, &request, token, time, out);
        } else {
            let request = LeaveRequest {
                group_id: GROUP,
                members: vec![LeavingMember {
                    member_id: &client.id,
                    instance_id: None,
                }],
            };
            self.coordinator
                .on_leave(&request, token, time, &mut self.out);
        }
        self.carry_out(true)
    }

    /// The coordinator begins again with nothing but its log, in which a part of what was under way may have arrived.
    fn restart(&mut self) -> Checked {
        self.count("restart");
        self.say(|| "the coordinator starts again".to_owned());
        let time = self.time();
        self.coordinator.on_unloaded(time, &mut self.out);
        self.carry_out(true)?;
        while let Some((_, records)) = self.appends.pop_front() {
            if self.random.one_in(2) {
                break;
            }
            self.log.extend(records);
        }
        self.appends.clear();
        self.coordinator = self.replayed();
        let out = &mut self.out;
        self.coordinator.on_loaded(time, out);
        self.carry_out(true)
    }

    fn replayed(&self) -> Coordinator<usize> {
        let mut coordinator = Coordinator::new(settings());
        coordinator.on_topics_changed(self.topics.clone());
        for record in &self.log {
            let replayed = coordinator.replay(&record.key, record.value.as_deref());
            replayed.expect("the coordinator wrote it");
        }
        coordinator
    }

    fn token(&mut self, client: usize, is_lost: bool) -> usize {
        self.requests += 1;
        let since = self.now;
        let waiting = Waiting {
            client,
            since,
            is_lost,
        };
        self.waiting.insert(self.requests, waiting);
        self.requests
    }

    fn client_acts(&mut self, index: usize, chaos: bool) -> Checked {
        let now = self.now;
        let client = &mut self.clients[index];
        if client.dead || client.silent_until.is_some_and(|until| until > now) {
            return Ok(());
        }
        client.settle(now);
        if client.next_action > now || client.is_busy() {
            return Ok(());
        }
        let mut waiting = self.waiting.values_mut();
        if let Some(waiting) = waiting.find(|w| w.client == index && !w.is_lost) {
            if waiting.since + PATIENCE > now {
                return Ok(());
            }
            waiting.is_lost = true;
            self.lose_patience(index);
            return Ok(());
        }
        if chaos && self.random.one_in(20) {
            self.count("request lost");
            self.lose_patience(index);
            return Ok(());
        }
        let is_lost = chaos && self.random.one_in(20);
        self.ask(index, is_lost);
        if is_lost {
            self.lose_patience(index);
        }
        self.carry_out(chaos)
    }

    /// It says everything again; a member of the classic protocol joins again.
    fn lose_patience(&mut self, index: usize) {
        let now = self.now;
        let client = &mut self.clients[index];
        client.on_no_response(now, 2 * TICK);
        if client.phase == Phase::Sync {
            client.phase = Phase::Join;
        }
    }

    fn ask(&mut self, index: usize, is_lost: bool) {
        let time = self.time();
        let client = self.clients[index].clone();
        let token = self.token(index, is_lost);
        let out = &mut self.out;
        if client.kind == Kind::Consumer {
            let request = client.heartbeat(&mut self.random);
            return self
                .coordinator
                .on_consumer_heartbeat(GROUP, &request, token, time, out);
        }
        match client.phase {
            Phase::Join => {
                let join = client.join(&self.topics, &mut self.random);
                let protocols = join.protocols.iter();
                let request = JoinRequest {
                    group_id: GROUP,
                    member_id: &join.member_id,
                    instance_id: None,
                    client_id: "client",
                    client_host: "/host",
                    new_member_uuid: &join.new_member_id,
                    session_timeout_ms: CLASSIC_SESSION_TIMEOUT_MS,
                    rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
                    protocol_type: "consumer",
                    protocols: protocols.map(|p| (&*p.name, &*p.metadata)).collect(),
                    requires_known_member_id: true,
                    supports_skipping_assignment: false,
                };
                self.coordinator.on_join(&request, token, time, out);
            }
            Phase::Sync => {
                let assignments = self.assignments.get(&index).into_iter().flatten();
                let request = SyncRequest {
                    group_id: GROUP,
                    generation: client.epoch,
                    member_id: &client.id,
                    instance_id: None,
                    protocol_type: Some("consumer"),
                    protocol_name: Some("range"),
                    assignments: assignments.map(|(id, bytes)| (&**id, &**bytes)).collect(),
                };
                self.coordinator.on_sync(&request, token, time, out);
            }
            Phase::Heartbeat => {
                let request = HeartbeatRequest {
                    group_id: GROUP,
                    generation: client.epoch,
                    member_id: &client.id,
                    instance_id: None,
                };
                self.coordinator.on_heartbeat(&request, token, time, out);
            }
        }
    }

    fn on_response(&mut self, index: usize, response: Response, chaos: bool) -> Checked {
        let now = self.now;
        let slow = match chaos {
            true => Duration::from_secs(self.random.below(8)),
            false => Duration::ZERO,
        };
        self.say(|| format!("-> client {index}: {response:?}"));
        let client = &mut self.clients[index];
        match response {
            Response::ConsumerHeartbeat(Ok(response)) => {
                client.on_heartbeat_response(response, now, slow);
            }
            Response::ConsumerHeartbeat(Err(refused)) => match refused {
                ConsumerHeartbeatRefused::Coordinator(_) => {
                    client.on_no_response(now, 2 * TICK);
                }
                ConsumerHeartbeatRefused::Group(
                    ConsumerGroupError::UnknownMember { .. }
                    | ConsumerGroupError::GroupNotFound(_)
                    | ConsumerGroupError::FencedEpoch { .. },
                ) => {
                    client.on_fenced(now);
                    self.count("fenced");
                }
                ConsumerHeartbeatRefused::Group(error) => {
                    return violation(Invariant::NoUnexpectedError, format!("{error:?}"));
                }
            },
            Response::Join(Ok(joined)) => {
                client.id = Arc::clone(&joined.member_id);
                client.epoch = joined.generation;
                client.phase = Phase::Sync;
                client.next_action = now;
                self.assignments.remove(&index);
                if joined.leader == joined.member_id {
                    let assignments = self.assign(&joined);
                    self.assignments.insert(index, assignments);
                }
            }
            Response::Join(Err(refused)) if refused.error == GroupError::MemberIdRequired => {
                client.id = refused.member_id;
                client.next_action = now;
            }
            Response::Join(Err(refused)) => self.on_error(index, refused.error, slow)?,
            Response::Sync(Ok(synced)) if client.phase == Phase::Sync => {
                // An empty one has nobody's partitions.
                let nothing = ProtocolAssignment::default().encode(0);
                let bytes = match synced.assignment.is_empty() {
                    true => nothing,
                    false => synced.assignment,
                };
                client.on_sync_response(&bytes, &self.topics, now, slow);
            }
            Response::Heartbeat(Ok(())) => client.next_action = now + Duration::from_secs(3),
            Response::Sync(Err(error)) | Response::Heartbeat(Err(error)) => {
                self.on_error(index, error, slow)?;
            }
            other => {
                return violation(Invariant::NoUnexpectedError, format!("{other:?}"));
            }
        }
        Ok(())
    }

    fn on_error(&mut self, index: usize, error: GroupError, slow: Duration) -> Checked {
        let now = self.now;
        let client = &mut self.clients[index];
        match error {
            GroupError::RebalanceInProgress => {
                if client.phase == Phase::Heartbeat && client.pending.is_some() {
                    // It still gives up what the last round asked for.
                    client.next_action = now + 2 * TICK;
                } else {
                    client.on_rebalance(now, slow);
                }
            }
            GroupError::UnknownMemberId | GroupError::IllegalGeneration => {
                client.on_fenced(now);
                self.count("fenced");
            }
            GroupError::CoordinatorNotAvailable | GroupError::NotCoordinator => {
                self.lose_patience(index);
            }
            _ => return violation(Invariant::NoUnexpectedError, format!("{error:?}")),
        }
        Ok(())
    }

    /// What a leader hands out: everybody in turn, but nothing that another one still has (KIP-429).
    fn assign(&self, joined: &Joined) -> Assignments {
        let members = joined.members.iter().map(|member| {
            let subscription = Subscription::decode(&member.metadata).expect("ours");
            (Arc::clone(&member.member_id), subscription)
        });
        let members: Vec<_> = members.collect();
        let mut result: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<i32>>> = BTreeMap::new();
        for (topic, partitions) in TOPICS {
            let wants = |(_, s): &&(Arc<str>, Subscription)| s.topics.iter().any(|t| &**t == topic);
            let subscribed: Vec<_> = members.iter().filter(wants).collect();
            for partition in 0..i32::try_from(partitions).expect("few") {
                let Some((id, _)) = subscribed
                    .get(usize::try_from(partition).expect("positive") % subscribed.len().max(1))
                else {
                    continue;
                };
                let has = |subscription: &Subscription| {
                    let owned = subscription.owned.get(topic);
                    owned.is_some_and(|owned| owned.contains(&partition))
                };
                let owner = members.iter().find(|(_, subscription)| has(subscription));
                if owner.is_none_or(|(owner, _)| owner == id) {
                    let topics = result.entry(Arc::clone(id)).or_default();
                    topics.entry(topic.into()).or_default().push(partition);
                }
            }
        }
        let assignments = members.into_iter().map(|(id, _)| {
            let partitions = result.remove(&id).unwrap_or_default();
            let assignment = ProtocolAssignment {
                partitions,
                user_data: None,
            };
            (id, assignment.encode(0).to_vec())
        });
        assignments.collect()
    }

    /// The ids of those whom the coordinator knows as members.
    fn members(&self) -> BTreeSet<Arc<str>> {
        match self.coordinator.describe_consumer_group(GROUP) {
            Ok(group) => group.members.into_iter().map(|m| m.member_id).collect(),
            Err(_) => {
                let group = self.coordinator.describe(GROUP);
                let members = group.into_iter().flat_map(|group| group.members);
                members.map(|member| member.member_id).collect()
            }
        }
    }

    fn one_owner(&self) -> Checked {
        let members = self.members();
        let mut owners: BTreeMap<TopicPartition, usize> = BTreeMap::new();
        for (index, client) in self.clients.iter().enumerate() {
            if !client.is_alive() || !members.contains(&client.id) {
                continue;
            }
            for partition in client.owned.partitions() {
                if let Some(other) = owners.insert(partition, index) {
                    return violation(
                        Invariant::OnePartitionOneOwner,
                        format!("{partition} is with clients {other} and {index}"),
                    );
                }
            }
        }
        Ok(())
    }

    fn calm(&mut self) {
        let now = self.now;
        for client in &mut self.clients {
            client.silent_until = None;
            if let Some((_, at)) = &mut client.pending {
                *at = (*at).min(now);
            }
        }
    }

    fn at_rest(&self) -> Checked {
        if let Some((token, waiting)) = self
            .waiting
            .iter()
            .find(|(_, w)| w.since + PATIENCE < self.now)
        {
            return violation(
                Invariant::EveryRequestAnsweredOnce,
                format!("{token} of client {} is not", waiting.client),
            );
        }
        let alive: Vec<&Client> = self.clients.iter().filter(|c| c.is_alive()).collect();
        let listed = self.coordinator.list(&ListRequest::default());
        let Some(group) = listed.first() else {
            return match alive.is_empty() {
                true => Ok(()),
                false => violation(Invariant::RebalanceTerminates, "there is no group"),
            };
        };
        // Somebody was told an id and never came back: no record tells of such a group, and it expires.
        if alive.is_empty() && group.protocol_type.is_empty() {
            return Ok(());
        }
        let state = if alive.is_empty() { "Empty" } else { "Stable" };
        let has_consumer = alive.iter().any(|client| client.kind == Kind::Consumer);
        let is_of_kind = alive.is_empty() || (group.group_type == "consumer") == has_consumer;
        if group.state != state || !is_of_kind || self.members().len() != alive.len() {
            return violation(
                Invariant::RebalanceTerminates,
                format!("{group:?} with {:?} of {alive:#?}", self.members()),
            );
        }
        let mut owned = Assignment::default();
        let mut wanted = Assignment::default();
        for client in alive {
            for name in client.names() {
                let topic_id = self.topics.id(name).expect("it is one of two");
                let count = self.topics.partition_count(topic_id).unwrap_or(0);
                for partition in 0..count {
                    wanted.insert(TopicPartition {
                        topic_id,
                        partition,
                    });
                }
            }
            client.owned.partitions().for_each(|partition| {
                owned.insert(partition);
            });
        }
        if owned != wanted {
            return violation(
                Invariant::EveryPartitionOwnedWhenStable,
                format!("{owned:?} of {wanted:?}"),
            );
        }
        // A classic group is empty when its last member is gone, whether or not that could be written: whoever loads it waits for
        // the member's session to end.
        if self.newest_failed {
            return Ok(());
        }
        let replayed = self.replayed();
        let shown = |coordinator: &Coordinator<usize>| {
            (
                coordinator.list(&ListRequest::default()),
                coordinator.describe(GROUP),
                coordinator.describe_consumer_group(GROUP),
            )
        };
        let (is, was) = (shown(&replayed), shown(&self.coordinator));
        match is == was {
            true => Ok(()),
            false => violation(Invariant::ReplayGivesTheSame, format!("{is:#?} {was:#?}")),
        }
    }
}

fn live(seed: u64, told: bool) -> Checked<Tally> {
    let mut world = World::new(seed, told);
    for _ in 0..CHAOS_TICKS {
        world.tick(true)?;
    }
    world.calm();
    for _ in 0..QUIET_TICKS {
        world.tick(false)?;
    }
    world.at_rest()?;
    Ok(world.tally)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn groups_change_their_protocol_and_partitions_have_one_owner() {
    if let Some(seed) = number("RINKA_SEED") {
        let lived = live(seed, true);
        println!("{lived:#?}");
        return assert_eq!(lived.err(), None);
    }
    let first = number("RINKA_SEED_FIRST").unwrap_or(0);
    let mut total = Tally::new();
    for seed in first..first + number("RINKA_SEEDS").unwrap_or(SEEDS) {
        match live(seed, false) {
            Ok(tally) => {
                for (what, count) in tally {
                    *total.entry(what).or_default() += count;
                }
            }
            Err((invariant, what)) => panic!(
                "{invariant:?}: {what}\nreplay: RINKA_SEED={seed} cargo test -p rinka-core --lib migration_simulation -- --nocapture"
            ),
        }
    }
    println!("{total:#?}");
    // A simulation in which nothing happens proves nothing.
    for what in [
        "append failed",
        "died",
        "downgrade",
        "fenced",
        "held",
        "left",
        "paused",
        "request lost",
        "response lost",
        "restart",
        "upgrade",
    ] {
        assert!(total.contains_key(what), "{what} never happened");
    }
}

/// A bug may also end in a broken invariant of the coordinator's own, which is a panic.
fn check_found(bug: Planted) {
    plant(Some(bug));
    let found = (0..SEEDS_PLANTED).find_map(|seed| {
        let lived = catch_unwind(AssertUnwindSafe(|| live(seed, false)));
        match lived {
            Ok(lived) => Some((seed, format!("{:?}", lived.err()?.0))),
            Err(_) => Some((seed, "a panic".to_owned())),
        }
    });
    plant(None);
    let (seed, how) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
    println!("{bug:?}: seed {seed}: {how}");
}

#[test]
fn planted_bugs_are_found() {
    check_found(Planted::GroupNotHeld);
    check_found(Planted::UpgradeForgetsUnrevoked);
    check_found(Planted::DowngradeForgetsRebalance);
    check_found(Planted::UpgradeDuringAssignment);
}
