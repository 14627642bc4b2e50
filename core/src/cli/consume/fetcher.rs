//! Fetches from all leaders at once, each asked for the partitions that it leads; looks for leaders again where they moved.
//!
//! Hands on what came as it came; unpacks nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rinka_net::wire::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};

use crate::cli::client::{
    Address, Client, Deadline, Metadata, Pending, TopicPartition, explain, is_passing,
};
use crate::cli::failure::{Failure, Result, failed};

/// How long a broker may wait for records: shorter where others wait for their turn to be read.
const WAIT_ALONE_MS: i32 = 500;
const WAIT_AMONG_OTHERS_MS: i32 = 100;

/// Asked of a partition in the beginning, and at most, should a batch be larger.
const PARTITION_BYTES: i32 = 1 << 20;
const PARTITION_BYTES_MAX: i32 = 128 << 20;

/// Asked of a broker.
const ANSWER_BYTES: i32 = 16 << 20;

/// Between two rounds when leaders have to be looked for.
const PAUSE: Duration = Duration::from_millis(100);

/// The highest version of Fetch that has topics by name.
const BY_NAME: i16 = 12;

/// The offset is not there, or not any more.
pub(super) const OUT_OF_RANGE: ErrorCode = ErrorCode::OFFSET_OUT_OF_RANGE;

/// Whether the partition is not there any more.
pub(super) fn is_gone(code: ErrorCode) -> bool {
    code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
}

pub(super) struct Fetcher {
    pub(super) client: Client,
    metadata: Metadata,
    read_committed: bool,
    /// How long trouble may last.
    timeout: Duration,
    trouble: Option<Deadline>,
    /// Where a batch did not fit into what was asked for.
    sizes: BTreeMap<TopicPartition, i32>,
    /// Rounds so far, for whose turn it is to come first.
    rounds: usize,
    /// Topics that are not known any more, and since when: a topic is told to be gone by more than one answer.
    unknown: BTreeMap<String, Instant>,
}

/// What came of one partition.
pub(super) struct Fetched {
    pub(super) at: TopicPartition,
    pub(super) data: std::result::Result<Data, ErrorCode>,
}

pub(super) struct Data {
    pub(super) records: Vec<Bytes>,
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl Fetcher {
    pub(super) fn new(client: Client, read_committed: bool, timeout: Duration) -> Self {
        Self {
            client,
            metadata: Metadata::default(),
            read_committed,
            timeout,
            trouble: None,
            sizes: BTreeMap::new(),
            rounds: 0,
            unknown: BTreeMap::new(),
        }
    }

    /// Looks for the leaders of these topics.
    pub(super) fn refresh(&mut self, topics: &[String]) -> Result<()> {
        let deadline = self.client.deadline();
        self.metadata = self.client.metadata(Some(topics), deadline)?;
        Ok(())
    }

    /// Whether the last fetch of a partition brought anything that could be used. A batch may be larger than what was asked for:
    /// then more is asked for, up to a limit.
    pub(super) fn on_progress(&mut self, at: &TopicPartition, progress: bool) -> Result<()> {
        if progress {
            self.sizes.remove(at);
            return Ok(());
        }
        let size = self.sizes.entry(at.clone()).or_insert(PARTITION_BYTES);
        if *size >= PARTITION_BYTES_MAX {
            return failed(format!(
                "{at}: the broker sends records, and none of them is the next"
            ));
        }
        *size = size.saturating_mul(2).min(PARTITION_BYTES_MAX);
        Ok(())
    }

    /// One round: waits for records a moment where there are none.
    pub(super) fn fetch(
        &mut self,
        positions: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Vec<Fetched>> {
        let mut by_leader: BTreeMap<Address, Vec<(&TopicPartition, i64)>> = BTreeMap::new();
        let mut trouble = None;
        for (at, next) in positions {
            match self.metadata.leader(at) {
                Some(leader) => by_leader
                    .entry(leader.clone())
                    .or_default()
                    .push((at, *next)),
                None => trouble = Some(format!("{at} has no leader")),
            }
        }
        let wait = if by_leader.len() > 1 || trouble.is_some() {
            WAIT_AMONG_OTHERS_MS
        } else {
            WAIT_ALONE_MS
        };
        self.rounds = self.rounds.wrapping_add(1);
        let deadline = self.client.deadline();
        let mut pending: Vec<(Address, Pending)> = Vec::new();
        let mut fetched = Vec::new();
        for (leader, mut partitions) in by_leader {
            // Whoever comes first is served first: everybody's turn comes.
            let first = self.rounds % partitions.len();
            partitions.rotate_left(first);
            let (request, version_max) = self.request(&partitions, wait);
            let sent = self
                .client
                .send(&leader, ApiKey::Fetch, version_max, &request, deadline);
            match sent {
                Ok(sent) => pending.push((leader, sent)),
                Err(Failure::Connection(reason)) => trouble = Some(reason),
                Err(failure) => return Err(self.without_answers(&pending, failure)),
            }
        }
        while let Some((leader, sent)) = pending.pop() {
            let response: FetchResponse = match self.client.receive(&leader, &sent, deadline) {
                Ok(response) => response,
                Err(Failure::Connection(reason)) => {
                    trouble = Some(reason);
                    continue;
                }
                Err(failure) => return Err(self.without_answers(&pending, failure)),
            };
            if response.error_code.is_error() {
                trouble = Some(explain(response.error_code, None));
            }
            if let Some(reason) = self.take(response, positions, &mut fetched) {
                trouble = Some(reason);
            }
        }
        if positions.is_empty() {
            // Nothing to wait for but topics that may come.
            std::thread::sleep(PAUSE);
        }
        match trouble {
            Some(reason) => self.on_trouble(reason, positions)?,
            None => self.trouble = None,
        }
        Ok(fetched)
    }

    /// Answers that nobody waits for must not be taken for those of what is asked next.
    fn without_answers(&mut self, pending: &[(Address, Pending)], failure: Failure) -> Failure {
        for (leader, _) in pending {
            self.client.forget(leader);
        }
        failure
    }

    fn on_trouble(
        &mut self,
        reason: String,
        positions: &BTreeMap<TopicPartition, i64>,
    ) -> Result<()> {
        let deadline = *self
            .trouble
            .get_or_insert_with(|| Deadline::after(self.timeout));
        if deadline.left().is_zero() {
            return failed(format!("{reason}; gave up after {deadline} (--timeout)"));
        }
        std::thread::sleep(PAUSE);
        let mut topics: Vec<String> = positions.keys().map(|at| at.topic.clone()).collect();
        topics.dedup();
        match self.client.metadata(Some(&topics), deadline) {
            Ok(metadata) => self.metadata = metadata,
            // The next round finds out whether it lasts.
            Err(Failure::Connection(_)) => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn request(&self, partitions: &[(&TopicPartition, i64)], wait: i32) -> (FetchRequest, i16) {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut version_max = i16::MAX;
        for (at, next) in partitions {
            let name = at.topic.as_str();
            let index = match topics.iter().position(|topic| *topic.topic == *name) {
                Some(index) => index,
                None => {
                    let known = self.metadata.topics.get(name);
                    let topic_id = known.map_or_else(Default::default, |topic| topic.id);
                    if topic_id.is_nil() {
                        version_max = BY_NAME;
                    }
                    topics.push(FetchTopic {
                        topic: Text::from(at.topic.clone()),
                        topic_id,
                        partitions: Vec::new(),
                    });
                    topics.len() - 1
                }
            };
            topics[index].partitions.push(FetchPartition {
                partition: at.partition,
                fetch_offset: *next,
                partition_max_bytes: self.sizes.get(at).copied().unwrap_or(PARTITION_BYTES),
                ..Default::default()
            });
        }
        let request = FetchRequest {
            max_wait_ms: wait,
            min_bytes: 1,
            max_bytes: ANSWER_BYTES,
            isolation_level: self.read_committed.into(),
            topics,
            ..Default::default()
        };
        (request, version_max)
    }

    /// Sorts an answer into what can be used; returns what has to be asked for again.
    fn take(
        &mut self,
        response: FetchResponse,
        positions: &BTreeMap<TopicPartition, i64>,
        fetched: &mut Vec<Fetched>,
    ) -> Option<String> {
        let mut trouble = None;
        for topic in response.responses {
            let name = if topic.topic.is_empty() {
                self.metadata.name_of(topic.topic_id).map(str::to_owned)
            } else {
                Some(topic.topic.to_string())
            };
            let Some(name) = name else { continue };
            for partition in topic.partitions {
                let at = TopicPartition {
                    topic: name.clone(),
                    partition: partition.partition_index,
                };
                // Only what was asked for: a broker may say what it likes.
                if !positions.contains_key(&at) {
                    continue;
                }
                let code = partition.error_code;
                if code.is_error() {
                    if is_passing(code) || (is_gone(code) && !self.is_gone_for_good(&name)) {
                        trouble = Some(format!("{at}: {}", explain(code, None)));
                    } else {
                        fetched.push(Fetched {
                            at,
                            data: Err(code),
                        });
                    }
                    continue;
                }
                self.unknown.remove(&name);
                let records = partition.records.0.unwrap_or_default();
                if records.iter().any(|part| !part.is_empty()) {
                    let aborted = partition.aborted_transactions.unwrap_or_default();
                    let data = Ok(Data { records, aborted });
                    fetched.push(Fetched { at, data });
                }
            }
        }
        trouble
    }

    /// A broker that does not know a topic may only not know it yet.
    fn is_gone_for_good(&mut self, topic: &str) -> bool {
        const AFTER: Duration = Duration::from_secs(2);
        let since = self.unknown.entry(topic.to_owned());
        since.or_insert_with(Instant::now).elapsed() >= AFTER
    }
}
