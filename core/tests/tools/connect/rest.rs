//! Connect's REST interface over a plain socket, one connection a request. Never decides what an answer means.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A worker answers later than that only when the group does not come to rest; it then says so itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(95);

/// The status and the body of the answer of the worker at that port; an empty body is null.
pub(crate) fn call(port: u16, method: &str, path: &str, body: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    // HTTP/1.0: the end of the connection is the end of the body.
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let parsed = parse(&answer);
    parsed.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, answer))
}

fn parse(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = match body {
        "" => Value::Null,
        text => serde_json::from_str(text).ok()?,
    };
    Some((status, body))
}
