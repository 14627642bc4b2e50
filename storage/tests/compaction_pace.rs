//! Compaction beside appends, on the disk of the simulation and in its time: whatever compaction asks of the disk begins when no append
//! waits for it.
//!
//! Looks at the order in which operations begin, never at how long anything takes.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::{block_on, or, yield_now, zip};
use rinka_storage::compaction::{CompactionConfig, Pacing, Step};
use rinka_storage::disk::sim::{Listener, SimDisk, SimFaults};
use rinka_storage::disk::{Disk, Durability};
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::log::{Log, LogConfig};
use rinka_storage::planted::{Planted, plant};
use rinka_storage::record_batch::{RecordBatchBuilder, RecordBatchHeader};
use rinka_storage::segment_files::LogHandle;
use rinka_storage::store::{
    Committer, CompactionRequest, CompactionSettings, Pauses, Store, StoreConfig,
};
use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

/// What passes between two looks at the tasks.
const TICK: Duration = Duration::from_micros(20);

const KEYS: u64 = 50;

/// Time that goes on as the tasks are looked at.
#[derive(Default)]
struct Time(Cell<Duration>);

impl Time {
    async fn goes_on(&self) {
        loop {
            self.0.set(self.0.get() + TICK);
            yield_now().await;
        }
    }
}

impl Pauses for Time {
    fn now(&self) -> Duration {
        self.0.get()
    }

    async fn sleep(&self, time: Duration) {
        let until = self.now() + time;
        while self.now() < until {
            yield_now().await;
        }
    }

    async fn background(&self) {
        yield_now().await;
    }

    fn stopping(&self) -> bool {
        false
    }
}

/// Operations that one step may consist of: a file is opened and written, or all files of a segment are flushed.
const OPERATIONS_MAX: usize = 3;

/// What compaction asked of the disk.
#[derive(Debug, Default)]
struct Seen {
    /// Operations in the step that it was let take last. Only the first one waits for its turn.
    in_step: Cell<usize>,
    /// Reads of segments, and whatever is done to those that it writes.
    operations: Cell<usize>,
    /// Steps that began beside a commit.
    in_front: RefCell<Vec<(&'static str, PathBuf)>>,
    /// ... and what follows too many others without a new turn.
    unasked: RefCell<Vec<(&'static str, PathBuf)>>,
}

impl Seen {
    fn hear(&self, store: &Store<SimDisk>, operation: &'static str, path: &Path) {
        let name = path.file_name().and_then(|name| name.to_str());
        // `BASE.REVISION.log`, and the indexes likewise.
        let is_written = name.is_some_and(|name| name.matches('.').count() == 2);
        let is_segment = path
            .parent()
            .is_some_and(|parent| parent.ends_with("table-0"));
        let is_directory = path.ends_with("table-0") && operation == "sync_directory";
        if !is_directory && !(is_segment && (is_written || operation == "read_at")) {
            return;
        }
        self.operations.set(self.operations.get() + 1);
        let before = self.in_step.replace(self.in_step.get() + 1);
        let what = (operation, path.to_owned());
        if before == 0 && store.is_committing() {
            self.in_front.borrow_mut().push(what);
        } else if before >= OPERATIONS_MAX {
            self.unasked.borrow_mut().push(what);
        }
    }
}

fn append(store: &Store<SimDisk>, log: &LogHandle, key: u64) {
    let mut builder = RecordBatchBuilder::new();
    builder.append(1, Some(&key.to_le_bytes()), Some(&[7; 500]));
    let batch = builder.build();
    let header = RecordBatchHeader::parse(&batch).expect("a batch");
    let appended = store.append(log, &header, &batch, LeaderEpoch(1), None);
    appended.expect("a store that works");
}

async fn commit(committer: &mut Committer<SimDisk>, commits: &Cell<usize>) {
    while committer.commit().await.is_some() {
        commits.set(commits.get() + 1);
    }
}

/// One run over a log of some hundred batches, beside an append every `period`. Says what was seen, how many commits there were
/// meanwhile, and how long the run took.
fn run(period: Duration, seed: u64) -> (Rc<Seen>, usize, Duration) {
    block_on(async {
        let disk = SimDisk::new();
        disk.create_directory(Path::new("/data"))
            .await
            .expect("made");
        let config = StoreConfig {
            root: PathBuf::from("/data"),
            shard: 0,
            journal_bytes: 32 << 20,
            memory_bytes: 1 << 20,
            unsynced_files_max: 100,
            generation: 1,
        };
        let (store, mut committer) = Store::open(disk.clone(), config).await.expect("opened");
        let add = |number: u128, name: &str| {
            let name_of = TopicPartition {
                topic_id: TopicId(Uuid::from_u128(number)),
                partition: 0,
            };
            let config = LogConfig {
                segment_bytes: 16 << 10,
                segment_ms: i64::MAX,
                index_interval_bytes: 4096,
                durability: Durability::Flushed,
            };
            store.add(Log::new(name_of, name.to_owned(), config))
        };
        let table = add(1, "table-0");
        let other = add(2, "other-0");
        for number in 0..600 {
            append(&store, &table, number % KEYS);
        }
        disk.inject(
            SimFaults {
                polls_max: 20,
                ..SimFaults::default()
            },
            seed,
        );
        let commits = Cell::new(0);
        let time = Time::default();
        let seen = Rc::new(Seen::default());
        let (hears, at) = (Rc::clone(&seen), Rc::downgrade(&store));
        let listener: Listener = Rc::new(move |operation, path| {
            if let Some(store) = at.upgrade() {
                hears.hear(&store, operation, path);
            }
        });
        let appends = async {
            loop {
                time.sleep(period).await;
                append(&store, &other, 1);
            }
        };
        let checkpoints = async {
            loop {
                store.checkpoint_wanted().await;
                store.checkpoint_or_fail().await.expect("a checkpoint");
            }
        };
        let compaction = async {
            store.checkpoint().await.expect("a checkpoint");
            disk.listen(listener);
            let begun = (time.now(), commits.get());
            let requests = [CompactionRequest {
                committed: table.borrow().end(),
                log: Rc::clone(&table),
                config: CompactionConfig {
                    dirty_ratio_min: 0.0,
                    lag_ms_min: 0,
                    lag_ms_max: i64::MAX,
                    delete_retention_ms: 100,
                    segment_index_bytes: 1 << 20,
                },
            }];
            let settings = CompactionSettings {
                key_map_bytes: 1 << 20,
                now: 1000,
                seed: [1, 2],
            };
            let pacing = RefCell::new(Pacing::new(None));
            let pace = async |next: Step| {
                let goes_on = store.let_compact(&pacing, next, &time).await;
                if matches!(next, Step::Disk { .. }) {
                    seen.in_step.set(0);
                }
                goes_on
            };
            let done = store
                .compact(&requests, &settings, &pace)
                .await
                .expect("done");
            assert_eq!(done.logs, 1);
            assert!(done.bytes_after * 3 < done.bytes_before, "{done:?}");
            (commits.get() - begun.1, time.now() - begun.0)
        };
        let shard = async {
            let commits = commit(&mut committer, &commits);
            zip(zip(commits, checkpoints), zip(appends, time.goes_on())).await;
            unreachable!("time has no end")
        };
        let (beside, took) = or(compaction, shard).await;
        (seen, beside, took)
    })
}

#[test]
fn nothing_of_compaction_begins_while_a_commit_waits_or_is_under_way() {
    for seed in 0..20 {
        let (seen, commits, took) = run(Duration::from_millis(1), seed);
        assert!(seen.operations.get() > 60, "seed {seed}: {seen:?}");
        assert!(commits > 60, "seed {seed}: {commits} commits in {took:?}");
        assert!(seen.in_front.borrow().is_empty(), "seed {seed}: {seen:?}");
        assert!(seen.unasked.borrow().is_empty(), "seed {seed}: {seen:?}");
    }
    // It would be seen.
    plant(Some(Planted::CompactionInFront));
    let (seen, ..) = run(Duration::from_millis(1), 1);
    plant(None);
    assert!(!seen.in_front.borrow().is_empty(), "{seen:?}");
}
