//! Fetch (1): reads from the owning shards, waits for more where there is too little, and answers with slices.
//!
//! What a client has to be told is decided by [`sessions`].

pub(crate) mod memory;
pub(crate) mod sessions;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::future::poll_once;
use rinka_net::wire::fetch::{
    EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use rinka_net::wire::{ErrorCode, Records, Text};
use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::offset::Offset;
use rinka_storage::topic_partition::TopicPartition;
use uuid::Uuid;

use self::memory::Claim;
use self::sessions::{Standing, Told, TopicKey, Wanted};
use super::errors::partition_error;
use super::{Context, topics};
use crate::shard::Shard;
use crate::shard::mailbox::Lane;
use crate::shard::partition::{Partition, PartitionError};

/// A client may not park a request for longer, whatever it asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often a fetch that found no memory looks again.
const MEMORY_RETRY: Duration = Duration::from_millis(10);

/// Partitions that a fetch looks at before others have their turn.
const LOOKS_AT_A_TIME: usize = 256;

const READ_COMMITTED: i8 = 1;

/// One partition that a shard is to read.
#[derive(Clone, Copy, Debug)]
struct ReadPart {
    name: TopicPartition,
    offset: Offset,
    bytes_max: usize,
    believed_epoch: i32,
    last_fetched_epoch: i32,
    /// Its place among the partitions wanted.
    place: usize,
}

/// What it read.
#[derive(Debug)]
struct ReadResult {
    place: usize,
    records: Vec<Bytes>,
    high_watermark: Offset,
    log_start: Offset,
    /// What the reader has of this epoch goes further than what the log has (KIP-595).
    diverging: Option<(LeaderEpoch, Offset)>,
    error: Option<PartitionError>,
}

impl ReadResult {
    fn is_news(&self) -> bool {
        self.error.is_some() || self.diverging.is_some()
    }
}

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: FetchRequest,
) -> FetchResponse {
    let shard = &context.shard;
    let by_id = version >= 13;
    let begun = shard
        .fetch_sessions
        .borrow_mut()
        .begin(&request, by_id, shard.now());
    let (standing, wanted) = match begun {
        Ok(begun) => begun,
        Err(error_code) => {
            return FetchResponse {
                error_code,
                ..Default::default()
            };
        }
    };
    let mut data = fetch(shard, version, &request, &wanted).await;
    let told: Vec<Told> = data.iter().map(told).collect();
    let new_id = match standing {
        Standing::Full { .. } => new_session_id(),
        _ => 0,
    };
    let ended =
        shard
            .fetch_sessions
            .borrow_mut()
            .end(standing, &wanted, &told, new_id, shard.now());
    let answer = match ended {
        Ok(answer) => answer,
        Err(error_code) => {
            return FetchResponse {
                error_code,
                ..Default::default()
            };
        }
    };
    let mut response = FetchResponse {
        session_id: answer.session_id,
        ..Default::default()
    };
    let mut last_topic: Option<&TopicKey> = None;
    for ((wanted, data), include) in wanted.iter().zip(data.drain(..)).zip(answer.include) {
        if !include {
            continue;
        }
        if last_topic != Some(&wanted.topic) {
            last_topic = Some(&wanted.topic);
            let (topic, topic_id) = match &wanted.topic {
                TopicKey::Name(name) => (name.clone(), Uuid::nil()),
                TopicKey::Id(id) => (Text::default(), *id),
            };
            response.responses.push(FetchableTopicResponse {
                topic,
                topic_id,
                partitions: Vec::new(),
            });
        }
        let topic = response.responses.last_mut().expect("just pushed");
        topic.partitions.push(data);
    }
    response
}

/// Random, so that the sessions of two shards, or of two starts, are not taken for each other. Never 0, which is "none".
fn new_session_id() -> i32 {
    let random = Uuid::new_v4().as_u128() as u32;
    i32::try_from(random >> 1).unwrap_or(i32::MAX).max(1)
}

fn told(data: &PartitionData) -> Told {
    let slices = data.records.0.iter().flatten();
    Told {
        high_watermark: data.high_watermark,
        log_start: data.log_start_offset,
        bytes: slices.map(Bytes::len).sum(),
        failed: data.error_code.is_error() || data.diverging_epoch.epoch >= 0,
    }
}

/// What there is to say of each partition wanted, in their order.
async fn fetch(
    shard: &Rc<Shard>,
    version: i16,
    request: &FetchRequest,
    wanted: &[Wanted],
) -> Vec<PartitionData> {
    // Only brokers may fetch as replicas, and they have other ways.
    let replica = if version >= 15 {
        request.replica_state.replica_id
    } else {
        request.replica_id
    };
    let refuse_all = (replica >= 0).then_some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let aborted = (request.isolation_level == READ_COMMITTED).then(Vec::new);
    let empty = PartitionData {
        high_watermark: -1,
        aborted_transactions: aborted,
        records: Records(Some(Vec::new())),
        ..Default::default()
    };
    let image = Arc::clone(&shard.image.borrow());
    let mut parts = Vec::with_capacity(wanted.len());
    let mut answers = Vec::with_capacity(wanted.len());
    let mut last_found = None;
    for (place, wanted) in wanted.iter().enumerate() {
        let found = match last_found {
            Some((topic, found)) if topic == &wanted.topic => found,
            _ => match &wanted.topic {
                TopicKey::Name(name) => topics::find(&image, false, name, Uuid::nil()),
                TopicKey::Id(id) => topics::find(&image, true, &Text::default(), *id),
            },
        };
        last_found = Some((&wanted.topic, found));
        let name = match refuse_all {
            Some(error) => Err(error),
            None => topics::partition(found, wanted.partition),
        };
        let error_code = match name {
            Ok(name) => {
                parts.push(ReadPart {
                    name,
                    offset: wanted.offset,
                    bytes_max: usize::try_from(wanted.bytes_max).unwrap_or(0),
                    believed_epoch: wanted.believed_epoch,
                    last_fetched_epoch: wanted.last_fetched_epoch,
                    place,
                });
                ErrorCode::NONE
            }
            Err(error) => error,
        };
        answers.push(PartitionData {
            partition_index: wanted.partition,
            error_code,
            ..empty.clone()
        });
    }
    drop(image);
    // A fetch of nothing that exists has nothing to wait for.
    let wait = match parts.is_empty() {
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
        let data = &mut answers[result.place];
        if let Some(error) = &result.error {
            data.error_code = partition_error(error);
            continue;
        }
        data.high_watermark = result.high_watermark.0;
        // No transaction is ever open: everything committed is stable.
        data.last_stable_offset = result.high_watermark.0;
        data.log_start_offset = result.log_start.0;
        data.records = Records(Some(result.records));
        if let Some((epoch, end)) = result.diverging {
            data.diverging_epoch = EpochEndOffset {
                epoch: epoch.0,
                end_offset: end.0,
            };
        }
    }
    answers
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
        let claim = claim(shard, budget.bytes_max, deadline).await;
        // The bell is made before the read: what is committed between read and watch is seen by the watch.
        let results = read(shard, parts, claim.as_ref().map(|claim| claim.bytes)).await;
        let bytes: usize = results
            .iter()
            .flat_map(|result| &result.records)
            .map(Bytes::len)
            .sum();
        let news = results.iter().any(ReadResult::is_news);
        // More than it may have need not be there.
        let enough = claim.map_or(0, |claim| claim.bytes.min(budget.bytes_min));
        if bytes >= enough || news || shard.now() >= deadline || shard.stopping() {
            return results;
        }
        // Both are in the order of their places, and a shard that has ended gives no results.
        let mut parts = parts.iter();
        let seen: Vec<(TopicPartition, Offset)> = results
            .iter()
            .filter_map(|result| {
                let part = parts.find(|part| part.place == result.place)?;
                Some((part.name, result.high_watermark))
            })
            .collect();
        if !shard.wait_for_more(&seen, deadline).await {
            // Nothing has come that was looked for.
            return results;
        }
    }
}

/// Memory for the records; `None`: there was none until the deadline, and the answer has to do without records.
async fn claim(shard: &Shard, wanted: usize, deadline: Duration) -> Option<Claim<'_>> {
    loop {
        let unsent = shard.connection_counters.unsent.get();
        let claim = shard.reply_memory.claim(wanted, unsent);
        if claim.is_some() || shard.now() >= deadline || shard.stopping() {
            return claim;
        }
        // Consumers that do not read hold it all: not a case worth a queue.
        rinka_reactor::sleep(MEMORY_RETRY).await;
    }
}

/// Reads every part on its shard, in the order of the request, within the byte budget; the first batch found is always given.
/// `None`: no records at all.
async fn read(shard: &Rc<Shard>, parts: &[ReadPart], bytes_max: Option<usize>) -> Vec<ReadResult> {
    let mut started = Vec::with_capacity(shard.shards());
    for (owner, parts) in shard.by_owner(parts, |part| part.name) {
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
    let mut left = bytes_max.unwrap_or(0);
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

async fn read_here(
    shard: &Rc<Shard>,
    parts: Vec<ReadPart>,
    bytes_max: Option<usize>,
) -> Vec<ReadResult> {
    let mut left = bytes_max.unwrap_or(0);
    // Without memory there is no first batch either.
    let mut found_any = bytes_max.is_none();
    let mut results = Vec::with_capacity(parts.len());
    // Of a thousand partitions a consumer has read most to their ends.
    let mut readable = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match look(shard, part) {
            (result, None) => results.push(result),
            (result, Some(partition)) => readable.push((part, result, partition)),
        }
        if index % LOOKS_AT_A_TIME == 0 {
            rinka_reactor::yield_if_needed().await;
        }
    }
    let mut parts = readable.into_iter();
    while !parts.as_slice().is_empty() {
        // As many as the budget has room for if each brings all it may, and so none is read in vain; one at least.
        let mut wanted = 0;
        let within = parts.as_slice().iter().take_while(|(part, ..)| {
            wanted += part.bytes_max;
            wanted <= left
        });
        let count = within.take(shard.store.reads_at_a_time()).count().max(1);
        let now: Vec<_> = parts.by_ref().take(count).collect();
        let sizes: Vec<usize> = now.iter().map(|(part, ..)| part.bytes_max).collect();
        let reads = now.into_iter().map(|(part, result, partition)| {
            let room = part.bytes_max.min(left);
            // Even a budget of nothing brings the first batch, or a client with a large one would never get on.
            let wanted = room > 0 || !found_any;
            read_part(shard, part, result, partition, room, wanted)
        });
        for (bytes_max, mut result) in sizes.into_iter().zip(all(reads).await) {
            let room = bytes_max.min(left);
            let bytes: usize = result.records.iter().map(Bytes::len).sum();
            // A batch larger than the room is given only when it is the first of all.
            if bytes > 0 && (bytes <= room || !found_any) {
                found_any = true;
                left = left.saturating_sub(bytes);
            } else {
                result.records.clear();
            }
            results.push(result);
        }
        rinka_reactor::yield_if_needed().await;
    }
    results
}

/// Runs all of them side by side; what is in memory is there at once.
async fn all<R>(reads: impl Iterator<Item = R>) -> Vec<ReadResult>
where
    R: Future<Output = ReadResult>,
{
    enum Read<R> {
        UnderWay(Pin<Box<R>>),
        Done(ReadResult),
    }
    let mut started = Vec::with_capacity(reads.size_hint().0);
    for read in reads {
        let mut read = Box::pin(read);
        started.push(match poll_once(read.as_mut()).await {
            Some(result) => Read::Done(result),
            None => Read::UnderWay(read),
        });
    }
    let mut results = Vec::with_capacity(started.len());
    for read in started {
        results.push(match read {
            Read::Done(result) => result,
            Read::UnderWay(read) => read.await,
        });
    }
    results
}

/// What there is to say of a part, and its partition where there is something to read in it.
fn look(shard: &Shard, part: &ReadPart) -> (ReadResult, Option<Rc<Partition>>) {
    let mut result = ReadResult {
        place: part.place,
        records: Vec::new(),
        high_watermark: Offset(-1),
        log_start: Offset(-1),
        diverging: None,
        error: None,
    };
    let Some(partition) = shard.partition(part.name) else {
        result.error = Some(PartitionError::Unknown);
        return (result, None);
    };
    result.high_watermark = partition.high_watermark();
    result.log_start = partition.log_start();
    result.diverging = partition.divergence(part.last_fetched_epoch, part.offset);
    if let Err(error) = partition.check_epoch(part.believed_epoch) {
        partition.count_failed_fetch();
        result.error = Some(error);
        return (result, None);
    }
    if result.diverging.is_some() {
        return (result, None);
    }
    if part.offset == result.high_watermark {
        partition.count_fetch();
        return (result, None);
    }
    (result, Some(partition))
}

async fn read_part(
    shard: &Rc<Shard>,
    part: &ReadPart,
    mut result: ReadResult,
    partition: Rc<Partition>,
    room: usize,
    wanted: bool,
) -> ReadResult {
    // Before the read: what is committed meanwhile is more than was looked at, and a wait begins from here.
    result.high_watermark = partition.high_watermark();
    if wanted {
        match partition.read(shard, part.offset, room).await {
            Ok(records) => result.records = records,
            Err(error) => {
                partition.count_failed_fetch();
                result.error = Some(error);
            }
        }
        result.log_start = partition.log_start();
    }
    result
}
