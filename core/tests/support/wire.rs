//! A connection that sends requests of this repository's own codec and waits for each answer, so that the suite decides the bytes of
//! every batch. Panics at whatever is not an answer without an error.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use rinka_net::wire::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use rinka_net::wire::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use rinka_net::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use rinka_net::wire::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use rinka_net::wire::{ApiKey, ErrorCode, Field, Records, Text, decode_response, encode_request};

/// A broker that says nothing for so long has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Connection {
    stream: TcpStream,
    correlation: i32,
    client_id: Text,
}

impl Connection {
    pub(crate) fn open(bootstrap: &str) -> Self {
        Self::open_as(bootstrap, "rinka-tests")
    }

    /// A connection of a client that calls itself so.
    pub(crate) fn open_as(bootstrap: &str, client_id: &str) -> Self {
        let stream = TcpStream::connect(bootstrap).expect("the broker listens");
        stream
            .set_read_timeout(Some(ANSWER_WITHIN))
            .expect("a socket takes a timeout");
        // A request is written in parts, and the second must not wait for the first one's acknowledgement.
        stream.set_nodelay(true).expect("a socket takes it");
        Self {
            stream,
            correlation: 0,
            client_id: Text::from(client_id.to_owned()),
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call<R: Field>(&mut self, api: ApiKey, version: i16, request: &impl Field) -> R {
        let correlation = self.send(api, version, request);
        self.receive(api, version, correlation)
    }

    /// Sends a request and says its correlation id.
    pub(crate) fn send(&mut self, api: ApiKey, version: i16, request: &impl Field) -> i32 {
        self.correlation += 1;
        let name = Some(&self.client_id);
        for part in encode_request(api, version, self.correlation, name, request) {
            self.stream.write_all(&part).expect("the broker reads");
        }
        self.correlation
    }

    /// Waits for the next answer, which must be the one to `correlation`.
    pub(crate) fn receive<R: Field>(&mut self, api: ApiKey, version: i16, correlation: i32) -> R {
        let mut length = [0; 4];
        self.stream
            .read_exact(&mut length)
            .expect("the broker answers");
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream
            .read_exact(&mut frame)
            .expect("the broker answers");
        let (answered, response) =
            decode_response(api, version, Bytes::from(frame)).expect("an answer of this version");
        assert_eq!(answered, correlation, "answers come in order");
        response
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub(crate) fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest {
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let mut response: InitProducerIdResponse = self.call(ApiKey::InitProducerId, 3, &request);
        // Kafka says so for a moment after its start.
        while response.error_code == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS {
            response = self.call(ApiKey::InitProducerId, 3, &request);
        }
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.producer_id
    }

    /// Appends one batch and returns its base offset.
    pub(crate) fn produce(&mut self, topic: &str, partition: i32, batch: Bytes) -> i64 {
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: Text::from(topic.to_owned()),
                partition_data: vec![PartitionProduceData {
                    index: partition,
                    records: Records(Some(vec![batch])),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response: ProduceResponse = self.call(ApiKey::Produce, 9, &request);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(
            answer.error_code,
            ErrorCode::NONE,
            "{topic}-{partition}: {:?}",
            answer.error_message
        );
        answer.base_offset
    }

    /// Moves the start of a partition up.
    pub(crate) fn delete_records(&mut self, topic: &str, partition: i32, offset: i64) {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: Text::from(topic.to_owned()),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: partition,
                    offset,
                }],
            }],
            timeout_ms: 30_000,
        };
        let response: DeleteRecordsResponse = self.call(ApiKey::DeleteRecords, 1, &request);
        let answer = &response.topics[0].partitions[0];
        assert_eq!(answer.error_code, ErrorCode::NONE, "{topic}-{partition}");
    }

    pub(crate) fn delete_topic(&mut self, topic: &str) {
        let request = DeleteTopicsRequest {
            topic_names: vec![Text::from(topic.to_owned())],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response: DeleteTopicsResponse = self.call(ApiKey::DeleteTopics, 4, &request);
        assert_eq!(response.responses[0].error_code, ErrorCode::NONE, "{topic}");
    }

    /// Whole batches from `offset` on, about a megabyte of them.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> Bytes {
        let request = FetchRequest {
            max_wait_ms: 0,
            topics: vec![FetchTopic {
                topic: Text::from(topic.to_owned()),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut response: FetchResponse = self.call(ApiKey::Fetch, 12, &request);
        let answer = response.responses.remove(0).partitions.remove(0);
        assert_eq!(answer.error_code, ErrorCode::NONE, "{topic}-{partition}");
        Bytes::from(answer.records.0.unwrap_or_default().concat())
    }
}
