//! One life of the process on the simulated disk: recovery, appends, reads, checkpoints, deletions, and an end.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use futures_lite::future::{or, poll_once, yield_now, zip};
use rinka_storage::disk::Durability;
use rinka_storage::disk::sim::{Counts, SimDisk};
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::leader_epoch_history::LeaderEpochHistory;
use rinka_storage::log::{Log, LogCheckpoint, LogConfig};
use rinka_storage::offset::Offset;
use rinka_storage::producer_state::ProducerStates;
use rinka_storage::recovery::{LogSettings, Recovered, Recovery, Replayed};
use rinka_storage::segment_files::LogHandle;
use rinka_storage::store::{Appended, Committer, Store, StoreConfig};
use rinka_storage::topic_partition::TopicPartition;

use crate::compaction::{Newest, Run, compact};
use crate::invariants;
use crate::model::{Model, Sent, SharedModel, next_batch};
use crate::random::Random;
use crate::world::{JOURNAL_BYTES, ROOT, World};

/// How often others go first before something is given up that may never come, as on a full disk.
const PATIENCE: u32 = 3000;

/// What a life is to be.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: u64,
    /// It is to end with an orderly stop.
    pub(crate) stop: bool,
    /// Epoch of the leader, one a life.
    pub(crate) epoch: LeaderEpoch,
    /// The life before ended with an orderly stop.
    pub(crate) after_stop: bool,
}

fn settings(world: &World, model: &Model, name: TopicPartition) -> Option<LogSettings> {
    let number = usize::try_from(name.partition).ok()?;
    (model.names.get(number) == Some(&name)).then(|| LogSettings {
        directory: directory(name),
        config: world.configs[number].clone(),
    })
}

/// Some topics are created again under the deleted one's name, others never.
pub(crate) fn directory(name: TopicPartition) -> String {
    format!("topic{}-{}", name.topic_id.0.as_u128() / 2, name.partition)
}

/// Recovers the directory as the broker does.
pub(crate) async fn recover(
    disk: &SimDisk,
    world: &World,
    model: &SharedModel,
) -> Result<(Recovered, Replayed), String> {
    let mut recovery = Recovery::open(disk.clone(), Path::new(ROOT))
        .await
        .map_err(|error| error.to_string())?;
    let replayed = recovery
        .replay(|name| settings(world, &model.borrow(), name))
        .await
        .map_err(|error| error.to_string())?;
    let recovered = recovery
        .finish(1)
        .await
        .map_err(|error| error.to_string())?;
    Ok((recovered, replayed))
}

/// What a recovery said of a log, without what may differ from one time to the next (how much of its indexes is on disk).
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    name: TopicPartition,
    end: Offset,
    segments: Vec<(Offset, u32)>,
    epochs: LeaderEpochHistory,
    producers: ProducerStates,
}

pub(crate) fn outcome(recovered: &Recovered) -> Vec<Outcome> {
    let of = |log: &LogCheckpoint| Outcome {
        name: log.topic_partition,
        end: log.end,
        segments: log
            .segments
            .iter()
            .map(|segment| (segment.base, segment.size))
            .collect(),
        epochs: log.epochs.clone(),
        producers: log.producers.clone(),
    };
    let mut logs: Vec<_> = recovered.logs.iter().map(of).collect();
    logs.sort_by_key(|log| log.name);
    logs
}

/// Recovers, and checks how much work it was. `journal_is_old`: of an earlier start, so that there is nothing to replay.
pub(crate) async fn recover_within_bounds(
    disk: &SimDisk,
    world: &World,
    model: &SharedModel,
    journal_is_old: bool,
) -> Result<(Recovered, Replayed), String> {
    let before = disk.counts();
    let sizes = |ending: &str| -> u64 {
        let mut files = disk.files();
        files.retain(|(path, _)| path.extension().is_some_and(|found| found == ending));
        files.iter().map(|(_, size)| size).sum()
    };
    let (journal, checkpoints) = (sizes("journal"), sizes("checkpoint"));
    let (recovered, replayed) = recover(disk, world, model).await?;
    let bound = invariants::Bound {
        journal: if journal_is_old { 0 } else { journal },
        checkpoints: checkpoints + sizes("checkpoint"),
        logs: recovered.logs.len() as u64,
        replayed: replayed.bytes,
    };
    invariants::recovery_is_bounded(before, disk.counts(), &bound);
    let flushed = |config: &LogConfig| config.durability == Durability::Flushed;
    if !world.faults.damage() && world.configs.iter().all(flushed) {
        invariants::nothing_whole_is_called_damaged(replayed.damaged_journals);
    }
    Ok((recovered, replayed))
}

/// Opens the store and checks everything that recovery kept, byte for byte.
async fn open(
    disk: &SimDisk,
    world: &World,
    model: &SharedModel,
    random: &mut Random,
    after_stop: bool,
) -> Result<(std::rc::Rc<Store<SimDisk>>, Committer<SimDisk>), String> {
    let (recovered, replayed) = recover_within_bounds(disk, world, model, false).await?;
    if after_stop {
        invariants::an_orderly_stop_leaves_nothing_to_replay(replayed.batches);
    }
    let config = StoreConfig {
        root: ROOT.into(),
        shard: 0,
        journal_bytes: JOURNAL_BYTES,
        memory_bytes: world.memory_bytes,
        unsynced_files_max: world.unsynced_files_max,
        generation: recovered.generation,
    };
    let ends: Vec<_> = recovered
        .logs
        .iter()
        .map(|log| (log.topic_partition, log.end))
        .collect();
    // The recovered state counts from here on, whether the store can be opened or not.
    let opened = Store::open(disk.clone(), config).await;
    let names = model.borrow().names.clone();
    for name in &names {
        let end = ends.iter().find(|log| log.0 == *name);
        let end = end.map_or(Offset::ZERO, |log| log.1);
        let mut model = model.borrow_mut();
        let log = model.logs.get_mut(name).expect("made before");
        invariants::acked_is_durable(log, end);
        invariants::no_batch_is_split(log, end);
    }
    let (store, committer) = opened.map_err(|error| error.to_string())?;
    for log in recovered.logs {
        let at = settings(world, &model.borrow(), log.topic_partition).expect("it is not deleted");
        store.add(Log::open(log, at.directory, at.config));
    }
    for name in names {
        let log = store.log(name).unwrap_or_else(|| {
            let at = settings(world, &model.borrow(), name).expect("it is not deleted");
            store.add(Log::new(name, at.directory, at.config))
        });
        check_all(&store, &log, world, model, random, disk).await;
    }
    Ok((store, committer))
}

async fn check_all(
    store: &Store<SimDisk>,
    log: &LogHandle,
    world: &World,
    model: &SharedModel,
    random: &mut Random,
    disk: &SimDisk,
) {
    let name = log.borrow().topic_partition;
    let (start, end) = {
        let log = log.borrow();
        (log.log_start(), log.end())
    };
    if !world.faults.damage() {
        invariants::the_log_start_holds(&model.borrow().logs[&name], start, end);
    }
    // Single reads go by the indexes, those one after another do not.
    for _ in 0..8 {
        read_somewhere(store, log, world, model, random, disk).await;
    }
    if world.compaction.is_some() {
        check_all_compacted(store, log, model, start, end).await;
    }
    let mut offset = start;
    while offset < end && world.compaction.is_none() {
        let read = store.read(log, offset, end, 100_000).await;
        let model = model.borrow();
        let of = &model.logs[&name];
        offset = match read {
            Ok(batches) => invariants::what_is_served_is_what_was_sent(
                of,
                offset,
                end,
                &batches,
                &world.faults,
            ),
            Err(_) if world.faults.damage() => {
                let next = of.sent.iter().find(|sent| sent.base > offset);
                next.map_or(end, |sent| sent.base.min(end))
            }
            Err(error) => invariants::what_is_kept_can_be_read(of, offset, error),
        };
    }
    let repeatable = {
        let mut model = model.borrow_mut();
        let of = model.logs.get_mut(&name).expect("made before");
        of.settle(start, end);
        of.repeatable()
    };
    for sent in repeatable {
        repeat(store, log, model, &sent);
    }
}

async fn check_all_compacted(
    store: &Store<SimDisk>,
    log: &LogHandle,
    model: &SharedModel,
    start: Offset,
    end: Offset,
) {
    let name = log.borrow().topic_partition;
    let newest = Newest::of(&model.borrow().logs[&name], end);
    let mut last = HashMap::new();
    let mut offset = start;
    while offset < end {
        let read = store.read(log, offset, end, 100_000).await;
        let model = model.borrow();
        let of = &model.logs[&name];
        offset = match read {
            Ok(batches) => {
                let asked = (offset, end);
                let (next, told) =
                    invariants::what_is_served_is_what_was_left(of, &newest, asked, &batches);
                last.extend(told);
                next
            }
            Err(error) => invariants::what_is_kept_can_be_read(of, offset, error),
        };
    }
    invariants::the_last_values_are_known(&model.borrow().logs[&name], &newest, &last);
}

fn repeat(store: &Store<SimDisk>, log: &LogHandle, model: &SharedModel, sent: &Sent) {
    let answer = store.append(log, &sent.header, &sent.batch, sent.epoch, None);
    let name = log.borrow().topic_partition;
    let shown = format!("{answer:?}");
    if let Ok(answer) = answer {
        let model = model.borrow();
        invariants::a_repeated_batch_is_known(&model.logs[&name], sent, &answer, &shown);
    } else if store.failure().is_none() && log.borrow().failed.is_none() {
        let model = model.borrow();
        let none = Appended::New {
            base: Offset::ZERO,
            end: Offset::ZERO,
        };
        invariants::a_repeated_batch_is_known(&model.logs[&name], sent, &none, &shown);
    }
}

/// Lives until the power fails or the steps are done. `Ok(true)`: it ended with an orderly stop.
pub(crate) async fn live(
    disk: &SimDisk,
    world: &World,
    model: &SharedModel,
    random: &mut Random,
    plan: &Plan,
) -> Result<bool, String> {
    let (store, mut committer) = open(disk, world, model, random, plan.after_stop).await?;
    let commits = commit(&mut committer, disk, model);
    let upkeep = async {
        loop {
            store.upkeep_due().await;
            let _ = store.maintain().await;
            yield_now().await;
        }
    };
    let compaction_wanted = Cell::new(None);
    let compactions = compact(&store, world.compaction, model, &compaction_wanted);
    // Checkpoints run beside appends.
    let checkpoint_wanted = Cell::new(false);
    let checkpoints = async {
        loop {
            let full = poll_once(store.checkpoint_wanted()).await.is_some();
            for _ in 0..if full { world.checkpoint_delay } else { 0 } {
                yield_now().await;
            }
            if checkpoint_wanted.replace(false) || full {
                let _ = store.checkpoint_or_fail().await;
            }
            if plan.steps.is_multiple_of(7) {
                store.close_idle();
            }
            yield_now().await;
        }
    };
    let wanted = (&checkpoint_wanted, &compaction_wanted);
    let driver = drive(disk, &store, world, model, random, plan, wanted);
    let stopped = or(driver, async {
        zip(compactions, zip(commits, zip(upkeep, checkpoints))).await;
        unreachable!("upkeep has no end")
    })
    .await;
    Ok(stopped)
}

/// `None`: it takes too long.
async fn patiently<T>(work: impl Future<Output = T>) -> Option<T> {
    or(async { Some(work.await) }, async {
        for _ in 0..PATIENCE {
            yield_now().await;
        }
        None
    })
    .await
}

async fn drive(
    disk: &SimDisk,
    store: &Store<SimDisk>,
    world: &World,
    model: &SharedModel,
    random: &mut Random,
    plan: &Plan,
    (checkpoint_wanted, compaction_wanted): (&Cell<bool>, &Cell<Option<Run>>),
) -> bool {
    let mut logs: Vec<Option<LogHandle>> = model
        .borrow()
        .names
        .iter()
        .map(|name| store.log(*name))
        .collect();
    let mut full = false;
    let mut retired = Vec::new();
    let mut steps_failed = 0;
    for _ in 0..plan.steps {
        if disk.power_lost() || steps_failed > 60 {
            break;
        }
        if let Some(reason) = store.failure() {
            let is_whole = failures(disk.counts()) == 0 && !world.faults.damage();
            if is_whole && !disk.power_lost() {
                invariants::only_the_disk_fails("the store", &reason);
            }
            steps_failed += 1;
        }
        if world.faults.full && random.one_in(50) {
            full = !full;
            let used: u64 = disk.files().iter().map(|(_, size)| size).sum();
            let room = used + random.below(200_000);
            disk.limit_capacity(full.then_some(room as usize));
        }
        if world.faults.bit_flips && random.one_in(100) {
            disk.flip_some_bit(random.next());
        }
        let number = random.below(world.configs.len() as u64) as usize;
        let Some(log) = logs[number].clone() else {
            yield_now().await;
            continue;
        };
        if world.compaction.is_some() && random.one_in(20) {
            // What was appended is to be committed, and what is begun is to be done, more often than by chance.
            for _ in 0..random.of(&[0, 100, 3000]) {
                yield_now().await;
            }
            let seed = random.next();
            compaction_wanted.set(Some(Run { seed }));
            for _ in 0..random.of(&[0, 100, 3000]) {
                yield_now().await;
            }
            if let Some(Ok(more)) = patiently(store.retire()).await {
                retired.extend(more);
            }
            while !retired.is_empty() && random.one_in(2) {
                let _ = store.remove_retired(&retired.remove(0)).await;
            }
        }
        match random.below(24) {
            0 => checkpoint_wanted.set(true),
            1 | 2 => read_somewhere(store, &log, world, model, random, disk).await,
            3..=5 => yield_now().await,
            6 => {
                let sent = {
                    let repeatable =
                        model.borrow().logs[&log.borrow().topic_partition].repeatable();
                    let count = repeatable.len() as u64;
                    repeatable.into_iter().nth(random.below(count + 1) as usize)
                };
                if let Some(sent) = sent {
                    repeat(store, &log, model, &sent);
                }
            }
            7 if world.faults.deletions && random.one_in(6) => {
                let name = log.borrow().topic_partition;
                model.borrow_mut().recreate(world, number);
                let removed = patiently(async {
                    if let Some(directory) = store.remove(name).await? {
                        store.remove_directory(&directory).await?;
                    }
                    Ok::<_, std::io::Error>(())
                });
                logs[number] = matches!(removed.await, Some(Ok(()))).then(|| {
                    let model = model.borrow();
                    let name = model.names[number];
                    let at = settings(world, &model, name).expect("it is not deleted");
                    store.add(Log::new(name, at.directory, at.config))
                });
            }
            8 if world.faults.deletions && random.one_in(2) => {
                delete_records(store, &log, model, random).await;
                if let Some(Ok(more)) = patiently(store.retire()).await {
                    retired.extend(more);
                }
                while !retired.is_empty() && random.one_in(2) {
                    // What is not removed here is left to the next start.
                    let _ = store.remove_retired(&retired.remove(0)).await;
                }
            }
            _ => {
                let room = patiently(async {
                    or(store.admit(), async {
                        while !disk.power_lost() {
                            yield_now().await;
                        }
                    })
                    .await;
                });
                room.await;
                append(store, &log, world, model, random, plan.epoch);
            }
        }
    }
    disk.limit_capacity(None);
    plan.stop && !disk.power_lost() && matches!(patiently(store.stop()).await, Some(Ok(())))
}

fn append(
    store: &Store<SimDisk>,
    log: &LogHandle,
    world: &World,
    model: &SharedModel,
    random: &mut Random,
    epoch: LeaderEpoch,
) {
    let mut model = model.borrow_mut();
    let name = log.borrow().topic_partition;
    let model = model.logs.get_mut(&name).expect("made before");
    let (batch, header) = next_batch(model, random, world.sizes, world.compaction);
    let failure = store.failure();
    match store.append(log, &header, &batch, epoch, None) {
        Ok(Appended::New { base, end }) => {
            invariants::a_failed_store_takes_nothing(failure);
            invariants::offsets_follow(model, base);
            model.sent.push(Sent {
                base,
                end,
                epoch,
                batch,
                header,
                horizon: i64::MAX,
            });
        }
        Ok(Appended::Duplicate { .. }) => panic!("a new batch is not a repeated one"),
        Err(error) => {
            let failed = store.failure().is_some() || log.borrow().failed.is_some();
            assert!(failed, "a good batch is refused: {error:?}");
        }
    }
}

/// Moves the log's start to somewhere in what was acknowledged, and sometimes waits until that is durable.
async fn delete_records(
    store: &Store<SimDisk>,
    log: &LogHandle,
    model: &SharedModel,
    random: &mut Random,
) {
    let name = log.borrow().topic_partition;
    let to = {
        let model = model.borrow();
        let of = &model.logs[&name];
        let all = of.acked.since(of.start_wanted).max(0) as u64;
        of.start_wanted.plus(random.below(all + 1) as i64)
    };
    if store.advance_log_start(log, to).is_err() {
        return;
    }
    let wanted =
        |model: &mut Model| model.logs.get_mut(&name).expect("made before").start_wanted = to;
    wanted(&mut model.borrow_mut());
    if random.one_in(2)
        && matches!(
            patiently(store.log_start_durable(log, to)).await,
            Some(Ok(()))
        )
    {
        model
            .borrow_mut()
            .logs
            .get_mut(&name)
            .expect("made before")
            .start = to;
    }
}

async fn read_somewhere(
    store: &Store<SimDisk>,
    log: &LogHandle,
    world: &World,
    model: &SharedModel,
    random: &mut Random,
    disk: &SimDisk,
) {
    let name = log.borrow().topic_partition;
    let limit = model.borrow().logs[&name].acked.min(log.borrow().end());
    let start = log.borrow().log_start();
    if limit <= start {
        return;
    }
    let offset = start.plus(random.below(limit.since(start) as u64) as i64);
    let read = store.read(log, offset, limit, 50_000).await;
    if disk.power_lost() {
        return;
    }
    let model = model.borrow();
    let of = &model.logs[&name];
    match read {
        Ok(batches) if world.compaction.is_some() => {
            let newest = Newest::of(of, log.borrow().end());
            let asked = (offset, limit);
            invariants::what_is_served_is_what_was_left(of, &newest, asked, &batches);
        }
        Ok(batches) => {
            invariants::what_is_served_is_what_was_sent(of, offset, limit, &batches, &world.faults);
        }
        // What a failed flush has dropped comes back with the journal, after a restart.
        Err(_) if world.faults.damage() || disk.counts().flush_errors > 0 => {}
        Err(error) => invariants::what_is_kept_can_be_read(of, offset, error),
    }
}

fn failures(counts: Counts) -> u64 {
    counts.write_errors + counts.flush_errors
}

async fn commit(committer: &mut Committer<SimDisk>, disk: &SimDisk, model: &SharedModel) {
    let before = failures(disk.counts());
    let mut acknowledging = 0;
    while let Some(committed) = committer.commit().await {
        let counts = disk.counts();
        let good = committed.iter().filter(|part| part.failed.is_none());
        if failures(counts) > before && good.clone().count() > 0 {
            acknowledging += 1;
            invariants::flush_failure_is_final(acknowledging, counts);
        }
        for part in good {
            let mut model = model.borrow_mut();
            // A deleted topic's last batches are nobody's any more.
            if let Some(log) = model.logs.get_mut(&part.topic_partition) {
                log.acked = log.acked.max(part.end);
            }
        }
    }
    // Nothing more will be committed; the driver ends the life.
    std::future::pending::<()>().await;
}
