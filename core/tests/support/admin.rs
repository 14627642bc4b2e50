//! Creates topics by a CreateTopics request of its own (version 2, the last one without flexible fields is 4), so that no suite
//! depends on one client's admin. Never interprets anything but the error code.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const CREATE_TOPICS: i16 = 19;
const VERSION: i16 = 2;

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

    let response = exchange(bootstrap, &request);
    // correlation id, throttle time, one topic: name, error code
    let name_length = usize::from(u16::from_be_bytes([response[12], response[13]]));
    let at = 14 + name_length;
    let error = i16::from_be_bytes([response[at], response[at + 1]]);
    assert_eq!(
        error, 0,
        "the broker at {bootstrap} refused to create topic {name}"
    );
}

fn exchange(bootstrap: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(bootstrap)
        .unwrap_or_else(|error| panic!("no broker at {bootstrap}: {error}"));
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .expect("a socket takes a timeout");
    let asked = Instant::now();
    let mut frame = u32::try_from(request.len())
        .expect("a short request")
        .to_be_bytes()
        .to_vec();
    frame.extend(request);
    let answer = stream.write_all(&frame).and_then(|()| {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut response = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut response)?;
        Ok(response)
    });
    answer.unwrap_or_else(|error| {
        panic!(
            "no answer to CreateTopics from {bootstrap} after {:?}: {error}",
            asked.elapsed()
        )
    })
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend(
        u16::try_from(text.len())
            .expect("a short string")
            .to_be_bytes(),
    );
    out.extend(text.as_bytes());
}
