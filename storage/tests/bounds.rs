//! What keeps recovery short: checkpoints come when the journal, or what it refers to, has grown, and only then.

use std::cell::Cell;
use std::path::Path;

use futures_lite::future::{block_on, or, yield_now, zip};
use rinka_storage::disk::Durability;
use rinka_storage::disk::sim::SimDisk;
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::log::{Log, LogConfig};
use rinka_storage::record_batch::{RecordBatchBuilder, RecordBatchHeader};
use rinka_storage::recovery::{LogSettings, Recovery, Replayed};
use rinka_storage::store::{DIRECT_BYTES, Store, StoreConfig};
use rinka_storage::topic_partition::{TopicId, TopicPartition};

const ROOT: &str = "/data";
const JOURNAL_BYTES: u64 = 8 << 20;

const NAME: TopicPartition = TopicPartition {
    topic_id: TopicId(uuid::Uuid::from_u128(7)),
    partition: 0,
};

fn settings() -> LogSettings {
    LogSettings {
        directory: "topic-0".to_owned(),
        config: LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: i64::MAX,
            index_interval_bytes: 4096,
            durability: Durability::Flushed,
        },
    }
}

/// Appends and commits `count` batches of about `bytes` each, with checkpoints when the store wants them, then stays idle
/// for a while. Returns the disk as a dead process leaves it, and how many checkpoints there were.
fn run(count: usize, bytes: usize) -> (SimDisk, u32) {
    let disk = SimDisk::new();
    let config = StoreConfig {
        root: ROOT.into(),
        shard: 0,
        journal_bytes: JOURNAL_BYTES,
        memory_bytes: 64 << 20,
        unsynced_files_max: 128,
        generation: 1,
    };
    let mut builder = RecordBatchBuilder::new();
    builder.append(1000, None, Some(&vec![7; bytes]));
    let batch = builder.build();
    let header = RecordBatchHeader::parse(&batch).expect("a batch");
    let made = Cell::new(0);
    block_on(async {
        let recovery = Recovery::open(disk.clone(), Path::new(ROOT)).await;
        recovery.expect("opened").finish(1).await.expect("fresh");
        let (store, mut committer) = Store::open(disk.clone(), config).await.expect("opened");
        let settings = settings();
        let log = store.add(Log::new(NAME, settings.directory, settings.config));
        let commits = async { while committer.commit().await.is_some() {} };
        let checkpoints = async {
            loop {
                store.checkpoint_wanted().await;
                store.checkpoint_or_fail().await.expect("a good disk");
                made.set(made.get() + 1);
            }
        };
        let appends = async {
            for _ in 0..count {
                store.admit().await;
                let epoch = LeaderEpoch(0);
                store
                    .append(&log, &header, &batch, epoch, None)
                    .expect("a good disk");
                yield_now().await;
            }
            for _ in 0..10_000 {
                yield_now().await;
            }
        };
        or(appends, async {
            zip::<_, _>(commits, checkpoints).await;
        })
        .await;
    });
    (disk.after_process_death(), made.get())
}

fn recover(disk: SimDisk) -> Replayed {
    block_on(async {
        let recovery = Recovery::open(disk, Path::new(ROOT)).await;
        let mut recovery = recovery.expect("opened");
        let replayed = recovery.replay(|_| Some(settings())).await;
        replayed.expect("replayed")
    })
}

#[test]
fn large_batches_want_checkpoints_too() {
    // 40 MiB that the journal only refers to.
    let (disk, checkpoints) = run(40 * 8, DIRECT_BYTES);
    let replayed = recover(disk);
    assert!(checkpoints > 0);
    assert!(replayed.bytes <= 2 * JOURNAL_BYTES, "{replayed:?}");
}

#[test]
fn a_journal_that_grows_no_more_wants_no_more_checkpoints() {
    // Some of these end just when the journal is full enough.
    for count in 48..60 {
        let (_, checkpoints) = run(count, 64 << 10);
        assert!(checkpoints <= 3, "{checkpoints} after {count} batches");
    }
}
