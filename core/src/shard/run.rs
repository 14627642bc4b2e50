//! The life of a shard's thread: its executor, its storage, its listeners, and its orderly end. Recovery runs here too.
//!
//! Only puts things together; what they do is elsewhere.

use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rinka_storage::disk::ring::RingDisk;
use rinka_storage::log::LogCheckpoint;
use rinka_storage::record_batch;
use rinka_storage::recovery::{Recovered, Recovery, RecoveryError, Replayed, free_reserves};
use rinka_storage::store::{Store, StoreConfig};

use super::mailbox::{Inbox, Mailbox};
use super::shard_map::METADATA;
use super::{Shard, log_settings};
use crate::api::connections::Connections;
use crate::controller::brokers::register_broker;
use crate::metadata::image::MetadataImage;
use crate::metadata::records::{BrokerEndpoint, BrokerRegistration, MetadataRecord};
use crate::node::Node;
use crate::server::ShardListener;

/// Everything a shard's thread is given.
pub(crate) struct ShardSetup {
    pub(crate) number: usize,
    pub(crate) node: Arc<Node>,
    pub(crate) image: Arc<MetadataImage>,
    pub(crate) logs: Vec<LogCheckpoint>,
    pub(crate) generation: u64,
    pub(crate) listeners: Vec<ShardListener>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) inbox: Inbox,
    pub(crate) ready: flume::Sender<Result<(), String>>,
    /// The data directory's lock.
    pub(crate) lock: File,
}

/// Runs a shard on the calling executor until it is told to stop.
pub(crate) async fn run(setup: ShardSetup) -> Result<(), String> {
    let ShardSetup {
        number,
        node,
        image,
        logs,
        generation,
        listeners,
        mailboxes,
        inbox,
        ready,
        lock,
    } = setup;
    let opened = async {
        let disk =
            RingDisk::new(&lock).map_err(|error| format!("no io_uring for files: {error}"))?;
        let config = StoreConfig {
            root: node.config.data_dir.clone(),
            shard: number,
            journal_bytes: node.config.journal_bytes,
            memory_bytes: usize::try_from(node.config.memory_bytes).unwrap_or(usize::MAX / 2),
            unsynced_files_max: node.unsynced_files_max,
            generation,
        };
        let (store, committer) = Store::open(disk, config)
            .await
            .map_err(|error| error.to_string())?;
        let shard = Shard::new(number, node, store, mailboxes);
        shard.open_partitions(&image, logs);
        shard.start(committer);
        inbox.serve(&shard);
        if shard.owner(METADATA) == number {
            register(&shard).await?;
        }
        let connections =
            Connections::start(&shard, listeners).map_err(|error| error.to_string())?;
        Ok::<_, String>((shard, connections))
    };
    let (shard, connections) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            let error = format!("shard {number} could not be started: {error}");
            let _ = ready.send(Err(error.clone()));
            return Err(error);
        }
    };
    let _ = ready.send(Ok(()));
    if !shard.stopping() {
        shard.stop.wait().await;
    }
    connections.stop().await;
    if shard.stalls() > 0 {
        log::warn!(
            "shard {number} was stalled {} times while it ran",
            shard.stalls()
        );
    }
    shard.store.stop().await.map_err(|error| error.to_string())
}

/// Puts this start of the node into the metadata log; in an empty one, the cluster's id too.
async fn register(shard: &Rc<Shard>) -> Result<(), String> {
    let registration = BrokerRegistration {
        node_id: shard.node.id,
        incarnation: uuid::Uuid::new_v4(),
        rack: shard.node.config.rack.clone(),
        endpoints: shard
            .node
            .config
            .listeners
            .iter()
            .zip(&shard.node.advertised)
            .map(|(listener, advertised)| BrokerEndpoint {
                listener: listener.name.clone(),
                host: advertised.node.host.clone(),
                port: advertised.node.port,
            })
            .collect(),
    };
    let registered = shard
        .change_metadata(move |image, node| register_broker(registration, &node.cluster_id, image))
        .await;
    let cluster_id =
        registered.map_err(|error| format!("the metadata log takes no records: {error:?}"))?;
    if cluster_id == shard.node.cluster_id {
        Ok(())
    } else {
        Err(format!(
            "meta.properties says cluster {}, the metadata log says {cluster_id}: this directory is a mix of two",
            shard.node.cluster_id
        ))
    }
}

/// Asks a shard to stop. Called from outside the shards.
pub(crate) fn stop(mailbox: &Mailbox) {
    mailbox.post(|shard| shard.begin_stop());
}

/// Brings the data directory to where every shard can open its logs, and the metadata image with it.
pub(crate) async fn recover(
    node: &Arc<Node>,
    root: &Path,
    lock: &File,
) -> Result<(MetadataImage, Recovered, Replayed), String> {
    let recovered = match recover_all(node, root, lock).await {
        Err(error) if error.is_full() => {
            log::warn!("recovery found the disk full and uses what was kept for it: {error}");
            let disk = RingDisk::new(lock).map_err(|error| error.to_string())?;
            free_reserves(&disk, root)
                .await
                .map_err(|error| error.to_string())?;
            recover_all(node, root, lock).await
        }
        other => other,
    };
    recovered.map_err(|error| error.to_string())
}

async fn recover_all(
    node: &Arc<Node>,
    root: &Path,
    lock: &File,
) -> Result<(MetadataImage, Recovered, Replayed), RecoveryError> {
    let disk = RingDisk::new(lock)?;
    let mut recovery = Recovery::open(disk, root).await?;
    // The metadata log first: only it knows which partitions there are and what they are called.
    let empty = MetadataImage::default();
    recovery
        .replay(|name| {
            if name == METADATA {
                log_settings(&empty, &node.config, name)
            } else {
                None
            }
        })
        .await?;
    let image = read_image(&recovery).await?;
    let config = node.config_at(&image);
    let replayed = recovery
        .replay(|name| {
            if name == METADATA {
                None
            } else {
                log_settings(&image, &config, name)
            }
        })
        .await?;
    let recovered = recovery.finish(node.shards).await?;
    Ok((image, recovered, replayed))
}

async fn read_image(recovery: &Recovery<RingDisk>) -> Result<MetadataImage, RecoveryError> {
    let mut image = MetadataImage::default();
    let mut offset = rinka_storage::offset::Offset::ZERO;
    loop {
        let batches = recovery.read(METADATA, offset).await?;
        if batches.is_empty() {
            return Ok(image);
        }
        for batch in batches {
            let invalid = |what: String| {
                RecoveryError::Disk(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    format!(
                        "the metadata log holds something unreadable at offset {offset}: {what}"
                    ),
                ))
            };
            let records =
                record_batch::values(&batch).map_err(|error| invalid(format!("{error:?}")))?;
            for value in records {
                let record =
                    MetadataRecord::decode(&value).map_err(|error| invalid(error.to_string()))?;
                image
                    .replay(&record)
                    .map_err(|error| invalid(error.to_string()))?;
            }
            offset = record_batch::RecordBatchHeader::parse(&batch)
                .map_err(|error| invalid(format!("{error:?}")))?
                .end_offset();
        }
    }
}
