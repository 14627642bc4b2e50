//! The record of a classic group: GroupMetadataKey 2 and GroupMetadataValue 0-4.
//!
//! Holds what survives a change of coordinator: the generation with its members and their assignments, never who waits for what.

use bytes::Bytes;

use super::field_bytes::{RecordError, RecordReader, RecordWriter};
use super::{EncodedRecord, kind};

/// A generation of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// Empty for a group that only commits offsets.
    pub protocol_type: String,
    pub generation: i32,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// Since when the group is as it is, in milliseconds since 1970; `None` in records of old releases.
    pub state_timestamp_ms: Option<i64>,
    pub members: Vec<MemberMetadata>,
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// Records of version 0 have none; then it is the session timeout.
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

const RECORD: &str = "group metadata";
const NEWEST: i16 = 4;
const FIRST_FLEXIBLE: i16 = 4;
/// The newest that is not flexible, as Kafka writes it.
const WRITTEN: i16 = 3;
const NO_TIMESTAMP: i64 = -1;
/// The fields of a member that are in every version, each empty.
const MEMBER_SIZE_MIN: usize = 9;

/// The record that sets a group, or with `None` removes it.
#[must_use]
pub fn encode(group_id: &str, value: Option<&GroupMetadata>) -> EncodedRecord {
    let mut key = RecordWriter::new(kind::GROUP_METADATA);
    key.text(group_id);
    EncodedRecord {
        key: key.finish(),
        value: value.map(GroupMetadata::encode),
    }
}

impl GroupMetadata {
    fn encode(&self) -> Bytes {
        let mut writer = RecordWriter::new(WRITTEN);
        writer.text(&self.protocol_type);
        writer.i32(self.generation);
        writer.nullable_text(self.protocol.as_deref());
        writer.nullable_text(self.leader.as_deref());
        writer.i64(self.state_timestamp_ms.unwrap_or(NO_TIMESTAMP));
        writer.count(self.members.len());
        for member in &self.members {
            writer.text(&member.member_id);
            writer.nullable_text(member.instance_id.as_deref());
            writer.text(&member.client_id);
            writer.text(&member.client_host);
            writer.i32(member.rebalance_timeout_ms);
            writer.i32(member.session_timeout_ms);
            writer.bytes(&member.subscription);
            writer.bytes(&member.assignment);
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let record = RECORD;
        let mut reader = RecordReader::new(bytes, record);
        let version = reader.i16()?;
        if version > NEWEST {
            return Err(RecordError::NewerVersion { record, version });
        }
        if version < 0 {
            return Err(RecordError::Invalid { record });
        }
        let flexible = version >= FIRST_FLEXIBLE;
        let invalid = RecordError::Invalid { record };
        let mut group = Self {
            protocol_type: reader.nullable_text(flexible)?.ok_or(invalid)?,
            generation: reader.i32()?,
            protocol: reader.nullable_text(flexible)?,
            leader: reader.nullable_text(flexible)?,
            state_timestamp_ms: match version >= 2 {
                true => Some(reader.i64()?).filter(|&timestamp| timestamp != NO_TIMESTAMP),
                false => None,
            },
            members: Vec::new(),
        };
        for _ in 0..reader.count(flexible, MEMBER_SIZE_MIN)? {
            group.members.push(decode_member(&mut reader, version)?);
        }
        if flexible {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        reader.end()?;
        Ok(group)
    }
}

fn decode_member(
    reader: &mut RecordReader<'_>,
    version: i16,
) -> Result<MemberMetadata, RecordError> {
    let flexible = version >= FIRST_FLEXIBLE;
    let invalid = RecordError::Invalid { record: RECORD };
    let member_id = reader.nullable_text(flexible)?.ok_or(invalid)?;
    let instance_id = match version >= 3 {
        true => reader.nullable_text(flexible)?,
        false => None,
    };
    let client_id = reader.nullable_text(flexible)?.ok_or(invalid)?;
    let client_host = reader.nullable_text(flexible)?.ok_or(invalid)?;
    let rebalance_timeout_ms = match version >= 1 {
        true => Some(reader.i32()?).filter(|&timeout| timeout >= 0),
        false => None,
    };
    let session_timeout_ms = reader.i32()?;
    let member = MemberMetadata {
        member_id,
        instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
        session_timeout_ms,
        subscription: Bytes::copy_from_slice(reader.bytes(flexible)?),
        assignment: Bytes::copy_from_slice(reader.bytes(flexible)?),
    };
    if flexible {
        reader.tagged_fields(|_, _| Ok(()))?;
    }
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::super::GroupRecord;
    use super::*;

    fn group() -> GroupMetadata {
        GroupMetadata {
            protocol_type: "consumer".to_owned(),
            generation: 2,
            protocol: Some("range".to_owned()),
            leader: Some("m".to_owned()),
            state_timestamp_ms: Some(1000),
            members: vec![MemberMetadata {
                member_id: "m".to_owned(),
                instance_id: Some("i".to_owned()),
                client_id: "c".to_owned(),
                client_host: "/h".to_owned(),
                rebalance_timeout_ms: 300_000,
                session_timeout_ms: 10_000,
                subscription: Bytes::from_static(b"sub"),
                assignment: Bytes::from_static(b"as"),
            }],
        }
    }

    #[test]
    fn a_group_is_written_as_kafka_writes_it() {
        let record = encode("g1", Some(&group()));
        assert_eq!(*record.key, *b"\x00\x02\x00\x02g1");
        let expected = [
            // Version 3; protocol type, generation, protocol, leader.
            &b"\x00\x03\x00\x08consumer\x00\x00\x00\x02\x00\x05range\x00\x01m"[..],
            // Since when; one member.
            b"\x00\x00\x00\x00\x00\x00\x03\xE8\x00\x00\x00\x01",
            // Its id, instance id, client id and host.
            b"\x00\x01m\x00\x01i\x00\x01c\x00\x02/h",
            // The timeouts for rebalances and of the session.
            b"\x00\x04\x93\xE0\x00\x00\x27\x10",
            b"\x00\x00\x00\x03sub\x00\x00\x00\x02as",
        ]
        .concat();
        assert_eq!(record.value.as_deref(), Some(&expected[..]));
        let group_id = "g1".to_owned();
        let value = Some(group());
        assert_eq!(
            GroupRecord::decode(&record.key, record.value.as_deref()),
            Ok(GroupRecord::Group { group_id, value })
        );
    }

    #[test]
    fn an_empty_group_has_nulls() {
        let empty = GroupMetadata {
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            state_timestamp_ms: None,
            members: Vec::new(),
            ..group()
        };
        let record = encode("g1", Some(&empty));
        let expected: &[u8] = b"\x00\x03\x00\x00\x00\x00\x00\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00";
        assert_eq!(record.value.as_deref(), Some(expected));
        assert_eq!(GroupMetadata::decode(expected), Ok(empty));
        assert_eq!(encode("g1", None).value, None);
    }

    #[test]
    fn older_and_flexible_versions_are_read() {
        let head = b"\x00\x08consumer\x00\x00\x00\x02\x00\x05range\x00\x01m";
        let since = b"\x00\x00\x00\x00\x00\x00\x03\xE8";
        let tail = b"\x00\x00\x00\x03sub\x00\x00\x00\x02as";
        let mut expected = group();
        expected.members[0].instance_id = None;
        expected.members[0].rebalance_timeout_ms = 10_000;
        expected.state_timestamp_ms = None;
        let member = b"\x00\x00\x00\x01\x00\x01m\x00\x01c\x00\x02/h";
        let session = b"\x00\x00\x27\x10";
        let version_0 = [&b"\x00\x00"[..], head, member, session, tail].concat();
        assert_eq!(GroupMetadata::decode(&version_0), Ok(expected.clone()));

        expected.members[0].rebalance_timeout_ms = 300_000;
        let rebalance = b"\x00\x04\x93\xE0";
        let version_1 = [&b"\x00\x01"[..], head, member, rebalance, session, tail].concat();
        assert_eq!(GroupMetadata::decode(&version_1), Ok(expected.clone()));

        expected.state_timestamp_ms = Some(1000);
        let version_2 = [
            &b"\x00\x02"[..],
            head,
            since,
            member,
            rebalance,
            session,
            tail,
        ]
        .concat();
        assert_eq!(GroupMetadata::decode(&version_2), Ok(expected));

        let version_4 = [
            &b"\x00\x04\x09consumer\x00\x00\x00\x02\x06range\x02m"[..],
            since,
            b"\x02\x02m\x02i\x02c\x03/h",
            rebalance,
            session,
            // The member's tagged fields: one that nobody knows. The group's: none.
            b"\x04sub\x03as\x01\x05\x01x\x00",
        ]
        .concat();
        assert_eq!(GroupMetadata::decode(&version_4), Ok(group()));
    }

    #[test]
    fn what_is_no_group_is_an_error() {
        let whole = group().encode();
        for length in 0..whole.len() {
            assert!(GroupMetadata::decode(&whole[..length]).is_err(), "{length}");
        }
        let record = RECORD;
        // Two thousand million members, in no bytes.
        let many = b"\x00\x03\x00\x00\x00\x00\x00\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\xFF\xFF\xFF";
        assert_eq!(
            GroupMetadata::decode(many),
            Err(RecordError::Truncated { record })
        );
        let version = 5;
        assert_eq!(
            GroupMetadata::decode(b"\x00\x05"),
            Err(RecordError::NewerVersion { record, version })
        );
    }
}
