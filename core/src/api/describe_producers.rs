//! DescribeProducers (61): the producers that a partition remembers, from its log's own state.
//!
//! No transaction is ever open: there are none yet.

use std::rc::Rc;
use std::sync::Arc;

use rinka_net::wire::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::producer_state::LastBatch;
use rinka_storage::topic_partition::TopicPartition;

use super::errors::partition_error;
use super::{Context, topics};
use crate::shard::Shard;
use crate::shard::mailbox::Lane;
use crate::shard::partition::PartitionError;

pub(super) async fn handle(
    context: &Context,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let shard = &context.shard;
    let image = Arc::clone(&shard.image.borrow());
    let mut response = DescribeProducersResponse::default();
    for topic in request.topics {
        let found = image
            .topic_named(&topic.name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition_index in topic.partition_indexes {
            let producers = match topics::partition(found, partition_index) {
                Ok(name) => producers(shard, name)
                    .await
                    .map_err(|error| partition_error(&error)),
                Err(error) => Err(error),
            };
            let (error_code, producers) = match producers {
                Ok(producers) => (ErrorCode::NONE, producers),
                Err(error_code) => (error_code, Vec::new()),
            };
            partitions.push(PartitionResponse {
                partition_index,
                error_code,
                error_message: error_code
                    .is_error()
                    .then(|| Text::from(error_code.message())),
                active_producers: producers.into_iter().map(state).collect(),
            });
        }
        response.topics.push(TopicResponse {
            name: topic.name,
            partitions,
        });
    }
    response
}

async fn producers(
    shard: &Rc<Shard>,
    name: TopicPartition,
) -> Result<Vec<LastBatch>, PartitionError> {
    let look = move |shard: &Rc<Shard>| {
        let partition = shard.partition(name).ok_or(PartitionError::Unknown);
        let producers = partition.map(|partition| partition.log.borrow().producers.last_batches());
        std::future::ready(producers)
    };
    let started = shard.start_on(shard.owner(name), Lane::Read, look).await;
    match started {
        Ok(started) => started
            .wait()
            .await
            .unwrap_or(Err(PartitionError::Stopping)),
        Err(_) => Err(PartitionError::Stopping),
    }
}

fn state(last: LastBatch) -> ProducerState {
    ProducerState {
        producer_id: last.producer_id,
        producer_epoch: last.epoch.into(),
        last_sequence: last.last_sequence,
        last_timestamp: last.timestamp,
        coordinator_epoch: -1,
        current_txn_start_offset: -1,
    }
}
