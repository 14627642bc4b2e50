//! Any damage to the files of a data directory: recovery refuses it, or gives logs that serve only batches whose CRC fits.
//!
//! The input is a list of changes to a directory that is good and full of everything: segments, indexes, checkpoints, a journal.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use futures_lite::future::{block_on, or};
use rinka_storage::disk::sim::SimDisk;
use rinka_storage::disk::{BLOCK, Disk, DiskFile, Durability, OpenMode, align_up, write_all};
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::log::{Log, LogConfig};
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{RecordBatchBuilder, RecordBatchHeader, verify_crc};
use rinka_storage::recovery::{LogSettings, Recovery};
use rinka_storage::store::{Store, StoreConfig};
use rinka_storage::topic_partition::{TopicId, TopicPartition};

const ROOT: &str = "/data";
const PARTITIONS: i32 = 3;

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Changes: a byte that picks the file, one that says what, two bytes of position in blocks of 16 bytes, one of length, and
/// as many bytes as that.
pub(crate) fn check(bytes: &[u8]) {
    static GOOD: OnceLock<Files> = OnceLock::new();
    let mut files = GOOD.get_or_init(|| block_on(good())).clone();
    let mut rest = bytes;
    while let [file, what, high, low, length, content @ ..] = rest {
        let (content, behind) = content.split_at(content.len().min(usize::from(*length)));
        rest = behind;
        let number = usize::from(*file) % files.len();
        let file = &mut files[number].1;
        let at = usize::from(u16::from_be_bytes([*high, *low])) * 16;
        match what % 4 {
            0 => file.truncate(at),
            1 => *file = content.to_vec(),
            2 => {
                let at = at.min(file.len());
                file.splice(at..at, content.iter().copied());
            }
            _ => {
                // Of files that are short, some of it wherever the position points.
                let at = at % file.len().max(1);
                let end = file.len().min(at + content.len());
                file[at..end].copy_from_slice(&content[..end - at]);
            }
        }
    }
    block_on(async {
        let disk = disk(&files).await;
        if let Some(logs) = recovered(&disk).await {
            // To open the store makes a journal, which takes longer than all the rest.
            if bytes.len().is_multiple_of(8) {
                serve(&disk, logs).await;
            }
        }
    });
}

fn name(partition: i32) -> TopicPartition {
    TopicPartition {
        topic_id: TopicId(uuid::Uuid::from_u128(7)),
        partition,
    }
}

fn settings(name: TopicPartition) -> Option<LogSettings> {
    // A damaged name is no partition of ours.
    (name.topic_id == TopicId(uuid::Uuid::from_u128(7))
        && (0..PARTITIONS).contains(&name.partition))
    .then(|| LogSettings {
        directory: format!("topic-{}", name.partition),
        config: LogConfig {
            segment_bytes: 100_000,
            segment_ms: i64::MAX,
            index_interval_bytes: 4096,
            durability: Durability::Flushed,
        },
    })
}

async fn disk(files: &Files) -> SimDisk {
    let disk = SimDisk::new();
    for (path, content) in files {
        let folders: Vec<&Path> = path.ancestors().skip(1).collect();
        for folder in folders.into_iter().rev().skip(1) {
            let made = disk.create_directory(folder).await;
            made.expect("a folder, perhaps there already");
        }
        let file = disk.open(path, OpenMode::Create).await.expect("a new file");
        write_all(&file, 0, content).await.expect("there is room");
        file.truncate(content.len() as u64).await.expect("cut");
    }
    disk
}

async fn recovered(disk: &SimDisk) -> Option<(u64, Vec<Log>)> {
    let mut recovery = Recovery::open(disk.clone(), Path::new(ROOT)).await.ok()?;
    recovery.replay(settings).await.ok()?;
    for partition in 0..PARTITIONS {
        let mut offset = Offset::ZERO;
        while let Ok(batches) = recovery.read(name(partition), offset).await {
            if batches.is_empty() {
                break;
            }
            offset = good_batches(&batches, offset);
        }
    }
    let recovered = recovery.finish(1).await.ok()?;
    let open = |log: rinka_storage::log::LogCheckpoint| {
        let at = settings(log.topic_partition).expect("replayed for these only");
        Log::open(log, at.directory, at.config)
    };
    Some((
        recovered.generation,
        recovered.logs.into_iter().map(open).collect(),
    ))
}

/// Where reading goes on behind batches that were served.
fn good_batches(batches: &[Bytes], mut offset: Offset) -> Offset {
    for batch in batches {
        let header = verify_crc(batch).expect("NothingDamagedIsServed");
        assert!(header.end_offset() > offset, "reading goes on");
        offset = header.end_offset();
    }
    offset
}

fn config(generation: u64) -> StoreConfig {
    StoreConfig {
        root: ROOT.into(),
        shard: 0,
        journal_bytes: 8 << 20,
        memory_bytes: 1 << 20,
        unsynced_files_max: 8,
        generation,
    }
}

async fn serve(disk: &SimDisk, (generation, logs): (u64, Vec<Log>)) {
    let Ok((store, _committer)) = Store::open(disk.clone(), config(generation)).await else {
        return;
    };
    for log in logs {
        let end = log.end();
        let log = store.add(log);
        let mut offset = log.borrow().log_start();
        while offset < end {
            // What cannot be read is refused; what is behind it may be good.
            let Ok(batches) = store.read(&log, offset, end, 100_000).await else {
                break;
            };
            if batches.is_empty() {
                break;
            }
            offset = good_batches(&batches, offset);
        }
    }
}

/// Three logs with several segments each, large batches among them, checkpoints in the middle, and a journal to replay.
async fn good() -> Files {
    let disk = SimDisk::new();
    let (generation, logs) = recovered(&disk).await.expect("an empty directory");
    assert!(logs.is_empty());
    let (store, mut committer) = Store::open(disk.clone(), config(generation))
        .await
        .expect("opened");
    let commits = async {
        while committer.commit().await.is_some() {}
        std::future::pending::<()>().await;
    };
    or(commits, async {
        let logs: Vec<_> = (0..PARTITIONS)
            .map(|partition| {
                let at = settings(name(partition)).expect("one of ours");
                store.add(Log::new(name(partition), at.directory, at.config))
            })
            .collect();
        for (sequence, step) in (0_i32..40).zip(0_usize..) {
            for log in &logs {
                let mut batch = RecordBatchBuilder::new().producer(99, 0, sequence);
                let large = step % 13 == 5;
                let bytes = if large { 140 << 10 } else { 100 + 300 * step };
                batch.append(
                    1_000,
                    Some(b"key"),
                    Some(&vec![step as u8; bytes.min(90_000)]),
                );
                let batch = batch.build();
                let header = RecordBatchHeader::parse(&batch).expect("a batch");
                store
                    .append(log, &header, &batch, LeaderEpoch(1), None)
                    .expect("appended");
            }
            store.admit().await;
            if step % 10 == 9 {
                store.maintain().await.expect("no fault on this disk");
            }
            if step == 25 {
                store.checkpoint().await.expect("no fault on this disk");
            }
        }
    })
    .await;
    let mut files = Vec::new();
    for (path, size) in disk.files() {
        let file = disk.open(&path, OpenMode::Existing).await.expect("listed");
        let length = align_up(usize::try_from(size).expect("small"));
        let mut content = file.read_at(0, length).await.expect("whole").to_vec();
        // The journal's file is mostly zeros: a block of them behind the last byte says the same.
        let used = content
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |at| at + 1);
        content.truncate(content.len().min(align_up(used) + BLOCK));
        files.push((path, content));
    }
    let (logs, journals): (Vec<_>, Vec<_>) = files
        .iter()
        .map(|(path, _)| path.to_string_lossy())
        .partition(|path| path.ends_with(".log"));
    assert!(
        logs.len() > 3 && !journals.is_empty(),
        "{logs:?} {journals:?}"
    );
    let again = recovered(&self::disk(&files).await)
        .await
        .expect("it is good");
    assert_eq!(again.1.len(), PARTITIONS as usize);
    assert!(again.1.iter().all(|log| log.end() > Offset::ZERO));
    files
}
