//! The world around a coordinator: clients, a network, a log that fails, and restarts.
//!
//! Knows the time; everything random comes from its one seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::super::consumer::config::ConsumerGroupConfig;
use super::super::error::AppendFailure;
use super::super::records::{EncodedRecord, GroupRecord};
use super::super::request::{
    HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, OffsetCommitRequest,
    OffsetCommitTopic, OffsetFetchRequest, OffsetToCommit, SyncRequest, Time,
};
use super::super::response::Response;
use super::super::settings::{Bounds, Settings};
use super::super::{Action, AppendId, Coordinator, Generations};
use super::Random;
use super::client::{Ask, Client, PARTITIONS, Phase};
use super::invariants::Invariants;

const GROUP: &str = "group";
const TOPIC: &str = "topic";
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 20_000;
/// After the last fault: sessions of the dead end (those of new members that were never told their id after five minutes), and
/// two rebalances may follow each other.
const QUIET_MS: u64 = 300_000 + 2 * 20_000 + 2 * 10_000 + 25_000;

/// What may go wrong in this world, each once in so many times; `u64::MAX`: never.
#[derive(Clone, Debug)]
struct Faults {
    late: u64,
    twice: u64,
    lost: u64,
    append_fails: u64,
    append_slow: u64,
}

impl Faults {
    fn none() -> Self {
        Self {
            late: u64::MAX,
            twice: u64::MAX,
            lost: u64::MAX,
            append_fails: u64::MAX,
            append_slow: u64::MAX,
        }
    }
}

#[derive(Debug)]
enum Event {
    Deliver {
        request: u64,
        ask: Ask,
        client: usize,
    },
    Answer {
        request: u64,
        response: Response,
        client: usize,
    },
    Wake {
        client: usize,
        wake: u64,
    },
    /// The oldest append is resolved.
    Resolve {
        incarnation: u64,
    },
    Tick {
        at_ms: u64,
    },
    Restart,
    /// The next append has an unknown end.
    UnknownEnd,
    /// The log was read anew.
    Loaded {
        incarnation: u64,
    },
    /// Something happens to a client.
    Fate {
        client: usize,
    },
}

/// Who waits at the coordinator.
#[derive(Clone, Debug)]
struct Asked {
    client: usize,
    ask: Ask,
    /// The offset of a commit.
    offset: i64,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    events: u64,
    generations: u64,
    commits: u64,
    restarts: u64,
    failed_appends: u64,
    unknown_ends: u64,
    static_members_back: u64,
    deaths: u64,
    duplicates: u64,
}

impl Tally {
    /// A simulation in which something never happens proves nothing about it.
    pub(super) fn assert_everything_happened(&self, seeds: u64) {
        for (what, count) in [
            ("generations", self.generations),
            ("commits", self.commits),
            ("restarts", self.restarts),
            ("failed appends", self.failed_appends),
            ("appends of unknown end", self.unknown_ends),
            ("static members that are back", self.static_members_back),
            ("deaths", self.deaths),
            ("duplicates", self.duplicates),
        ] {
            assert!(count >= seeds / 10, "only {count} {what} in {seeds} seeds");
        }
    }
}

pub(super) struct World {
    random: Random,
    told: bool,
    now_ms: u64,
    /// Faults end then.
    chaos_ms: u64,
    events: BTreeMap<(u64, u64), Event>,
    event_count: u64,
    /// The tick that is planned.
    tick_ms: Option<u64>,
    faults: Faults,
    settings: Settings,
    coordinator: Coordinator<u64>,
    incarnation: u64,
    /// The log is being read: the shell answers nobody.
    is_loading: bool,
    loses_next: bool,
    /// What the coordinator that went had told of.
    told_generations: Generations,
    /// Appends with whether they will be committed, oldest first, and when the last of them is resolved.
    under_way: VecDeque<(AppendId, Vec<EncodedRecord>, bool)>,
    resolved_ms: u64,
    log: Vec<EncodedRecord>,
    clients: Vec<Client>,
    /// Open tokens.
    asked: BTreeMap<u64, Asked>,
    answered: BTreeSet<u64>,
    request_count: u64,
    offset_count: i64,
    invariants: Invariants,
    out: Vec<Action<u64>>,
    restarts: u64,
    failed_appends: u64,
    unknown_ends: u64,
    commits: u64,
    generations: u64,
    static_members_back: u64,
    deaths: u64,
    duplicates: u64,
}

impl World {
    pub(super) fn new(seed: u64, told: bool) -> Self {
        let mut random = Random(seed);
        let mut rate = |rates: &[u64]| rates[random.below(rates.len() as u64) as usize];
        let faults = Faults {
            late: rate(&[5, 20, u64::MAX]),
            twice: rate(&[5, 30, u64::MAX]),
            lost: rate(&[10, 40, u64::MAX]),
            append_fails: rate(&[5, 20, u64::MAX]),
            append_slow: rate(&[3, 20, u64::MAX]),
        };
        let settings = Settings {
            initial_rebalance_delay: Duration::from_millis(rate(&[0, 500, 3_000])),
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 60_000,
            group_size_max: 100,
            offset_metadata_max: 100,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_check_interval: Duration::from_secs(60),
            bounds: Bounds::default(),
            consumer: ConsumerGroupConfig::default(),
            consumer_of_groups: Arc::default(),
        };
        let count = 1 + random.below(6) as usize;
        let clients = (0..count).map(|index| Client::new(index, &mut random));
        let clients = clients.collect();
        let chaos_ms = 20_000 + random.below(100_000);
        Self {
            random,
            told,
            now_ms: 0,
            chaos_ms,
            events: BTreeMap::new(),
            event_count: 0,
            tick_ms: None,
            faults,
            coordinator: Coordinator::new(settings.clone()),
            settings,
            incarnation: 0,
            is_loading: false,
            loses_next: false,
            told_generations: Generations::default(),
            under_way: VecDeque::new(),
            resolved_ms: 0,
            log: Vec::new(),
            clients,
            asked: BTreeMap::new(),
            answered: BTreeSet::new(),
            request_count: 0,
            offset_count: 0,
            invariants: Invariants::default(),
            out: Vec::new(),
            restarts: 0,
            failed_appends: 0,
            unknown_ends: 0,
            commits: 0,
            generations: 0,
            static_members_back: 0,
            deaths: 0,
            duplicates: 0,
        }
    }

    pub(super) fn run(mut self, tally: &mut Tally) {
        for client in 0..self.clients.len() {
            let start = self.random.below(5_000);
            self.clients[client].start();
            self.wake(client, start);
            let fate = self.random.below(20_000);
            self.at(fate, Event::Fate { client });
        }
        let restart = self.random.below(40_000);
        self.at(restart, Event::Restart);
        let unknown_end = self.random.below(40_000);
        self.at(unknown_end, Event::UnknownEnd);
        self.run_until(self.chaos_ms, false);
        self.faults = Faults::none();
        for client in 0..self.clients.len() {
            self.clients[client].paused_until_ms = 0;
        }
        self.run_until(self.chaos_ms + QUIET_MS, true);
        self.assert_settled();
        self.unload();
        tally.events += self.event_count;
        tally.generations += self.generations;
        tally.commits += self.commits;
        tally.restarts += self.restarts;
        tally.failed_appends += self.failed_appends;
        tally.unknown_ends += self.unknown_ends;
        tally.static_members_back += self.static_members_back;
        tally.deaths += self.deaths;
        tally.duplicates += self.duplicates;
    }

    /// `settles`: ends as soon as all is well.
    fn run_until(&mut self, end_ms: u64, settles: bool) {
        while let Some((&(at, _), _)) = self.events.first_key_value() {
            if at > end_ms || settles && self.is_settled() {
                break;
            }
            let (_, event) = self.events.pop_first().expect("it was just there");
            self.now_ms = at;
            self.on_event(event);
            self.carry_out();
            self.check();
            if self.random.one_in(4) {
                let partition = self.random.below(u64::from(PARTITIONS)) as u8;
                self.fetch(partition, "to somebody who looks");
            }
        }
        if !settles {
            self.now_ms = end_ms;
        }
    }

    fn on_event(&mut self, event: Event) {
        if self.told {
            println!("{:>7} {event:?}", self.now_ms);
        }
        match event {
            Event::Deliver {
                request,
                ask,
                client,
            } => self.deliver(request, ask, client),
            Event::Answer {
                request,
                response,
                client,
            } => self.on_answer(request, response, client),
            Event::Wake { client, wake } => self.on_wake(client, wake),
            Event::Resolve { incarnation } if incarnation == self.incarnation => {
                match std::mem::take(&mut self.loses_next) {
                    true => self.lose(),
                    false => self.resolve(),
                }
            }
            Event::Resolve { .. } => {}
            Event::Tick { at_ms } => {
                if self.tick_ms == Some(at_ms) {
                    self.tick_ms = None;
                    self.coordinator.on_tick(self.time(), &mut self.out);
                }
            }
            Event::Restart => {
                if self.now_ms < self.chaos_ms {
                    self.restart();
                    let next = 2_000 + self.random.below(60_000);
                    self.at(next, Event::Restart);
                }
            }
            Event::UnknownEnd => {
                if self.now_ms < self.chaos_ms {
                    self.loses_next = true;
                    let next = 2_000 + self.random.below(40_000);
                    self.at(next, Event::UnknownEnd);
                }
            }
            Event::Loaded { incarnation } => {
                if incarnation == self.incarnation {
                    self.on_loaded();
                }
            }
            Event::Fate { client } => self.fate(client),
        }
    }

    /// One of the things that happen to clients.
    fn fate(&mut self, client: usize) {
        if self.now_ms >= self.chaos_ms {
            // Those who are off stay off, or come once more.
            if self.clients[client].phase == Phase::Off && self.random.one_in(2) {
                self.clients[client].start();
                self.wake(client, 0);
            }
            return;
        }
        let next = 1_000 + self.random.below(30_000);
        self.at(next, Event::Fate { client });
        if self.clients[client].phase == Phase::Off {
            self.clients[client].start();
            return self.wake(client, 0);
        }
        let is_static = self.clients[client].instance_id.is_some();
        match self.random.below(8) {
            0 => {
                let member_id = self.clients[client].member_id.clone();
                self.send(client, Ask::Leave { member_id });
                self.clients[client].stop();
            }
            1 => {
                self.deaths += 1;
                self.clients[client].stop();
            }
            // A quick restart, which a static member survives.
            2 => {
                self.clients[client].start();
                self.wake(client, 0);
            }
            3 | 4 if is_static => {
                self.clients[client].start();
                self.wake(client, 0);
            }
            5 => {
                let pause = self.random.below(25_000);
                self.clients[client].paused_until_ms = self.now_ms + pause;
            }
            // Of a static member that would last: the group keeps its place as long as its session does.
            6 if !is_static => self.clients[client].stubborn = true,
            7 if self.clients[client].phase == Phase::Member => {
                // Something about it changed: it joins again.
                let random = &mut self.random;
                let (index, id) = (client, self.clients[client].member_id.clone());
                let protocols = Client::new(index, random).protocols;
                let client = &mut self.clients[client];
                client.protocols = protocols;
                client.member_id = id;
                client.phase = Phase::Joining;
                client.waits_for = None;
                self.wake(index, 0);
            }
            _ => {}
        }
    }

    fn on_wake(&mut self, client: usize, wake: u64) {
        let now_ms = self.now_ms;
        let this = &mut self.clients[client];
        if this.wake != wake {
            return;
        }
        if this.paused_until_ms > now_ms {
            let rest = this.paused_until_ms - now_ms;
            return self.wake(client, rest);
        }
        if let Some((_, until_ms)) = this.waits_for {
            if until_ms > now_ms {
                return self.wake(client, until_ms - now_ms);
            }
            this.on_timeout();
        }
        let Some((ask, patience_ms)) = self.clients[client].next(&mut self.random) else {
            return;
        };
        let request = self.send(client, ask);
        self.clients[client].waits_for = Some((request, now_ms + patience_ms));
        self.wake(client, patience_ms);
    }

    fn on_answer(&mut self, request: u64, response: Response, client: usize) {
        let now_ms = self.now_ms;
        let this = &mut self.clients[client];
        if this.waits_for.is_none_or(|(waits, _)| waits != request) {
            return;
        }
        if this.paused_until_ms > now_ms {
            let rest = this.paused_until_ms - now_ms;
            let event = Event::Answer {
                request,
                response,
                client,
            };
            return self.at(rest, event);
        }
        if let Response::Join(Ok(joined)) = &response {
            let back = this.instance_id.is_some() && joined.skip_assignment;
            self.static_members_back += u64::from(back);
        }
        let became_member = matches!(response, Response::Sync(Ok(_)));
        let delay = this.on_response(&response, &mut self.random);
        if became_member {
            for partition in self.clients[client].owned.clone() {
                self.fetch(partition, "for its new owner");
            }
        }
        self.wake(client, delay);
    }

    fn send(&mut self, client: usize, ask: Ask) -> u64 {
        self.request_count += 1;
        let request = self.request_count;
        if self.random.one_in(self.faults.lost) {
            return request;
        }
        if self.random.one_in(self.faults.twice) {
            self.duplicates += 1;
            let delay = self.random.below(20_000);
            // Nobody waits for the answer to this one.
            self.request_count += 1;
            let event = Event::Deliver {
                request: self.request_count,
                ask: ask.clone(),
                client,
            };
            self.at(delay, event);
        }
        let delay = self.delay();
        let event = Event::Deliver {
            request,
            ask,
            client,
        };
        self.at(delay, event);
        request
    }

    fn delay(&mut self) -> u64 {
        match self.random.one_in(self.faults.late) {
            true => self.random.below(8_000),
            false => self.random.below(20),
        }
    }

    fn deliver(&mut self, request: u64, ask: Ask, client: usize) {
        if self.is_loading {
            // COORDINATOR_LOAD_IN_PROGRESS, of which the coordinator knows nothing: whoever asked asks again, later.
            return;
        }
        self.offset_count += 1;
        let offset = self.offset_count;
        let asked = Asked {
            client,
            ask: ask.clone(),
            offset,
        };
        self.asked.insert(request, asked);
        let time = self.time();
        let out = &mut self.out;
        let coordinator = &mut self.coordinator;
        let this = &self.clients[client];
        let instance_id = this.instance_id.as_deref();
        match &ask {
            Ask::Join { member_id } => {
                let metadata = super::super::shell_by_hand::subscription(TOPIC);
                let uuid = format!("{request:036}");
                let request_ = JoinRequest {
                    group_id: GROUP,
                    member_id,
                    instance_id,
                    client_id: "client",
                    client_host: "/127.0.0.1",
                    new_member_uuid: &uuid,
                    session_timeout_ms: SESSION_MS,
                    rebalance_timeout_ms: REBALANCE_MS,
                    protocol_type: "consumer",
                    protocols: this
                        .protocols
                        .iter()
                        .map(|&name| (name, &metadata[..]))
                        .collect(),
                    requires_known_member_id: this.requires_known_member_id,
                    supports_skipping_assignment: this.supports_skipping_assignment,
                };
                coordinator.on_join(&request_, request, time, out);
            }
            Ask::Sync {
                member_id,
                generation,
                assignments,
            } => {
                let assignments = assignments.iter();
                let request_ = SyncRequest {
                    group_id: GROUP,
                    generation: *generation,
                    member_id,
                    instance_id,
                    protocol_type: None,
                    protocol_name: None,
                    assignments: assignments
                        .map(|(member_id, assignment)| (&**member_id, &assignment[..]))
                        .collect(),
                };
                coordinator.on_sync(&request_, request, time, out);
            }
            Ask::Heartbeat {
                member_id,
                generation,
            } => {
                let request_ = HeartbeatRequest {
                    group_id: GROUP,
                    generation: *generation,
                    member_id,
                    instance_id,
                };
                coordinator.on_heartbeat(&request_, request, time, out);
            }
            Ask::Leave { member_id } => {
                let member = LeavingMember {
                    member_id,
                    instance_id,
                };
                let request_ = LeaveRequest {
                    group_id: GROUP,
                    members: vec![member],
                };
                coordinator.on_leave(&request_, request, time, out);
            }
            Ask::Commit {
                member_id,
                generation,
                partition,
            } => {
                let offset = OffsetToCommit {
                    partition: i32::from(*partition),
                    offset,
                    leader_epoch: -1,
                    metadata: "",
                };
                let request_ = OffsetCommitRequest {
                    group_id: GROUP,
                    generation: *generation,
                    member_id,
                    instance_id,
                    retention_ms: None,
                    reports_unknown_group: true,
                    topics: vec![OffsetCommitTopic {
                        name: TOPIC,
                        id: None,
                        partitions: vec![offset],
                    }],
                };
                coordinator.on_offset_commit(&request_, request, time, out);
            }
        }
    }

    fn carry_out(&mut self) {
        for action in std::mem::take(&mut self.out) {
            match action {
                Action::Append { id, records } => {
                    let commits = !self.random.one_in(self.faults.append_fails);
                    let slow = self.random.one_in(self.faults.append_slow);
                    let delay = match slow {
                        true => self.random.below(3_000),
                        false => self.random.below(30),
                    };
                    self.resolved_ms = self.resolved_ms.max(self.now_ms + delay);
                    self.under_way.push_back((id, records, commits));
                    let incarnation = self.incarnation;
                    self.at(
                        self.resolved_ms - self.now_ms,
                        Event::Resolve { incarnation },
                    );
                }
                Action::Answer { token, response } => self.answer(token, response),
            }
        }
        if let Some(deadline) = self.coordinator.next_deadline() {
            // A tick is never early.
            let at_ms = deadline.as_micros().div_ceil(1_000) as u64;
            let at_ms = at_ms.max(self.now_ms);
            if self.tick_ms.is_none_or(|tick_ms| at_ms < tick_ms) {
                self.tick_ms = Some(at_ms);
                self.at(at_ms - self.now_ms, Event::Tick { at_ms });
            }
        }
    }

    fn answer(&mut self, token: u64, response: Response) {
        if self.told {
            println!("{:>7}   answers {token}: {response:?}", self.now_ms);
        }
        let asked = self.asked.remove(&token);
        let asked = asked.unwrap_or_else(|| {
            panic!("EveryRequestAnsweredOnce: {token} does not wait and is told {response:?}")
        });
        self.answered.insert(token);
        match (&response, &asked.ask) {
            (
                Response::Sync(Ok(synced)),
                Ask::Sync {
                    member_id,
                    generation,
                    ..
                },
            ) => {
                let instance_id = self.clients[asked.client].instance_id.as_deref();
                let owner = instance_id.map_or_else(|| member_id.clone(), Arc::from);
                self.invariants
                    .one_partition_one_owner(*generation, &owner, &synced.assignment);
            }
            (Response::Join(Ok(joined)), _) if !joined.members.is_empty() => self.generations += 1,
            (Response::OffsetCommit(topics), Ask::Commit { partition, .. })
                if topics[0].partitions[0].1.is_ok() =>
            {
                self.commits += 1;
                self.invariants
                    .commit_acknowledged(*partition, asked.offset);
            }
            _ => {}
        }
        if self.random.one_in(self.faults.lost) {
            return;
        }
        let delay = self.delay();
        let event = Event::Answer {
            request: token,
            response,
            client: asked.client,
        };
        self.at(delay, event);
    }

    fn resolve(&mut self) {
        let Some((id, records, commits)) = self.under_way.pop_front() else {
            return;
        };
        let time = self.time();
        if commits {
            for record in records {
                self.write(record);
            }
            self.coordinator.on_committed(id, time, &mut self.out);
        } else {
            self.failed_appends += 1;
            let failure = AppendFailure::Unavailable;
            self.coordinator.on_failed(id, failure, time, &mut self.out);
        }
    }

    fn write(&mut self, record: EncodedRecord) {
        let decoded = GroupRecord::decode(&record.key, record.value.as_deref());
        if let Ok(GroupRecord::Group { value: None, .. }) = decoded {
            self.invariants.group_removed();
        }
        self.log.push(record);
    }

    /// The coordinator and all connections to it are lost. Of what was under way some may be in the log all the same.
    fn restart(&mut self) {
        self.restarts += 1;
        // Another process knows nothing of them, and has none of the connections either.
        self.told_generations = Generations::default();
        let kept = self.random.below(self.under_way.len() as u64 + 1) as usize;
        let under_way: Vec<_> = self.under_way.drain(..).collect();
        for (_, records, commits) in under_way.into_iter().take(kept) {
            for record in records.into_iter().filter(|_| commits) {
                self.write(record);
            }
        }
        if self.random.one_in(2) {
            self.compact();
        }
        self.incarnation += 1;
        self.resolved_ms = self.now_ms;
        self.events.retain(|_, event| {
            !matches!(
                event,
                Event::Deliver { .. } | Event::Answer { .. } | Event::Tick { .. }
            )
        });
        self.tick_ms = None;
        self.asked.clear();
        for client in 0..self.clients.len() {
            if let Some((_, until_ms)) = &mut self.clients[client].waits_for {
                *until_ms = self.now_ms;
                let delay = self.random.below(1_000);
                self.wake(client, delay);
            }
        }
        self.on_loaded();
    }

    /// Nobody knows how the oldest append ended. The coordinator goes, and everybody who waits is told; what is under way comes to its
    /// ends; then the log is read anew. Connections stay.
    fn lose(&mut self) {
        self.unknown_ends += 1;
        self.told_generations = self.coordinator.generations();
        self.unload();
        for (_, records, commits) in std::mem::take(&mut self.under_way) {
            for record in records.into_iter().filter(|_| commits) {
                self.write(record);
            }
        }
        self.incarnation += 1;
        self.resolved_ms = self.now_ms;
        self.tick_ms = None;
        self.is_loading = true;
        let delay = self.random.below(2_000);
        let incarnation = self.incarnation;
        self.at(delay, Event::Loaded { incarnation });
    }

    fn on_loaded(&mut self) {
        self.is_loading = false;
        self.coordinator = self.load();
        self.coordinator
            .go_on_from(&std::mem::take(&mut self.told_generations));
        let time = self.time();
        self.coordinator.on_loaded(time, &mut self.out);
        for partition in 0..PARTITIONS {
            self.fetch(partition, "when the log was read anew");
        }
    }

    fn load(&self) -> Coordinator<u64> {
        let mut coordinator = Coordinator::new(self.settings.clone());
        for record in &self.log {
            let replayed = coordinator.replay(&record.key, record.value.as_deref());
            replayed.expect("what was written can be read");
        }
        coordinator
    }

    /// As the log's compaction: the last record of each key stays, in its place.
    fn compact(&mut self) {
        let mut seen = BTreeSet::new();
        let mut kept: Vec<EncodedRecord> = Vec::new();
        for record in self.log.drain(..).rev() {
            if seen.insert(record.key.clone()) {
                kept.push(record);
            }
        }
        kept.reverse();
        self.log = kept;
    }

    fn fetch(&mut self, partition: u8, when: &str) {
        if self.is_loading {
            return;
        }
        let request = OffsetFetchRequest {
            group_id: GROUP,
            topics: Some(vec![(TOPIC, vec![i32::from(partition)])]),
            require_stable: true,
        };
        let topics = self.coordinator.offset_fetch(&request);
        let offset = topics[0].partitions[0].offset;
        self.invariants
            .committed_offset_never_regresses(partition, offset, when);
    }

    fn check(&self) {
        self.coordinator.assert_counts();
        if let Some(group) = self.coordinator.describe(GROUP) {
            Invariants::every_partition_owned_when_stable(&group);
        }
    }

    /// RebalanceTerminates: without faults everybody who runs is soon a member, and nobody else is.
    fn is_settled(&self) -> bool {
        let group = self.coordinator.describe(GROUP);
        let running = self.clients.iter();
        let running: Vec<_> = running
            .filter(|client| client.phase != Phase::Off)
            .collect();
        if running.is_empty() {
            return group.is_none_or(|group| group.state == "Empty");
        }
        let Some(group) = group.filter(|group| group.state == "Stable") else {
            return false;
        };
        let has_its_own = |client: &&Client| {
            let mut members = group.members.iter();
            let member = members.find(|member| member.member_id == client.member_id);
            client.phase == Phase::Member
                && member.is_some_and(|member| *member.assignment == *client.owned)
        };
        group.members.len() == running.len() && running.iter().all(has_its_own)
    }

    fn assert_settled(&mut self) {
        let clients = &self.clients;
        assert!(
            self.is_settled(),
            "RebalanceTerminates: {QUIET_MS} ms after the last fault there is {:?} with {clients:?}",
            self.coordinator.describe(GROUP)
        );
        while !self.under_way.is_empty() {
            self.resolve();
            self.carry_out();
        }
        // ReplayGivesTheSame.
        let loaded = self.load().describe(GROUP);
        let described = self.coordinator.describe(GROUP);
        if described
            .as_ref()
            .is_some_and(|group| group.state == "Stable")
        {
            assert_eq!(loaded, described, "ReplayGivesTheSame");
        }
        for partition in 0..PARTITIONS {
            self.fetch(partition, "at the end");
        }
    }

    /// EveryRequestAnsweredOnce: at the latest when the coordinator goes.
    fn unload(&mut self) {
        let time = self.time();
        self.coordinator.on_unloaded(time, &mut self.out);
        self.carry_out();
        assert!(
            self.asked.is_empty(),
            "EveryRequestAnsweredOnce: {:?} were never answered",
            self.asked
        );
        assert_eq!(self.coordinator.next_deadline(), None, "alarms of nobody");
    }

    fn wake(&mut self, client: usize, delay: u64) {
        self.clients[client].wake += 1;
        let wake = self.clients[client].wake;
        self.at(delay, Event::Wake { client, wake });
    }

    fn at(&mut self, delay: u64, event: Event) {
        self.event_count += 1;
        let place = (self.now_ms + delay, self.event_count);
        self.events.insert(place, event);
    }

    fn time(&self) -> Time {
        Time {
            now: Duration::from_millis(self.now_ms),
            wall_ms: 1_000_000_000_000 + self.now_ms as i64,
        }
    }
}
