//! The records inside a batch, unpacked: varints, key, value, headers (KIP-98).
//!
//! Borrows from the unpacked bytes and checks every length against what is left of them.

/// The smallest record: its length, attributes, two deltas, two lengths and a header count, of one byte each.
pub const RECORD_BYTES_MIN: usize = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// It ends in the middle of something.
    Truncated,
    /// A varint of more bytes than its type has.
    Varint,
    /// A length that is negative where none may be, or does not add up.
    Length,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset_delta: i32,
    /// Milliseconds after the batch's base timestamp.
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    header_count: usize,
    headers: &'a [u8],
}

impl<'a> Record<'a> {
    /// Keys and values of the headers, in order.
    pub fn headers(
        &self,
    ) -> impl Iterator<Item = Result<(&'a [u8], Option<&'a [u8]>), RecordError>> {
        let mut input = Input {
            bytes: self.headers,
        };
        (0..self.header_count)
            .map(move |_| Ok((input.bytes()?.ok_or(RecordError::Length)?, input.bytes()?)))
    }
}

/// Walks over the records of a batch.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    input: Input<'a>,
    left: i32,
}

impl<'a> Records<'a> {
    /// `body` is unpacked; `count` is what the batch's header says.
    #[must_use]
    pub fn new(body: &'a [u8], count: i32) -> Self {
        Self {
            input: Input { bytes: body },
            left: count,
        }
    }

    /// What lies behind the last record read: nothing, in a good batch that was read to its end.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.input.bytes
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let record = self.input.record();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

#[derive(Clone, Copy, Debug)]
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        let (part, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(RecordError::Truncated)?;
        self.bytes = rest;
        Ok(part)
    }

    /// A zigzag varint of at most `bytes_max` bytes. Java's clients refuse a longer one even when its value would fit.
    fn variable(&mut self, bytes_max: usize) -> Result<i64, RecordError> {
        let mut value: u64 = 0;
        for (index, &byte) in self.bytes.iter().enumerate() {
            if index == bytes_max {
                return Err(RecordError::Varint);
            }
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[index + 1..];
                // Zigzag: even numbers are positive.
                return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
            }
        }
        Err(RecordError::Truncated)
    }

    fn varlong(&mut self) -> Result<i64, RecordError> {
        self.variable(10)
    }

    fn varint(&mut self) -> Result<i32, RecordError> {
        i32::try_from(self.variable(5)?).map_err(|_| RecordError::Varint)
    }

    fn length(&mut self) -> Result<usize, RecordError> {
        usize::try_from(self.varint()?).map_err(|_| RecordError::Length)
    }

    /// Bytes behind their length; -1 is "none".
    fn bytes(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        match self.varint()? {
            -1 => Ok(None),
            length => self
                .slice(usize::try_from(length).map_err(|_| RecordError::Length)?)
                .map(Some),
        }
    }

    fn record(&mut self) -> Result<Record<'a>, RecordError> {
        let length = self.length()?;
        let mut input = Self {
            bytes: self.slice(length)?,
        };
        let _attributes = input.slice(1)?;
        let timestamp_delta = input.varlong()?;
        let offset_delta = input.varint()?;
        let key = input.bytes()?;
        let value = input.bytes()?;
        let header_count = input.length()?;
        // A header takes two bytes at least.
        if header_count > input.bytes.len() / 2 {
            return Err(RecordError::Length);
        }
        let headers = input.bytes;
        for _ in 0..header_count {
            input.bytes()?.ok_or(RecordError::Length)?;
            input.bytes()?;
        }
        if !input.bytes.is_empty() {
            return Err(RecordError::Length);
        }
        Ok(Record {
            offset_delta,
            timestamp_delta,
            key,
            value,
            header_count,
            headers,
        })
    }
}

fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(out, -1),
        Some(bytes) => {
            put_varlong(out, i64::try_from(bytes.len()).expect("below 2 GiB"));
            out.extend_from_slice(bytes);
        }
    }
}

/// Writes one record.
pub fn encode(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&str, Option<&[u8]>)],
) {
    let mut record = vec![0];
    put_varlong(&mut record, timestamp_delta);
    put_varlong(&mut record, i64::from(offset_delta));
    put_bytes(&mut record, key);
    put_bytes(&mut record, value);
    put_varlong(
        &mut record,
        i64::try_from(headers.len()).expect("few headers"),
    );
    for (key, value) in headers {
        put_bytes(&mut record, Some(key.as_bytes()));
        put_bytes(&mut record, *value);
    }
    put_bytes(out, Some(&record));
}

/// Writes a whole record again, length included, with another distance to its batch's timestamp.
///
/// # Errors
/// [`RecordError`] when it is none.
pub fn encode_at(
    out: &mut Vec<u8>,
    record: &[u8],
    timestamp_delta: i64,
) -> Result<(), RecordError> {
    let mut input = Input { bytes: record };
    input.length()?;
    let attributes = input.slice(1)?;
    input.varlong()?;
    let mut changed = attributes.to_vec();
    put_varlong(&mut changed, timestamp_delta);
    changed.extend_from_slice(input.bytes);
    put_bytes(out, Some(&changed));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Made = (
        i64,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        Vec<(String, Option<Vec<u8>>)>,
    );

    fn any_record() -> impl Strategy<Value = Made> {
        let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
        (
            any::<i64>(),
            bytes(),
            bytes(),
            proptest::collection::vec(("[a-z]{0,5}", bytes()), 0..4),
        )
    }

    #[test]
    fn a_varint_of_too_many_bytes_is_refused() {
        // Length 6, then: attributes, timestamp, offset, no key, no value, no headers. The length once in six bytes.
        let rest = [0, 0, 0, 1, 1, 0];
        let read = |length: &[u8]| {
            let body = [length, &rest].concat();
            Records::new(&body, 1)
                .next()
                .expect("one")
                .map(|record| record.offset_delta)
        };
        assert_eq!(read(&[12]), Ok(0));
        assert_eq!(read(&[0x8C, 0x80, 0x80, 0x80, 0]), Ok(0));
        assert_eq!(
            read(&[0x8C, 0x80, 0x80, 0x80, 0x80, 0]),
            Err(RecordError::Varint)
        );
    }

    proptest! {
        #[test]
        fn records_round_trip(made in proptest::collection::vec(any_record(), 1..10)) {
            let mut body = Vec::new();
            for (index, (timestamp, key, value, headers)) in made.iter().enumerate() {
                let headers: Vec<_> = headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
                encode(&mut body, *timestamp, index as i32, key.as_deref(), value.as_deref(), &headers);
            }
            let mut records = Records::new(&body, made.len() as i32);
            for (index, (timestamp, key, value, headers)) in made.iter().enumerate() {
                let record = records.next().expect("as many").expect("whole");
                prop_assert_eq!(record.timestamp_delta, *timestamp);
                prop_assert_eq!(record.offset_delta, index as i32);
                prop_assert_eq!(record.key, key.as_deref());
                prop_assert_eq!(record.value, value.as_deref());
                let read: Result<Vec<_>, _> = record.headers().collect();
                let expected: Vec<_> = headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref())).collect();
                prop_assert_eq!(read, Ok(expected));
            }
            prop_assert!(records.next().is_none() && records.rest().is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200), count: i32) {
            for record in Records::new(&body, count).flatten() {
                let _ = record.headers().count();
            }
        }
    }
}
