//! Random histories of append, read, roll, checkpoint, crash and recovery against a simple model, on a disk that loses power.
//!
//! One seed decides everything; a failure prints it. `RINKA_SEED=n` replays one, `RINKA_SEEDS=n` runs that many.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use futures_lite::future::{block_on, or, yield_now, zip};
use rinka_storage::disk::Durability;
use rinka_storage::disk::sim::SimDisk;
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::log::{Log, LogConfig};
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{RecordBatchBuilder, RecordBatchHeader, verify_crc};
use rinka_storage::recovery::{LogSettings, Recovery};
use rinka_storage::segment_files::LogHandle;
use rinka_storage::store::{Appended, Committer, Store, StoreConfig};
use rinka_storage::topic_partition::{TopicId, TopicPartition};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What the model remembers of an append.
#[derive(Clone, Debug)]
struct Sent {
    end: Offset,
    /// The batch as it must be read back.
    stored: Bytes,
    header: RecordBatchHeader,
    original: Bytes,
}

#[derive(Default)]
struct ModelLog {
    sent: Vec<Sent>,
    /// Everything below was acknowledged.
    acked: Offset,
    next_sequence: i32,
}

type Model = Rc<RefCell<BTreeMap<TopicPartition, ModelLog>>>;

const ROOT: &str = "/data";

fn name(number: u64) -> TopicPartition {
    TopicPartition {
        topic_id: TopicId(uuid::Uuid::from_u128(7 + u128::from(number))),
        partition: number as i32,
    }
}

fn settings(
    durability: Durability,
    segment_bytes: u32,
) -> impl Fn(TopicPartition) -> Option<LogSettings> + Copy {
    move |name| {
        Some(LogSettings {
            directory: format!("topic-{}", name.partition),
            config: LogConfig {
                segment_bytes,
                segment_ms: i64::MAX,
                index_interval_bytes: 4096,
                durability,
            },
        })
    }
}

fn batch(random: &mut Random, sequence: i32, tiny: bool) -> (Bytes, RecordBatchHeader) {
    let large = !tiny && random.below(12) == 0;
    let bytes = match (tiny, large) {
        // Blocks of one size: those of an older generation lie exactly where those of a newer one end.
        (true, _) => 50,
        (_, true) => 128 * 1024 + random.below(200_000),
        _ => random.below(30_000),
    };
    let count = if tiny { 1 } else { 1 + random.below(3) as i32 };
    let mut builder = RecordBatchBuilder::new().producer(99, 0, sequence);
    for record in 0..count {
        let fill = random.next() as u8;
        let share = bytes / count as u64;
        builder.append(
            1000 + i64::from(sequence + record),
            Some(b"key"),
            Some(&vec![fill; share as usize]),
        );
    }
    let batch = builder.build();
    let header = RecordBatchHeader::parse(&batch).expect("a batch");
    (batch, header)
}

struct World {
    durability: Durability,
    segment_bytes: u32,
    partitions: u64,
    tiny: bool,
}

/// Opens the directory, checks it against the model, and forgets what was lost without having been acknowledged.
async fn recover(disk: &SimDisk, world: &World, model: &Model) -> Result<(u64, Vec<Log>), String> {
    let settings = settings(world.durability, world.segment_bytes);
    let mut recovery = Recovery::open(disk.clone(), Path::new(ROOT))
        .await
        .map_err(|error| error.to_string())?;
    recovery
        .replay(settings)
        .await
        .map_err(|error| error.to_string())?;
    let recovered = recovery
        .finish(1)
        .await
        .map_err(|error| error.to_string())?;
    let logs: Vec<Log> = recovered
        .logs
        .into_iter()
        .map(|log| {
            let at = settings(log.topic_partition).expect("all are known");
            Log::open(log, at.directory, at.config)
        })
        .collect();
    for (name, model) in model.borrow_mut().iter_mut() {
        let log = logs.iter().find(|log| log.topic_partition == *name);
        let end = log.map_or(Offset::ZERO, Log::end);
        assert!(
            end >= model.acked,
            "AckedIsDurable: {name} ends at {end}, acknowledged up to {}",
            model.acked
        );
        let known = model.sent.iter().any(|sent| sent.end == end) || end == Offset::ZERO;
        assert!(
            known,
            "OrderAndOffsetsHold: {name} ends at {end}, inside a batch"
        );
        model.sent.retain(|sent| sent.end <= end);
        // The producer finds out which of its batches arrived, and goes on behind them.
        model.next_sequence = model
            .sent
            .last()
            .map_or(0, |sent| sent.header.last_sequence() + 1);
        model.acked = end;
    }
    Ok((recovered.generation, logs))
}

async fn read_all(store: &Store<SimDisk>, log: &LogHandle, sent: &[Sent], limit: Offset) {
    let mut offset = Offset::ZERO;
    let mut expected = sent.iter();
    while offset < limit {
        let batches = store
            .read(log, offset, limit, 100_000)
            .await
            .expect("NothingDamagedIsServed");
        assert!(
            !batches.is_empty(),
            "there is something at {offset} below {limit}"
        );
        for batch in batches {
            let sent = expected.next().expect("no more than was sent");
            assert!(
                batch == sent.stored,
                "OrderAndOffsetsHold: another batch at {offset}"
            );
            let header = verify_crc(&batch).expect("NothingDamagedIsServed");
            assert_eq!(header.base_offset, offset);
            offset = header.end_offset();
        }
    }
}

/// One life of the process: appends, reads, checkpoints, until the power fails or the steps are done.
async fn live(
    disk: &SimDisk,
    world: &World,
    model: &Model,
    random: &mut Random,
    steps: u64,
    clean: bool,
) -> Result<(), String> {
    let (generation, logs) = recover(disk, world, model).await?;
    let config = StoreConfig {
        root: ROOT.into(),
        shard: 0,
        journal_bytes: 8 << 20,
        memory_bytes: 1 << 20,
        generation,
    };
    let (store, mut committer) = Store::open(disk.clone(), config)
        .await
        .map_err(|error| error.to_string())?;
    for log in logs {
        store.add(log);
    }
    let settings = settings(world.durability, world.segment_bytes);
    let handles: Vec<LogHandle> = (0..world.partitions)
        .map(|number| {
            let name = name(number);
            model.borrow_mut().entry(name).or_default();
            store.log(name).unwrap_or_else(|| {
                let at = settings(name).expect("all are known");
                store.add(Log::new(name, at.directory, at.config))
            })
        })
        .collect();
    // What recovery kept is there, byte for byte, and the producer's state with it.
    for log in &handles {
        let name = log.borrow().topic_partition;
        let (end, sent) = {
            let model = model.borrow();
            (model[&name].acked, model[&name].sent.clone())
        };
        read_all(&store, log, &sent, end).await;
        let last = sent.last().cloned();
        assert_eq!(log.borrow().end(), end);
        if let Some(last) = last {
            let again = store.append(log, &last.header, &last.original, LeaderEpoch(1), None);
            let base = last.end.plus(-i64::from(last.header.record_count));
            assert_eq!(
                again,
                Ok(Appended::Duplicate {
                    base,
                    end: last.end
                }),
                "a repeated batch is known after recovery"
            );
        }
    }
    let commits = commit(&mut committer, model);
    let upkeep = async {
        loop {
            store.upkeep_due().await;
            let _ = store.maintain().await;
            yield_now().await;
        }
    };
    // Checkpoints run beside appends.
    let checkpoint_wanted = Cell::new(false);
    let checkpoints = async {
        loop {
            let full = futures_lite::future::poll_once(store.checkpoint_wanted())
                .await
                .is_some();
            if checkpoint_wanted.replace(false) || full {
                let _ = store.checkpoint().await;
            }
            if steps.is_multiple_of(7) {
                store.close_idle();
            }
            yield_now().await;
        }
    };
    let driver = async {
        for _ in 0..steps {
            if disk.power_lost() {
                break;
            }
            let log = &handles[random.below(world.partitions) as usize];
            let name = log.borrow().topic_partition;
            match random.below(20) {
                0 => checkpoint_wanted.set(true),
                1 | 2 => {
                    let (acked, sent) = {
                        let model = model.borrow();
                        (model[&name].acked, model[&name].sent.clone())
                    };
                    if acked > Offset::ZERO && !disk.power_lost() {
                        let offset = Offset(random.below(acked.0 as u64) as i64);
                        if let Ok(batches) = store.read(log, offset, acked, 50_000).await {
                            let first = RecordBatchHeader::parse(&batches[0]).expect("a batch");
                            assert!(first.base_offset <= offset && offset < first.end_offset());
                            assert!(sent.iter().any(|sent| sent.stored == batches[0]));
                        }
                    }
                }
                3..=5 => yield_now().await,
                _ => {
                    or(store.admit(), async {
                        while !disk.power_lost() {
                            yield_now().await;
                        }
                    })
                    .await;
                    append(&store, log, model, random, world.tiny);
                }
            }
        }
        if clean && !disk.power_lost() {
            or(async { drop(store.stop().await) }, async {
                while !disk.power_lost() {
                    yield_now().await;
                }
            })
            .await;
        }
    };
    or(driver, async {
        zip(commits, zip(upkeep, checkpoints)).await;
    })
    .await;
    Ok(())
}

fn append(store: &Store<SimDisk>, log: &LogHandle, model: &Model, random: &mut Random, tiny: bool) {
    let mut model = model.borrow_mut();
    let model = model
        .get_mut(&log.borrow().topic_partition)
        .expect("made before");
    let (original, header) = batch(random, model.next_sequence, tiny);
    match store.append(log, &header, &original, LeaderEpoch(1), None) {
        Ok(Appended::New { base, end }) => {
            let mut stored = original.to_vec();
            rinka_storage::record_batch::set_base_offset_and_epoch(
                &mut stored,
                base,
                LeaderEpoch(1),
            );
            model.next_sequence += header.record_count;
            model.sent.push(Sent {
                end,
                stored: Bytes::from(stored),
                header,
                original,
            });
        }
        Ok(Appended::Duplicate { .. }) => panic!("a new batch is not a repeated one"),
        // The disk is gone.
        Err(_) => {}
    }
}

async fn commit(committer: &mut Committer<SimDisk>, model: &Model) {
    while let Some(committed) = committer.commit().await {
        for part in committed {
            if part.failed.is_none() {
                let mut model = model.borrow_mut();
                let model = model.get_mut(&part.topic_partition).expect("made before");
                model.acked = model.acked.max(part.end);
            }
        }
    }
    // Nothing more will be committed; the driver ends the life.
    std::future::pending::<()>().await;
}

fn history(seed: u64) {
    let mut random = Random(seed);
    let world = World {
        durability: if random.below(2) == 0 {
            Durability::Flushed
        } else {
            Durability::Written
        },
        segment_bytes: 400_000 + random.below(600_000) as u32,
        partitions: 1 + random.below(4),
        tiny: random.below(3) == 0,
    };
    let model = Model::default();
    let mut disk = SimDisk::new();
    for _ in 0..1 + random.below(4) {
        let clean = random.below(4) == 0;
        if !clean {
            let soon = if random.below(3) == 0 { 40 } else { 600 };
            disk.lose_power_after(random.below(soon));
        }
        let steps = 50 + random.below(500);
        // An error ends the life early; what matters is what is found afterwards.
        let _ = block_on(live(&disk, &world, &model, &mut random, steps, clean));
        disk = match world.durability {
            Durability::Flushed => disk.after_power_loss(random.next()).0,
            Durability::Written => disk.after_process_death(),
        };
    }
    // The last word: a recovery that nothing disturbs, twice, with the same result.
    let check = || {
        let disk = disk.after_process_death();
        block_on(live(&disk, &world, &model, &mut Random(seed), 0, true))
            .expect("nothing disturbs it");
        let ends: Vec<Offset> = model.borrow().values().map(|log| log.acked).collect();
        (ends, disk)
    };
    let (first, disk_after) = check();
    let second = {
        block_on(live(
            &disk_after.after_process_death(),
            &world,
            &model,
            &mut Random(seed),
            0,
            true,
        ))
        .expect("nothing disturbs it");
        model
            .borrow()
            .values()
            .map(|log| log.acked)
            .collect::<Vec<_>>()
    };
    assert_eq!(first, second, "RecoveryIsIdempotent");
}

#[test]
fn what_was_acknowledged_is_there_after_any_crash() {
    if let Ok(seed) = std::env::var("RINKA_SEED") {
        history(seed.parse().expect("RINKA_SEED is a number"));
        return;
    }
    let seeds = std::env::var("RINKA_SEEDS")
        .map_or(150, |seeds| seeds.parse().expect("RINKA_SEEDS is a number"));
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| history(seed));
        if let Err(panic) = outcome {
            eprintln!(
                "seed {seed} failed; replay it with RINKA_SEED={seed} cargo test -p rinka-storage --test histories"
            );
            std::panic::resume_unwind(panic);
        }
    }
}
