//! DescribeQuorum (55): the quorum of the metadata log, which is this node alone.

use std::rc::Rc;

use rinka_net::wire::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState,
    TopicData,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use crate::controller::topic_name;
use crate::shard::Shard;
use crate::shard::mailbox::Lane;
use crate::shard::shard_map::METADATA;

/// Where the metadata log stands.
struct Marks {
    leader_epoch: i32,
    high_watermark: i64,
    log_end: i64,
    /// Milliseconds since 1970.
    now: i64,
}

pub(super) async fn handle(
    context: &Context,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let is_the_log = match &request.topics[..] {
        [topic] => {
            &*topic.topic_name == topic_name::CLUSTER_METADATA
                && matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
        }
        _ => false,
    };
    if !is_the_log {
        return unknown(request);
    }
    let Some(marks) = marks(&context.shard).await else {
        return DescribeQuorumResponse {
            error_code: ErrorCode::BROKER_NOT_AVAILABLE,
            ..Default::default()
        };
    };
    let node_id = context.shard.node.id;
    let voter = ReplicaState {
        replica_id: node_id,
        log_end_offset: marks.log_end,
        // A leader needs no fetch to be up to date.
        last_fetch_timestamp: marks.now,
        last_caught_up_timestamp: marks.now,
        ..Default::default()
    };
    DescribeQuorumResponse {
        topics: vec![TopicData {
            topic_name: Text::from(topic_name::CLUSTER_METADATA),
            partitions: vec![PartitionData {
                leader_id: node_id,
                leader_epoch: marks.leader_epoch,
                high_watermark: marks.high_watermark,
                current_voters: vec![voter],
                ..Default::default()
            }],
        }],
        nodes: vec![Node {
            node_id,
            listeners: listeners(context),
        }],
        ..Default::default()
    }
}

fn unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.into_iter().map(|topic| TopicData {
        topic_name: topic.topic_name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| PartitionData {
                partition_index: partition.partition_index,
                error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ..Default::default()
            })
            .collect(),
    });
    DescribeQuorumResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

/// The node's own, as the client sees them: no controller has a listener of its own.
fn listeners(context: &Context) -> Vec<Listener> {
    let node = &context.shard.node;
    let listeners = node.config.listeners.iter().zip(&node.advertised);
    listeners
        .map(|(listener, advertised)| Listener {
            name: Text::from(listener.name.clone()),
            host: Text::from(
                advertised
                    .node
                    .host
                    .clone()
                    .unwrap_or_else(|| context.local.to_canonical().to_string()),
            ),
            port: advertised.node.port,
        })
        .collect()
}

async fn marks(shard: &Rc<Shard>) -> Option<Marks> {
    let look = |shard: &Rc<Shard>| {
        let marks = shard.partition(METADATA).map(|partition| Marks {
            leader_epoch: partition.leader_epoch().0,
            high_watermark: partition.high_watermark().0,
            log_end: partition.log.borrow().end().0,
            now: shard.wall_clock(),
        });
        std::future::ready(marks)
    };
    let started = shard
        .start_on(shard.owner(METADATA), Lane::Read, look)
        .await;
    started.ok()?.wait().await.ok()?
}
