//! Lines in, records out: plain lines with or without a key, or JSON objects.
//!
//! A line is bounded, and so is what is read ahead of the broker.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::moment;

/// The longest line: well above what brokers take unless somebody has set them up for more.
const LINE_BYTES_MAX: usize = 32 << 20;

/// Lines are handed over in parts of about this size, or as many as are there.
const PART_BYTES: usize = 64 << 10;

/// Parts that wait for the sender.
const PARTS_MAX: usize = 8;

/// Lines with their numbers, from 1; or why no more can be read.
type Part = Result<Vec<(u64, Vec<u8>)>, String>;

/// What a thread reads ahead.
pub(super) struct Input {
    pub(super) lines: Receiver<Part>,
}

impl Input {
    pub(super) fn begin(source: Box<dyn Read + Send>) -> Self {
        let (sender, lines) = sync_channel(PARTS_MAX);
        // Reading may block for as long as nobody types: the thread is left behind when the command ends.
        std::thread::spawn(move || read(source, &sender));
        Self { lines }
    }
}

fn read(source: Box<dyn Read + Send>, sender: &SyncSender<Part>) {
    let mut reader = BufReader::with_capacity(PART_BYTES, source);
    let mut number = 0;
    loop {
        let mut part = Vec::new();
        let mut bytes = 0;
        let mut end = None;
        // As long as a line is there without waiting for it.
        loop {
            let mut line = Vec::new();
            let limit = LINE_BYTES_MAX as u64 + 1;
            match (&mut reader).take(limit).read_until(b'\n', &mut line) {
                Ok(0) => end = Some(Ok(())),
                Ok(_) => {
                    number += 1;
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    } else if line.len() > LINE_BYTES_MAX {
                        end = Some(Err(format!(
                            "line {number} has more than {LINE_BYTES_MAX} bytes; it and what follows was not sent"
                        )));
                        break;
                    }
                    bytes += line.len();
                    part.push((number, line));
                }
                Err(error) => end = Some(Err(format!("cannot read the input: {error}"))),
            }
            if end.is_some() || bytes >= PART_BYTES || !reader.buffer().contains(&b'\n') {
                break;
            }
        }
        // Nobody listens any more when the command has ended.
        if !part.is_empty() && sender.send(Ok(part)).is_err() {
            return;
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            Some(Err(reason)) => {
                let _ = sender.send(Err(reason));
                return;
            }
        }
    }
}

/// A record that is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    /// Nothing: the partitioner decides.
    pub(super) partition: Option<i32>,
    /// Milliseconds since 1970.
    pub(super) timestamp: i64,
}

impl Record {
    /// Nearly what it takes in a batch.
    pub(super) fn size(&self) -> usize {
        const AROUND: usize = 24;
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let header = |(key, value): &(String, Option<Vec<u8>>)| {
            10 + key.len() + value.as_ref().map_or(0, Vec::len)
        };
        let headers: usize = self.headers.iter().map(header).sum();
        AROUND + length(&self.key) + length(&self.value) + headers
    }
}

/// How a line is read.
#[derive(Clone, Debug, Default)]
pub(super) struct LineFormat {
    pub(super) json: bool,
    pub(super) key_separator: Option<Vec<u8>>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) null: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) partition: Option<i32>,
}

impl LineFormat {
    /// # Errors
    /// A sentence that says what is wrong with the line.
    pub(super) fn parse(&self, line: &[u8], now: i64) -> Result<Record, String> {
        let mut record = if self.json {
            object(line, now)?
        } else {
            self.plain(line, now)?
        };
        record.key = record.key.or_else(|| self.key.clone());
        record.partition = record.partition.or(self.partition);
        let fixed = self.headers.iter();
        let fixed = fixed.map(|(key, value)| (key.clone(), Some(value.clone().into_bytes())));
        record.headers.extend(fixed);
        Ok(record)
    }

    fn plain(&self, line: &[u8], now: i64) -> Result<Record, String> {
        let (key, value) = match &self.key_separator {
            None => (None, line),
            Some(separator) => {
                let at = line
                    .windows(separator.len())
                    .position(|window| window == separator)
                    .ok_or_else(|| {
                        let separator = String::from_utf8_lossy(separator);
                        format!("it has no key: `{separator}` is not in it")
                    })?;
                (Some(&line[..at]), &line[at + separator.len()..])
            }
        };
        let unless_null =
            |bytes: &[u8]| (self.null.as_deref() != Some(bytes)).then(|| bytes.to_vec());
        Ok(Record {
            key: key.and_then(unless_null),
            value: unless_null(value),
            timestamp: now,
            ..Record::default()
        })
    }
}

/// What an object of `--json` may have: all that `rinka consume --output json` writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object<'a> {
    key: Option<String>,
    key_base64: Option<String>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    value_base64: Option<String>,
    headers: Option<Headers>,
    partition: Option<i32>,
    timestamp: Option<Moment>,
    // Where it came from is of no account.
    #[serde(rename = "topic")]
    _topic: Option<serde::de::IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Milliseconds(i64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Headers {
    List(Vec<Header>),
    Map(std::collections::BTreeMap<String, Option<String>>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    key: String,
    value: Option<String>,
    value_base64: Option<String>,
}

fn object(line: &[u8], now: i64) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let object: Object<'_> =
        serde_json::from_str(text).map_err(|error| format!("it is no such object: {error}"))?;
    let value = match object.value.map(RawValue::get) {
        None | Some("null") => None,
        Some(raw) if raw.starts_with('"') => {
            let text: String = serde_json::from_str(raw).map_err(|error| error.to_string())?;
            Some(text.into_bytes())
        }
        Some(raw) => Some(raw.as_bytes().to_vec()),
    };
    let key = object.key.map(String::into_bytes);
    let headers = match object.headers {
        None => Vec::new(),
        Some(Headers::Map(map)) => map
            .into_iter()
            .map(|(key, value)| (key, value.map(String::into_bytes)))
            .collect(),
        Some(Headers::List(list)) => {
            let mut headers = Vec::with_capacity(list.len());
            for header in list {
                let value = header.value.map(String::into_bytes);
                let name = "a header's value";
                headers.push((header.key, either(value, header.value_base64, name)?));
            }
            headers
        }
    };
    let timestamp = match object.timestamp {
        None => now,
        Some(Moment::Milliseconds(milliseconds)) if milliseconds >= 0 => milliseconds,
        Some(Moment::Milliseconds(_)) => return Err("its timestamp is before 1970".to_owned()),
        Some(Moment::Text(text)) => moment::parse(&text)
            .ok_or("its timestamp is neither milliseconds since 1970 nor RFC 3339")?,
    };
    if object.partition.is_some_and(|partition| partition < 0) {
        return Err("its partition is negative".to_owned());
    }
    Ok(Record {
        key: either(key, object.key_base64, "key")?,
        value: either(value, object.value_base64, "value")?,
        headers,
        partition: object.partition,
        timestamp,
    })
}

/// The text, or the bytes behind base64.
fn either(
    text: Option<Vec<u8>>,
    base64: Option<String>,
    name: &str,
) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("{name} is there twice, as text and in base64")),
        (text, None) => Ok(text),
        (None, Some(base64)) => match STANDARD.decode(base64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(format!("{name} is no base64: {error}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn plain_lines_are_split_at_the_first_separator() {
        let format = LineFormat {
            key_separator: Some(b"::".to_vec()),
            null: Some(b"NULL".to_vec()),
            headers: vec![("h".to_owned(), "x".to_owned())],
            partition: Some(3),
            ..LineFormat::default()
        };
        let record = format.parse(b"a::b::c", 7).expect("a record");
        assert_eq!(record.key, bytes("a"));
        assert_eq!(record.value, bytes("b::c"));
        assert_eq!(record.headers, [("h".to_owned(), bytes("x"))]);
        assert_eq!((record.partition, record.timestamp), (Some(3), 7));
        let tombstone = format.parse(b"a::NULL", 7).expect("a record");
        assert_eq!((tombstone.key, tombstone.value), (bytes("a"), None));
        assert!(format.parse(b"a:b", 7).is_err());
        let whole = LineFormat::default()
            .parse(b"\xFFa\r", 7)
            .expect("a record");
        assert_eq!((whole.key, whole.value), (None, Some(b"\xFFa\r".to_vec())));
    }

    #[test]
    fn objects_are_read_with_all_they_may_have() {
        let format = LineFormat {
            json: true,
            key: Some(b"fixed".to_vec()),
            ..LineFormat::default()
        };
        let parse = |line: &str| format.parse(line.as_bytes(), 7);
        let record = parse(
            r#"{"topic":"t","offset":9,"key":"k","value":"v","headers":[{"key":"h","valueBase64":"/w=="},{"key":"n","value":null}],"partition":2,"timestamp":1000}"#,
        );
        assert_eq!(
            record,
            Ok(Record {
                key: bytes("k"),
                value: bytes("v"),
                headers: vec![("h".to_owned(), Some(vec![0xFF])), ("n".to_owned(), None)],
                partition: Some(2),
                timestamp: 1_000,
            })
        );
        // A value that is no string is kept to the letter; numbers beyond 64 bits too.
        let nested = parse(r#"{"value": {"b":1, "a":12345678901234567890123}, "timestamp":"1970-01-01T00:00:02Z"}"#)
            .expect("a record");
        assert_eq!(
            nested.value,
            bytes(r#"{"b":1, "a":12345678901234567890123}"#)
        );
        assert_eq!((nested.key, nested.timestamp), (bytes("fixed"), 2_000));
        let tombstone = parse(r#"{"key":"k","value":null}"#).expect("a record");
        assert_eq!((tombstone.value, tombstone.timestamp), (None, 7));
        let mapped = parse(r#"{"headers":{"h":"x"}}"#).expect("a record");
        assert_eq!(mapped.headers, [("h".to_owned(), bytes("x"))]);
    }

    #[test]
    fn objects_that_make_no_sense_are_refused() {
        let format = LineFormat {
            json: true,
            ..LineFormat::default()
        };
        for line in [
            "",
            "hello",
            "[1]",
            r#"{"vale":"v"}"#,
            r#"{"value":"v","valueBase64":"AA=="}"#,
            r#"{"keyBase64":"?"}"#,
            r#"{"timestamp":-1}"#,
            r#"{"timestamp":"soon"}"#,
            r#"{"partition":-1}"#,
            r#"{"value":"v"} {}"#,
        ] {
            assert!(format.parse(line.as_bytes(), 7).is_err(), "{line}");
        }
    }

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_end() {
        let input = Input::begin(Box::new(&b"a\n\nlast"[..]));
        let mut lines = Vec::new();
        while let Ok(part) = input.lines.recv() {
            lines.extend(part.expect("readable"));
        }
        let expected = [(1, b"a".to_vec()), (2, Vec::new()), (3, b"last".to_vec())];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_line_without_end_is_refused_and_what_was_before_it_is_not_lost() {
        let endless = (&b"first\n"[..]).chain(std::io::repeat(b'x'));
        let input = Input::begin(Box::new(endless));
        let first = input.lines.recv().expect("a part").expect("readable");
        assert_eq!(first, [(1, b"first".to_vec())]);
        assert!(input.lines.recv().expect("a part").is_err());
        assert!(input.lines.recv().is_err());
    }
}
