//! Produce (0): splits a request by owning shard, starts the appends at once and in order, and answers when they are durable.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rinka_net::connection::{Outcome, Reply};
use rinka_net::rejected::Rejected;
use rinka_net::wire::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Records, encode_response};
use rinka_storage::record_batch::{InvalidRecord, ProduceBatchError};

use super::dispatch::Header;
use super::errors::{partition_error, partition_error_message, record_error_message};
use super::{Context, throttle, topics};
use crate::controller::topic_name;
use crate::quota::QuotaKind;
use crate::shard::mailbox::{Gone, Lane};
use crate::shard::partition::{PartitionError, ProducePart, Produced};
use crate::shard::{Shard, Started};

/// Who calls itself so may write to the broker's own topics, as in Kafka.
const ADMIN_CLIENT_ID: &str = "__admin_client";

type Results = Vec<Result<Produced, PartitionError>>;

/// What one shard is to append, and where the results belong.
struct OfShard {
    shard: usize,
    parts: Vec<ProducePart>,
    places: Vec<(usize, usize)>,
}

/// Appends on one shard, and where their results belong in the response.
struct ShardPart {
    started: Result<Started<Results>, Gone>,
    places: Vec<(usize, usize)>,
}

pub(super) async fn start(
    context: Rc<Context>,
    header: Header,
    request: ProduceRequest,
) -> Outcome {
    let version = header.request.api_version;
    let correlation_id = header.request.correlation_id;
    let acks = request.acks;
    let mut response = prepare(&request);
    if !(-1..=1).contains(&acks) {
        for partition in response
            .responses
            .iter_mut()
            .flat_map(|topic| &mut topic.partition_responses)
        {
            partition.error_code = ErrorCode::INVALID_REQUIRED_ACKS;
        }
        return Outcome::Reply(Box::pin(async move {
            Reply::Send(encode(version, correlation_id, &response))
        }));
    }
    let is_admin = header.request.client_id.as_deref() == Some(ADMIN_CLIENT_ID);
    let begun = begin(&context, (version, is_admin), request, &mut response);
    let (parts, spent) = match header.throttle {
        Some(_) => throttle::timed(begun).await,
        None => (begun.await, Duration::ZERO),
    };
    Outcome::Reply(Box::pin(async move {
        for part in parts {
            let results = match part.started {
                Ok(started) => started.wait().await.unwrap_or_default(),
                Err(Gone) => Vec::new(),
            };
            let stopping = std::iter::repeat_with(|| Err(PartitionError::Stopping));
            for ((topic, partition), result) in part
                .places
                .into_iter()
                .zip(results.into_iter().chain(stopping))
            {
                fill(
                    &context.shard,
                    &mut response.responses[topic].partition_responses[partition],
                    result,
                );
            }
        }
        let mut pause = Duration::ZERO;
        if let Some(throttle) = header.throttle {
            pause = throttle
                .charge_bytes(QuotaKind::Produce, header.bytes)
                .await;
            if acks != 0 {
                // Without an answer there is nobody to hold up for time, as in Kafka.
                pause = pause.max(throttle.charge_time(spent).await);
            }
            response.throttle_time_ms = throttle::milliseconds(pause);
        }
        let send = |parts| match response.throttle_time_ms {
            0 => Reply::Send(parts),
            _ => Reply::SendThenMute(parts, pause),
        };
        if acks != 0 {
            return send(encode(version, correlation_id, &response));
        }
        // There is no response to carry an error in: the connection's end is the only sign Kafka gives.
        let mut partitions = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        match partitions.find(|partition| partition.error_code.is_error()) {
            Some(failed) => Reply::Close(
                Rejected::Unanswerable,
                format!(
                    "a produce request with acks=0 failed: {}",
                    failed.error_code
                ),
            ),
            None => send(Vec::new()),
        }
    }))
}

fn encode(version: i16, correlation_id: i32, response: &ProduceResponse) -> Vec<Bytes> {
    encode_response(ApiKey::Produce, version, correlation_id, response)
}

/// The response's shape: the request's topics and partitions in their order.
fn prepare(request: &ProduceRequest) -> ProduceResponse {
    ProduceResponse {
        responses: request
            .topic_data
            .iter()
            .map(|topic| TopicProduceResponse {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partition_responses: topic
                    .partition_data
                    .iter()
                    .map(|partition| PartitionProduceResponse {
                        index: partition.index,
                        base_offset: -1,
                        ..Default::default()
                    })
                    .collect(),
            })
            .collect(),
        ..Default::default()
    }
}

async fn begin(
    context: &Context,
    (version, may_write_internal): (i16, bool),
    request: ProduceRequest,
    response: &mut ProduceResponse,
) -> Vec<ShardPart> {
    let shard = &context.shard;
    let image = Arc::clone(&shard.image.borrow());
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let mut of_shards: Vec<OfShard> = Vec::new();
    for (topic_index, topic) in request.topic_data.into_iter().enumerate() {
        let found = topics::find(&image, version >= 13, &topic.name, topic.topic_id);
        let found = found.and_then(|topic| match topic_name::is_internal(&topic.name) {
            true if !may_write_internal => Err(ErrorCode::INVALID_TOPIC_EXCEPTION),
            _ => Ok(topic),
        });
        for (partition_index, data) in topic.partition_data.into_iter().enumerate() {
            let name = match topics::partition(found, data.index) {
                Ok(name) => name,
                Err(error) => {
                    response.responses[topic_index].partition_responses[partition_index]
                        .error_code = error;
                    continue;
                }
            };
            let part = ProducePart {
                name,
                records: only(data.records),
                version,
                acks: request.acks,
                timeout,
            };
            let owner = shard.owner(name);
            let place = (topic_index, partition_index);
            match of_shards.iter_mut().find(|other| other.shard == owner) {
                Some(other) => {
                    other.parts.push(part);
                    other.places.push(place);
                }
                None => of_shards.push(OfShard {
                    shard: owner,
                    parts: vec![part],
                    places: vec![place],
                }),
            }
        }
    }
    let mut started = Vec::with_capacity(of_shards.len());
    for OfShard {
        shard: owner,
        parts,
        places,
    } in of_shards
    {
        let append = shard
            .start_on(owner, Lane::Write, move |shard| shard.produce(parts))
            .await;
        started.push(ShardPart {
            started: append,
            places,
        });
    }
    started
}

/// A request's records are one slice of its frame.
fn only(records: Records) -> Bytes {
    records
        .0
        .and_then(|mut slices| slices.pop())
        .unwrap_or_default()
}

fn fill(
    shard: &Shard,
    response: &mut PartitionProduceResponse,
    result: Result<Produced, PartitionError>,
) {
    match result {
        Ok(produced) => {
            response.base_offset = produced.base_offset.0;
            response.log_append_time_ms = produced.log_append_time.unwrap_or(-1);
            response.log_start_offset = produced.log_start.0;
        }
        Err(error) => {
            response.error_code = partition_error(&error);
            shard.counters.on_refused(response.error_code);
            response.error_message = partition_error_message(&error);
            if let PartitionError::Batch(ProduceBatchError::Records(invalid)) = error {
                let told = |record: &InvalidRecord| BatchIndexAndErrorMessage {
                    batch_index: record.index,
                    batch_index_error_message: Some(record_error_message(record.fault)),
                };
                response.record_errors = invalid.iter().map(told).collect();
            }
        }
    }
}
