//! Brokers, topics and leaders, as the Metadata API has them.
//!
//! Creates no topic by asking for it, but for who means to write to it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use uuid::Uuid;

use super::{Address, Attempt, Client, Deadline, explain, is_passing};
use crate::cli::failure::{Result, failed};
use crate::cli::output::printable;

/// How long a topic that is made on demand may stay unknown.
const ON_DEMAND_WITHIN: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TopicPartition {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", printable(&self.topic), self.partition)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) cluster_id: Option<String>,
    pub(crate) controller_id: i32,
    pub(crate) brokers: BTreeMap<i32, Address>,
    pub(crate) racks: BTreeMap<i32, String>,
    pub(crate) topics: BTreeMap<String, TopicMetadata>,
}

#[derive(Clone, Debug)]
pub(crate) struct TopicMetadata {
    pub(crate) error: ErrorCode,
    /// Nil where the broker has no ids.
    pub(crate) id: Uuid,
    pub(crate) is_internal: bool,
    pub(crate) partitions: BTreeMap<i32, PartitionMetadata>,
}

#[derive(Clone, Debug)]
pub(crate) struct PartitionMetadata {
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) offline: Vec<i32>,
}

impl Metadata {
    /// Where the leader of a partition is, if it has one that is known.
    pub(crate) fn leader(&self, at: &TopicPartition) -> Option<&Address> {
        let partition = self.topics.get(&at.topic)?.partitions.get(&at.partition)?;
        self.brokers.get(&partition.leader)
    }

    /// The name of a topic, from its id.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<&str> {
        let known = |topic: &&TopicMetadata| topic.id == id && !id.is_nil();
        let mut topics = self.topics.iter();
        topics.find_map(|(name, topic)| known(&topic).then_some(name.as_str()))
    }

    fn from_response(response: MetadataResponse) -> Self {
        let mut metadata = Self {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller_id: response.controller_id,
            ..Self::default()
        };
        for broker in response.brokers {
            // A port that is none leaves the broker without an address, as one that is not known.
            if let Ok(port) = u16::try_from(broker.port) {
                let host = broker.host.to_string();
                let address = Address { host, port };
                metadata.brokers.insert(broker.node_id, address);
            }
            if let Some(rack) = broker.rack {
                metadata.racks.insert(broker.node_id, rack.to_string());
            }
        }
        for topic in response.topics {
            let Some(name) = topic.name else { continue };
            let partitions = topic.partitions.into_iter().map(|partition| {
                let described = PartitionMetadata {
                    leader: partition.leader_id,
                    leader_epoch: partition.leader_epoch,
                    replicas: partition.replica_nodes,
                    isr: partition.isr_nodes,
                    offline: partition.offline_replicas,
                };
                (partition.partition_index, described)
            });
            let described = TopicMetadata {
                error: topic.error_code,
                id: topic.topic_id,
                is_internal: topic.is_internal,
                partitions: partitions.collect(),
            };
            metadata.topics.insert(name.to_string(), described);
        }
        metadata
    }
}

impl Client {
    /// The brokers, and these topics; all where none are named. What is wrong with a topic stands beside it.
    pub(crate) fn metadata(
        &mut self,
        topics: Option<&[String]>,
        deadline: Deadline,
    ) -> Result<Metadata> {
        self.ask_metadata(topics, false, deadline)
    }

    /// A topic that the broker makes on demand where `auto.create.topics.enable` holds, as it does for any producer.
    pub(crate) fn topic_on_demand(&mut self, name: &str, deadline: Deadline) -> Result<Metadata> {
        let names = [name.to_owned()];
        let soon = Deadline::after(ON_DEMAND_WITHIN.min(deadline.left()));
        loop {
            let metadata = self.ask_metadata(Some(&names), true, deadline)?;
            let code = metadata.topics.get(name).map(|topic| topic.error);
            // A topic that is being made is not known yet, in Kafka's answer too.
            let unknown = code == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            if !unknown || soon.left().is_zero() {
                break;
            }
            std::thread::sleep(super::RETRY_FIRST);
        }
        self.existing_topics(&names, deadline)
    }

    fn ask_metadata(
        &mut self,
        topics: Option<&[String]>,
        allow_auto_topic_creation: bool,
        deadline: Deadline,
    ) -> Result<Metadata> {
        let named = |name: &String| MetadataRequestTopic {
            name: Some(Text::from(name.clone())),
            ..Default::default()
        };
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(named).collect()),
            allow_auto_topic_creation,
            ..Default::default()
        };
        self.retrying(deadline, |client| {
            let any = client.any(deadline)?;
            let response: MetadataResponse =
                client.call(&any, ApiKey::Metadata, &request, deadline)?;
            let code = response.error_code;
            if is_passing(code) {
                return Ok(Attempt::Again(explain(code, None)));
            }
            if code.is_error() {
                return failed(explain(code, None));
            }
            let metadata = Metadata::from_response(response);
            client.learned = metadata.brokers.values().cloned().collect();
            Ok(Attempt::Done(metadata))
        })
    }

    /// As [`Client::metadata`], where every topic must be there and without an error. Its partitions may be without a leader.
    pub(crate) fn existing_topics(
        &mut self,
        topics: &[String],
        deadline: Deadline,
    ) -> Result<Metadata> {
        self.retrying(deadline, |client| {
            let metadata = client.metadata(Some(topics), deadline)?;
            for name in topics {
                let shown = printable(name);
                let topic = metadata.topics.get(name);
                let code = topic.map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |topic| topic.error);
                if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
                    return failed(no_topic(name));
                }
                if is_passing(code) {
                    return Ok(Attempt::Again(format!(
                        "topic {shown}: {}",
                        explain(code, None)
                    )));
                }
                if code.is_error() {
                    return failed(format!("topic {shown}: {}", explain(code, None)));
                }
            }
            Ok(Attempt::Done(metadata))
        })
    }

    /// Where to send what changes topics and configurations. Any broker passes it on since KRaft; before, the controller must
    /// have it.
    pub(crate) fn controller(&mut self, deadline: Deadline) -> Result<Address> {
        let metadata = self.metadata(Some(&[]), deadline)?;
        match metadata.brokers.get(&metadata.controller_id) {
            Some(address) => Ok(address.clone()),
            None => self.any(deadline),
        }
    }
}

/// That a topic is not there, and what to do about it.
pub(crate) fn no_topic(name: &str) -> String {
    let name = printable(name);
    format!(
        "there is no topic {name}: `rinka topic create {name}` makes it, `rinka topic list` shows those there are"
    )
}
