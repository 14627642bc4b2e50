//! One connection of a stranger: sends any bytes, and says what came back: a reply, or the end. Every wait has a bound.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rinka_net::wire::{ApiKey, Field, decode_response, encode_request};

/// A refusal comes at once. Only a machine that is busy with something else needs more.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(5);

/// Only a broker that hangs takes that long.
const REPLY_WITHIN: Duration = Duration::from_secs(60);

const CORRELATION_ID: i32 = 7;

pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) fn connect(bootstrap: &str) -> Self {
        let stream = TcpStream::connect(bootstrap).expect("the broker takes connections");
        stream.set_nodelay(true).expect("a socket option");
        stream
            .set_read_timeout(Some(REPLY_WITHIN))
            .expect("a socket option");
        stream
            .set_write_timeout(Some(REPLY_WITHIN))
            .expect("a socket option");
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the broker reads");
    }

    pub(crate) fn send_request(&mut self, api: ApiKey, version: i16, request: &impl Field) {
        self.send(&request_frame(api, version, request));
    }

    /// A request and its reply.
    pub(crate) fn ask<R: Field>(&mut self, api: ApiKey, version: i16, request: &impl Field) -> R {
        self.send_request(api, version, request);
        self.reply(api, version)
    }

    pub(crate) fn reply<R: Field>(&mut self, api: ApiKey, version: i16) -> R {
        let frame = self.frame().expect("a reply");
        let (correlation_id, reply) =
            decode_response(api, version, frame).expect("a well-formed reply");
        assert_eq!(correlation_id, CORRELATION_ID);
        reply
    }

    /// The next frame, without its length.
    pub(crate) fn frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame)?;
        Ok(Bytes::from(frame))
    }

    /// The broker ends the connection within that time, and says nothing before.
    pub(crate) fn expect_close(&mut self, within: Duration) {
        let waited = Instant::now();
        self.0
            .set_read_timeout(Some(within))
            .expect("a socket option");
        match self.0.read(&mut [0; 64]) {
            Ok(0) => {}
            Ok(bytes) => panic!("a reply of {bytes} bytes or more instead of the end"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("still open after {:?}", waited.elapsed());
            }
            // A reset is an end too: the broker had bytes of ours that it did not read.
            Err(_) => {}
        }
    }

    /// Nothing comes and nothing ends within that time.
    pub(crate) fn expect_silence(&mut self, time: Duration) {
        self.0
            .set_read_timeout(Some(time))
            .expect("a socket option");
        match self.0.read(&mut [0; 64]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            other => panic!("silence was expected, not {other:?}"),
        }
        self.0
            .set_read_timeout(Some(REPLY_WITHIN))
            .expect("a socket option");
    }
}

pub(crate) fn request_frame(api: ApiKey, version: i16, request: &impl Field) -> Vec<u8> {
    encode_request(
        api,
        version,
        CORRELATION_ID,
        Some(&"stranger".into()),
        request,
    )
    .concat()
}

/// A frame with its length in front.
pub(crate) fn framed(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short frame");
    [&length.to_be_bytes()[..], content].concat()
}

/// A request made by hand: a header with a client id of one letter (and no tagged fields where it may have some), then the body.
pub(crate) fn by_hand(api_key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let flexible = ApiKey::from_number(api_key)
        .is_some_and(|api| api.versions().contains(version) && api.is_flexible(version));
    let mut content = Vec::new();
    content.extend(api_key.to_be_bytes());
    content.extend(version.to_be_bytes());
    content.extend(CORRELATION_ID.to_be_bytes());
    content.extend([0, 1, b's']);
    if flexible {
        content.push(0);
    }
    content.extend(body);
    framed(&content)
}
