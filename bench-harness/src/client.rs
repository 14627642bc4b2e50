//! A blocking connection to a broker, and the few requests that a run needs before its clock starts.
//!
//! Waits for the leaders of a new topic; retries nothing else: an error ends the run.

use std::collections::BTreeMap;
use std::io::{IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use rinka_net::wire::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use rinka_net::wire::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use rinka_net::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use rinka_net::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic,
};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Field, Text, decode_response, encode_request};

/// A broker that says nothing for so long has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A new topic's leaders are looked for so often, and in between so long.
const LOOKS: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The largest answer that is believed.
const FRAME_BYTES_MAX: usize = 256 << 20;

pub(crate) type Result<T> = std::result::Result<T, String>;

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// Of the last call.
    correlation: i32,
}

/// Where the partitions of a topic are.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    /// Address of the leader, by partition.
    pub(crate) leaders: BTreeMap<i32, String>,
}

impl Topic {
    /// The addresses that lead any partition.
    pub(crate) fn brokers(&self) -> Vec<&str> {
        let mut brokers: Vec<&str> = self.leaders.values().map(String::as_str).collect();
        brokers.sort_unstable();
        brokers.dedup();
        brokers
    }

    /// The partitions that an address leads.
    pub(crate) fn led_by(&self, broker: &str) -> impl Iterator<Item = i32> {
        self.leaders
            .iter()
            .filter(move |(_, leader)| *leader == broker)
            .map(|(partition, _)| *partition)
    }

    /// What the leaders say of an end of their partitions, once they lead them.
    pub(crate) fn offsets(&self, name: &str, mark: Mark) -> Result<BTreeMap<i32, i64>> {
        let mut offsets = BTreeMap::new();
        for broker in self.brokers() {
            let partitions: Vec<i32> = self.led_by(broker).collect();
            offsets.extend(Client::connect(broker)?.offsets(name, &partitions, mark)?);
        }
        Ok(offsets)
    }
}

impl Client {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        stream
            .set_read_timeout(Some(ANSWER_WITHIN))
            .map_err(|error| error.to_string())?;
        stream
            .set_write_timeout(Some(ANSWER_WITHIN))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            correlation: 0,
        })
    }

    /// One call for the whole frame when the socket has room, as real clients do.
    pub(crate) fn send(&mut self, parts: Vec<Bytes>) -> Result<()> {
        let failed = |error: std::io::Error| format!("the broker takes no more: {error}");
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = &mut slices[..];
        // Empty slices in front are let go.
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match self.stream.write_vectored(slices) {
                Ok(0) => return Err(failed(std::io::ErrorKind::WriteZero.into())),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// The next response, without its length.
    pub(crate) fn receive(&mut self) -> Result<Bytes> {
        let failed = |error: std::io::Error| format!("the broker does not answer: {error}");
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(failed)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(format!("an answer of {length} bytes is none"));
        }
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame).map_err(failed)?;
        Ok(Bytes::from(frame))
    }

    pub(crate) fn call<R: Field>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Field,
    ) -> Result<R> {
        let name = Text::from("rinka-bench");
        self.correlation = self.correlation.wrapping_add(1);
        let frame = encode_request(api, version, self.correlation, Some(&name), request);
        self.send(frame)?;
        let frame = self.receive()?;
        let (correlation, response) =
            decode_response(api, version, frame).map_err(|error| format!("{api}: {error}"))?;
        if correlation != self.correlation {
            return Err(format!("{api}: answer to another request"));
        }
        Ok(response)
    }

    /// Creates the topic unless it is there.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32) -> Result<()> {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: Text::from(name.to_owned()),
                num_partitions: partitions,
                replication_factor: 1,
                ..Default::default()
            }],
            ..Default::default()
        };
        let response: CreateTopicsResponse = self.call(ApiKey::CreateTopics, 5, &request)?;
        let topic = response.topics.first();
        let code = topic.ok_or("the broker names no topic")?.error_code;
        if code.is_error() && code != ErrorCode::TOPIC_ALREADY_EXISTS {
            return Err(format!("topic {name} cannot be created: {code}"));
        }
        Ok(())
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<()> {
        let request = DeleteTopicsRequest {
            topic_names: vec![Text::from(name.to_owned())],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response: DeleteTopicsResponse = self.call(ApiKey::DeleteTopics, 5, &request)?;
        let topic = response.responses.first();
        match topic.ok_or("the broker names no topic")?.error_code {
            ErrorCode::NONE => Ok(()),
            code => Err(format!("topic {name} cannot be deleted: {code}")),
        }
    }

    /// Who leads the partitions of a topic. Waits for leaders, which a new topic may not have at once.
    pub(crate) fn topic(&mut self, name: &str) -> Result<Topic> {
        for _ in 0..LOOKS {
            let request = MetadataRequest {
                topics: Some(vec![MetadataRequestTopic {
                    name: Some(Text::from(name.to_owned())),
                    ..Default::default()
                }]),
                allow_auto_topic_creation: false,
                ..Default::default()
            };
            let response: MetadataResponse = self.call(ApiKey::Metadata, 9, &request)?;
            let address = |id: i32| {
                let broker = response
                    .brokers
                    .iter()
                    .find(|broker| broker.node_id == id)?;
                Some(format!("{}:{}", broker.host, broker.port))
            };
            let topic = response.topics.first().ok_or("the broker names no topic")?;
            let leaders: BTreeMap<i32, String> = topic
                .partitions
                .iter()
                .filter_map(|partition| {
                    Some((partition.partition_index, address(partition.leader_id)?))
                })
                .collect();
            if !topic.error_code.is_error()
                && !leaders.is_empty()
                && leaders.len() == topic.partitions.len()
            {
                return Ok(Topic { leaders });
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("topic {name} has no leaders; --create makes it"))
    }

    pub(crate) fn producer_id(&mut self) -> Result<i64> {
        let request = InitProducerIdRequest {
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let response: InitProducerIdResponse = self.call(ApiKey::InitProducerId, 3, &request)?;
        match response.error_code {
            ErrorCode::NONE => Ok(response.producer_id),
            code => Err(format!("no producer id: {code}")),
        }
    }

    /// The first offset of partitions, or the one behind the last that consumers may see, by partition. A broker may name itself
    /// leader before it has begun to lead: then it is asked again.
    pub(crate) fn offsets(
        &mut self,
        topic: &str,
        partitions: &[i32],
        mark: Mark,
    ) -> Result<BTreeMap<i32, i64>> {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: Text::from(topic.to_owned()),
                partitions: partitions
                    .iter()
                    .map(|partition| ListOffsetsPartition {
                        partition_index: *partition,
                        timestamp: mark as i64,
                        ..Default::default()
                    })
                    .collect(),
            }],
            ..Default::default()
        };
        for _ in 0..LOOKS {
            let response: ListOffsetsResponse = self.call(ApiKey::ListOffsets, 4, &request)?;
            let answers = response.topics.iter().flat_map(|topic| &topic.partitions);
            let not_yet = |code| {
                matches!(
                    code,
                    ErrorCode::NOT_LEADER_OR_FOLLOWER
                        | ErrorCode::LEADER_NOT_AVAILABLE
                        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                )
            };
            if answers.clone().any(|answer| not_yet(answer.error_code)) {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            let offset = |answer: &ListOffsetsPartitionResponse| match answer.error_code {
                ErrorCode::NONE => Ok((answer.partition_index, answer.offset)),
                code => {
                    let partition = answer.partition_index;
                    Err(format!("partition {partition} tells no offset: {code}"))
                }
            };
            return answers.map(offset).collect();
        }
        Err(format!("topic {topic} has no leaders"))
    }
}

/// An end of a partition, as ListOffsets asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Earliest = -2,
    /// The high watermark.
    Latest = -1,
}
