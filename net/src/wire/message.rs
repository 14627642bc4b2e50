//! How a message is declared: [`message!`] makes a struct with its codec from what reads like Kafka's schema.
//!
//! Never skips a check: what a field's type and version allow is checked in one place, here.

use bytes::Bytes;
use uuid::Uuid;

use super::reader::{DecodeError, Reader};
use super::text::Text;
use super::writer::{Records, Writer};

/// The version a message is read or written at, and whether that one has compact lengths and tagged fields (KIP-482).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub number: i16,
    pub flexible: bool,
}

/// Anything that can be a field of a message.
pub trait Field: Sized {
    /// # Errors
    /// [`DecodeError`].
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError>;

    fn write(&self, writer: &mut Writer, version: Version);

    fn is_null(&self) -> bool {
        false
    }
}

macro_rules! number_fields {
    ($($type:ident),*) => {
        $(impl Field for $type {
            fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
                reader.$type()
            }

            fn write(&self, writer: &mut Writer, _: Version) {
                writer.$type(*self);
            }
        })*
    };
}

number_fields!(i8, i16, u16, i32, i64, f64);

impl Field for bool {
    fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        Ok(reader.i8()? != 0)
    }

    fn write(&self, writer: &mut Writer, _: Version) {
        writer.i8((*self).into());
    }
}

impl Field for Uuid {
    fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        reader.u128().map(Self::from_u128)
    }

    fn write(&self, writer: &mut Writer, _: Version) {
        writer.u128(self.as_u128());
    }
}

impl Field for super::ErrorCode {
    fn read(reader: &mut Reader, _: Version) -> Result<Self, DecodeError> {
        reader.i16().map(Self)
    }

    fn write(&self, writer: &mut Writer, _: Version) {
        writer.i16(self.0);
    }
}

impl Field for Text {
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        reader
            .nullable_text(version.flexible)?
            .ok_or(DecodeError::Null)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        writer.nullable_text(Some(self.as_bytes()), version.flexible);
    }
}

impl Field for Option<Text> {
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        reader.nullable_text(version.flexible)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        writer.nullable_text(self.as_ref().map(Text::as_bytes), version.flexible);
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl Field for Bytes {
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        reader
            .nullable_bytes(version.flexible)?
            .ok_or(DecodeError::Null)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        writer.nullable_bytes(Some(self), version.flexible);
    }
}

impl Field for Records {
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        Ok(Self(
            reader
                .nullable_bytes(version.flexible)?
                .map(|bytes| vec![bytes]),
        ))
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        writer.records(self, version.flexible);
    }

    fn is_null(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        Option::<Self>::read(reader, version)?.ok_or(DecodeError::Null)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        writer.nullable_count(Some(self.len()), version.flexible);
        for element in self {
            element.write(writer, version);
        }
    }
}

impl<T: Field> Field for Option<Vec<T>> {
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        let Some(count) = reader.nullable_count(version.flexible)? else {
            return Ok(None);
        };
        // The count is bounded by the bytes left, but an element in memory is larger than its bytes: begin small and let
        // the elements that are really there make it grow.
        let mut elements = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            elements.push(T::read(reader, version)?);
        }
        Ok(Some(elements))
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        match self {
            Some(elements) => elements.write(writer, version),
            None => writer.nullable_count(None, version.flexible),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

/// A structure of fields, as [`message!`] declares them: unlike other fields it may be null behind a byte that says so.
pub trait Structure: Field {
    /// Says in a response how long its client is held up (KIP-219). Nothing happens in a message that has no room for it.
    fn set_throttle_time_ms(&mut self, _milliseconds: i32) {}
}

impl<T: Structure> Field for Option<T> {
    fn read(reader: &mut Reader, version: Version) -> Result<Self, DecodeError> {
        // As Kafka reads it: a byte below zero means null, any other that the structure follows.
        if reader.i8()? < 0 {
            return Ok(None);
        }
        T::read(reader, version).map(Some)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        match self {
            Some(structure) => {
                writer.i8(1);
                structure.write(writer, version);
            }
            None => writer.i8(-1),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

/// The first version with compact lengths and tagged fields.
macro_rules! flexible_of {
    (never) => {
        // No version ever comes to that number.
        i16::MAX
    };
    ($flexible:literal) => {
        $flexible
    };
}

/// A field's default: what it is in versions that do not have it, and what a tagged field is when absent.
macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

macro_rules! until_of {
    () => {
        i16::MAX
    };
    ($until:literal) => {
        $until
    };
}

/// The version from which a field may be null; by default as soon as its type can be.
macro_rules! nullable_of {
    () => {
        i16::MIN
    };
    ($nullable:literal) => {
        $nullable
    };
}

macro_rules! tag_of {
    () => {
        None
    };
    ($tag:literal) => {
        Some($tag)
    };
}

/// Sets the one field of this name, and does nothing for all others.
macro_rules! set_throttle_time {
    ($message:ident, throttle_time_ms, $milliseconds:ident) => {
        $message.throttle_time_ms = $milliseconds;
    };
    ($message:ident, $field:ident, $milliseconds:ident) => {};
}

/// Declares the structures of an API.
///
/// `field: Type, since 3, until 8, nullable 5, default -1, tag 0;` is in versions 3 to 8, may be null from 5 on, is -1 where
/// absent, and is a tagged field with number 0. Only `since` must be there. Tagged fields are declared in the order of their
/// tags. `flexible never` is for the few APIs that stay as they were (KIP-482).
///
/// Writing never fails, so that a handler can fill in what it knows without a look at the version: a field that the version
/// lacks is left out, whatever its value, and null is written as the default where the version has no null.
macro_rules! message {
    ($(
        $(#[$attribute:meta])*
        struct $name:ident, flexible $flexible:tt {
            $(
                $(#[$field_attribute:meta])*
                $field:ident: $type:ty, since $since:literal
                $(, until $until:literal)?
                $(, nullable $nullable:literal)?
                $(, default $default:expr)?
                $(, tag $tag:literal)?;
            )*
        }
    )*) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $($(#[$field_attribute])* pub $field: $type,)*
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($field: default_of!($($default)?),)* }
                }
            }

            impl $name {
                /// The version of this number.
                #[must_use]
                pub fn version(number: i16) -> $crate::wire::Version {
                    $crate::wire::Version { number, flexible: number >= flexible_of!($flexible) }
                }
            }

            impl $crate::wire::Structure for $name {
                #[allow(unused_variables, reason = "few messages have the field")]
                fn set_throttle_time_ms(&mut self, milliseconds: i32) {
                    $(set_throttle_time!(self, $field, milliseconds);)*
                }
            }

            impl $crate::wire::Field for $name {
                #[allow(clippy::double_comparisons, clippy::manual_range_contains, unused_comparisons, reason = "generated for any bounds")]
                fn read(
                    reader: &mut $crate::wire::Reader,
                    version: $crate::wire::Version,
                ) -> Result<Self, $crate::wire::DecodeError> {
                    #[allow(unused_mut, reason = "a message may have no field")]
                    let mut message = Self::default();
                    $(
                        let tag: Option<u32> = tag_of!($($tag)?);
                        if tag.is_none() && version.number >= $since && version.number <= until_of!($($until)?) {
                            message.$field = $crate::wire::Field::read(reader, version)?;
                            if version.number < nullable_of!($($nullable)?)
                                && $crate::wire::Field::is_null(&message.$field)
                            {
                                return Err($crate::wire::DecodeError::Null);
                            }
                        }
                    )*
                    if version.flexible {
                        reader.tagged_fields(|_tag, _reader| {
                            $(
                                let known: Option<u32> = tag_of!($($tag)?);
                                if known == Some(_tag) && version.number >= $since {
                                    message.$field = $crate::wire::Field::read(_reader, version)?;
                                }
                            )*
                            Ok(())
                        })?;
                    }
                    Ok(message)
                }

                #[allow(clippy::double_comparisons, clippy::manual_range_contains, unused_comparisons, reason = "generated for any bounds")]
                fn write(&self, writer: &mut $crate::wire::Writer, version: $crate::wire::Version) {
                    $(
                        let tag: Option<u32> = tag_of!($($tag)?);
                        if tag.is_none() && version.number >= $since && version.number <= until_of!($($until)?) {
                            if version.number < nullable_of!($($nullable)?)
                                && $crate::wire::Field::is_null(&self.$field)
                            {
                                let default: $type = default_of!($($default)?);
                                $crate::wire::Field::write(&default, writer, version);
                            } else {
                                $crate::wire::Field::write(&self.$field, writer, version);
                            }
                        }
                    )*
                    if version.flexible {
                        #[allow(unused_mut, reason = "a message may have no tagged field")]
                        let mut present = 0;
                        #[allow(unused_variables, reason = "a message may have no field")]
                        let default = Self::default();
                        $(
                            let tag: Option<u32> = tag_of!($($tag)?);
                            if tag.is_some() && version.number >= $since && self.$field != default.$field {
                                present += 1;
                            }
                        )*
                        writer.unsigned_varint(present);
                        $(
                            let tag: Option<u32> = tag_of!($($tag)?);
                            if let Some(tag) = tag
                                && version.number >= $since
                                && self.$field != default.$field
                            {
                                writer.tagged_field(tag, |writer| {
                                    $crate::wire::Field::write(&self.$field, writer, version);
                                });
                            }
                        )*
                    }
                }
            }

            #[cfg(test)]
            impl $crate::wire::oracle::Sample for $name {
                #[allow(clippy::double_comparisons, clippy::manual_range_contains, unused_comparisons, unused_mut, unused_variables, reason = "generated for any bounds")]
                fn sample(random: &mut $crate::wire::oracle::Random, version: $crate::wire::Version, _: bool) -> Self {
                    let mut message = Self::default();
                    $(
                        let tag: Option<u32> = tag_of!($($tag)?);
                        let there = version.number >= $since && version.number <= until_of!($($until)?);
                        // A tagged field is absent now and then.
                        if there && (tag.is_none() || random.one_in(2)) {
                            let nullable = version.number >= nullable_of!($($nullable)?);
                            message.$field = $crate::wire::oracle::Sample::sample(random, version, nullable);
                        }
                    )*
                    message
                }
            }
        )*
    };
}
