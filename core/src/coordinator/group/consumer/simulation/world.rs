//! The coordinator with its log, the network and the clients, moved on tick by tick.
//!
//! Requests of one client arrive in the order it sent them; each may be lost, come twice, or lose its response.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

use super::super::assignment::Assignment;
use super::super::assignor::Assignor;
use super::super::classic::{ClassicHeartbeatOutcome, SyncOutcome};
use super::super::config::{ConsumerGroupConfig, MigrationPolicy};
use super::super::deadlines::Deadlines;
use super::super::error::ConsumerGroupError;
use super::super::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use super::super::member::{LEAVE_EPOCH, LEAVE_STATIC_EPOCH, MemberState};
use super::super::migration::ClassicGroup;
use super::super::offsets::Committer;
use super::super::records::{ConsumerGroupRecord, EncodedRecord};
use super::super::topics_view::TopicsView;
use super::super::{ConsumerGroup, Context, Decision};
use super::client::{Client, Kind, Phase, REBALANCE_TIMEOUT_MS, Subscribed, new_id};
use super::invariants::{self, Invariant, Violation, violation};
use super::random::Random;
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::PartitionState;

const TICK: Duration = Duration::from_secs(1);
const CLIENTS_MAX: usize = 8;
const TOPICS: [&str; 5] = ["a", "ab", "b", "ba", "c"];
const REGEXES: [&str; 5] = ["a.*", "b.*", ".*", "c|a", "none"];

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    pub(super) fn assert_everything_happened(&self) {
        const ALL: &[&str] = &[
            "append failed",
            "classic join",
            "compacted",
            "deadline",
            "downgrade",
            "died",
            "fenced by epoch",
            "full heartbeat answered again",
            "instance not released",
            "left",
            "left for a while",
            "old commit accepted",
            "old commit refused",
            "paused",
            "regex",
            "request came twice",
            "request lost",
            "response lost",
            "restart",
            "revoking",
            "topic created",
            "topic deleted",
            "topic grew",
            "unknown member",
            "upgrade",
            "waiting",
        ];
        for what in ALL {
            assert!(self.counts.contains_key(what), "{what} never happened");
        }
    }
}

/// A member believed from then on to have a partition, and knew that epoch of its own.
struct Taken {
    id: Arc<str>,
    epoch: i32,
    partition: TopicPartition,
}

pub(super) struct World {
    random: Random,
    told: bool,
    now: Duration,
    image: MetadataImage,
    pub(super) topics: TopicsView,
    next_topic: u128,
    config: ConsumerGroupConfig,
    log: Vec<EncodedRecord>,
    pub(super) group: ConsumerGroup,
    /// What the group has become, until a member of the newer protocol joins again. Its own coordinator is not there: whoever
    /// asks must wait.
    pub(super) classic: Option<ClassicGroup>,
    /// The deadlines of a group that is a consumer group once the next records are appended.
    upgrade: Option<Deadlines>,
    deadlines: Deadlines,
    pub(super) clients: Vec<Client>,
    /// Since when members have been revoking, by id and epoch.
    revoking: BTreeMap<(Arc<str>, i32), Duration>,
    told_epochs: BTreeMap<Arc<str>, i32>,
    /// What members took, in the order in which they did.
    taken: Vec<Taken>,
    epochs: (i32, i32),
    pub(super) tally: Tally,
}

impl World {
    pub(super) fn new(mut random: Random, told: bool) -> Self {
        let mut assignors = Assignor::ALL.to_vec();
        if random.one_in(2) {
            assignors.reverse();
        }
        let migration_policy =
            *random.of(&[MigrationPolicy::Disabled, MigrationPolicy::Bidirectional]);
        let assignment_interval_ms = *random.of(&[0, 0, 1_000, 4_000]);
        let mut world = Self {
            told,
            now: Duration::from_secs(1_000),
            image: MetadataImage::default(),
            topics: TopicsView::default(),
            next_topic: 1,
            config: ConsumerGroupConfig {
                heartbeat_interval_ms: 3_000,
                session_timeout_ms: 10_000,
                assignment_interval_ms,
                members_max: CLIENTS_MAX,
                assignors,
                migration_policy,
                ..ConsumerGroupConfig::default()
            },
            log: Vec::new(),
            group: ConsumerGroup::new("group".into()),
            classic: None,
            upgrade: None,
            deadlines: Deadlines::default(),
            clients: Vec::new(),
            revoking: BTreeMap::new(),
            told_epochs: BTreeMap::new(),
            taken: Vec::new(),
            epochs: (0, 0),
            tally: Tally::default(),
            random,
        };
        for _ in 0..3 {
            world.change_topics();
        }
        world
    }

    /// One second. Without chaos nothing goes wrong and nothing changes.
    pub(super) fn tick(&mut self, chaos: bool) -> Result<(), Violation> {
        self.now += TICK;
        if chaos {
            self.something_happens()?;
            self.clients.retain(Client::is_alive);
        }
        while let Some(deadline) = self.deadlines.pop(self.now) {
            self.tally.count("deadline");
            self.say(format!("{deadline:?} passed"));
            let decision = self.group.on_deadline(&deadline, &self.context());
            self.append(decision, false)?;
        }
        for index in 0..self.clients.len() {
            self.client_acts(index, chaos)?;
        }
        self.revokers_are_fenced()
    }

    /// From here on everybody who lives answers, and does at once what it is told.
    pub(super) fn calm(&mut self) {
        let now = self.now;
        for client in &mut self.clients {
            client.silent_until = None;
            if let Some((_, at)) = &mut client.pending {
                *at = (*at).min(now);
            }
        }
    }

    /// The coordinator begins again with nothing but its log, which may have been compacted.
    pub(super) fn restart(&mut self) -> Result<(), Violation> {
        self.tally.count("restart");
        if self.random.one_in(2) {
            self.tally.count("compacted");
            self.compact();
        }
        let mut replayed = ConsumerGroup::new("group".into());
        for record in &self.log {
            let (group_id, record) =
                ConsumerGroupRecord::decode(record.key.clone(), record.value.clone())
                    .expect("the coordinator wrote it");
            assert_eq!(&group_id, replayed.id());
            replayed.replay(&record);
        }
        invariants::same_group(&self.group, &replayed)?;
        self.deadlines = Deadlines::restored(&replayed, &self.config, self.now);
        self.group = replayed;
        self.revoking.clear();
        Ok(())
    }

    fn compact(&mut self) {
        let mut seen: BTreeSet<Bytes> = BTreeSet::new();
        let mut kept: Vec<EncodedRecord> = Vec::new();
        for record in self.log.drain(..).rev() {
            if seen.insert(record.key.clone()) && record.value.is_some() {
                kept.push(record);
            }
        }
        kept.reverse();
        self.log = kept;
    }

    fn something_happens(&mut self) -> Result<(), Violation> {
        match self.random.below(24) {
            0..=2 if self.clients.iter().filter(|c| c.is_alive()).count() < CLIENTS_MAX => {
                self.add_client();
            }
            3 | 4 => self.somebody_goes()?,
            5 => self.change_topics(),
            6 => self.somebody_pauses(),
            7 => self.somebody_subscribes_otherwise(),
            8 if self.random.one_in(3) => self.restart()?,
            _ => {}
        }
        Ok(())
    }

    fn add_client(&mut self) {
        let kind = *self.random.of(&[
            Kind::Consumer,
            Kind::Consumer,
            Kind::Consumer,
            Kind::Eager,
            Kind::Cooperative,
        ]);
        let mut instance_id = None;
        if self.random.one_in(3) {
            // At times one that another process still has, or had until a moment ago.
            let instance: Arc<str> = format!("i{}", self.random.below(3)).into();
            let taken = |client: &Client| {
                client.is_alive() && client.instance_id.as_ref() == Some(&instance)
            };
            if !self.clients.iter().any(taken) {
                instance_id = Some(instance);
            }
        }
        let subscribed = self.subscription(kind);
        let names = [None, Some("uniform"), Some("range")];
        let client = Client {
            kind,
            id: if kind == Kind::Consumer {
                new_id(&mut self.random)
            } else {
                "".into()
            },
            instance_id,
            epoch: if kind == Kind::Consumer { 0 } else { -1 },
            subscribed,
            assignor: self.random.of(&names).map(Arc::from),
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
        self.say(format!("new {client:?}"));
        self.clients.push(client);
    }

    fn subscription(&mut self, kind: Kind) -> Subscribed {
        if kind == Kind::Consumer && self.random.one_in(4) {
            return Subscribed::Regex(Arc::from(*self.random.of(&REGEXES)));
        }
        let all = self.random.one_in(2);
        let names = TOPICS
            .iter()
            .filter(|_| all || self.random.one_in(2))
            .map(|name| Arc::from(*name));
        Subscribed::Names(names.collect())
    }

    fn somebody_goes(&mut self) -> Result<(), Violation> {
        let Some(index) = self.somebody() else {
            return Ok(());
        };
        let client = self.clients[index].clone();
        self.clients[index].dead = true;
        if self.random.one_in(3) || client.id.is_empty() {
            self.tally.count("died");
            self.say(format!("{} dies", client.id));
        } else if client.kind == Kind::Consumer {
            let stays = client.instance_id.is_some() && self.random.one_in(2);
            self.tally
                .count(if stays { "left for a while" } else { "left" });
            let request = HeartbeatRequest {
                member_epoch: if stays {
                    LEAVE_STATIC_EPOCH
                } else {
                    LEAVE_EPOCH
                },
                ..client.heartbeat(&mut self.random)
            };
            self.say(format!("{} leaves: {}", client.id, request.member_epoch));
            if let Ok(decision) = self.group.heartbeat(&request, &self.context()) {
                self.append(decision, false)?;
            }
        } else {
            self.tally.count("left");
            let leaver = super::super::classic::Leaver {
                member_id: client.id,
                instance_id: client.instance_id,
            };
            self.say(format!("{leaver:?} leaves"));
            let decision = self.group.classic_leave(&[leaver], &self.context());
            self.append(decision, false)?;
        }
        Ok(())
    }

    fn somebody(&mut self) -> Option<usize> {
        let alive = self
            .clients
            .iter()
            .enumerate()
            .filter(|(_, c)| c.is_alive());
        let alive: Vec<usize> = alive.map(|(index, _)| index).collect();
        (!alive.is_empty()).then(|| *self.random.of(&alive))
    }

    fn somebody_pauses(&mut self) {
        if let Some(index) = self.somebody() {
            let seconds = self.random.below(25);
            self.tally.count("paused");
            self.clients[index].silent_until = Some(self.now + Duration::from_secs(seconds));
        }
    }

    fn somebody_subscribes_otherwise(&mut self) {
        let Some(index) = self.somebody() else {
            return;
        };
        let kind = self.clients[index].kind;
        let subscribed = self.subscription(kind);
        let now = self.now;
        let client = &mut self.clients[index];
        client.subscribed = subscribed;
        client.subscription_changed = true;
        if kind != Kind::Consumer {
            client.next_action = now;
        }
        self.say(format!("{:?}", self.clients[index]));
    }

    fn change_topics(&mut self) {
        let name = *self.random.of(&TOPICS);
        let partitions = |count| vec![PartitionState::new(vec![1], vec![1]); count];
        let count = 1 + usize::try_from(self.random.below(4)).expect("small");
        let record = match self.image.topic_named(name) {
            None => {
                self.tally.count("topic created");
                self.next_topic += 1;
                MetadataRecord::TopicCreated {
                    id: TopicId(Uuid::from_u128(self.next_topic)),
                    name: name.to_owned(),
                    partitions: partitions(count),
                }
            }
            Some(topic) if self.random.one_in(2) => {
                self.tally.count("topic deleted");
                MetadataRecord::TopicDeleted { id: topic.id }
            }
            Some(topic) => {
                self.tally.count("topic grew");
                MetadataRecord::PartitionsAdded {
                    id: topic.id,
                    first: i32::try_from(topic.partition_count()).expect("few"),
                    partitions: partitions(count),
                }
            }
        };
        self.say(format!("{record:?}"));
        self.image.replay(&record).expect("it follows");
        self.topics = TopicsView::new(self.image.clone(), self.image.version());
    }

    fn note_taken(&mut self, index: usize, before: &Assignment) {
        let client = &self.clients[index];
        if !invariants::counts(client, &self.group) {
            return;
        }
        let new = client.owned.partitions();
        let new = new.filter(|partition| !before.contains(*partition));
        self.taken.extend(new.map(|partition| Taken {
            id: Arc::clone(&client.id),
            epoch: client.epoch,
            partition,
        }));
    }

    /// A commit that a member made when it took a partition arrives now.
    fn somebody_commits_late(&mut self) -> Result<(), Violation> {
        if self.taken.is_empty() || self.classic.is_some() {
            return Ok(());
        }
        let count = u64::try_from(self.taken.len()).expect("few");
        let at = usize::try_from(self.random.below(count)).expect("less than a length");
        let taken = &self.taken[at];
        let current = self.group.member(&taken.id).map(|member| &member.current);
        if current.is_none_or(|current| current.epoch <= taken.epoch) {
            return Ok(());
        }
        let committer = Committer {
            member_id: &taken.id,
            member_epoch: taken.epoch,
            offset_commit_version: Some(9),
        };
        if (self.group.check_commit(committer, [Some(taken.partition)])).is_err() {
            self.tally.count("old commit refused");
            return Ok(());
        }
        self.tally.count("old commit accepted");
        let mut later = self.taken[at..].iter();
        let other = later.find(|other| other.partition == taken.partition && other.id != taken.id);
        match other {
            None => Ok(()),
            Some(other) => violation(
                Invariant::OldCommitsNeverOvertake,
                format!(
                    "{} commits {} with epoch {}, and {} has had it since",
                    taken.id, taken.partition, taken.epoch, other.id
                ),
            ),
        }
    }

    fn client_acts(&mut self, index: usize, chaos: bool) -> Result<(), Violation> {
        let now = self.now;
        let client = &mut self.clients[index];
        if client.dead || client.silent_until.is_some_and(|until| until > now) {
            return Ok(());
        }
        let before = client.owned.clone();
        client.settle(now);
        invariants::always(self)?;
        self.note_taken(index, &before);
        self.somebody_commits_late()?;
        if self.clients[index].next_action > now || self.clients[index].is_busy() {
            return Ok(());
        }
        if chaos && self.random.one_in(15) {
            self.tally.count("request lost");
            self.clients[index].on_no_response(now, TICK);
            return Ok(());
        }
        let twice = chaos && self.random.one_in(15);
        let loses_response = chaos && self.random.one_in(15);
        let fails = chaos && self.random.one_in(20);
        if twice {
            self.tally.count("request came twice");
        }
        let copies = if twice { 2 } else { 1 };
        match self.clients[index].kind {
            Kind::Consumer => self.heartbeat(index, copies, loses_response, fails, chaos)?,
            Kind::Eager | Kind::Cooperative => {
                self.classic(index, copies, loses_response, fails, chaos)?;
            }
        }
        invariants::always(self)
    }

    fn slowness(&mut self, chaos: bool) -> Duration {
        // Now and then longer than the rebalance timeout allows.
        let seconds = if !chaos {
            0
        } else if self.random.one_in(20) {
            // Never, unless it is fenced.
            1_000
        } else if self.random.one_in(8) {
            self.random.below(30)
        } else {
            self.random.below(8)
        };
        Duration::from_secs(seconds)
    }

    fn heartbeat(
        &mut self,
        index: usize,
        copies: usize,
        loses_response: bool,
        fails: bool,
        chaos: bool,
    ) -> Result<(), Violation> {
        let now = self.now;
        let request = self.clients[index].heartbeat(&mut self.random);
        self.say(format!("{request:?}"));
        // The client hears of the first copy: responses come in the order of requests, and it does not know that there were two.
        let mut answer = None;
        for copy in 0..copies {
            let decided = self.decide(&request);
            let answered = match decided {
                Ok(decision) => {
                    let appended = self.append(decision, fails && copy == 0)?;
                    appended.ok_or(None)
                }
                Err(error) => Err(Some(error)),
            };
            answer.get_or_insert(answered);
        }
        if loses_response {
            self.tally.count("response lost");
            self.clients[index].on_no_response(now, TICK);
            return Ok(());
        }
        match answer.expect("it came once at least") {
            Ok(response) => {
                self.say(format!("-> {response:?}"));
                if self.clients[index].says_all && self.clients[index].epoch > 0 {
                    self.tally.count("full heartbeat answered again");
                }
                let told = self.told_epochs.get(&response.member_id).copied();
                if told.is_some_and(|told| told > response.member_epoch) {
                    return violation(
                        Invariant::EpochsNeverRegress,
                        format!("{response:?} after {told:?}"),
                    );
                }
                self.told_epochs
                    .insert(Arc::clone(&response.member_id), response.member_epoch);
                let slow = self.slowness(chaos);
                self.clients[index].on_heartbeat_response(response, now, slow);
            }
            Err(None) => self.clients[index].on_no_response(now, TICK),
            Err(Some(error)) => self.on_error(index, &error)?,
        }
        Ok(())
    }

    /// Takes a classic group over where it must. The records of that go in front.
    fn decide(
        &mut self,
        request: &HeartbeatRequest,
    ) -> Result<Decision<HeartbeatResponse>, ConsumerGroupError> {
        let Some(classic) = self.classic.as_ref().filter(|_| request.member_epoch == 0) else {
            return self.group.heartbeat(request, &self.context());
        };
        let context = self.context();
        let upgrade = ConsumerGroup::upgrade(&"group".into(), classic, &context)?;
        let mut decision = upgrade.group.heartbeat(request, &context)?;
        decision.records.splice(0..0, upgrade.records);
        self.tally.count("upgrade");
        self.upgrade = Some(upgrade.deadlines);
        Ok(decision)
    }

    fn classic(
        &mut self,
        index: usize,
        copies: usize,
        loses_response: bool,
        fails: bool,
        chaos: bool,
    ) -> Result<(), Violation> {
        let now = self.now;
        let slow = self.slowness(chaos);
        let client = &mut self.clients[index];
        if client.phase == Phase::Heartbeat
            && client.subscription_changed
            && client.pending.is_none()
        {
            // It wants other topics than it joined with.
            client.on_rebalance(now, slow);
            return Ok(());
        }
        let client = client.clone();
        // Such a group can only be joined once a consumer group is there.
        if self.classic.is_some() || (client.phase == Phase::Join && self.group.epoch() == 0) {
            self.clients[index].next_action = now + TICK;
            return Ok(());
        }
        let result = match client.phase {
            Phase::Join => {
                self.tally.count("classic join");
                let request = client.join(&self.topics, &mut self.random);
                self.say(format!("{request:?}"));
                let mut answer = Ok(None);
                for copy in 0..copies {
                    let decided = self.group.classic_join(&request, &self.context());
                    answer = decided.map(Some);
                    if let Ok(Some(decision)) = answer {
                        let appended = self.append(decision, fails && copy == 0)?;
                        answer = Ok(None);
                        if let (Some(response), false) = (appended, loses_response) {
                            let client = &mut self.clients[index];
                            client.id = response.member_id;
                            client.epoch = response.generation;
                            client.phase = Phase::Sync;
                            client.subscription_changed = false;
                            client.next_action = now;
                        }
                    }
                }
                answer.map(|_| ())
            }
            Phase::Sync => {
                let decided = self.group.classic_sync(&client.sync(), &self.context());
                match decided {
                    Ok(decision) => {
                        let outcome = self.append(decision, false)?;
                        self.say(format!("{} synchronises: {outcome:?}", client.id));
                        let client = &mut self.clients[index];
                        match outcome.filter(|_| !loses_response) {
                            Some(SyncOutcome::Assignment(bytes)) => {
                                client.on_sync_response(&bytes, &self.topics, now, slow);
                            }
                            Some(SyncOutcome::RebalanceInProgress) => {
                                client.on_rebalance(now, slow);
                            }
                            None => client.on_no_response(now, TICK),
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Phase::Heartbeat => {
                let request = client.classic_heartbeat();
                let decided = self.group.classic_heartbeat(&request, &self.context());
                match decided {
                    Ok(decision) => {
                        let outcome = self.append(decision, false)?;
                        self.say(format!("{} beats: {outcome:?}", client.id));
                        let client = &mut self.clients[index];
                        client.next_action = now + 3 * TICK;
                        // One that still gives up what the last round asked for does that first.
                        if outcome == Some(ClassicHeartbeatOutcome::RebalanceInProgress)
                            && !loses_response
                            && client.pending.is_none()
                        {
                            client.on_rebalance(now, slow);
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
        };
        match result {
            Ok(()) => Ok(()),
            Err(_) if loses_response => {
                self.clients[index].on_no_response(now, TICK);
                Ok(())
            }
            Err(error) => self.on_error(index, &error),
        }
    }

    fn on_error(&mut self, index: usize, error: &ConsumerGroupError) -> Result<(), Violation> {
        self.say(format!("-> {error:?}"));
        let now = self.now;
        let client = &mut self.clients[index];
        match error {
            ConsumerGroupError::UnknownMember { .. }
            | ConsumerGroupError::UnknownInstance(_)
            | ConsumerGroupError::GroupNotFound(_) => {
                client.on_fenced(now);
                self.tally.count("unknown member");
            }
            ConsumerGroupError::FencedEpoch { .. }
            | ConsumerGroupError::IllegalGeneration { .. } => {
                client.on_fenced(now);
                self.tally.count("fenced by epoch");
            }
            ConsumerGroupError::UnreleasedInstance { .. } => {
                client.next_action = now + TICK;
                self.tally.count("instance not released");
            }
            ConsumerGroupError::GroupFull { .. } => {
                client.next_action = now + 5 * TICK;
                self.tally.count("group full");
            }
            ConsumerGroupError::MemberIdRequired(id) => {
                client.id = Arc::clone(id);
                client.next_action = now;
            }
            ConsumerGroupError::FencedInstance { .. } => client.dead = true,
            _ => {
                return violation(
                    Invariant::NoUnexpectedError,
                    format!("{error:?} for {client:?}"),
                );
            }
        }
        Ok(())
    }

    /// The response, unless there is something to append and that fails.
    fn append<R>(&mut self, decision: Decision<R>, fails: bool) -> Result<Option<R>, Violation> {
        let upgrade = self.upgrade.take();
        if fails && !decision.records.is_empty() {
            self.tally.count("append failed");
            return Ok(None);
        }
        if let Some(deadlines) = upgrade {
            self.deadlines = deadlines;
            self.classic = None;
        }
        if let Some(downgrade) = decision.downgrade {
            self.tally.count("downgrade");
            self.say(format!("{downgrade:?}"));
            self.classic = Some(downgrade.group);
        }
        for record in &decision.records {
            let encoded = record.encode("group");
            let decoded = ConsumerGroupRecord::decode(encoded.key.clone(), encoded.value.clone());
            assert_eq!(decoded, Ok(("group".into(), record.clone())));
            self.group.replay(record);
            self.log.push(encoded);
            if let ConsumerGroupRecord::Current(id, Some(current)) = record {
                match current.state {
                    MemberState::UnrevokedPartitions => self.tally.count("revoking"),
                    MemberState::UnreleasedPartitions => self.tally.count("waiting"),
                    MemberState::Stable | MemberState::Unknown => {}
                }
                self.say(format!("   {id}: {current:?}"));
            }
            if let ConsumerGroupRecord::Regex(..) = record {
                self.tally.count("regex");
            }
        }
        self.deadlines.apply(decision.deadlines);
        if self.classic.is_none() {
            invariants::epochs(self.epochs, &self.group)?;
            self.epochs = (self.group.epoch(), self.group.target_epoch());
        }
        Ok(Some(decision.response))
    }

    /// A member that must give up partitions and stays at its epoch has its rebalance timeout for it, and a tick.
    fn revokers_are_fenced(&mut self) -> Result<(), Violation> {
        let now = self.now;
        let revoking: BTreeSet<(Arc<str>, i32)> = self
            .group
            .members()
            .filter(|(_, m)| m.current.state == MemberState::UnrevokedPartitions && !m.is_classic())
            .filter(|(_, m)| !m.has_left())
            .map(|(id, m)| (Arc::clone(id), m.current.epoch))
            .collect();
        self.revoking.retain(|key, _| revoking.contains(key));
        for key in revoking {
            let since = *self.revoking.entry(key.clone()).or_insert(now);
            let timeout = Duration::from_millis(REBALANCE_TIMEOUT_MS.unsigned_abs().into());
            // A change of its subscription meanwhile gives it its time once more.
            if now > since + 4 * timeout {
                return violation(
                    Invariant::RevokersAreFenced,
                    format!("{key:?} revokes since {since:?}, now {now:?}"),
                );
            }
        }
        Ok(())
    }

    fn context(&self) -> Context<'_> {
        Context {
            topics: &self.topics,
            config: &self.config,
            now: self.now,
            timestamp_ms: i64::try_from(self.now.as_millis()).expect("small"),
        }
    }

    fn say(&self, what: String) {
        if self.told {
            println!("{:>5} {what}", self.now.as_secs());
        }
    }
}
