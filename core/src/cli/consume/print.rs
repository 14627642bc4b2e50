//! How a record is printed: its value alone, with fields before it, as a JSON object, or with its JSON laid out.
//!
//! To a terminal no control character of a record gets through; to a file or pipe every byte does.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::unpack::Record;
use crate::cli::client::TopicPartition;
use crate::cli::failure::Result;
use crate::cli::moment;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The value and a line feed
    Text,
    /// One JSON object a line, for programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decode {
    /// As they are
    Text,
    /// JSON, laid out for reading; what is none stays as it is
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Field {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    Headers,
    /// Where among the fields the value stands: else it is the last
    Value,
}

pub(super) struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    layout: Layout,
}

impl Printer {
    pub(super) fn new(form: Form, decode: Decode, fields: Vec<Field>) -> Self {
        Self {
            out: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            layout: Layout {
                form,
                decode,
                fields,
                is_terminal: io::stdout().is_terminal(),
            },
        }
    }

    pub(super) fn print(&mut self, at: &TopicPartition, record: &Record<'_>) -> Result<()> {
        self.layout.write(&mut self.out, at, record)
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.out.flush()?;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.flush()
    }
}

#[derive(Clone, Debug)]
struct Layout {
    form: Form,
    decode: Decode,
    fields: Vec<Field>,
    is_terminal: bool,
}

impl Layout {
    fn write(&self, out: &mut impl Write, at: &TopicPartition, record: &Record<'_>) -> Result<()> {
        if self.form == Form::Json {
            serde_json::to_writer(&mut *out, &object(at, record))?;
            out.write_all(b"\n")?;
            return Ok(());
        }
        let value_at_end = !self.fields.contains(&Field::Value);
        let fields = self.fields.iter().copied();
        let fields = fields.chain(value_at_end.then_some(Field::Value));
        for (index, field) in fields.enumerate() {
            if index > 0 {
                out.write_all(b"\t")?;
            }
            match field {
                Field::Topic => self.bytes(out, Some(at.topic.as_bytes()))?,
                Field::Partition => write!(out, "{}", at.partition)?,
                Field::Offset => write!(out, "{}", record.offset)?,
                Field::Timestamp => out.write_all(moment::show(record.timestamp).as_bytes())?,
                Field::Key => self.bytes(out, record.key)?,
                Field::Headers => self.headers(out, record)?,
                Field::Value => self.value(out, record.value)?,
            }
        }
        out.write_all(b"\n")?;
        Ok(())
    }

    fn headers(&self, out: &mut impl Write, record: &Record<'_>) -> Result<()> {
        for (index, (key, value)) in record.headers.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            self.bytes(out, Some(key))?;
            out.write_all(b"=")?;
            self.bytes(out, *value)?;
        }
        Ok(())
    }

    fn value(&self, out: &mut impl Write, value: Option<&[u8]>) -> Result<()> {
        if self.decode == Decode::Json
            && let Some(laid_out) = value.and_then(laid_out)
        {
            // What was valid JSON has no control character but line feeds of our own.
            out.write_all(&laid_out)?;
            return Ok(());
        }
        self.bytes(out, value)
    }

    fn bytes(&self, out: &mut impl Write, bytes: Option<&[u8]>) -> Result<()> {
        match bytes {
            None => out.write_all(b"null")?,
            Some(bytes) if !self.is_terminal => out.write_all(bytes)?,
            Some(bytes) => {
                for character in String::from_utf8_lossy(bytes).chars() {
                    if character.is_control() && character != '\t' && character != '\n' {
                        write!(out, "{}", character.escape_default())?;
                    } else {
                        write!(out, "{character}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    #[serde(flatten)]
    key: Key<'a>,
    #[serde(flatten)]
    value: Value<'a>,
    headers: Vec<Header<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Key<'a> {
    Text {
        key: Option<&'a str>,
    },
    Bytes {
        #[serde(rename = "keyBase64")]
        base64: String,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text {
        value: Option<&'a str>,
    },
    Bytes {
        #[serde(rename = "valueBase64")]
        base64: String,
    },
}

#[derive(Serialize)]
struct Header<'a> {
    key: String,
    #[serde(flatten)]
    value: Value<'a>,
}

fn value(bytes: Option<&[u8]>) -> Value<'_> {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Text { value: None },
        Some((_, Ok(text))) => Value::Text { value: Some(text) },
        Some((bytes, Err(_))) => Value::Bytes {
            base64: STANDARD.encode(bytes),
        },
    }
}

fn object<'a>(at: &'a TopicPartition, record: &Record<'a>) -> Object<'a> {
    let key = match value(record.key) {
        Value::Text { value } => Key::Text { key: value },
        Value::Bytes { base64 } => Key::Bytes { base64 },
    };
    let header = |(key, bytes): &(&'a [u8], Option<&'a [u8]>)| Header {
        key: String::from_utf8_lossy(key).into_owned(),
        value: value(*bytes),
    };
    Object {
        topic: &at.topic,
        partition: at.partition,
        offset: record.offset,
        timestamp: Some(record.timestamp).filter(|timestamp| *timestamp >= 0),
        key,
        value: value(record.value),
        headers: record.headers.iter().map(header).collect(),
    }
}

/// JSON over several lines, with numbers and the order of keys as they were; nothing for what is no JSON.
fn laid_out(json: &[u8]) -> Option<Vec<u8>> {
    let _: IgnoredAny = serde_json::from_slice(json).ok()?;
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', 2 * depth));
    };
    for (index, byte) in json.iter().copied().enumerate() {
        if in_string {
            out.push(byte);
            in_string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            b'{' | b'[' => {
                out.push(byte);
                let next = json[index + 1..]
                    .iter()
                    .find(|byte| !byte.is_ascii_whitespace());
                // What is empty stays on its line.
                if next.is_some_and(|next| *next != b'}' && *next != b']') {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                if !matches!(out.last(), Some(b'{' | b'[')) {
                    depth -= 1;
                    line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(layout: &Layout, record: &Record<'_>) -> String {
        let at = TopicPartition {
            topic: "t".to_owned(),
            partition: 3,
        };
        let mut out = Vec::new();
        layout.write(&mut out, &at, record).expect("into memory");
        String::from_utf8_lossy(&out).into_owned()
    }

    fn layout(form: Form, fields: &[Field]) -> Layout {
        Layout {
            form,
            decode: Decode::Text,
            fields: fields.to_vec(),
            is_terminal: false,
        }
    }

    fn record<'a>() -> Record<'a> {
        Record {
            offset: 42,
            timestamp: 1_769_860_800_500,
            key: Some(b"k"),
            value: Some(b"v\x1b[2J"),
            headers: vec![(b"h", Some(b"x")), (b"n", None)],
        }
    }

    #[test]
    fn the_value_is_alone_unless_more_is_asked_for() {
        assert_eq!(printed(&layout(Form::Text, &[]), &record()), "v\x1b[2J\n");
        let fields = [
            Field::Topic,
            Field::Partition,
            Field::Offset,
            Field::Timestamp,
            Field::Key,
            Field::Headers,
        ];
        assert_eq!(
            printed(&layout(Form::Text, &fields), &record()),
            "t\t3\t42\t2026-01-31T12:00:00.500Z\tk\th=x,n=null\tv\x1b[2J\n"
        );
        let turned = layout(Form::Text, &[Field::Value, Field::Key]);
        assert_eq!(printed(&turned, &record()), "v\x1b[2J\tk\n");
        let terminal = Layout {
            is_terminal: true,
            ..layout(Form::Text, &[])
        };
        assert_eq!(printed(&terminal, &record()), "v\\u{1b}[2J\n");
    }

    #[test]
    fn json_has_text_where_it_is_text() {
        assert_eq!(
            printed(&layout(Form::Json, &[]), &record()),
            "{\"topic\":\"t\",\"partition\":3,\"offset\":42,\"timestamp\":1769860800500,\"key\":\"k\",\
             \"value\":\"v\\u001b[2J\",\"headers\":[{\"key\":\"h\",\"value\":\"x\"},{\"key\":\"n\",\"value\":null}]}\n"
        );
        let bytes = Record {
            key: None,
            value: Some(b"\xFF"),
            headers: Vec::new(),
            timestamp: -1,
            ..record()
        };
        assert_eq!(
            printed(&layout(Form::Json, &[]), &bytes),
            "{\"topic\":\"t\",\"partition\":3,\"offset\":42,\"timestamp\":null,\"key\":null,\"valueBase64\":\"/w==\",\"headers\":[]}\n"
        );
    }

    #[test]
    fn json_is_laid_out_and_nothing_of_it_changes() {
        let laid_out = |text: &str| {
            laid_out(text.as_bytes()).map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
        };
        assert_eq!(
            laid_out(r#"{"b":[1, 2.50,{}],"a":"x: {\"y\\","n":12345678901234567890123,"e":[ ]}"#)
                .as_deref(),
            Some(
                "{\n  \"b\": [\n    1,\n    2.50,\n    {}\n  ],\n  \"a\": \"x: {\\\"y\\\\\",\n  \"n\": 12345678901234567890123,\n  \"e\": []\n}"
            )
        );
        assert_eq!(laid_out("7").as_deref(), Some("7"));
        assert_eq!(laid_out("{"), None);
        assert_eq!(laid_out("hello"), None);
    }
}
