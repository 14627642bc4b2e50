//! The fields of Kafka's records: big-endian numbers, and texts, bytes and arrays with their lengths, plain or compact.
//!
//! Never allocates for a length that the bytes cannot hold, and never guesses: what does not fit is an error.

use std::fmt;

use uuid::Uuid;

/// Bytes that are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A field needs more bytes than there are.
    Truncated {
        record: &'static str,
    },
    /// A length that is negative where it may not be, a number that is too long, or a text that is not UTF-8.
    Invalid {
        record: &'static str,
    },
    /// Written by a later release.
    NewerVersion {
        record: &'static str,
        version: i16,
    },
    TrailingBytes {
        record: &'static str,
        count: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { record } => write!(formatter, "the {record} ends within a field"),
            Self::Invalid { record } => write!(formatter, "the {record} has an impossible field"),
            Self::NewerVersion { record, version } => write!(
                formatter,
                "the {record} has version {version}, which only a later release reads"
            ),
            Self::TrailingBytes { record, count } => {
                write!(formatter, "the {record} has {count} bytes too many")
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// The bytes of a key or value that are left.
#[derive(Clone, Debug)]
pub struct RecordReader<'a> {
    bytes: &'a [u8],
    record: &'static str,
}

impl<'a> RecordReader<'a> {
    /// `record` is what errors call it.
    #[must_use]
    pub fn new(bytes: &'a [u8], record: &'static str) -> Self {
        Self { bytes, record }
    }

    fn invalid(&self) -> RecordError {
        let record = self.record;
        RecordError::Invalid { record }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let record = self.record;
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(RecordError::Truncated { record })?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take returned as many bytes as asked for"))
    }

    pub fn i16(&mut self) -> Result<i16, RecordError> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, RecordError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, RecordError> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn uuid(&mut self) -> Result<Uuid, RecordError> {
        self.array().map(Uuid::from_bytes)
    }

    pub fn unsigned_varint(&mut self) -> Result<u32, RecordError> {
        let mut value: u64 = 0;
        for index in 0..5 {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| self.invalid());
            }
        }
        Err(self.invalid())
    }

    fn length(&self, length: i64) -> Result<Option<usize>, RecordError> {
        match length {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map(Some)
                .map_err(|_| self.invalid()),
        }
    }

    fn compact_length(&mut self) -> Result<Option<usize>, RecordError> {
        let length = i64::from(self.unsigned_varint()?) - 1;
        self.length(length)
    }

    /// A text with a two-byte length.
    pub fn text(&mut self) -> Result<String, RecordError> {
        self.nullable_text(false)?.ok_or(self.invalid())
    }

    /// `flexible`: with a compact length.
    pub fn nullable_text(&mut self, flexible: bool) -> Result<Option<String>, RecordError> {
        let length = match flexible {
            true => self.compact_length()?,
            false => {
                let length = self.i16()?;
                self.length(length.into())?
            }
        };
        let Some(length) = length else {
            return Ok(None);
        };
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.invalid())?;
        Ok(Some(text.to_owned()))
    }

    pub fn bytes(&mut self, flexible: bool) -> Result<&'a [u8], RecordError> {
        let length = match flexible {
            true => self.compact_length()?,
            false => {
                let length = self.i32()?;
                self.length(length.into())?
            }
        };
        let length = length.ok_or(self.invalid())?;
        self.take(length)
    }

    /// The elements of an array that may not be null, each of which takes `size_min` bytes at least.
    pub fn count(&mut self, flexible: bool, size_min: usize) -> Result<usize, RecordError> {
        let count = match flexible {
            true => self.compact_length()?,
            false => {
                let count = self.i32()?;
                self.length(count.into())?
            }
        };
        let record = self.record;
        match count {
            Some(count) if count > self.bytes.len() / size_min => {
                Err(RecordError::Truncated { record })
            }
            Some(count) => Ok(count),
            None => Err(self.invalid()),
        }
    }

    /// Walks over the tagged fields of a flexible structure; what `known` leaves of one is skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let record = self.record;
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let length = self.unsigned_varint()?;
            let length = usize::try_from(length).map_err(|_| self.invalid())?;
            let bytes = self.take(length)?;
            known(tag, &mut Self { bytes, record })?;
        }
        Ok(())
    }

    pub fn skip(&mut self, length: usize) -> Result<(), RecordError> {
        self.take(length).map(|_| ())
    }

    /// That nothing is left.
    pub fn end(&self) -> Result<(), RecordError> {
        let record = self.record;
        match self.bytes.len() {
            0 => Ok(()),
            count => Err(RecordError::TrailingBytes { record, count }),
        }
    }
}

/// A key or value as it grows.
#[derive(Debug, Default)]
pub struct RecordWriter(Vec<u8>);

impl RecordWriter {
    /// Both keys and values begin with their version.
    #[must_use]
    pub fn new(version: i16) -> Self {
        Self(version.to_be_bytes().to_vec())
    }

    #[must_use]
    pub fn finish(self) -> bytes::Bytes {
        self.0.into()
    }

    pub fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.0.extend_from_slice(value.as_bytes());
    }

    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.0.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A text with a two-byte length.
    pub fn text(&mut self, value: &str) {
        let length = i16::try_from(value.len())
            .expect("texts come from the wire, which has none longer than 32,767 bytes");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value.as_bytes());
    }

    pub fn nullable_text(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.0.extend_from_slice(&(-1_i16).to_be_bytes()),
        }
    }

    /// A text with a compact length.
    pub fn compact_text(&mut self, value: &str) {
        self.unsigned_varint(length_u32(value.len()) + 1);
        self.0.extend_from_slice(value.as_bytes());
    }

    /// Bytes with a four-byte length.
    pub fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend_from_slice(value);
    }

    /// The number of elements that follow.
    pub fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&length_u32(count).to_be_bytes());
    }
}

fn length_u32(length: usize) -> u32 {
    let length = i32::try_from(length);
    let length = length.expect("a request's size bounds every length below 2^31");
    length.cast_unsigned()
}
