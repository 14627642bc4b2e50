//! The record of a committed offset: OffsetCommitKey 0-1 and OffsetCommitValue 0-4.
//!
//! Never looks at what an offset is worth now: expiry is decided elsewhere.

use bytes::Bytes;
use rinka_storage::topic_partition::TopicId;

use super::field_bytes::{RecordError, RecordReader, RecordWriter};
use super::{EncodedRecord, kind};

/// Whose offset it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey {
    pub group_id: String,
    pub topic: String,
    pub partition: i32,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    /// -1: not known.
    pub leader_epoch: i32,
    pub metadata: Box<str>,
    /// Milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// Asked for by OffsetCommit 2-4, and then it wins over `offsets.retention.minutes`.
    pub expire_timestamp_ms: Option<i64>,
    /// Of the topic it was committed for (KIP-848); `None` in records of older releases.
    pub topic_id: Option<TopicId>,
}

const RECORD: &str = "committed offset";
const NEWEST: i16 = 4;
const FIRST_FLEXIBLE: i16 = 4;
const TOPIC_ID_TAG: u32 = 0;
const NO_TIMESTAMP: i64 = -1;
const NO_EPOCH: i32 = -1;

impl OffsetKey {
    pub(super) fn decode(reader: &mut RecordReader<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            group_id: reader.text()?,
            topic: reader.text()?,
            partition: reader.i32()?,
        })
    }
}

/// The record that sets an offset, or with `None` removes it.
#[must_use]
pub fn encode(
    group_id: &str,
    topic: &str,
    partition: i32,
    value: Option<&CommittedOffset>,
) -> EncodedRecord {
    let mut key = RecordWriter::new(kind::OFFSET_COMMIT);
    key.text(group_id);
    key.text(topic);
    key.i32(partition);
    EncodedRecord {
        key: key.finish(),
        value: value.map(CommittedOffset::encode),
    }
}

impl CommittedOffset {
    /// The version is the oldest one that holds everything, as in Kafka, so that older releases read as much as they can: 1 with an
    /// expiry (it then lacks the leader epoch), 4 with a topic id, else 3.
    fn encode(&self) -> Bytes {
        let version = match (self.expire_timestamp_ms, self.topic_id) {
            (Some(_), _) => 1,
            (None, Some(_)) => 4,
            (None, None) => 3,
        };
        let mut writer = RecordWriter::new(version);
        writer.i64(self.offset);
        if version >= 3 {
            writer.i32(self.leader_epoch);
        }
        match version >= FIRST_FLEXIBLE {
            true => writer.compact_text(&self.metadata),
            false => writer.text(&self.metadata),
        }
        writer.i64(self.commit_timestamp_ms);
        if version == 1 {
            writer.i64(self.expire_timestamp_ms.unwrap_or(NO_TIMESTAMP));
        }
        if let Some(TopicId(id)) = self.topic_id
            && version >= FIRST_FLEXIBLE
        {
            writer.unsigned_varint(1);
            writer.unsigned_varint(TOPIC_ID_TAG);
            writer.unsigned_varint(16);
            writer.uuid(id);
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = RecordReader::new(bytes, RECORD);
        let version = reader.i16()?;
        if version > NEWEST {
            let record = RECORD;
            return Err(RecordError::NewerVersion { record, version });
        }
        if version < 0 {
            return Err(RecordError::Invalid { record: RECORD });
        }
        let flexible = version >= FIRST_FLEXIBLE;
        let invalid = RecordError::Invalid { record: RECORD };
        let mut offset = Self {
            offset: reader.i64()?,
            leader_epoch: match version >= 3 {
                true => reader.i32()?,
                false => NO_EPOCH,
            },
            metadata: reader.nullable_text(flexible)?.ok_or(invalid)?.into(),
            commit_timestamp_ms: reader.i64()?,
            expire_timestamp_ms: match version {
                1 => Some(reader.i64()?).filter(|&timestamp| timestamp != NO_TIMESTAMP),
                _ => None,
            },
            topic_id: None,
        };
        if flexible {
            let topic_id = &mut offset.topic_id;
            reader.tagged_fields(|tag, reader| {
                if tag == TOPIC_ID_TAG {
                    *topic_id = Some(TopicId(reader.uuid()?)).filter(|id| *id != TopicId::ZERO);
                }
                Ok(())
            })?;
        }
        reader.end()?;
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::GroupRecord;
    use super::*;

    fn offset() -> CommittedOffset {
        CommittedOffset {
            offset: 0x0102_0304_0506_0708,
            leader_epoch: 9,
            metadata: "m1".into(),
            commit_timestamp_ms: 1000,
            expire_timestamp_ms: None,
            topic_id: None,
        }
    }

    fn decode(record: &EncodedRecord) -> Result<GroupRecord, RecordError> {
        GroupRecord::decode(&record.key, record.value.as_deref())
    }

    #[track_caller]
    fn check(value: &CommittedOffset, bytes: &[u8], read_back: &CommittedOffset) {
        let record = encode("g1", "topic", 7, Some(value));
        // Version 1, "g1", "topic", partition 7.
        assert_eq!(
            *record.key,
            *b"\x00\x01\x00\x02g1\x00\x05topic\x00\x00\x00\x07"
        );
        assert_eq!(record.value.as_deref(), Some(bytes));
        let key = OffsetKey {
            group_id: "g1".to_owned(),
            topic: "topic".to_owned(),
            partition: 7,
        };
        let value = Some(read_back.clone());
        assert_eq!(decode(&record), Ok(GroupRecord::Offset { key, value }));
    }

    #[test]
    fn an_offset_is_written_as_kafka_writes_it() {
        check(
            &offset(),
            b"\x00\x03\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x09\x00\x02m1\x00\x00\x00\x00\x00\x00\x03\xE8",
            &offset(),
        );
    }

    #[test]
    fn an_expiry_takes_version_1_which_has_no_leader_epoch() {
        let expiring = CommittedOffset {
            expire_timestamp_ms: Some(2000),
            ..offset()
        };
        let read_back = CommittedOffset {
            leader_epoch: -1,
            ..expiring.clone()
        };
        check(
            &expiring,
            b"\x00\x01\x01\x02\x03\x04\x05\x06\x07\x08\x00\x02m1\x00\x00\x00\x00\x00\x00\x03\xE8\x00\x00\x00\x00\x00\x00\x07\xD0",
            &read_back,
        );
    }

    #[test]
    fn a_topic_id_takes_version_4_where_it_is_a_tagged_field() {
        let with_id = CommittedOffset {
            topic_id: Some(TopicId(Uuid::from_u128(0x10))),
            ..offset()
        };
        check(
            &with_id,
            b"\x00\x04\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x09\x03m1\x00\x00\x00\x00\x00\x00\x03\xE8\
              \x01\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10",
            &with_id,
        );
    }

    #[test]
    fn older_versions_are_read() {
        let read = |bytes: &[u8]| CommittedOffset::decode(bytes);
        let old = CommittedOffset {
            leader_epoch: -1,
            ..offset()
        };
        let rest: &[u8] =
            b"\x01\x02\x03\x04\x05\x06\x07\x08\x00\x02m1\x00\x00\x00\x00\x00\x00\x03\xE8";
        assert_eq!(read(&[b"\x00\x00", rest].concat()), Ok(old.clone()));
        assert_eq!(read(&[b"\x00\x02", rest].concat()), Ok(old.clone()));
        assert_eq!(
            read(&[b"\x00\x01", rest, &[0xFF; 8]].concat()),
            Ok(old.clone())
        );
        // Version 4 without tagged fields, and with one that nobody knows.
        let flexible: &[u8] =
            b"\x00\x04\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x09\x03m1\x00\x00\x00\x00\x00\x00\x03\xE8";
        assert_eq!(read(&[flexible, b"\x00"].concat()), Ok(offset()));
        assert_eq!(read(&[flexible, b"\x01\x07\x02ab"].concat()), Ok(offset()));
        // The key's version 0 is that of 1.
        let tombstone = GroupRecord::decode(b"\x00\x00\x00\x01g\x00\x01t\x00\x00\x00\x01", None);
        let key = OffsetKey {
            group_id: "g".to_owned(),
            topic: "t".to_owned(),
            partition: 1,
        };
        assert_eq!(tombstone, Ok(GroupRecord::Offset { key, value: None }));
    }

    #[test]
    fn what_is_no_offset_is_an_error() {
        let whole = offset().encode();
        for length in 0..whole.len() {
            let error = CommittedOffset::decode(&whole[..length]);
            assert_eq!(error, Err(RecordError::Truncated { record: RECORD }));
        }
        let longer = [&whole[..], b"x"].concat();
        let count = 1;
        let record = RECORD;
        assert_eq!(
            CommittedOffset::decode(&longer),
            Err(RecordError::TrailingBytes { record, count })
        );
        let version = 5;
        assert_eq!(
            CommittedOffset::decode(b"\x00\x05"),
            Err(RecordError::NewerVersion { record, version })
        );
        assert_eq!(
            CommittedOffset::decode(b"\xFF\xFF"),
            Err(RecordError::Invalid { record })
        );
        let other = GroupRecord::decode(b"\x00\x03\x00\x01g", Some(b"anything"));
        assert_eq!(other, Ok(GroupRecord::Other { kind: 3 }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            key in proptest::collection::vec(any::<u8>(), 0..40),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60)),
            kind in 0u8..4,
            version in 0u8..6,
        ) {
            let key = [&[0, kind], &key[..]].concat();
            let value = value.map(|value| [&[0, version], &value[..]].concat());
            let _ = GroupRecord::decode(&key, value.as_deref());
        }

        #[test]
        fn an_offset_reads_back(
            offset: i64, leader_epoch: i32, metadata in ".{0,20}", commit_timestamp_ms: i64, topic: Option<u128>,
        ) {
            let topic_id = topic.filter(|&id| id != 0).map(|id| TopicId(Uuid::from_u128(id)));
            let value = CommittedOffset {
                offset, leader_epoch, metadata: metadata.into(), commit_timestamp_ms, expire_timestamp_ms: None, topic_id,
            };
            prop_assert_eq!(CommittedOffset::decode(&value.encode()), Ok(value));
        }
    }
}
