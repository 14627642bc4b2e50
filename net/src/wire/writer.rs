//! Puts primitives into a message that is a rope: small fields in buffers of its own, record batches as the slices they are.
//!
//! Never copies a record.

use bytes::{BufMut, Bytes, BytesMut};

/// Record batches in the order of their offsets, each a slice of whatever memory holds it; or null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(pub Option<Vec<Bytes>>);

impl Records {
    /// Bytes of all batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().flatten().map(Bytes::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message being written.
#[derive(Debug, Default)]
pub struct Writer {
    parts: Vec<Bytes>,
    tail: BytesMut,
}

macro_rules! put_integer {
    ($($name:ident($type:ty), $put:ident;)*) => {
        $(pub fn $name(&mut self, value: $type) {
            self.tail.$put(value);
        })*
    };
}

/// Room for a small response; most need no more.
const TAIL_BYTES: usize = 256;

/// A length as a compact form has it. Messages are smaller than 2 GiB.
fn compact(length: usize) -> u32 {
    u32::try_from(length + 1).expect("messages are below 2 GiB")
}

fn plain(length: usize) -> i32 {
    i32::try_from(length).expect("messages are below 2 GiB")
}

impl Writer {
    #[must_use]
    pub fn new() -> Self {
        Self {
            parts: Vec::new(),
            tail: BytesMut::with_capacity(TAIL_BYTES),
        }
    }

    put_integer! {
        i8(i8), put_i8;
        i16(i16), put_i16;
        u16(u16), put_u16;
        i32(i32), put_i32;
        i64(i64), put_i64;
        u128(u128), put_u128;
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum::<usize>() + self.tail.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.tail.put_u8((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value as u8);
    }

    pub fn nullable_count(&mut self, count: Option<usize>, flexible: bool) {
        match (count, flexible) {
            (None, true) => self.unsigned_varint(0),
            (None, false) => self.i32(-1),
            (Some(count), true) => self.unsigned_varint(compact(count)),
            (Some(count), false) => self.i32(plain(count)),
        }
    }

    pub fn nullable_text(&mut self, text: Option<&[u8]>, flexible: bool) {
        match (text, flexible) {
            (None, true) => self.unsigned_varint(0),
            (None, false) => self.i16(-1),
            (Some(text), true) => {
                self.unsigned_varint(compact(text.len()));
                self.tail.put_slice(text);
            }
            (Some(text), false) => {
                // Longer ones do not fit the protocol: error messages, the only long texts, are cut.
                let text = &text[..text.len().min(i16::MAX as usize)];
                self.tail.put_u16(text.len() as u16);
                self.tail.put_slice(text);
            }
        }
    }

    pub fn nullable_bytes(&mut self, bytes: Option<&Bytes>, flexible: bool) {
        self.nullable_count(bytes.map(Bytes::len), flexible);
        if let Some(bytes) = bytes {
            self.tail.put_slice(bytes);
        }
    }

    /// Adds the batches without copying them.
    pub fn records(&mut self, records: &Records, flexible: bool) {
        self.nullable_count(records.0.as_ref().map(|_| records.len()), flexible);
        let batches = records.0.iter().flatten().filter(|batch| !batch.is_empty());
        for batch in batches {
            if !self.tail.is_empty() {
                self.parts.push(self.tail.split().freeze());
            }
            self.parts.push(batch.clone());
        }
    }

    /// A tagged field: its tag, its length, its content.
    pub fn tagged_field(&mut self, tag: u32, content: Self) {
        self.unsigned_varint(tag);
        self.unsigned_varint(compact(content.len()) - 1);
        for part in content.finish() {
            self.tail.put_slice(&part);
        }
    }

    /// The message in parts, to be sent one behind the other.
    #[must_use]
    pub fn finish(mut self) -> Vec<Bytes> {
        if !self.tail.is_empty() {
            self.parts.push(self.tail.freeze());
        }
        self.parts
    }

    /// The message behind its length in four bytes. The first four bytes written must be room for it.
    #[must_use]
    pub(super) fn finish_frame(mut self) -> Vec<Bytes> {
        let length = plain(self.len() - 4).to_be_bytes();
        if self.parts.is_empty() {
            self.tail[..4].copy_from_slice(&length);
            return self.finish();
        }
        // The first part was frozen before the length was known; it is small and only we hold it.
        let mut first = match self.parts[0].clone().try_into_mut() {
            Ok(first) => first,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        first[..4].copy_from_slice(&length);
        self.parts[0] = first.freeze();
        self.finish()
    }
}
