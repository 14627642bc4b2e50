//! Puts primitives into a message that is a rope: small fields in buffers of its own, record batches as the slices they are.
//!
//! Never copies a record.

use bytes::{BufMut, Bytes, BytesMut};

use super::text::Text;

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
    /// Everything but the batches, in one buffer, so that the length in front can be written last.
    fields: BytesMut,
    /// Batches, each with the position in `fields` that it stands before.
    batches: Vec<(usize, Bytes)>,
    batches_bytes: usize,
}

macro_rules! put_number {
    ($($name:ident($type:ty), $put:ident;)*) => {
        $(pub fn $name(&mut self, value: $type) {
            self.fields.$put(value);
        })*
    };
}

/// Room for a small response; most need no more.
const FIELDS_BYTES: usize = 256;

/// A length as a compact form has it. Messages are smaller than 2 GiB.
fn compact(length: usize) -> u32 {
    u32::try_from(length + 1).expect("messages are below 2 GiB")
}

fn plain(length: usize) -> i32 {
    i32::try_from(length).expect("messages are below 2 GiB")
}

/// As much of a text as the protocol takes: error messages, the only long texts, are cut between two characters.
fn fitting(text: &[u8]) -> &[u8] {
    if text.len() <= Text::BYTES_MAX {
        return text;
    }
    let is_continuation = |byte: u8| byte & 0xC0 == 0x80;
    let mut end = Text::BYTES_MAX;
    while end > 0 && is_continuation(text[end]) {
        end -= 1;
    }
    &text[..end]
}

impl Writer {
    #[must_use]
    pub fn new() -> Self {
        Self {
            fields: BytesMut::with_capacity(FIELDS_BYTES),
            ..Self::default()
        }
    }

    put_number! {
        i8(i8), put_i8;
        i16(i16), put_i16;
        u16(u16), put_u16;
        i32(i32), put_i32;
        i64(i64), put_i64;
        u128(u128), put_u128;
        f64(f64), put_f64;
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len() + self.batches_bytes
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.fields.put_u8((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.fields.put_u8(value as u8);
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
        let text = text.map(fitting);
        match (text, flexible) {
            (None, true) => self.unsigned_varint(0),
            (None, false) => self.i16(-1),
            (Some(text), true) => self.unsigned_varint(compact(text.len())),
            (Some(text), false) => self.u16(text.len() as u16),
        }
        self.fields.put_slice(text.unwrap_or_default());
    }

    pub fn nullable_bytes(&mut self, bytes: Option<&Bytes>, flexible: bool) {
        self.nullable_count(bytes.map(Bytes::len), flexible);
        if let Some(bytes) = bytes {
            self.fields.put_slice(bytes);
        }
    }

    /// Adds the batches without copying them.
    pub fn records(&mut self, records: &Records, flexible: bool) {
        let bytes = records.len();
        self.nullable_count(records.0.as_ref().map(|_| bytes), flexible);
        let position = self.fields.len();
        let batches = records.0.iter().flatten().filter(|batch| !batch.is_empty());
        self.batches
            .extend(batches.map(|batch| (position, batch.clone())));
        self.batches_bytes += bytes;
    }

    /// A tagged field: its tag, its length, and what `content` writes, which no batches may be among.
    pub fn tagged_field(&mut self, tag: u32, content: impl FnOnce(&mut Self)) {
        self.unsigned_varint(tag);
        let start = self.fields.len();
        let batches = self.batches.len();
        content(self);
        assert_eq!(
            self.batches.len(),
            batches,
            "no tagged field of Kafka's holds batches"
        );
        // How many bytes the length takes is known only now: it is written behind the content and changes places with it.
        let end = self.fields.len();
        self.unsigned_varint(compact(end - start) - 1);
        let length_bytes = self.fields.len() - end;
        self.fields[start..].rotate_right(length_bytes);
    }

    /// The message in parts, to be sent one behind the other.
    #[must_use]
    pub fn finish(self) -> Vec<Bytes> {
        let mut fields = self.fields.freeze();
        let mut parts = Vec::with_capacity(2 * self.batches.len() + 1);
        let mut written = 0;
        for (position, batch) in self.batches {
            if position > written {
                parts.push(fields.split_to(position - written));
                written = position;
            }
            parts.push(batch);
        }
        if !fields.is_empty() {
            parts.push(fields);
        }
        parts
    }

    /// The message behind its length in four bytes. The first four bytes written must be room for it.
    #[must_use]
    pub(super) fn finish_frame(mut self) -> Vec<Bytes> {
        let length = plain(self.len() - 4).to_be_bytes();
        self.fields[..4].copy_from_slice(&length);
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        // Two bytes a character, so that the limit, an odd number, falls into one.
        let text = "é".repeat(20_000);
        for flexible in [false, true] {
            let mut writer = Writer::new();
            writer.nullable_text(Some(text.as_bytes()), flexible);
            let written = writer.finish().concat();
            let text = if flexible {
                &written[3..]
            } else {
                &written[2..]
            };
            assert_eq!(text.len(), Text::BYTES_MAX - 1);
            assert!(std::str::from_utf8(text).is_ok());
        }
    }

    #[test]
    fn the_length_of_a_tagged_field_takes_the_bytes_it_needs() {
        for (content, length) in [(0, 1), (127, 1), (128, 2), (16_384, 3)] {
            let mut writer = Writer::new();
            writer.tagged_field(5, |writer| (0..content).for_each(|_| writer.i8(7)));
            let written = writer.finish().concat();
            assert_eq!(written.len(), 1 + length + content);
            assert_eq!(written[0], 5);
            assert!(written[1 + length..].iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn parts_come_in_the_order_they_were_written_in() {
        let mut writer = Writer::new();
        let batches = |batches: &[&'static [u8]]| {
            Records(Some(
                batches.iter().copied().map(Bytes::from_static).collect(),
            ))
        };
        writer.records(&batches(&[]), true);
        writer.records(&batches(&[b"ab", b"", b"c"]), true);
        writer.i8(9);
        writer.records(&batches(&[b"d"]), true);
        assert_eq!(writer.len(), 8);
        let parts = writer.finish();
        assert_eq!(parts.concat(), b"\x01\x04abc\x09\x02d");
        assert_eq!(parts.len(), 5);
    }
}
