//! A blocking connection to a broker, and the few requests that a run needs before its clock starts.
//!
//! Never retries: an error ends the run.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use rinka_net::wire::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use rinka_net::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Field, Text, decode_response, encode_request};

/// A broker that says nothing for so long has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The largest answer that is believed.
const FRAME_BYTES_MAX: usize = 256 << 20;

pub(crate) type Result<T> = std::result::Result<T, String>;

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
}

/// Where the partitions of a topic are.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    /// Address of the leader, by partition.
    pub(crate) leaders: BTreeMap<i32, String>,
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
        Ok(Self { stream })
    }

    pub(crate) fn send(&mut self, parts: &[Bytes]) -> Result<()> {
        for part in parts {
            self.stream
                .write_all(part)
                .map_err(|error| format!("the broker takes no more: {error}"))?;
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
        self.send(&encode_request(api, version, 0, Some(&name), request))?;
        let frame = self.receive()?;
        let (_, response) =
            decode_response(api, version, frame).map_err(|error| format!("{api}: {error}"))?;
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
        let code = response
            .topics
            .first()
            .map_or(ErrorCode::NONE, |topic| topic.error_code);
        if code.is_error() && code != ErrorCode::TOPIC_ALREADY_EXISTS {
            return Err(format!("topic {name} cannot be created: {code}"));
        }
        Ok(())
    }

    /// Who leads the partitions of a topic. Waits for leaders, which a new topic may not have at once.
    pub(crate) fn topic(&mut self, name: &str) -> Result<Topic> {
        for _ in 0..100 {
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
            std::thread::sleep(Duration::from_millis(50));
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
}
