//! DescribeLogDirs (35): bytes on disk by partition, and of the file system that holds them.
//!
//! There is one directory; the metadata log in it is not told of, as in Kafka. Under core routing a broker is one shard, and tells of
//! that one's partitions: who asks all brokers counts each once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use rinka_net::wire::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::topic_partition::TopicPartition;

use super::Context;
use crate::machine;
use crate::shard::Shard;
use crate::shard::mailbox::Lane;

pub(super) async fn handle(
    context: &Context,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let shard = &context.shard;
    let wanted = request.topics.map(|topics| {
        let mut wanted: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for topic in topics {
            let partitions = wanted.entry(topic.topic.to_string()).or_default();
            partitions.extend(topic.partitions);
        }
        wanted
    });
    let image = Arc::clone(&shard.image.borrow());
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    let sizes = sizes(shard).await;
    for (name, size) in &sizes {
        let Some(topic) = image.topic(name.topic_id) else {
            continue;
        };
        let is_wanted = match &wanted {
            None => true,
            Some(wanted) => wanted
                .get(&*topic.name)
                .is_some_and(|partitions| partitions.contains(&name.partition)),
        };
        if is_wanted {
            let partitions = topics.entry(&topic.name).or_default();
            partitions.push(DescribeLogDirsPartition {
                partition_index: name.partition,
                partition_size: i64::try_from(*size).unwrap_or(i64::MAX),
                ..Default::default()
            });
        }
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_unstable_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic {
            name: Text::from(name.to_owned()),
            partitions,
        }
    });
    let (usable_bytes, total_bytes) = space(shard).await;
    let path = directory(shard);
    DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            error_code: match shard.store.failure() {
                None => ErrorCode::NONE,
                Some(_) => ErrorCode::KAFKA_STORAGE_ERROR,
            },
            log_dir: Text::from(path.display().to_string()),
            topics: topics.collect(),
            total_bytes,
            usable_bytes,
        }],
        ..Default::default()
    }
}

/// As it is told to clients: absolute.
pub(super) fn directory(shard: &Shard) -> PathBuf {
    let path = shard.store.root();
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Of the partitions of this broker.
async fn sizes(shard: &Rc<Shard>) -> Vec<(TopicPartition, u64)> {
    let mut started = Vec::with_capacity(shard.shards());
    for number in shard.of_broker() {
        let sizes = |shard: &Rc<Shard>| Rc::clone(shard).log_sizes();
        started.push(shard.start_on(number, Lane::Read, sizes).await);
    }
    let mut sizes = Vec::new();
    // A shard that is gone is one of a broker that ends.
    for started in started.into_iter().flatten() {
        sizes.extend(started.wait().await.unwrap_or_default());
    }
    sizes
}

/// Free and all bytes of the file system; -1 where it does not say.
async fn space(shard: &Shard) -> (i64, i64) {
    let path = shard.store.root().to_owned();
    // A network's file system may take long to answer: not on the shard's own thread.
    let space = rinka_reactor::blocking(move || machine::space(&path)).await;
    let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    space.map_or((-1, -1), |(free, all)| (bytes(free), bytes(all)))
}
