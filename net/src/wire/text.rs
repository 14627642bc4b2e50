//! A string that is a slice of the frame it came in, or of the program.
//!
//! Cheap to clone and to send; never changes.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

/// UTF-8 in shared bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text {
    bytes: Bytes,
}

impl Text {
    /// The longest that Kafka reads, in the compact form too.
    pub const BYTES_MAX: usize = i16::MAX as usize;

    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self { bytes })
    }

    /// With a question mark in the place of each byte that is no UTF-8: as long as it was, so that what was short enough to be
    /// read can be written.
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        if std::str::from_utf8(&bytes).is_ok() {
            return Self { bytes };
        }
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '?'));
        }
        Self::from(text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("checked when it was made")
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// As `str` has it and not as bytes have it, so that a map of texts can be asked for a `&str`.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self {
            bytes: Bytes::from_static(text.as_bytes()),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self {
            bytes: Bytes::from(text),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn a_map_of_texts_can_be_asked_for_a_str() {
        let texts = ["", "topic", "ключ"].map(Text::from);
        let hashed: HashSet<Text> = texts.iter().cloned().collect();
        let ordered: BTreeSet<Text> = texts.iter().cloned().collect();
        for text in ["", "topic", "ключ"] {
            assert!(hashed.contains(text), "{text:?}");
            assert!(ordered.contains(text), "{text:?}");
        }
        assert!(!hashed.contains("other"));
    }

    #[test]
    fn only_utf8_is_text() {
        assert!(Text::from_utf8(Bytes::from_static(b"\xC3")).is_err());
        assert!(Text::from_utf8(Bytes::from_static(b"\xC3\xA9")).is_ok());
        let replaced = Text::from_bytes(Bytes::from_static(b"a\xFF\xC3\xA9\xC3"));
        assert_eq!(replaced.as_str(), "a?é?");
    }
}
