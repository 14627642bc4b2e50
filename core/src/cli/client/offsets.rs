//! The ends of partitions and offsets by time, from whoever leads them (ListOffsets).
//!
//! Each partition is asked for once in a call: brokers refuse doubles.

use std::collections::BTreeMap;

use rinka_net::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};

use super::{Address, Client, Deadline, Metadata, TopicPartition, is_passing};
use crate::cli::failure::{Failure, Result};

/// What is asked of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Earliest,
    /// Behind the last record that consumers may see.
    Latest,
    /// Of the first record that is not older, in milliseconds since 1970.
    Time(i64),
}

impl Mark {
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::Time(milliseconds) => milliseconds.max(0),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Ask again until the deadline where a leader is missing.
    Wait,
    /// Take what can be had at once.
    Once,
}

/// The offset, nothing where no record is that young, or why it is not known.
pub(crate) type OffsetAnswer = std::result::Result<Option<i64>, ErrorCode>;

impl Client {
    pub(crate) fn offsets(
        &mut self,
        wanted: &BTreeMap<TopicPartition, Mark>,
        patience: Patience,
        deadline: Deadline,
    ) -> Result<BTreeMap<TopicPartition, OffsetAnswer>> {
        let mut answers: BTreeMap<TopicPartition, OffsetAnswer> = wanted
            .keys()
            .map(|at| (at.clone(), Err(ErrorCode::LEADER_NOT_AVAILABLE)))
            .collect();
        let mut topics: Vec<String> = wanted.keys().map(|at| at.topic.clone()).collect();
        topics.dedup();
        loop {
            let metadata = self.metadata(Some(&topics), deadline)?;
            for (address, partitions) in self.unanswered(wanted, &mut answers, &metadata) {
                let request = request(&partitions, wanted, deadline);
                let response: ListOffsetsResponse =
                    match self.call(&address, ApiKey::ListOffsets, &request, deadline) {
                        Ok(response) => response,
                        // Asked again below, perhaps of another leader.
                        Err(Failure::Connection(_)) => continue,
                        Err(failure) => return Err(failure),
                    };
                take(response, &mut answers);
            }
            let waiting = answers.values().any(|answer| answer.is_err_and(is_passing));
            let pause = super::RETRY_MAX / 4;
            if !waiting || patience == Patience::Once || deadline.left() <= pause {
                return Ok(answers);
            }
            std::thread::sleep(pause);
        }
    }

    /// What has no answer yet, by leader; notes topics that are not there.
    fn unanswered(
        &self,
        wanted: &BTreeMap<TopicPartition, Mark>,
        answers: &mut BTreeMap<TopicPartition, OffsetAnswer>,
        metadata: &Metadata,
    ) -> BTreeMap<Address, Vec<TopicPartition>> {
        let mut by_leader: BTreeMap<Address, Vec<TopicPartition>> = BTreeMap::new();
        for at in wanted.keys() {
            let Some(Err(code)) = answers.get(at) else {
                continue;
            };
            if !is_passing(*code) {
                continue;
            }
            if let Some(leader) = metadata.leader(at) {
                let partitions = by_leader.entry(leader.clone()).or_default();
                partitions.push(at.clone());
                continue;
            }
            let topic = metadata.topics.get(&at.topic);
            let code = match topic {
                Some(topic) if topic.error.is_error() => topic.error,
                Some(topic) if topic.partitions.contains_key(&at.partition) => {
                    ErrorCode::LEADER_NOT_AVAILABLE
                }
                _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            answers.insert(at.clone(), Err(code));
        }
        by_leader
    }
}

fn request(
    partitions: &[TopicPartition],
    wanted: &BTreeMap<TopicPartition, Mark>,
    deadline: Deadline,
) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    // In the order of topics, so that each gets one place.
    for at in partitions {
        if topics.last().is_none_or(|topic| *topic.name != *at.topic) {
            topics.push(ListOffsetsTopic {
                name: Text::from(at.topic.clone()),
                ..Default::default()
            });
        }
        let topic = topics.last_mut().expect("one was put there");
        topic.partitions.push(ListOffsetsPartition {
            partition_index: at.partition,
            timestamp: wanted[at].timestamp(),
            ..Default::default()
        });
    }
    ListOffsetsRequest {
        replica_id: -1,
        topics,
        timeout_ms: deadline.milliseconds(),
        ..Default::default()
    }
}

/// Takes the answers that were asked for, and nothing else that a broker may name.
fn take(response: ListOffsetsResponse, answers: &mut BTreeMap<TopicPartition, OffsetAnswer>) {
    for topic in response.topics {
        for partition in topic.partitions {
            let at = TopicPartition {
                topic: topic.name.to_string(),
                partition: partition.partition_index,
            };
            if let Some(answer) = answers.get_mut(&at) {
                *answer = match partition.error_code {
                    ErrorCode::NONE => Ok(Some(partition.offset).filter(|offset| *offset >= 0)),
                    code => Err(code),
                };
            }
        }
    }
}
