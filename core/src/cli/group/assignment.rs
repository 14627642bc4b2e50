//! What a member of a classic consumer group is assigned, as the set of partitions that the command line works with.
//!
//! Knows no bytes: `coordinator::group::consumer_protocol` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::cli::client::TopicPartition;
use rinka_core::coordinator::group::consumer_protocol::{
    ConsumerProtocolError, ProtocolAssignment,
};

/// What every client reads.
const VERSION: i16 = 0;

/// The partitions that a member has. No bytes are none.
///
/// # Errors
/// When the bytes are no assignment.
pub(crate) fn read(bytes: &Bytes) -> Result<BTreeSet<TopicPartition>, ConsumerProtocolError> {
    let assignment = ProtocolAssignment::decode_beginning(bytes)?;
    let topics = assignment.partitions.iter();
    let partitions = topics.flat_map(|(topic, partitions)| {
        partitions.iter().map(|&partition| TopicPartition {
            topic: topic.to_string(),
            partition,
        })
    });
    Ok(partitions.collect())
}

pub(crate) fn write(partitions: &BTreeSet<TopicPartition>) -> Bytes {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        let of_topic = topics.entry(Arc::from(at.topic.as_str())).or_default();
        of_topic.push(at.partition);
    }
    let assignment = ProtocolAssignment {
        partitions: topics,
        user_data: None,
    };
    assignment.encode(VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_has_kafkas_bytes() {
        let at = |topic: &str, partition| TopicPartition {
            topic: topic.to_owned(),
            partition,
        };
        let partitions = BTreeSet::from([at("ab", 1), at("ab", 2)]);
        let written = write(&partitions);
        #[rustfmt::skip]
        let expected = [
            0, 0, // version
            0, 0, 0, 1, 0, 2, b'a', b'b',
            0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2,
            0xFF, 0xFF, 0xFF, 0xFF, // no user data
        ];
        assert_eq!(written, expected.as_slice());
        assert_eq!(read(&written), Ok(partitions));
        assert_eq!(read(&Bytes::new()), Ok(BTreeSet::new()));
    }
}
