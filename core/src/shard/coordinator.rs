//! The shell of the group coordinators: one for each partition of `__consumer_offsets` that this shard owns. Loads it from the
//! partition's log, appends what it decides as one batch each, and says when that is committed.
//!
//! Decides nothing about a group. A coordinator whose append has an unknown end is dropped, and loaded anew once all its appends have
//! an end: meanwhile, who asks is told to try again. One whose log takes and gives nothing any more stays away.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{self, RecordBatchBuilder, RecordBatchHeader};
use rinka_storage::store::AppendError;
use rinka_storage::topic_partition::TopicPartition;

use super::Shard;
use super::partition::{Partition, PartitionError};
use super::promise::{Promise, Promised, promise};
use crate::config::broker::BrokerConfig;
use crate::config::group::GroupOverrides;
use crate::controller::topic_name::CONSUMER_OFFSETS;
use crate::coordinator::group::consumer::topics_view::TopicsView;
use crate::coordinator::group::counters::Counters;
use crate::coordinator::group::error::AppendFailure;
use crate::coordinator::group::placement::partition_of;
use crate::coordinator::group::records::EncodedRecord;
use crate::coordinator::group::request::Time;
use crate::coordinator::group::response::Response;
use crate::coordinator::group::settings::Settings;
use crate::coordinator::group::{Action, AppendId, Coordinator, Generations};
use crate::metadata::delta::MetadataDelta;
use crate::metadata::image::MetadataImage;
use crate::metrics::groups::{GroupsReport, POSITIONS_MAX};

/// Bytes of the log that are read at once while it is loaded.
const LOAD_BYTES: usize = 1 << 20;

/// The pause before a log that could not be read is tried again: the first, and the longest.
const LOAD_RETRY: Duration = Duration::from_millis(500);
const LOAD_RETRY_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether what was appended to a log that is to be loaded has come to its end.
const LOAD_POLL: Duration = Duration::from_millis(10);

/// Whom the coordinator answers.
pub(crate) type Token = Promise<Response>;

/// A coordinator as a request sees it: where it asks, and what comes of it.
pub(crate) type Asked<'a> = (&'a mut Coordinator<Token>, Time, &'a mut Vec<Action<Token>>);

/// Why a coordinator cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoordinatorUnavailable {
    /// Its log is being read.
    Loading,
    /// It is not on this shard, or gone.
    NotHere,
}

/// All coordinators of a shard, by their partition.
pub(crate) struct Coordinators {
    settings: RefCell<Settings>,
    /// What the settings were made of.
    configured_by: RefCell<Option<ConfiguredBy>>,
    partitions: RefCell<BTreeMap<i32, Rc<PartitionCoordinator>>>,
    /// Those whose logs are still to be read, one after another.
    to_load: RefCell<VecDeque<Rc<PartitionCoordinator>>>,
    loading: Cell<bool>,
    /// The first deadline of any of them.
    next_deadline: Cell<Option<Duration>>,
    /// What those counted that are gone.
    counted_before: Cell<Counters>,
    failed_loads: Cell<u64>,
}

/// The broker's configuration, and those of single groups.
type ConfiguredBy = (Arc<BrokerConfig>, Arc<BTreeMap<String, GroupOverrides>>);

struct PartitionCoordinator {
    partition: Rc<Partition>,
    state: RefCell<State>,
    /// Batches on their way to the disk, in order.
    appends: RefCell<VecDeque<(AppendId, Committed)>>,
    resolving: Cell<bool>,
    /// What the former coordinator had told of.
    generations: RefCell<Generations>,
    /// Loads that failed since the last one that did not.
    failed_loads: Cell<u32>,
}

type Committed = Promised<Result<(), PartitionError>>;

enum State {
    Loading,
    Running(Box<Coordinator<Token>>),
    Gone,
}

impl Coordinators {
    pub(crate) fn new(config: &BrokerConfig) -> Self {
        Self {
            settings: RefCell::new(Settings::new(config, &BTreeMap::new())),
            configured_by: RefCell::default(),
            partitions: RefCell::default(),
            to_load: RefCell::default(),
            loading: Cell::new(false),
            next_deadline: Cell::new(None),
            counted_before: Cell::default(),
            failed_loads: Cell::new(0),
        }
    }

    fn of(&self, partition: i32) -> Option<Rc<PartitionCoordinator>> {
        self.partitions.borrow().get(&partition).cloned()
    }

    fn all(&self) -> Vec<Rc<PartitionCoordinator>> {
        self.partitions.borrow().values().cloned().collect()
    }

    fn note_deadline(&self, deadline: Option<Duration>) {
        let next = self.next_deadline.get();
        self.next_deadline
            .set([next, deadline].into_iter().flatten().min());
    }
}

/// The partition that a group belongs to; `None` while there is no `__consumer_offsets`.
pub(crate) fn partition_of_group(image: &MetadataImage, group_id: &str) -> Option<TopicPartition> {
    let topic = image.topic_named(CONSUMER_OFFSETS)?;
    let partitions = i32::try_from(topic.partition_count()).ok()?;
    Some(TopicPartition {
        topic_id: topic.id,
        partition: partition_of(group_id, partitions),
    })
}

fn view(image: &MetadataImage) -> TopicsView {
    TopicsView::new(image.clone(), image.version())
}

impl Shard {
    /// Hands the coordinator a request, at once; its answer comes when what it stands on is committed.
    pub(crate) fn ask_coordinator<F: FnOnce(Token, Asked<'_>)>(
        self: &Rc<Self>,
        partition: i32,
        ask: F,
    ) -> impl Future<Output = Result<Response, CoordinatorUnavailable>> + use<F> {
        self.mark_active();
        let asked = self.coordinator(partition).map(|coordinator| {
            let (give, wait) = promise();
            coordinator.turn(self, |asked| ask(give, asked));
            wait
        });
        async move {
            let answer = asked?.wait().await;
            answer.ok_or(CoordinatorUnavailable::NotHere)
        }
    }

    /// Lets `read` see the coordinator as it is.
    pub(crate) fn read_coordinator<R>(
        self: &Rc<Self>,
        partition: i32,
        read: impl FnOnce(&Coordinator<Token>) -> R,
    ) -> Result<R, CoordinatorUnavailable> {
        self.mark_active();
        let coordinator = self.coordinator(partition)?;
        match &*coordinator.state.borrow() {
            State::Running(coordinator) => Ok(read(coordinator)),
            State::Loading => Err(CoordinatorUnavailable::Loading),
            State::Gone => Err(CoordinatorUnavailable::NotHere),
        }
    }

    /// Lets `read` see every coordinator of this shard.
    pub(crate) fn read_coordinators<R>(
        &self,
        read: impl Fn(&Coordinator<Token>) -> R,
    ) -> Result<Vec<R>, CoordinatorUnavailable> {
        let mut results = Vec::new();
        for coordinator in self.coordinators.all() {
            match &*coordinator.state.borrow() {
                State::Running(coordinator) => results.push(read(coordinator)),
                State::Loading => return Err(CoordinatorUnavailable::Loading),
                State::Gone => {}
            }
        }
        Ok(results)
    }

    /// What the coordinators of this shard come to.
    pub(super) async fn report_groups(&self) -> GroupsReport {
        let mut report = GroupsReport {
            counters: self.coordinators.counted_before.get(),
            failed_loads: self.coordinators.failed_loads.get(),
            ..GroupsReport::default()
        };
        for coordinator in self.coordinators.all() {
            rinka_reactor::yield_if_needed().await;
            match &*coordinator.state.borrow() {
                State::Running(coordinator) => {
                    let (classic, consumer) = coordinator.census();
                    let room = POSITIONS_MAX - report.positions.len();
                    let mut positions = coordinator.committed_positions();
                    report.positions.extend(positions.by_ref().take(room));
                    report.add(&GroupsReport {
                        classic,
                        consumer,
                        offsets: coordinator.offset_count() as u64,
                        counters: coordinator.counters(),
                        active: 1,
                        positions_left_out: positions.count() as u64,
                        ..GroupsReport::default()
                    });
                }
                State::Loading => report.loading += 1,
                State::Gone => report.failed += 1,
            }
        }
        report
    }

    fn coordinator(
        &self,
        partition: i32,
    ) -> Result<Rc<PartitionCoordinator>, CoordinatorUnavailable> {
        let coordinator = self.coordinators.of(partition);
        let coordinator = coordinator.ok_or(CoordinatorUnavailable::NotHere)?;
        let unavailable = match &*coordinator.state.borrow() {
            State::Running(_) => None,
            State::Loading => Some(CoordinatorUnavailable::Loading),
            State::Gone => Some(CoordinatorUnavailable::NotHere),
        };
        match unavailable {
            None => Ok(coordinator),
            Some(unavailable) => Err(unavailable),
        }
    }

    /// Begins to coordinate the partitions of `__consumer_offsets` that this shard has and does not coordinate yet.
    pub(super) fn open_coordinators(self: &Rc<Self>, image: &MetadataImage) {
        let Some(topic) = image.topic_named(CONSUMER_OFFSETS) else {
            return;
        };
        for (partition, _) in topic.partitions.iter() {
            if self.coordinators.of(partition).is_some() {
                continue;
            }
            let topic_id = topic.id;
            let Some(open) = self.partition(TopicPartition {
                topic_id,
                partition,
            }) else {
                continue;
            };
            let coordinator = Rc::new(PartitionCoordinator {
                partition: open,
                state: RefCell::new(State::Loading),
                appends: RefCell::default(),
                resolving: Cell::new(false),
                generations: RefCell::default(),
                failed_loads: Cell::new(0),
            });
            let all = &self.coordinators.partitions;
            all.borrow_mut().insert(partition, Rc::clone(&coordinator));
            if coordinator.is_empty() {
                let nothing = Coordinator::new(self.coordinators.settings.borrow().clone());
                coordinator.run(self, nothing);
            } else {
                self.load_later(coordinator);
            }
        }
    }

    /// Its log is read when those before it have been.
    fn load_later(self: &Rc<Self>, coordinator: Rc<PartitionCoordinator>) {
        let to_load = &self.coordinators.to_load;
        to_load.borrow_mut().push_back(coordinator);
        if !self.coordinators.loading.replace(true) {
            let shard = Rc::clone(self);
            rinka_reactor::spawn(async move { shard.load_coordinators().await }).detach();
        }
    }

    async fn load_coordinators(self: &Rc<Self>) {
        loop {
            let next = self.coordinators.to_load.borrow_mut().pop_front();
            let Some(coordinator) = next else {
                break;
            };
            let started = self.now();
            match coordinator.load(self).await {
                Ok(loaded) => {
                    log::debug!(
                        "shard {}: loaded the groups of {CONSUMER_OFFSETS}-{} in {} ms",
                        self.number,
                        coordinator.partition.name.partition,
                        (self.now() - started).as_millis()
                    );
                    coordinator.failed_loads.set(0);
                    coordinator.run(self, loaded);
                }
                Err(_) if !coordinator.can_come_back(self) => {
                    *coordinator.state.borrow_mut() = State::Gone;
                }
                Err(reason) => {
                    let failed_loads = &self.coordinators.failed_loads;
                    failed_loads.set(failed_loads.get() + 1);
                    // Until it is tried again it is as if another broker had to be found; and who lists groups is told of the others.
                    *coordinator.state.borrow_mut() = State::Gone;
                    let failed = coordinator.failed_loads.get();
                    coordinator.failed_loads.set(failed.saturating_add(1));
                    let pause = LOAD_RETRY_MAX.min(LOAD_RETRY * 2_u32.pow(failed.min(6)));
                    log::error!(
                        "the groups of {CONSUMER_OFFSETS}-{} cannot be served, the next try is in {} ms: {reason}",
                        coordinator.partition.name.partition,
                        pause.as_millis()
                    );
                    let shard = Rc::clone(self);
                    rinka_reactor::spawn(async move {
                        rinka_reactor::sleep(pause).await;
                        if coordinator.can_come_back(&shard) {
                            *coordinator.state.borrow_mut() = State::Loading;
                            shard.load_later(coordinator);
                        }
                    })
                    .detach();
                }
            }
        }
        self.coordinators.loading.set(false);
    }

    /// Topics came, went or changed, or what is configured did.
    pub(super) fn tell_coordinators(self: &Rc<Self>, image: &MetadataImage, delta: &MetadataDelta) {
        self.configure_coordinators(image);
        if delta.is_empty() {
            return;
        }
        let deleted: Vec<&str> = delta.topics_deleted.iter().map(|t| &*t.name).collect();
        for coordinator in self.coordinators.all() {
            coordinator.turn(self, |(coordinator, time, out)| {
                coordinator.on_topics_changed(view(image));
                if !deleted.is_empty() {
                    coordinator.on_topics_deleted(&deleted, time, out);
                }
            });
        }
    }

    fn configure_coordinators(self: &Rc<Self>, image: &MetadataImage) {
        let config = self.config();
        let configured_by = self.coordinators.configured_by.borrow();
        let is_the_same = configured_by.as_ref().is_some_and(|(broker, groups)| {
            Arc::ptr_eq(broker, &config) && Arc::ptr_eq(groups, image.group_configs())
        });
        drop(configured_by);
        if is_the_same {
            return;
        }
        let settings = Settings::new(&config, image.group_configs());
        for coordinator in self.coordinators.all() {
            coordinator.turn(self, |(coordinator, _, _)| {
                coordinator.on_settings_changed(settings.clone());
            });
        }
        *self.coordinators.settings.borrow_mut() = settings;
        let by = (config, Arc::clone(image.group_configs()));
        *self.coordinators.configured_by.borrow_mut() = Some(by);
    }

    /// The partition is gone.
    pub(super) fn close_coordinator(self: &Rc<Self>, name: TopicPartition) {
        let coordinator = self.coordinators.of(name.partition);
        let Some(coordinator) = coordinator.filter(|c| c.partition.name == name) else {
            return;
        };
        coordinator.unload(self);
        let all = &self.coordinators.partitions;
        all.borrow_mut().remove(&name.partition);
    }

    /// The broker ends: nobody waits for a group any more.
    pub(super) fn unload_coordinators(self: &Rc<Self>) {
        for coordinator in self.coordinators.all() {
            coordinator.unload(self);
        }
    }

    /// Lets those coordinators act whose time has come.
    pub(super) fn tick_coordinators(self: &Rc<Self>, now: Duration) {
        let due = |deadline: Option<Duration>| deadline.is_some_and(|deadline| deadline <= now);
        if !due(self.coordinators.next_deadline.get()) {
            return;
        }
        self.coordinators.next_deadline.set(None);
        for coordinator in self.coordinators.all() {
            let deadline = coordinator.next_deadline();
            if due(deadline) {
                coordinator.turn(self, |(coordinator, time, out)| {
                    coordinator.on_tick(time, out)
                });
            } else {
                self.coordinators.note_deadline(deadline);
            }
        }
    }

    fn time(&self) -> Time {
        Time {
            now: self.now(),
            wall_ms: self.wall_clock(),
        }
    }
}

impl PartitionCoordinator {
    fn is_empty(&self) -> bool {
        self.partition.log_start() == self.partition.log.borrow().end()
    }

    /// Whether its log can be read again: a disk that failed is not trusted before the next start, and who ends needs no groups.
    fn can_come_back(&self, shard: &Shard) -> bool {
        let is_offline = self.partition.closed.get() || shard.store.failure().is_some();
        !is_offline && !shard.stopping()
    }

    fn next_deadline(&self) -> Option<Duration> {
        match &*self.state.borrow() {
            State::Running(coordinator) => coordinator.next_deadline(),
            State::Loading | State::Gone => None,
        }
    }

    /// Replays the whole log.
    async fn load(&self, shard: &Rc<Shard>) -> Result<Coordinator<Token>, String> {
        let partition = &self.partition;
        // What was appended before, and may yet be committed, belongs to what there is.
        let end = partition.log.borrow().end();
        while partition.high_watermark() < end && self.can_come_back(shard) {
            rinka_reactor::sleep(LOAD_POLL).await;
        }
        let mut coordinator = Coordinator::new(shard.coordinators.settings.borrow().clone());
        let mut offset = partition.log_start();
        while offset < partition.high_watermark() && !partition.closed.get() {
            let limit = partition.high_watermark();
            let read = shard.store.read(&partition.log, offset, limit, LOAD_BYTES);
            let batches = read.await.map_err(|error| error.to_string())?;
            let mut end = offset;
            for batch in batches {
                end = self.replay(&mut coordinator, &batch)?;
                rinka_reactor::yield_if_needed().await;
            }
            if end <= offset {
                return Err(format!("nothing is to be read at offset {offset}"));
            }
            offset = end;
        }
        Ok(coordinator)
    }

    /// One batch; where the next one begins. A record that cannot be read costs that record, as in Kafka.
    fn replay(&self, coordinator: &mut Coordinator<Token>, batch: &[u8]) -> Result<Offset, String> {
        let unreadable = |error| format!("a batch cannot be read: {error:?}");
        let header = RecordBatchHeader::parse(batch).map_err(unreadable)?;
        if header.is_control() {
            return Ok(header.end_offset());
        }
        let seen = record_batch::each_record(batch, |record| {
            let Some(key) = record.key else {
                return;
            };
            if let Err(error) = coordinator.replay(key, record.value) {
                log::error!(
                    "{CONSUMER_OFFSETS}-{}: a record of the batch at offset {} is passed over: {error}",
                    self.partition.name.partition,
                    header.base_offset
                );
            }
        });
        seen.map_err(unreadable)?;
        Ok(header.end_offset())
    }

    fn run(self: &Rc<Self>, shard: &Rc<Shard>, mut coordinator: Coordinator<Token>) {
        coordinator.on_topics_changed(view(&shard.image.borrow()));
        // They may have become others while the log was read.
        coordinator.on_settings_changed(shard.coordinators.settings.borrow().clone());
        coordinator.go_on_from(&self.generations.take());
        let gone = self.partition.closed.get() || shard.stopping();
        *self.state.borrow_mut() = match gone {
            true => State::Gone,
            false => State::Running(coordinator.into()),
        };
        self.turn(shard, |(coordinator, time, out)| {
            coordinator.on_loaded(time, out)
        });
    }

    /// Lets the coordinator decide something, and carries it out.
    fn turn(self: &Rc<Self>, shard: &Rc<Shard>, act: impl FnOnce(Asked<'_>)) {
        let mut state = self.state.borrow_mut();
        let State::Running(coordinator) = &mut *state else {
            return;
        };
        let time = shard.time();
        let mut out = Vec::new();
        act((&mut **coordinator, time, &mut out));
        let mut actions = VecDeque::from(out);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Answer { token, response } => token.give(response),
                Action::Append { id, records } => match self.append(shard, &records) {
                    Ok(committed) => self.appends.borrow_mut().push_back((id, committed)),
                    Err(failure) => {
                        let mut more = Vec::new();
                        coordinator.on_failed(id, failure, time, &mut more);
                        actions.extend(more);
                    }
                },
            }
        }
        shard
            .coordinators
            .note_deadline(coordinator.next_deadline());
        drop(state);
        if !self.appends.borrow().is_empty() && !self.resolving.replace(true) {
            let (coordinator, shard) = (Rc::clone(self), Rc::clone(shard));
            rinka_reactor::spawn(async move { coordinator.resolve(&shard).await }).detach();
        }
    }

    fn append(&self, shard: &Shard, records: &[EncodedRecord]) -> Result<Committed, AppendFailure> {
        if shard.store.full().is_some() {
            return Err(AppendFailure::Unavailable);
        }
        let now = shard.wall_clock();
        let mut batch = RecordBatchBuilder::new();
        for record in records {
            batch.append(now, Some(&record.key), record.value.as_deref());
        }
        let batch = batch.build();
        let batch_bytes_max = self.partition.config.borrow().message_bytes_max;
        if batch.len() > usize::try_from(batch_bytes_max).unwrap_or(usize::MAX) {
            return Err(AppendFailure::TooLarge);
        }
        let appended = self.partition.append_own(shard, &batch);
        appended.map_err(|error| match error {
            AppendError::LargerThanSegment => AppendFailure::TooLarge,
            AppendError::Failed(_) | AppendError::Producer(_) => AppendFailure::NotLeader,
        })
    }

    /// Tells the coordinator what became of its appends, until none is under way.
    async fn resolve(self: &Rc<Self>, shard: &Rc<Shard>) {
        let mut is_lost = false;
        loop {
            let next = self.appends.borrow_mut().pop_front();
            let Some((id, committed)) = next else {
                break;
            };
            match committed.wait().await {
                Some(Ok(())) => self.turn(shard, |(coordinator, time, out)| {
                    coordinator.on_committed(id, time, out);
                }),
                // Whether the records are in the log nobody knows: whoever loads it will. Those that were appended behind them have to
                // come to their ends first, and what becomes of them concerns nobody any more.
                Some(Err(_)) | None => {
                    is_lost = true;
                    self.unload(shard);
                }
            }
        }
        self.resolving.set(false);
        if is_lost && self.can_come_back(shard) {
            log::warn!(
                "the groups of {CONSUMER_OFFSETS}-{} are loaded anew: an append had an unknown end",
                self.partition.name.partition
            );
            *self.state.borrow_mut() = State::Loading;
            shard.load_later(Rc::clone(self));
        }
    }

    fn unload(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.turn(shard, |(coordinator, time, out)| {
            let counted = &shard.coordinators.counted_before;
            let mut counters = counted.get();
            counters.add(&coordinator.counters());
            counted.set(counters);
            self.generations.replace(coordinator.generations());
            coordinator.on_unloaded(time, out);
        });
        *self.state.borrow_mut() = State::Gone;
    }
}
