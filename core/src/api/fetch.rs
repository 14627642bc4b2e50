//! Fetch (1): reads from the owning shards, waits for more where there is too little, and answers with slices.
//!
//! Sessions (KIP-227) are not kept: every answer has session id 0, which tells a client to send whole requests.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rinka_net::wire::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use rinka_net::wire::{ErrorCode, Records};
use rinka_storage::offset::Offset;
use rinka_storage::topic_partition::TopicPartition;

use super::errors::partition_error;
use super::{Context, topics};
use crate::shard::Shard;
use crate::shard::mailbox::Lane;
use crate::shard::partition::PartitionError;

/// A client may not park a request for longer, whatever it asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);

const READ_COMMITTED: i8 = 1;

/// One partition that a shard is to read.
#[derive(Clone, Copy, Debug)]
struct ReadPart {
    name: TopicPartition,
    offset: Offset,
    bytes_max: usize,
    believed_epoch: i32,
    /// Its place in the response.
    place: (usize, usize),
}

/// What it read.
#[derive(Debug)]
struct ReadResult {
    place: (usize, usize),
    records: Vec<Bytes>,
    high_watermark: Offset,
    log_start: Offset,
    error: Option<PartitionError>,
}

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: FetchRequest,
) -> FetchResponse {
    let shard = &context.shard;
    // Only brokers may fetch as replicas, and they have other ways.
    let replica = if version >= 15 {
        request.replica_state.replica_id
    } else {
        request.replica_id
    };
    let refuse_all = (replica >= 0).then_some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    if request.session_id != 0 && request.session_epoch > 0 {
        return FetchResponse {
            error_code: ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
            ..Default::default()
        };
    }
    let aborted = (request.isolation_level == READ_COMMITTED).then(Vec::new);
    let empty = PartitionData {
        high_watermark: -1,
        aborted_transactions: aborted,
        records: Records(Some(Vec::new())),
        ..Default::default()
    };
    let image = Arc::clone(&shard.image.borrow());
    let mut response = FetchResponse::default();
    let mut parts = Vec::new();
    for (topic_index, topic) in request.topics.iter().enumerate() {
        let found = topics::find(&image, version >= 13, &topic.topic, topic.topic_id);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (partition_index, asked) in topic.partitions.iter().enumerate() {
            let name = match refuse_all {
                Some(error) => Err(error),
                None => topics::partition(found, asked.partition),
            };
            let error_code = match name {
                Ok(name) => {
                    parts.push(ReadPart {
                        name,
                        offset: Offset(asked.fetch_offset),
                        bytes_max: usize::try_from(asked.partition_max_bytes).unwrap_or(0),
                        believed_epoch: asked.current_leader_epoch,
                        place: (topic_index, partition_index),
                    });
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            partitions.push(PartitionData {
                partition_index: asked.partition,
                error_code,
                ..empty.clone()
            });
        }
        let (topic, topic_id) = (topic.topic.clone(), topic.topic_id);
        response.responses.push(FetchableTopicResponse {
            topic,
            topic_id,
            partitions,
        });
    }
    let any_failed = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .any(|p| p.error_code.is_error());
    let wait = match any_failed || parts.is_empty() {
        // Errors are told at once; a fetch of nothing has nothing to wait for but its time.
        true => Duration::ZERO,
        false => {
            Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX)
        }
    };
    let budget = Budget {
        bytes_max: usize::try_from(request.max_bytes)
            .unwrap_or(0)
            .min(shard.node.config.fetch_bytes_max as usize),
        bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
    };
    for result in read_or_wait(shard, &parts, &budget, wait).await {
        let (topic, partition) = result.place;
        let data = &mut response.responses[topic].partitions[partition];
        if let Some(error) = &result.error {
            data.error_code = partition_error(error);
            continue;
        }
        data.high_watermark = result.high_watermark.0;
        // No transaction is ever open: everything committed is stable.
        data.last_stable_offset = result.high_watermark.0;
        data.log_start_offset = result.log_start.0;
        data.records = Records(Some(result.records));
    }
    response
}

struct Budget {
    bytes_max: usize,
    bytes_min: usize,
}

async fn read_or_wait(
    shard: &Rc<Shard>,
    parts: &[ReadPart],
    budget: &Budget,
    wait: Duration,
) -> Vec<ReadResult> {
    let deadline = shard.now() + wait;
    loop {
        // The bell is made before the read: what is committed between read and watch is seen by the watch.
        let results = read(shard, parts, budget.bytes_max).await;
        let bytes: usize = results
            .iter()
            .flat_map(|result| &result.records)
            .map(Bytes::len)
            .sum();
        let failed = results.iter().any(|result| result.error.is_some());
        if bytes >= budget.bytes_min || failed || shard.now() >= deadline || shard.stopping() {
            return results;
        }
        let seen: Vec<(TopicPartition, Offset)> = parts
            .iter()
            .filter_map(|part| {
                let result = results.iter().find(|result| result.place == part.place)?;
                Some((part.name, result.high_watermark))
            })
            .collect();
        shard.wait_for_more(&seen, deadline).await;
    }
}

/// Reads every part on its shard, in the order of the request, within the byte budget; the first batch found is always given.
async fn read(shard: &Rc<Shard>, parts: &[ReadPart], bytes_max: usize) -> Vec<ReadResult> {
    let mut owners: Vec<usize> = parts.iter().map(|part| shard.owner(part.name)).collect();
    owners.sort_unstable();
    owners.dedup();
    let mut started = Vec::with_capacity(owners.len());
    for owner in owners {
        let parts: Vec<ReadPart> = parts
            .iter()
            .filter(|part| shard.owner(part.name) == owner)
            .copied()
            .collect();
        let work = shard
            .start_on(owner, Lane::Read, move |shard| {
                let shard = Rc::clone(shard);
                async move { read_here(&shard, parts, bytes_max).await }
            })
            .await;
        started.push(work);
    }
    let mut results: Vec<ReadResult> = Vec::with_capacity(parts.len());
    for work in started {
        if let Ok(work) = work
            && let Ok(read) = work.wait().await
        {
            results.extend(read);
        }
    }
    results.sort_by_key(|result| result.place);
    // Each shard kept to the budget; together they must too.
    let mut left = bytes_max;
    let mut first = true;
    for result in &mut results {
        let bytes: usize = result.records.iter().map(Bytes::len).sum();
        if bytes > left && !first {
            result.records.clear();
        } else {
            left = left.saturating_sub(bytes);
            first &= bytes == 0;
        }
    }
    results
}

async fn read_here(shard: &Rc<Shard>, parts: Vec<ReadPart>, bytes_max: usize) -> Vec<ReadResult> {
    let mut left = bytes_max;
    let mut found_any = false;
    let mut results = Vec::with_capacity(parts.len());
    for part in parts {
        let mut result = ReadResult {
            place: part.place,
            records: Vec::new(),
            high_watermark: Offset(-1),
            log_start: Offset(-1),
            error: None,
        };
        let Some(partition) = shard.partition(part.name) else {
            result.error = Some(PartitionError::Unknown);
            results.push(result);
            continue;
        };
        let room = part.bytes_max.min(left);
        // Before the read: what is committed meanwhile is more than was looked at, and a wait begins from here.
        result.high_watermark = partition.high_watermark();
        let read = match partition.check_epoch(part.believed_epoch) {
            // Even a budget of nothing brings the first batch, or a client with a large one would never get on.
            Ok(()) if room > 0 || !found_any => partition.read(shard, part.offset, room).await,
            Ok(()) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        match read {
            Ok(records) => {
                let bytes: usize = records.iter().map(Bytes::len).sum();
                // A batch larger than the room is given only when it is the first of all.
                if bytes > 0 && (bytes <= room || !found_any) {
                    found_any = true;
                    left = left.saturating_sub(bytes);
                    result.records = records;
                }
            }
            Err(error) => result.error = Some(error),
        }
        result.log_start = partition.log_start();
        results.push(result);
        glommio::yield_if_needed().await;
    }
    results
}
