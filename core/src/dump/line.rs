//! A line of output: named values in order, written as Kafka's tool writes them or as one JSON object.
//!
//! Never knows what the values mean.

use std::io::{self, Write};

/// A value in either form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Number(i64),
    Boolean(bool),
    Text(String),
    /// Read as UTF-8; in JSON what is none is written as `{"hex": "..."}`.
    Bytes(&'a [u8]),
    /// Java's OptionalLong.
    Optional(Option<i64>),
    /// The name goes by what kind of time it is.
    Timestamp {
        log_append_time: bool,
        milliseconds: i64,
    },
    /// Texts in brackets.
    Keys(Vec<String>),
    Object(Vec<(&'static str, Self)>),
    List(Vec<Self>),
    Null,
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<i32> for Value<'_> {
    fn from(value: i32) -> Self {
        Self::Number(value.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<i16> for Value<'_> {
    fn from(value: i16) -> Self {
        Self::Number(value.into())
    }
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value<'_> {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// Names and values in the order in which they are written.
pub(crate) type Fields<'a> = Vec<(&'static str, Value<'a>)>;

/// `name: value name: value`, as Kafka's tool has it.
pub(crate) fn write_text(out: &mut dyn Write, fields: &Fields<'_>) -> io::Result<()> {
    let mut gap = "";
    for (name, value) in fields {
        out.write_all(gap.as_bytes())?;
        gap = " ";
        match value {
            Value::Timestamp {
                log_append_time,
                milliseconds,
            } => write!(out, "{}: {milliseconds}", time_name(*log_append_time))?,
            Value::Text(text) => write!(out, "{name}: {text}")?,
            Value::Bytes(bytes) => write!(out, "{name}: {}", String::from_utf8_lossy(bytes))?,
            Value::Optional(None) => write!(out, "{name}: OptionalLong.empty")?,
            Value::Optional(Some(value)) => write!(out, "{name}: OptionalLong[{value}]")?,
            Value::Keys(keys) => write!(out, "{name}: [{}]", keys.join(","))?,
            other => {
                write!(out, "{name}: ")?;
                write_value(out, other)?;
            }
        }
    }
    Ok(())
}

/// One JSON object, its `type` first.
pub(crate) fn write_json(out: &mut dyn Write, kind: &str, fields: &Fields<'_>) -> io::Result<()> {
    out.write_all(b"{\"type\":")?;
    write_string(out, kind)?;
    for (name, value) in fields {
        out.write_all(b",")?;
        if let Value::Timestamp {
            log_append_time,
            milliseconds,
        } = value
        {
            write_string(out, "timestampType")?;
            out.write_all(b":")?;
            write_string(out, time_name(*log_append_time))?;
            write!(out, ",\"timestamp\":{milliseconds}")?;
            continue;
        }
        write_string(out, name)?;
        out.write_all(b":")?;
        write_value(out, value)?;
    }
    out.write_all(b"}")
}

fn time_name(log_append_time: bool) -> &'static str {
    if log_append_time {
        "LogAppendTime"
    } else {
        "CreateTime"
    }
}

fn write_value(out: &mut dyn Write, value: &Value<'_>) -> io::Result<()> {
    match value {
        Value::Number(value) | Value::Optional(Some(value)) => write!(out, "{value}"),
        Value::Timestamp { milliseconds, .. } => write!(out, "{milliseconds}"),
        Value::Boolean(value) => write!(out, "{value}"),
        Value::Text(text) => write_string(out, text),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => write_string(out, text),
            Err(_) => {
                out.write_all(b"{\"hex\":\"")?;
                for byte in *bytes {
                    write!(out, "{byte:02x}")?;
                }
                out.write_all(b"\"}")
            }
        },
        Value::Optional(None) | Value::Null => out.write_all(b"null"),
        Value::Keys(keys) => write_list(out, keys, |out, key| write_string(out, key)),
        Value::List(values) => write_list(out, values, write_value),
        Value::Object(fields) => {
            out.write_all(b"{")?;
            let mut gap = "";
            for (name, value) in fields {
                write!(out, "{gap}\"{name}\":")?;
                write_value(out, value)?;
                gap = ",";
            }
            out.write_all(b"}")
        }
    }
}

fn write_list<T>(
    out: &mut dyn Write,
    values: &[T],
    write: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(b"[")?;
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            out.write_all(b",")?;
        }
        write(out, value)?;
    }
    out.write_all(b"]")
}

fn write_string(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let escape = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            control if u32::from(control) < 0x20 => "",
            _ => continue,
        };
        out.write_all(&text.as_bytes()[plain..at])?;
        if escape.is_empty() {
            write!(out, "\\u{:04x}", u32::from(character))?;
        } else {
            out.write_all(escape.as_bytes())?;
        }
        plain = at + character.len_utf8();
    }
    out.write_all(&text.as_bytes()[plain..])?;
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &Fields<'_>, text: &str, json: &str) {
        let mut out = Vec::new();
        write_text(&mut out, fields).expect("memory takes everything");
        assert_eq!(String::from_utf8_lossy(&out), text);
        out.clear();
        write_json(&mut out, "t", fields).expect("memory takes everything");
        assert_eq!(String::from_utf8_lossy(&out), json);
    }

    #[test]
    fn values_in_both_forms() {
        check(
            &vec![
                ("deleteHorizonMs", Value::Optional(None)),
                (
                    "time",
                    Value::Timestamp {
                        log_append_time: true,
                        milliseconds: 7,
                    },
                ),
                ("headerKeys", Value::Keys(vec!["a".into(), "b".into()])),
            ],
            "deleteHorizonMs: OptionalLong.empty LogAppendTime: 7 headerKeys: [a,b]",
            r#"{"type":"t","deleteHorizonMs":null,"timestampType":"LogAppendTime","timestamp":7,"headerKeys":["a","b"]}"#,
        );
        check(
            &vec![
                ("key", Value::Bytes(b"\"\\\n\x01\xC3\xA4")),
                ("payload", Value::Bytes(&[0xFF, 0])),
            ],
            "key: \"\\\n\u{1}ä payload: \u{FFFD}\0",
            r#"{"type":"t","key":"\"\\\n\u0001ä","payload":{"hex":"ff00"}}"#,
        );
        let object = Value::Object(vec![("a", Value::List(vec![Value::Null, 1i64.into()]))]);
        check(
            &vec![("data", object)],
            r#"data: {"a":[null,1]}"#,
            r#"{"type":"t","data":{"a":[null,1]}}"#,
        );
    }
}
