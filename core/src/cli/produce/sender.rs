//! Batches on their way: one of each partition at a time, sent again until its deadline where the answer was "not now".
//!
//! With acks=all every batch has a sequence number of an idempotent producer (KIP-98), so that sending again makes no doubles.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rinka_net::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use rinka_net::wire::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use rinka_net::wire::{ApiKey, ErrorCode, Records, Text};
use rinka_storage::compression::Codec;
use rinka_storage::record_batch::RecordBatchBuilder;

use super::input::Record;
use super::partitioner::Partitioner;
use super::tally::Tally;
use crate::cli::client::{
    Address, Attempt, Client, Deadline, Metadata, Pending, TopicPartition, explain, is_passing,
};
use crate::cli::failure::{Failure, Result, failed};

/// A batch is closed at this size, before packing: half of what brokers take by default, so that what comes on top has room.
const BATCH_BYTES: usize = 512 << 10;

/// All that waits to be sent.
const HELD_BYTES_MAX: usize = 8 << 20;

/// Between two rounds when a batch was not taken.
const PAUSE: Duration = Duration::from_millis(100);

/// The highest version of Produce that has topics by name.
const BY_NAME: i16 = 12;

pub(super) struct SenderOptions {
    pub(super) topic: String,
    pub(super) acks: i16,
    pub(super) codec: Codec,
}

pub(super) struct Sender {
    client: Client,
    metadata: Metadata,
    partitioner: Partitioner,
    options: SenderOptions,
    producer: Option<Producer>,
    batches: BTreeMap<i32, VecDeque<Batch>>,
    held_bytes: usize,
    tally: Tally,
}

/// An idempotent producer: its id, epoch, and the next sequence number of each partition.
struct Producer {
    id: i64,
    epoch: i16,
    sequences: BTreeMap<i32, i32>,
}

#[derive(Default)]
struct Batch {
    /// With the numbers of their lines.
    records: Vec<(u64, Record)>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, line: u64, record: Record) {
        self.bytes += record.size();
        self.records.push((line, record));
    }

    fn from_records(records: Vec<(u64, Record)>) -> Self {
        let bytes = records.iter().map(|(_, record)| record.size()).sum();
        Self { records, bytes }
    }
}

impl Sender {
    pub(super) fn new(
        mut client: Client,
        metadata: Metadata,
        partitioner: Partitioner,
        options: SenderOptions,
    ) -> Result<Self> {
        let producer = if options.acks == -1 {
            producer(&mut client)?
        } else {
            None
        };
        Ok(Self {
            client,
            metadata,
            partitioner,
            options,
            producer,
            batches: BTreeMap::new(),
            held_bytes: 0,
            tally: Tally::default(),
        })
    }

    pub(super) fn add(&mut self, line: u64, record: Record) {
        let partition = match record.partition {
            Some(partition) if self.partitioner.has(partition) => partition,
            Some(partition) => {
                let count = self.partitioner.count();
                let reason = format!("there is no partition {partition}; the topic has {count}");
                return self.refuse(line, &reason);
            }
            None => self.partitioner.partition(record.key.as_deref()),
        };
        let size = record.size();
        let batches = self.batches.entry(partition).or_default();
        let fits = |batch: &Batch| batch.bytes + size <= BATCH_BYTES || batch.records.is_empty();
        if !batches.back().is_some_and(fits) {
            // The batch before it is full.
            if !batches.is_empty() {
                self.partitioner.on_batch(partition);
            }
            batches.push_back(Batch::default());
        }
        let batch = batches.back_mut().expect("one was put there");
        batch.push(line, record);
        self.held_bytes += size;
    }

    /// A line that is no record.
    pub(super) fn refuse(&mut self, line: u64, reason: &str) {
        self.tally.on_failed(line, reason);
    }

    pub(super) fn is_full(&self) -> bool {
        self.held_bytes >= HELD_BYTES_MAX
    }

    pub(super) fn sent(&self) -> i64 {
        self.tally.sent()
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Sends all that waits. Fails where the broker does not take it within the deadline; every line is accounted for then.
    pub(super) fn flush(&mut self) -> Result<()> {
        let mut deadline = self.client.deadline();
        while !self.batches.is_empty() {
            let round = self.round(deadline);
            let (progress, reason) = match round {
                Ok(round) => round,
                Err(Failure::Connection(reason)) => (false, reason),
                Err(failure) => {
                    self.give_up(&format!("not acknowledged: {failure}"));
                    return Err(failure);
                }
            };
            self.batches.retain(|_, batches| !batches.is_empty());
            if progress {
                // The deadline is for one batch, not for all that was read.
                deadline = self.client.deadline();
                continue;
            }
            if deadline.left() <= PAUSE {
                let reason = format!("{reason}; gave up after {deadline} (--timeout)");
                self.give_up(&format!(
                    "not acknowledged, and may be written or not: {reason}"
                ));
                return failed(reason);
            }
            std::thread::sleep(PAUSE);
            let topics = [self.options.topic.clone()];
            match self.client.metadata(Some(&topics), deadline) {
                Ok(metadata) => self.metadata = metadata,
                Err(failure) => {
                    self.give_up(&format!(
                        "not acknowledged, and may be written or not: {failure}"
                    ));
                    return Err(failure);
                }
            }
        }
        self.held_bytes = 0;
        // Whoever has no key goes elsewhere with the next batch.
        self.partitioner.on_batch(self.partitioner.partition(None));
        Ok(())
    }

    fn give_up(&mut self, reason: &str) {
        for batch in std::mem::take(&mut self.batches).into_values().flatten() {
            for (line, _) in batch.records {
                self.tally.on_failed(line, reason);
            }
        }
        self.held_bytes = 0;
    }

    /// One batch of each partition, to all leaders at once. Whether any was settled, and why one was not.
    fn round(&mut self, deadline: Deadline) -> Result<(bool, String)> {
        let mut by_leader: BTreeMap<Address, Vec<i32>> = BTreeMap::new();
        let mut progress = false;
        let mut reason = "no partition has a leader".to_owned();
        for partition in self.batches.keys() {
            let at = TopicPartition {
                topic: self.options.topic.clone(),
                partition: *partition,
            };
            if let Some(leader) = self.metadata.leader(&at) {
                by_leader
                    .entry(leader.clone())
                    .or_default()
                    .push(*partition);
            }
        }
        let mut pending: Vec<(Address, Pending, Vec<i32>)> = Vec::new();
        for (leader, partitions) in by_leader {
            let request = self.request(&partitions, deadline);
            match self.client.send(
                &leader,
                ApiKey::Produce,
                self.version_max(),
                &request,
                deadline,
            ) {
                Ok(sent) => pending.push((leader, sent, partitions)),
                Err(Failure::Connection(text)) => reason = text,
                Err(failure) => return Err(failure),
            }
        }
        for (leader, sent, partitions) in pending {
            if self.options.acks == 0 {
                // Nobody answers.
                for partition in partitions {
                    self.on_written(partition);
                }
                progress = true;
                continue;
            }
            let response: ProduceResponse = match self.client.receive(&leader, &sent, deadline) {
                Ok(response) => response,
                Err(Failure::Connection(text)) => {
                    reason = text;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let answers = response.responses.into_iter();
            for answer in answers.flat_map(|topic| topic.partition_responses) {
                if !partitions.contains(&answer.index) {
                    continue;
                }
                match self.on_answer(&answer) {
                    None => progress = true,
                    Some(text) => reason = format!("partition {}: {text}", answer.index),
                }
            }
        }
        Ok((progress, reason))
    }

    /// With the topic's id where the cluster has one; then also a topic that was made anew is told from the old one.
    fn version_max(&self) -> i16 {
        match self.metadata.topics.get(&self.options.topic) {
            Some(topic) if !topic.id.is_nil() => i16::MAX,
            _ => BY_NAME,
        }
    }

    fn request(&self, partitions: &[i32], deadline: Deadline) -> ProduceRequest {
        let topic = self.metadata.topics.get(&self.options.topic);
        let data = |partition: &i32| PartitionProduceData {
            index: *partition,
            records: Records(Some(vec![self.packed(*partition)])),
        };
        ProduceRequest {
            acks: self.options.acks,
            timeout_ms: deadline.milliseconds(),
            topic_data: vec![TopicProduceData {
                name: Text::from(self.options.topic.clone()),
                topic_id: topic.map_or_else(Default::default, |topic| topic.id),
                partition_data: partitions.iter().map(data).collect(),
            }],
            ..Default::default()
        }
    }

    /// The first batch of a partition, as it is sent; the same bytes each time.
    fn packed(&self, partition: i32) -> bytes::Bytes {
        let mut builder = RecordBatchBuilder::new().codec(self.options.codec);
        if let Some(producer) = &self.producer {
            let sequence = producer.sequences.get(&partition).copied().unwrap_or(0);
            builder = builder.producer(producer.id, producer.epoch, sequence);
        }
        let batch = self.batches.get(&partition).and_then(VecDeque::front);
        for (_, record) in batch.into_iter().flat_map(|batch| &batch.records) {
            let headers: Vec<(&str, Option<&[u8]>)> = record
                .headers
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_deref()))
                .collect();
            builder.append_with_headers(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            );
        }
        builder.build()
    }

    fn first(&mut self, partition: i32) -> Option<Batch> {
        self.batches.get_mut(&partition)?.pop_front()
    }

    fn on_written(&mut self, partition: i32) {
        let Some(batch) = self.first(partition) else {
            return;
        };
        let count = batch.records.len();
        self.tally.on_written(count, batch.bytes);
        if let Some(producer) = &mut self.producer {
            let sequence = producer.sequences.entry(partition).or_default();
            let next = i64::from(*sequence) + i64::try_from(count).expect("a batch is below 2 GiB");
            // After the largest comes 0.
            *sequence = i32::try_from(next & i64::from(i32::MAX)).expect("masked to 31 bits");
        }
    }

    /// Settles the first batch of a partition, or says why it must be sent again.
    fn on_answer(&mut self, answer: &PartitionProduceResponse) -> Option<String> {
        let partition = answer.index;
        let code = answer.error_code;
        let text = explain(code, answer.error_message.as_deref());
        if matches!(code, ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER) {
            self.on_written(partition);
            return None;
        }
        if is_passing(code) {
            return Some(text);
        }
        let batch = self.first(partition)?;
        let count = batch.records.len();
        let mut rest: Vec<Batch> = Vec::new();
        let too_large = matches!(
            code,
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE
        );
        if too_large && count > 1 {
            // Each half for itself: only a record that is too large on its own is refused in the end.
            let mut records = batch.records;
            let half = records.split_off(count / 2);
            rest = vec![Batch::from_records(records), Batch::from_records(half)];
        } else if !answer.record_errors.is_empty() {
            // The batch is refused for the sake of some of its records: the others are sent again without them.
            let fault = |index: usize| {
                let index = i32::try_from(index).ok()?;
                let errors = answer.record_errors.iter();
                errors.clone().find(|error| error.batch_index == index)
            };
            let mut good = Vec::new();
            for (index, (line, record)) in batch.records.into_iter().enumerate() {
                match fault(index) {
                    Some(error) => {
                        let words = error.batch_index_error_message.as_deref();
                        let words = words.or(answer.error_message.as_deref());
                        self.tally.on_failed(line, &explain(code, words));
                    }
                    None => good.push((line, record)),
                }
            }
            if good.len() == count {
                // The broker names records that the batch does not have.
                for (line, _) in good {
                    self.tally.on_failed(line, &text);
                }
            } else if !good.is_empty() {
                rest.push(Batch::from_records(good));
            }
        } else {
            for (line, _) in batch.records {
                self.tally.on_failed(line, &text);
            }
        }
        let batches = self.batches.entry(partition).or_default();
        for batch in rest.into_iter().rev() {
            batches.push_front(batch);
        }
        None
    }
}

/// A producer id, or nothing where the broker does not give one: then a batch that is sent again may be written twice.
fn producer(client: &mut Client) -> Result<Option<Producer>> {
    let deadline = client.deadline();
    let any = client.any(deadline)?;
    if !client.offers(&any, ApiKey::InitProducerId, deadline)? {
        return Ok(None);
    }
    let request = InitProducerIdRequest {
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    client.retrying(deadline, |client| {
        let any = client.any(deadline)?;
        let response: InitProducerIdResponse =
            client.call(&any, ApiKey::InitProducerId, &request, deadline)?;
        let code = response.error_code;
        Ok(match code {
            ErrorCode::NONE => Attempt::Done(Some(Producer {
                id: response.producer_id,
                epoch: response.producer_epoch,
                sequences: BTreeMap::new(),
            })),
            code if is_passing(code) => Attempt::Again(explain(code, None)),
            // Not allowed, perhaps: it is not needed.
            _ => Attempt::Done(None),
        })
    })
}
