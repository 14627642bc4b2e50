//! The bytes that members of a classic consumer group leave for each other: subscriptions and assignments (ConsumerProtocol).
//!
//! They come from strangers, by way of the broker: every count is checked against the bytes that are left.

use std::collections::BTreeSet;

use bytes::Bytes;
use rinka_net::wire::{DecodeError, Reader, Writer};

use crate::cli::client::TopicPartition;

/// Version 0: what every client reads. Later ones add fields behind it.
const VERSION: i16 = 0;

/// The topics that a member wants.
///
/// # Errors
/// When the bytes are no subscription.
pub(crate) fn subscription(bytes: &Bytes) -> Result<BTreeSet<String>, DecodeError> {
    let mut reader = Reader::new(bytes.clone());
    let _version = reader.i16()?;
    let count = reader.nullable_count(false)?.unwrap_or(0);
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let topic = reader.nullable_text(false)?.ok_or(DecodeError::Null)?;
        topics.insert(topic.to_string());
    }
    Ok(topics)
}

/// The partitions that a member has. No bytes are none.
///
/// # Errors
/// When the bytes are no assignment.
pub(crate) fn assignment(bytes: &Bytes) -> Result<BTreeSet<TopicPartition>, DecodeError> {
    let mut partitions = BTreeSet::new();
    if bytes.is_empty() {
        return Ok(partitions);
    }
    let mut reader = Reader::new(bytes.clone());
    let _version = reader.i16()?;
    let topics = reader.nullable_count(false)?.unwrap_or(0);
    for _ in 0..topics {
        let topic = reader.nullable_text(false)?.ok_or(DecodeError::Null)?;
        let count = reader.nullable_count(false)?.unwrap_or(0);
        for _ in 0..count {
            let partition = reader.i32()?;
            let topic = topic.to_string();
            partitions.insert(TopicPartition { topic, partition });
        }
    }
    Ok(partitions)
}

pub(crate) fn write_subscription(topics: &[String]) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(VERSION);
    writer.nullable_count(Some(topics.len()), false);
    for topic in topics {
        writer.nullable_text(Some(topic.as_bytes()), false);
    }
    writer.nullable_bytes(None, false);
    Bytes::from(writer.finish().concat())
}

pub(crate) fn write_assignment(partitions: &BTreeSet<TopicPartition>) -> Bytes {
    let topics: BTreeSet<&String> = partitions.iter().map(|at| &at.topic).collect();
    let mut writer = Writer::new();
    writer.i16(VERSION);
    writer.nullable_count(Some(topics.len()), false);
    for topic in topics {
        writer.nullable_text(Some(topic.as_bytes()), false);
        let of_topic = partitions.iter().filter(|at| at.topic == *topic);
        writer.nullable_count(Some(of_topic.clone().count()), false);
        for at in of_topic {
            writer.i32(at.partition);
        }
    }
    writer.nullable_bytes(None, false);
    Bytes::from(writer.finish().concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_assignment_is_written_as_kafka_reads_it() {
        let at = |topic: &str, partition| TopicPartition {
            topic: topic.to_owned(),
            partition,
        };
        let written = write_assignment(&BTreeSet::from([at("ab", 1), at("ab", 2)]));
        #[rustfmt::skip]
        let expected = [
            0, 0, // version
            0, 0, 0, 1, 0, 2, b'a', b'b',
            0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2,
            0xFF, 0xFF, 0xFF, 0xFF, // no user data
        ];
        assert_eq!(written, expected.as_slice());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            partitions in proptest::collection::btree_set(("[a-c]{1,2}", 0..5_i32), 0..20),
            topics in proptest::collection::btree_set("[a-z]{1,5}", 0..9),
        ) {
            let partitions: BTreeSet<TopicPartition> = partitions
                .into_iter()
                .map(|(topic, partition)| TopicPartition { topic, partition })
                .collect();
            prop_assert_eq!(assignment(&write_assignment(&partitions)), Ok(partitions));
            let listed: Vec<String> = topics.iter().cloned().collect();
            prop_assert_eq!(subscription(&write_subscription(&listed)), Ok(topics));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let bytes = Bytes::from(bytes);
            let _ = subscription(&bytes);
            let _ = assignment(&bytes);
        }
    }
}
