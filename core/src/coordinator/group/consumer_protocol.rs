//! The bytes that consumers of the classic protocol tell each other: subscriptions and assignments, versions 0-3 (KIP-54, KIP-429, KIP-792,
//! KIP-881).
//!
//! They come from other clients and are bytes to the protocol, so nothing in them is believed: what does not parse is an error, and no
//! length is trusted before it is there. Later versions are read as the last known one, whose fields they begin with.
//!
//! `decode` wants every field of the version that the bytes claim; `decode_beginning` wants those of version 0, which all versions begin
//! with, and looks at nothing behind them: for who only wants to know which topics or partitions a member is about.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rinka_net::wire::{DecodeError, Reader, Text, Writer};

/// The protocol type of groups whose members speak this.
pub const PROTOCOL_TYPE: &str = "consumer";

/// The newest version that is written.
pub const VERSION_MAX: i16 = 3;

/// A member's subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    pub topics: Vec<Arc<str>>,
    pub user_data: Option<Bytes>,
    /// Since version 1: what the member has at the time it joins. Older members have nothing then.
    pub owned: BTreeMap<Arc<str>, Vec<i32>>,
    /// Since version 2: the generation in which it got them. -1: none.
    pub generation: i32,
    /// Since version 3.
    pub rack: Option<Arc<str>>,
}

/// What a member is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProtocolAssignment {
    pub partitions: BTreeMap<Arc<str>, Vec<i32>>,
    pub user_data: Option<Bytes>,
}

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerProtocolError {
    /// A version below 0.
    Version(i16),
    Malformed(DecodeError),
}

impl fmt::Display for ConsumerProtocolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(formatter, "its version is {version}"),
            Self::Malformed(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ConsumerProtocolError {}

impl From<DecodeError> for ConsumerProtocolError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// The version that the bytes say they have, as far as it is known here.
///
/// # Errors
/// When there are no two bytes, or the version is below 0.
pub fn version(bytes: &Bytes) -> Result<i16, ConsumerProtocolError> {
    take_version(&mut Reader::new(bytes.clone()))
}

impl Subscription {
    /// What lies behind the last field is ignored, as in Kafka.
    ///
    /// # Errors
    /// When the bytes end too early or hold an impossible length.
    pub fn decode(bytes: &Bytes) -> Result<Self, ConsumerProtocolError> {
        let mut reader = Reader::new(bytes.clone());
        let version = take_version(&mut reader)?;
        let mut subscription = Self::take_beginning(&mut reader)?;
        if version >= 1 {
            subscription.owned = take_partitions(&mut reader)?;
        }
        if version >= 2 {
            subscription.generation = reader.i32()?;
        }
        if version >= 3 {
            let rack = reader.nullable_text(false)?;
            subscription.rack = rack.map(|rack| Arc::from(rack.as_str()));
        }
        Ok(subscription)
    }

    /// The topics and the user data, whatever version it has; the other fields are as if it had none of them.
    ///
    /// # Errors
    /// When the bytes end before the user data does, or hold an impossible length before.
    pub fn decode_beginning(bytes: &Bytes) -> Result<Self, ConsumerProtocolError> {
        let mut reader = Reader::new(bytes.clone());
        take_version(&mut reader)?;
        Ok(Self::take_beginning(&mut reader)?)
    }

    fn take_beginning(reader: &mut Reader) -> Result<Self, DecodeError> {
        let count = take_count(reader)?;
        let topics = (0..count).map(|_| take_name(reader));
        Ok(Self {
            topics: topics.collect::<Result<_, _>>()?,
            user_data: reader.nullable_bytes(false)?,
            generation: -1,
            ..Self::default()
        })
    }

    /// Fields that `version` does not have are left out.
    #[must_use]
    pub fn encode(&self, version: i16) -> Bytes {
        let mut writer = Writer::new();
        writer.i16(version);
        writer.nullable_count(Some(self.topics.len()), false);
        for topic in &self.topics {
            writer.nullable_text(Some(topic.as_bytes()), false);
        }
        writer.nullable_bytes(self.user_data.as_ref(), false);
        if version >= 1 {
            put_partitions(&mut writer, &self.owned);
        }
        if version >= 2 {
            writer.i32(self.generation);
        }
        if version >= 3 {
            writer.nullable_text(self.rack.as_deref().map(str::as_bytes), false);
        }
        Bytes::from(writer.finish().concat())
    }
}

impl ProtocolAssignment {
    /// What lies behind the last field is ignored, as in Kafka.
    ///
    /// # Errors
    /// When the bytes end too early or hold an impossible length.
    pub fn decode(bytes: &Bytes) -> Result<Self, ConsumerProtocolError> {
        let mut reader = Reader::new(bytes.clone());
        take_version(&mut reader)?;
        Ok(Self {
            partitions: take_partitions(&mut reader)?,
            user_data: reader.nullable_bytes(false)?,
        })
    }

    /// The partitions alone. No bytes at all are no partitions: so a member has it that nobody has assigned anything yet.
    ///
    /// # Errors
    /// When the bytes end before the partitions do, or hold an impossible length before.
    pub fn decode_beginning(bytes: &Bytes) -> Result<Self, ConsumerProtocolError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = Reader::new(bytes.clone());
        take_version(&mut reader)?;
        Ok(Self {
            partitions: take_partitions(&mut reader)?,
            user_data: None,
        })
    }

    /// All versions look the same.
    #[must_use]
    pub fn encode(&self, version: i16) -> Bytes {
        let mut writer = Writer::new();
        writer.i16(version);
        put_partitions(&mut writer, &self.partitions);
        writer.nullable_bytes(self.user_data.as_ref(), false);
        Bytes::from(writer.finish().concat())
    }
}

fn take_version(reader: &mut Reader) -> Result<i16, ConsumerProtocolError> {
    match reader.i16()? {
        version @ i16::MIN..0 => Err(ConsumerProtocolError::Version(version)),
        version => Ok(version.min(VERSION_MAX)),
    }
}

fn take_count(reader: &mut Reader) -> Result<usize, DecodeError> {
    reader.nullable_count(false)?.ok_or(DecodeError::Null)
}

fn take_name(reader: &mut Reader) -> Result<Arc<str>, DecodeError> {
    let name: Text = reader.nullable_text(false)?.ok_or(DecodeError::Null)?;
    Ok(Arc::from(name.as_str()))
}

/// A topic that is named twice has the partitions of both.
fn take_partitions(reader: &mut Reader) -> Result<BTreeMap<Arc<str>, Vec<i32>>, DecodeError> {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for _ in 0..take_count(reader)? {
        let partitions = topics.entry(take_name(reader)?).or_default();
        for _ in 0..take_count(reader)? {
            partitions.push(reader.i32()?);
        }
    }
    Ok(topics)
}

fn put_partitions(writer: &mut Writer, topics: &BTreeMap<Arc<str>, Vec<i32>>) {
    writer.nullable_count(Some(topics.len()), false);
    for (name, partitions) in topics {
        writer.nullable_text(Some(name.as_bytes()), false);
        writer.nullable_count(Some(partitions.len()), false);
        for &partition in partitions {
            writer.i32(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_partitions() -> impl Strategy<Value = BTreeMap<Arc<str>, Vec<i32>>> {
        let name = "[a-z]{1,4}".prop_map(Arc::from);
        proptest::collection::btree_map(name, proptest::collection::vec(any::<i32>(), 0..4), 0..4)
    }

    fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..8);
        proptest::option::of(bytes.prop_map(Bytes::from))
    }

    #[test]
    fn a_subscription_of_version_1_has_kafkas_bytes() {
        let bytes = Bytes::from_static(
            b"\x00\x01\x00\x00\x00\x01\x00\x01t\xFF\xFF\xFF\xFF\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05",
        );
        let subscription = Subscription::decode(&bytes).unwrap();
        assert_eq!(
            subscription,
            Subscription {
                topics: vec!["t".into()],
                user_data: None,
                owned: BTreeMap::from([("t".into(), vec![0, 5])]),
                generation: -1,
                rack: None,
            }
        );
        assert_eq!(subscription.encode(1), bytes);
    }

    #[test]
    fn an_assignment_has_kafkas_bytes() {
        let bytes = Bytes::from_static(
            b"\x00\x00\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x02ud",
        );
        let assignment = ProtocolAssignment::decode(&bytes).unwrap();
        assert_eq!(
            assignment,
            ProtocolAssignment {
                partitions: BTreeMap::from([("t".into(), vec![7])]),
                user_data: Some(Bytes::from_static(b"ud")),
            }
        );
        assert_eq!(assignment.encode(0), bytes);
    }

    #[test]
    fn later_versions_are_read_as_the_last_known_one_and_negative_ones_are_refused() {
        let subscription = Subscription {
            rack: Some("r".into()),
            generation: 4,
            ..Subscription::default()
        };
        let mut bytes = subscription.encode(3).to_vec();
        bytes[1] = 9;
        bytes.extend_from_slice(b"more");
        let bytes = Bytes::from(bytes);
        assert_eq!(Subscription::decode(&bytes), Ok(subscription));
        assert_eq!(version(&bytes), Ok(3));
        let negative = Bytes::from_static(b"\xFF\xFE\x00\x00\x00\x00");
        let refused = ConsumerProtocolError::Version(-2);
        assert_eq!(Subscription::decode(&negative), Err(refused));
        assert_eq!(ProtocolAssignment::decode(&negative), Err(refused));
    }

    #[test]
    fn the_beginning_of_every_version_is_read_and_nothing_behind_it() {
        let whole = Subscription {
            topics: vec!["a".into(), "bc".into()],
            user_data: Some(Bytes::from_static(b"ud")),
            owned: BTreeMap::from([("a".into(), vec![1])]),
            generation: 4,
            rack: Some("r".into()),
        };
        let beginning = Subscription {
            owned: BTreeMap::new(),
            generation: -1,
            rack: None,
            ..whole.clone()
        };
        for version in 0..=VERSION_MAX {
            let bytes = whole.encode(version);
            let read = Subscription::decode_beginning(&bytes);
            assert_eq!(read.as_ref(), Ok(&beginning));
            // Cut short behind it.
            let cut = bytes.slice(..whole.encode(0).len());
            assert_eq!(Subscription::decode_beginning(&cut), read);
        }
        assert!(Subscription::decode(&whole.encode(3).slice(..16)).is_err());
        for bytes in [
            &b""[..],
            b"\x00",
            b"\x00\x00\x7F\xFF\xFF\xFF",
            b"\x00\x00\x00\x00\x00\x01\x00\x05a",
            b"\xFF\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF",
            // No user data at all.
            b"\x00\x00\x00\x00\x00\x00",
        ] {
            let bytes = Bytes::from_static(bytes);
            assert!(Subscription::decode_beginning(&bytes).is_err(), "{bytes:?}");
        }
        let nothing = ProtocolAssignment::decode_beginning(&Bytes::new());
        assert_eq!(nothing, Ok(ProtocolAssignment::default()));
        let without_user_data = ProtocolAssignment::default().encode(0).slice(..6);
        assert!(ProtocolAssignment::decode(&without_user_data).is_err());
        assert_eq!(
            ProtocolAssignment::decode_beginning(&without_user_data),
            nothing
        );
    }

    #[test]
    fn an_impossible_count_is_refused_without_room_made_for_it() {
        let bytes = Bytes::from_static(b"\x00\x00\x7F\xFF\xFF\xFF\x00\x00");
        let refused = ConsumerProtocolError::Malformed(DecodeError::Length);
        assert_eq!(Subscription::decode(&bytes), Err(refused));
        assert_eq!(ProtocolAssignment::decode(&bytes), Err(refused));
    }

    proptest! {
        #[test]
        fn subscriptions_round_trip(
            topics in proptest::collection::vec("[a-z]{1,4}", 0..4),
            user_data in any_bytes(),
            owned in any_partitions(),
            generation: i32,
            rack in proptest::option::of("[a-z]{0,4}"),
        ) {
            let subscription = Subscription {
                topics: topics.into_iter().map(Arc::from).collect(),
                user_data,
                owned,
                generation,
                rack: rack.map(Arc::from),
            };
            prop_assert_eq!(Subscription::decode(&subscription.encode(3)), Ok(subscription));
        }

        #[test]
        fn assignments_round_trip(partitions in any_partitions(), user_data in any_bytes(), version in 0_i16..=3) {
            let assignment = ProtocolAssignment { partitions, user_data };
            prop_assert_eq!(ProtocolAssignment::decode(&assignment.encode(version)), Ok(assignment));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let bytes = Bytes::from(bytes);
            // Who wants less reads all that who wants more reads.
            if let Ok(whole) = Subscription::decode(&bytes) {
                let beginning = Subscription::decode_beginning(&bytes);
                prop_assert_eq!(beginning.map(|read| read.topics), Ok(whole.topics));
            } else {
                let _ = Subscription::decode_beginning(&bytes);
            }
            if let Ok(whole) = ProtocolAssignment::decode(&bytes) {
                let beginning = ProtocolAssignment::decode_beginning(&bytes);
                prop_assert_eq!(beginning.map(|read| read.partitions), Ok(whole.partitions));
            } else {
                let _ = ProtocolAssignment::decode_beginning(&bytes);
            }
        }
    }
}
