//! What names a partition: the topic's id, which no later topic of the same name shares, and a number.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A topic's identity (KIP-516). A topic that is deleted and created again gets another id.
///
/// Written as Kafka writes it: 22 characters of URL-safe base64 without padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// The id that means "none" in the protocol.
    pub const ZERO: Self = Self(Uuid::nil());
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic_id: TopicId,
    pub partition: i32,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of an id in base64: 128 bits at 6 bits each, rounded up.
const TEXT_LENGTH: usize = 22;

impl fmt::Display for TopicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 132 bits hold the 128 and 4 zero bits behind them: split, since no integer is that wide.
        let bits = self.0.as_u128();
        for position in 0..TEXT_LENGTH {
            let sextet = match position {
                21 => (bits << 4) & 63,
                _ => (bits >> (122 - 6 * position)) & 63,
            };
            let character = ALPHABET[usize::try_from(sextet).expect("six bits fit")];
            write!(formatter, "{}", char::from(character))?;
        }
        Ok(())
    }
}

/// The text is not 22 characters of URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicIdError;

impl FromStr for TopicId {
    type Err = TopicIdError;

    fn from_str(text: &str) -> Result<Self, TopicIdError> {
        if text.len() != TEXT_LENGTH {
            return Err(TopicIdError);
        }
        let mut bits: u128 = 0;
        for (position, byte) in text.bytes().enumerate() {
            let sextet = ALPHABET
                .iter()
                .position(|&c| c == byte)
                .ok_or(TopicIdError)? as u128;
            if position == 21 {
                if sextet & 15 != 0 {
                    return Err(TopicIdError);
                }
                bits = (bits << 2) | (sextet >> 4);
            } else {
                bits = (bits << 6) | sextet;
            }
        }
        Ok(Self(Uuid::from_u128(bits)))
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.topic_id, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_metadata_topic_id_reads_as_in_kafka() {
        // Uuid.METADATA_TOPIC_ID in Kafka is (0, 1) and prints so.
        let id = TopicId(Uuid::from_u128(1));
        assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    proptest! {
        #[test]
        fn text_round_trips(bits: u128) {
            let id = TopicId(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
