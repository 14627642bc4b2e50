//! Requests of its own, in versions without flexible fields: creating and deleting topics, producing one batch, so that no suite
//! depends on one client for them. Never interprets anything but the error code.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const CREATE_TOPICS: i16 = 19;
const VERSION: i16 = 2;
const DELETE_TOPICS: i16 = 20;
const DELETE_TOPICS_VERSION: i16 = 1;
const PRODUCE: i16 = 0;
const PRODUCE_VERSION: i16 = 7;

/// Creates a topic; panics with the broker's error code when it refuses.
pub(crate) fn create_topic(bootstrap: &str, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let mut request = Vec::new();
    request.extend(CREATE_TOPICS.to_be_bytes());
    request.extend(VERSION.to_be_bytes());
    request.extend(1_i32.to_be_bytes()); // correlation id
    string(&mut request, "rinka-tests");
    request.extend(1_i32.to_be_bytes()); // topics
    string(&mut request, name);
    request.extend(partitions.to_be_bytes());
    request.extend(1_i16.to_be_bytes()); // replication factor
    request.extend(0_i32.to_be_bytes()); // assignments
    request.extend(
        i32::try_from(configs.len())
            .expect("few configs")
            .to_be_bytes(),
    );
    for (key, value) in configs {
        string(&mut request, key);
        string(&mut request, value);
    }
    request.extend(30_000_i32.to_be_bytes()); // timeout
    request.push(0); // validate only

    let response = exchange(bootstrap, &request).expect("CreateTopics is answered");
    // correlation id, throttle time, one topic: name, error code
    let name_length = usize::from(u16::from_be_bytes([response[12], response[13]]));
    let at = 14 + name_length;
    let error = i16::from_be_bytes([response[at], response[at + 1]]);
    assert_eq!(
        error, 0,
        "the broker at {bootstrap} refused to create topic {name}"
    );
}

/// Deletes a topic; panics with the broker's error code when it refuses.
pub(crate) fn delete_topic(bootstrap: &str, name: &str) {
    let error = try_to_delete_topic(bootstrap, name).expect("DeleteTopics is answered");
    assert_eq!(
        error, 0,
        "the broker at {bootstrap} refused to delete topic {name}"
    );
}

/// The error code of a topic's deletion, or that there was no answer.
pub(crate) fn try_to_delete_topic(bootstrap: &str, name: &str) -> io::Result<i16> {
    let mut request = Vec::new();
    request.extend(DELETE_TOPICS.to_be_bytes());
    request.extend(DELETE_TOPICS_VERSION.to_be_bytes());
    request.extend(1_i32.to_be_bytes()); // correlation id
    string(&mut request, "rinka-tests");
    request.extend(1_i32.to_be_bytes()); // topics
    string(&mut request, name);
    request.extend(30_000_i32.to_be_bytes()); // timeout
    let response = exchange(bootstrap, &request)?;
    // correlation id, throttle time, one topic: name, error code
    Ok(i16_at(&response, 14 + name.len()))
}

/// Sends one batch to partition 0 with acks=all: the error code it was answered with, or that there was no answer.
pub(crate) fn produce(bootstrap: &str, topic: &str, batch: &[u8]) -> io::Result<i16> {
    let mut request = Vec::new();
    request.extend(PRODUCE.to_be_bytes());
    request.extend(PRODUCE_VERSION.to_be_bytes());
    request.extend(1_i32.to_be_bytes()); // correlation id
    string(&mut request, "rinka-tests");
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // acks=all
    request.extend(30_000_i32.to_be_bytes()); // timeout
    request.extend(1_i32.to_be_bytes()); // topics
    string(&mut request, topic);
    request.extend(1_i32.to_be_bytes()); // partitions
    request.extend(0_i32.to_be_bytes());
    let length = i32::try_from(batch.len()).expect("a batch is below 2 GiB");
    request.extend(length.to_be_bytes());
    request.extend(batch);
    let response = exchange(bootstrap, &request)?;
    // correlation id, topics, name, partitions, index, error code
    Ok(i16_at(&response, 4 + 4 + 2 + topic.len() + 4 + 4))
}

fn i16_at(response: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([response[at], response[at + 1]])
}

fn exchange(bootstrap: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(bootstrap)?;
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .expect("a socket takes a timeout");
    let mut frame = u32::try_from(request.len())
        .expect("a short request")
        .to_be_bytes()
        .to_vec();
    frame.extend(request);
    stream.write_all(&frame)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut response = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut response)?;
    Ok(response)
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend(
        u16::try_from(text.len())
            .expect("a short string")
            .to_be_bytes(),
    );
    out.extend(text.as_bytes());
}
