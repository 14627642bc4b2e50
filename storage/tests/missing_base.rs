//! A data directory that has lost its base checkpoint is refused: going on would lose every record in silence.

use std::path::Path;

use futures_lite::future::block_on;
use rinka_storage::checkpoint::CheckpointError;
use rinka_storage::disk::Disk as _;
use rinka_storage::disk::sim::SimDisk;
use rinka_storage::recovery::{Recovery, RecoveryError};
use rinka_storage::store::{Store, StoreConfig, layout};

#[test]
fn a_directory_without_its_base_is_refused() {
    let root = Path::new("/data");
    let disk = SimDisk::new();
    block_on(async {
        let recovery = Recovery::open(disk.clone(), root).await.expect("fresh");
        recovery.finish(1).await.expect("fresh");
        let config = StoreConfig {
            root: root.to_owned(),
            shard: 0,
            journal_bytes: 8 << 20,
            memory_bytes: 1 << 20,
            unsynced_files_max: 8,
            generation: 1,
        };
        drop(Store::open(disk.clone(), config).await.expect("opened"));
        drop(Recovery::open(disk.clone(), root).await.expect("whole"));
        let base = layout::base_checkpoint(root);
        disk.remove_file(&base).await.expect("it was there");
        match Recovery::open(disk.clone(), root).await {
            Err(RecoveryError::Checkpoint { path, error }) => {
                assert_eq!((path, error), (base, CheckpointError::Missing));
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("taken for a fresh directory"),
        }
    });
}
