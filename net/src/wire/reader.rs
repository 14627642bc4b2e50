//! Takes primitives off a frame: every count and length is checked against the bytes that are left before it is believed.
//!
//! Never copies: strings and byte fields are slices of the frame.

use std::fmt;

use bytes::{Buf, Bytes};

use super::text::Text;

/// Elements of one array at most, as in Kafka 4.4. Together with "no more than bytes left" it bounds what is allocated.
const ELEMENTS_MAX: usize = 1_000_000;

/// Tagged fields of one structure at most, as in Kafka 4.4.
const TAGS_MAX: usize = 10_000;

/// Why bytes are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The frame ends inside a field.
    Truncated,
    /// A count or length that is negative, or larger than what is left of the frame.
    Length,
    /// A variable-length integer of too many bytes.
    Varint,
    /// A string is not UTF-8.
    Utf8,
    /// Null where the protocol has none.
    Null,
    /// The API or its version is not offered.
    Unsupported,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Truncated => "it ends inside a field",
            Self::Length => "a length is negative or larger than the request",
            Self::Varint => "a variable-length integer is too long",
            Self::Utf8 => "a string is not UTF-8",
            Self::Null => "a field is null that may not be",
            Self::Unsupported => "the API or its version is not offered",
        })
    }
}

impl std::error::Error for DecodeError {}

/// What is left of a frame.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
}

macro_rules! take_number {
    ($($name:ident -> $type:ty, $get:ident;)*) => {
        $(pub fn $name(&mut self) -> Result<$type, DecodeError> {
            if self.bytes.len() < size_of::<$type>() {
                return Err(DecodeError::Truncated);
            }
            Ok(self.bytes.$get())
        })*
    };
}

impl Reader {
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    take_number! {
        i8 -> i8, get_i8;
        i16 -> i16, get_i16;
        u16 -> u16, get_u16;
        i32 -> i32, get_i32;
        i64 -> i64, get_i64;
        u128 -> u128, get_u128;
        f64 -> f64, get_f64;
    }

    /// Bytes left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value: u64 = 0;
        for index in 0..5 {
            let byte = self.i8()?.cast_unsigned();
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| DecodeError::Varint);
            }
        }
        Err(DecodeError::Varint)
    }

    /// The next `length` bytes.
    pub fn slice(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        if length > self.bytes.len() {
            return Err(DecodeError::Length);
        }
        Ok(self.bytes.split_to(length))
    }

    /// A length as the compact forms have it: one more than it is, 0 for null.
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    fn plain_length(length: i32) -> Result<Option<usize>, DecodeError> {
        match length {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map(Some)
                .map_err(|_| DecodeError::Length),
        }
    }

    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        let length = if flexible {
            self.compact_length()?
        } else {
            Self::plain_length(self.i32()?)?
        };
        length.map(|length| self.slice(length)).transpose()
    }

    /// A string; what of it is not UTF-8 is replaced, as in Kafka: such a name is then refused by whoever it is meant for.
    pub fn nullable_text(&mut self, flexible: bool) -> Result<Option<Text>, DecodeError> {
        let bytes = self.nullable_text_bytes(flexible)?;
        Ok(bytes.map(Text::from_bytes))
    }

    /// A string that must be UTF-8.
    pub fn nullable_utf8(&mut self, flexible: bool) -> Result<Option<Text>, DecodeError> {
        let bytes = self.nullable_text_bytes(flexible)?;
        bytes
            .map(|bytes| Text::from_utf8(bytes).map_err(|_| DecodeError::Utf8))
            .transpose()
    }

    fn nullable_text_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        let length = if flexible {
            self.compact_length()?
        } else {
            Self::plain_length(self.i16()?.into())?
        };
        if length.is_some_and(|length| length > Text::BYTES_MAX) {
            return Err(DecodeError::Length);
        }
        length.map(|length| self.slice(length)).transpose()
    }

    /// The number of elements of an array, each of which takes at least one byte.
    pub fn nullable_count(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        let count = if flexible {
            self.compact_length()?
        } else {
            Self::plain_length(self.i32()?)?
        };
        if count.is_some_and(|count| count > self.bytes.len() || count > ELEMENTS_MAX) {
            return Err(DecodeError::Length);
        }
        Ok(count)
    }

    /// Walks over the tagged fields of a structure; what `known` leaves of one is skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint()? as usize;
        // A tagged field takes two bytes at least.
        if count > TAGS_MAX || count > self.bytes.len() / 2 {
            return Err(DecodeError::Length);
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let length = self.unsigned_varint()? as usize;
            known(
                tag,
                &mut Self {
                    bytes: self.slice(length)?,
                },
            )?;
        }
        Ok(())
    }
}
