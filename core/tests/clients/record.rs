//! A record as the suite sees it, and the frames in which the clients' drivers take and give records. Decides nothing.
//!
//! A driver is a small program around one client. All it does is carry records between frames and the broker; what is written and
//! whether it came back right is decided here, once. Frames are big-endian:
//!
//! ```text
//! record = partition i32 (-1: let the client choose)   offset i64 (-1 when written)   timestamp i64 (-1: let the client choose)
//!          key bytes   value bytes   headers i32 { name bytes   value bytes }
//! ack    = partition i32   offset i64, one for each record written, in the order they were written
//! bytes  = length i32 (-1: null), content
//! ```

use std::io::{self, Read, Write};

/// What the client may choose, or what is not known.
pub(crate) const UNSET: i64 = -1;

/// The longest field a driver may send; the largest record of the suite is far below it.
const FIELD_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Where the broker said that it put a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Record {
    pub(crate) fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.partition.to_be_bytes())?;
        out.write_all(&self.offset.to_be_bytes())?;
        out.write_all(&self.timestamp.to_be_bytes())?;
        write_bytes(out, self.key.as_deref())?;
        write_bytes(out, self.value.as_deref())?;
        let headers = i32::try_from(self.headers.len()).expect("few headers");
        out.write_all(&headers.to_be_bytes())?;
        for (name, value) in &self.headers {
            write_bytes(out, Some(name))?;
            write_bytes(out, value.as_deref())?;
        }
        Ok(())
    }

    /// The next record, or `None` at the end of the stream.
    pub(crate) fn read_from(input: &mut impl Read) -> io::Result<Option<Self>> {
        let Some(partition) = read_first_i32(input)? else {
            return Ok(None);
        };
        let offset = read_i64(input)?;
        let timestamp = read_i64(input)?;
        let key = read_bytes(input)?;
        let value = read_bytes(input)?;
        let mut headers = Vec::new();
        for _ in 0..read_i32(input)? {
            let name = read_bytes(input)?.ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name, read_bytes(input)?));
        }
        Ok(Some(Self {
            partition,
            offset,
            timestamp,
            key,
            value,
            headers,
        }))
    }

    pub(crate) fn bytes(&self) -> usize {
        let length = |field: &Option<Vec<u8>>| field.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value)
    }
}

impl Ack {
    /// The next ack, or `None` at the end of the stream.
    pub(crate) fn read_from(input: &mut impl Read) -> io::Result<Option<Self>> {
        let Some(partition) = read_first_i32(input)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            partition,
            offset: read_i64(input)?,
        }))
    }
}

fn write_bytes(out: &mut impl Write, field: Option<&[u8]>) -> io::Result<()> {
    let Some(content) = field else {
        return out.write_all(&(-1_i32).to_be_bytes());
    };
    let length = i32::try_from(content.len()).expect("a field is below 16 MiB");
    out.write_all(&length.to_be_bytes())?;
    out.write_all(content)
}

fn read_bytes(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let Ok(length) = usize::try_from(read_i32(input)?) else {
        return Ok(None);
    };
    if length > FIELD_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; length];
    input.read_exact(&mut content)?;
    Ok(Some(content))
}

fn read_first_i32(input: &mut impl Read) -> io::Result<Option<i32>> {
    let mut first = [0; 4];
    if input.read(&mut first[..1])? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut first[1..])?;
    Ok(Some(i32::from_be_bytes(first)))
}

fn read_i32(input: &mut impl Read) -> io::Result<i32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}

fn read_i64(input: &mut impl Read) -> io::Result<i64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(i64::from_be_bytes(bytes))
}
