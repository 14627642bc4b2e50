//! AlterReplicaLogDirs (34): which directory of the broker holds a replica. There is one, so that each replica is in it already.

use std::path::Path;
use std::sync::Arc;

use rinka_net::wire::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use rinka_net::wire::{ErrorCode, Text};

use super::{Context, describe_log_dirs, topics};

pub(super) fn handle(
    context: &Context,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    let shard = &context.shard;
    let image = Arc::clone(&shard.image.borrow());
    let directory = describe_log_dirs::directory(shard);
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for wanted in request.dirs {
        let refused = match Path::new(&*wanted.path) == directory {
            false => Some(ErrorCode::LOG_DIR_NOT_FOUND),
            true => shard
                .store
                .failure()
                .map(|_| ErrorCode::KAFKA_STORAGE_ERROR),
        };
        for topic in wanted.topics {
            let found = image
                .topic_named(&topic.name)
                .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            let partitions = topic.partitions.into_iter().map(|partition_index| {
                let outcome = match refused {
                    Some(error_code) => Err(error_code),
                    None => topics::partition(found, partition_index).map(|_| ()),
                };
                AlterReplicaLogDirPartitionResult {
                    partition_index,
                    error_code: outcome.err().unwrap_or(ErrorCode::NONE),
                }
            });
            results.push(AlterReplicaLogDirTopicResult {
                topic_name: Text::clone(&topic.name),
                partitions: partitions.collect(),
            });
        }
    }
    AlterReplicaLogDirsResponse {
        results,
        ..Default::default()
    }
}
