//! The records of a consumer group in `__consumer_offsets`, byte for byte as Kafka 4.1 writes them and, of what 4.3 adds, the time
//! of an assignment; reads all that Kafka 4 wrote before.
//!
//! A key is its type and names; a value is version 0 of a flexible schema; no value deletes. Turns bytes into values and back,
//! and never says what a record means for a group.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rinka_net::wire::{DecodeError, Reader, Writer};
use rinka_storage::topic_partition::{TopicId, TopicPartition};
use uuid::Uuid;

use super::assignment::Assignment;
use super::assignment_epochs::AssignmentEpochs;
use super::member::{
    ClassicMember, ClassicProtocol, CurrentAssignment, MemberMetadata, MemberState,
};
use super::regex::ResolvedRegex;
pub use crate::coordinator::group::records::EncodedRecord;

#[cfg(test)]
mod tests;

/// A record of one group. `None` for a value: it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerGroupRecord {
    /// Key 3, ConsumerGroupMetadata.
    Group(Option<GroupMetadata>),
    /// Key 4, ConsumerGroupPartitionMetadata: the topics as Kafka 4.0 and earlier wrote them. Later releases have a hash of them
    /// in key 3, and only delete these.
    PartitionMetadata(Option<Vec<TopicMetadata>>),
    /// Key 5, ConsumerGroupMemberMetadata.
    Member(Arc<str>, Option<Arc<MemberMetadata>>),
    /// Key 6, ConsumerGroupTargetAssignmentMetadata: the epoch of the target.
    TargetEpoch(Option<TargetMetadata>),
    /// Key 7, ConsumerGroupTargetAssignmentMember.
    Target(Arc<str>, Option<Assignment>),
    /// Key 8, ConsumerGroupCurrentMemberAssignment.
    Current(Arc<str>, Option<CurrentAssignment>),
    /// Key 16, ConsumerGroupRegularExpression.
    Regex(Arc<str>, Option<ResolvedRegex>),
}

/// The group as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMetadata {
    pub epoch: i32,
    /// Of the topics that the group subscribes to. 0: none, or not known.
    pub hash: u64,
}

/// The target as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetMetadata {
    /// The group's when the target was made.
    pub epoch: i32,
    /// When that was, in milliseconds since 1970; 0: not known, as before Kafka 4.3 (KIP-1263).
    pub timestamp_ms: i64,
}

/// A topic as it was known to a group of Kafka 4.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    pub id: TopicId,
    pub name: Arc<str>,
    pub partition_count: i32,
    /// Partitions and the racks they are on.
    pub racks: Vec<(i32, Vec<Arc<str>>)>,
}

/// The bytes are no record of a consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A key of another kind: of offsets, of a classic group, or of a release to come.
    OtherKey(i16),
    /// A version that is not known.
    ValueVersion(i16),
    Malformed(DecodeError),
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey(key) => write!(formatter, "key {key} is none of a consumer group"),
            Self::ValueVersion(version) => write!(formatter, "its value has version {version}"),
            Self::Malformed(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for RecordError {}

impl From<DecodeError> for RecordError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

const GROUP: i16 = 3;
const PARTITION_METADATA: i16 = 4;
const MEMBER: i16 = 5;
const TARGET_EPOCH: i16 = 6;
const TARGET: i16 = 7;
const CURRENT: i16 = 8;
const REGEX: i16 = 16;

/// Tag of the hash in the value of key 3.
const HASH_TAG: u32 = 0;
/// Tag of the time of the assignment in the value of key 6.
const TARGET_TIMESTAMP_TAG: u32 = 0;
/// Tag of what is known of a classic member in the value of key 5.
const CLASSIC_TAG: u32 = 0;
/// Of a topic in the value of key 8: since which epoch each partition is held (KIP-1251).
const ASSIGNMENT_EPOCHS_TAG: u32 = 0;

impl ConsumerGroupRecord {
    /// Whether a record with this key is one of a consumer group.
    #[must_use]
    pub fn is_key(key: i16) -> bool {
        matches!(key, GROUP..=CURRENT | REGEX)
    }

    /// Whether it deletes.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        match self {
            Self::Group(value) => value.is_none(),
            Self::PartitionMetadata(value) => value.is_none(),
            Self::Member(_, value) => value.is_none(),
            Self::TargetEpoch(value) => value.is_none(),
            Self::Target(_, value) => value.is_none(),
            Self::Current(_, value) => value.is_none(),
            Self::Regex(_, value) => value.is_none(),
        }
    }

    #[must_use]
    pub fn encode(&self, group_id: &str) -> EncodedRecord {
        let (number, name) = match self {
            Self::Group(_) => (GROUP, None),
            Self::PartitionMetadata(_) => (PARTITION_METADATA, None),
            Self::Member(member_id, _) => (MEMBER, Some(member_id)),
            Self::TargetEpoch(_) => (TARGET_EPOCH, None),
            Self::Target(member_id, _) => (TARGET, Some(member_id)),
            Self::Current(member_id, _) => (CURRENT, Some(member_id)),
            Self::Regex(pattern, _) => (REGEX, Some(pattern)),
        };
        let mut key = Writer::new();
        key.i16(number);
        key.nullable_text(Some(group_id.as_bytes()), false);
        if let Some(name) = name {
            key.nullable_text(Some(name.as_bytes()), false);
        }
        EncodedRecord {
            key: Bytes::from(key.finish().concat()),
            value: self.encode_value(),
        }
    }

    fn encode_value(&self) -> Option<Bytes> {
        let mut writer = Writer::new();
        writer.i16(0);
        match self {
            Self::Group(value) => put_group(&mut writer, value.as_ref()?),
            Self::PartitionMetadata(value) => put_topics(&mut writer, value.as_ref()?),
            Self::Member(_, value) => put_member(&mut writer, value.as_ref()?),
            Self::TargetEpoch(value) => put_target_metadata(&mut writer, value.as_ref()?),
            Self::Target(_, value) => {
                put_assignment(&mut writer, value.as_ref()?);
                put_no_tags(&mut writer);
            }
            Self::Current(_, value) => put_current(&mut writer, value.as_ref()?),
            Self::Regex(_, value) => put_regex(&mut writer, value.as_ref()?),
        }
        Some(Bytes::from(writer.finish().concat()))
    }

    /// The group's id and the record.
    ///
    /// # Errors
    /// When the key is none of a consumer group, or either is not what its schema says.
    pub fn decode(key: Bytes, value: Option<Bytes>) -> Result<(Arc<str>, Self), RecordError> {
        let mut key = Reader::new(key);
        let number = key.i16()?;
        if !Self::is_key(number) {
            return Err(RecordError::OtherKey(number));
        }
        let group_id = take_text(&mut key, false)?;
        let mut value = value.map(Reader::new);
        if let Some(reader) = &mut value {
            let version = reader.i16()?;
            if version != 0 {
                return Err(RecordError::ValueVersion(version));
            }
        }
        let value = value.as_mut();
        let record = match number {
            GROUP => Self::Group(value.map(take_group).transpose()?),
            PARTITION_METADATA => Self::PartitionMetadata(value.map(take_topics).transpose()?),
            MEMBER => {
                let member = value.map(take_member).transpose()?;
                Self::Member(take_text(&mut key, false)?, member.map(Arc::new))
            }
            TARGET_EPOCH => Self::TargetEpoch(value.map(take_target_metadata).transpose()?),
            TARGET => {
                let target = value.map(take_assignment).transpose()?;
                Self::Target(take_text(&mut key, false)?, target)
            }
            CURRENT => {
                let current = value.map(take_current).transpose()?;
                Self::Current(take_text(&mut key, false)?, current)
            }
            _ => {
                let regex = value.map(take_regex).transpose()?;
                Self::Regex(take_text(&mut key, false)?, regex)
            }
        };
        Ok((group_id, record))
    }
}

fn put_no_tags(writer: &mut Writer) {
    writer.unsigned_varint(0);
}

fn put_text(writer: &mut Writer, text: &str) {
    writer.nullable_text(Some(text.as_bytes()), true);
}

fn put_nullable_text(writer: &mut Writer, text: Option<&Arc<str>>) {
    writer.nullable_text(text.map(|text| text.as_bytes()), true);
}

fn put_group(writer: &mut Writer, group: &GroupMetadata) {
    writer.i32(group.epoch);
    // A tagged field that has its default is left out.
    if group.hash == 0 {
        put_no_tags(writer);
    } else {
        writer.unsigned_varint(1);
        writer.tagged_field(HASH_TAG, |writer| writer.i64(group.hash.cast_signed()));
    }
}

fn put_target_metadata(writer: &mut Writer, target: &TargetMetadata) {
    writer.i32(target.epoch);
    if target.timestamp_ms == 0 {
        put_no_tags(writer);
    } else {
        writer.unsigned_varint(1);
        writer.tagged_field(TARGET_TIMESTAMP_TAG, |writer| {
            writer.i64(target.timestamp_ms);
        });
    }
}

fn put_topics(writer: &mut Writer, topics: &[TopicMetadata]) {
    writer.nullable_count(Some(topics.len()), true);
    for topic in topics {
        writer.u128(topic.id.0.as_u128());
        put_text(writer, &topic.name);
        writer.i32(topic.partition_count);
        writer.nullable_count(Some(topic.racks.len()), true);
        for (partition, racks) in &topic.racks {
            writer.i32(*partition);
            writer.nullable_count(Some(racks.len()), true);
            racks.iter().for_each(|rack| put_text(writer, rack));
            put_no_tags(writer);
        }
        put_no_tags(writer);
    }
    put_no_tags(writer);
}

fn put_member(writer: &mut Writer, member: &MemberMetadata) {
    put_nullable_text(writer, member.instance_id.as_ref());
    put_nullable_text(writer, member.rack_id.as_ref());
    put_text(writer, &member.client_id);
    put_text(writer, &member.client_host);
    writer.nullable_count(Some(member.subscribed_topic_names.len()), true);
    for name in &member.subscribed_topic_names {
        put_text(writer, name);
    }
    put_nullable_text(writer, member.subscribed_topic_regex.as_ref());
    writer.i32(member.rebalance_timeout_ms);
    put_nullable_text(writer, member.server_assignor.as_ref());
    let Some(classic) = &member.classic else {
        return put_no_tags(writer);
    };
    writer.unsigned_varint(1);
    writer.tagged_field(CLASSIC_TAG, |writer| {
        // A tagged structure that may be null begins with a byte that says whether it is.
        writer.i8(1);
        writer.i32(classic.session_timeout_ms);
        writer.nullable_count(Some(classic.protocols.len()), true);
        for protocol in &classic.protocols {
            put_text(writer, &protocol.name);
            writer.nullable_bytes(Some(&protocol.metadata), true);
            put_no_tags(writer);
        }
        put_no_tags(writer);
    });
}

fn put_assignment(writer: &mut Writer, assignment: &Assignment) {
    put_partitions(writer, assignment, |writer, _, _| put_no_tags(writer));
}

/// Since when each partition is held is a tag of its topic, in the order of the partitions.
fn put_held(writer: &mut Writer, assignment: &Assignment, epochs: &AssignmentEpochs) {
    put_partitions(writer, assignment, |writer, topic_id, partitions| {
        writer.unsigned_varint(1);
        writer.tagged_field(ASSIGNMENT_EPOCHS_TAG, |writer| {
            writer.nullable_count(Some(partitions.len()), true);
            for &partition in partitions {
                let partition = TopicPartition {
                    topic_id,
                    partition,
                };
                writer.i32(epochs.of(partition).unwrap_or(0));
            }
        });
    });
}

fn put_partitions(
    writer: &mut Writer,
    assignment: &Assignment,
    put_tags: impl Fn(&mut Writer, TopicId, &BTreeSet<i32>),
) {
    let topics = assignment.topics();
    writer.nullable_count(Some(topics.len()), true);
    for (id, partitions) in topics {
        writer.u128(id.0.as_u128());
        writer.nullable_count(Some(partitions.len()), true);
        for &partition in partitions {
            writer.i32(partition);
        }
        put_tags(writer, id, partitions);
    }
}

fn put_current(writer: &mut Writer, current: &CurrentAssignment) {
    writer.i32(current.epoch);
    writer.i32(current.previous_epoch);
    writer.i8(current.state.number());
    put_held(writer, &current.assigned, &current.epochs);
    put_held(writer, &current.pending_revocation, &current.epochs);
    put_no_tags(writer);
}

fn put_regex(writer: &mut Writer, regex: &ResolvedRegex) {
    writer.nullable_count(Some(regex.topics.len()), true);
    for topic in &regex.topics {
        put_text(writer, topic);
    }
    writer.i64(regex.version.cast_signed());
    writer.i64(regex.timestamp_ms);
    put_no_tags(writer);
}

fn take_no_tags(reader: &mut Reader) -> Result<(), DecodeError> {
    reader.tagged_fields(|_, _| Ok(()))
}

fn take_nullable_text(
    reader: &mut Reader,
    flexible: bool,
) -> Result<Option<Arc<str>>, DecodeError> {
    let text = reader.nullable_text(flexible)?;
    Ok(text.map(|text| Arc::from(text.as_str())))
}

fn take_text(reader: &mut Reader, flexible: bool) -> Result<Arc<str>, DecodeError> {
    take_nullable_text(reader, flexible)?.ok_or(DecodeError::Null)
}

fn take_count(reader: &mut Reader) -> Result<usize, DecodeError> {
    reader.nullable_count(true)?.ok_or(DecodeError::Null)
}

fn take_group(reader: &mut Reader) -> Result<GroupMetadata, DecodeError> {
    let mut group = GroupMetadata {
        epoch: reader.i32()?,
        hash: 0,
    };
    reader.tagged_fields(|tag, field| {
        if tag == HASH_TAG {
            group.hash = field.i64()?.cast_unsigned();
        }
        Ok(())
    })?;
    Ok(group)
}

fn take_target_metadata(reader: &mut Reader) -> Result<TargetMetadata, DecodeError> {
    let mut target = TargetMetadata {
        epoch: reader.i32()?,
        timestamp_ms: 0,
    };
    reader.tagged_fields(|tag, field| {
        if tag == TARGET_TIMESTAMP_TAG {
            target.timestamp_ms = field.i64()?;
        }
        Ok(())
    })?;
    Ok(target)
}

/// The first versions of this value had the group's epoch in front; no release wrote that.
fn take_topics(reader: &mut Reader) -> Result<Vec<TopicMetadata>, DecodeError> {
    let mut topics = Vec::new();
    for _ in 0..take_count(reader)? {
        let id = TopicId(Uuid::from_u128(reader.u128()?));
        let name = take_text(reader, true)?;
        let partition_count = reader.i32()?;
        let mut partitions = Vec::new();
        for _ in 0..take_count(reader)? {
            let partition = reader.i32()?;
            let racks = take_texts(reader)?;
            take_no_tags(reader)?;
            partitions.push((partition, racks));
        }
        take_no_tags(reader)?;
        topics.push(TopicMetadata {
            id,
            name,
            partition_count,
            racks: partitions,
        });
    }
    take_no_tags(reader)?;
    Ok(topics)
}

fn take_texts<C: FromIterator<Arc<str>>>(reader: &mut Reader) -> Result<C, DecodeError> {
    let count = take_count(reader)?;
    (0..count).map(|_| take_text(reader, true)).collect()
}

fn take_member(reader: &mut Reader) -> Result<MemberMetadata, DecodeError> {
    let mut member = MemberMetadata {
        instance_id: take_nullable_text(reader, true)?,
        rack_id: take_nullable_text(reader, true)?,
        client_id: take_text(reader, true)?,
        client_host: take_text(reader, true)?,
        subscribed_topic_names: take_texts(reader)?,
        subscribed_topic_regex: take_nullable_text(reader, true)?,
        rebalance_timeout_ms: reader.i32()?,
        server_assignor: take_nullable_text(reader, true)?,
        classic: None,
    };
    reader.tagged_fields(|tag, field| {
        if tag == CLASSIC_TAG {
            member.classic = take_classic(field)?;
        }
        Ok(())
    })?;
    Ok(member)
}

fn take_classic(reader: &mut Reader) -> Result<Option<ClassicMember>, DecodeError> {
    if reader.i8()? < 0 {
        return Ok(None);
    }
    let session_timeout_ms = reader.i32()?;
    let mut protocols = Vec::new();
    for _ in 0..take_count(reader)? {
        protocols.push(ClassicProtocol {
            name: take_text(reader, true)?,
            metadata: reader.nullable_bytes(true)?.ok_or(DecodeError::Null)?,
        });
        take_no_tags(reader)?;
    }
    take_no_tags(reader)?;
    Ok(Some(ClassicMember {
        session_timeout_ms,
        protocols,
    }))
}

fn take_assignment(reader: &mut Reader) -> Result<Assignment, DecodeError> {
    let held = take_held(reader, 0)?;
    Ok(held.into_iter().map(|(partition, _)| partition).collect())
}

/// Partitions, and since when each is held. Kafka before 4.3 did not write that; then, and when it is not as long as the
/// partitions, all count as held since the same epoch.
fn take_held(reader: &mut Reader, epoch: i32) -> Result<Vec<(TopicPartition, i32)>, DecodeError> {
    let mut held = Vec::new();
    for _ in 0..take_count(reader)? {
        let topic_id = TopicId(Uuid::from_u128(reader.u128()?));
        let first = held.len();
        for _ in 0..take_count(reader)? {
            let partition = TopicPartition {
                topic_id,
                partition: reader.i32()?,
            };
            held.push((partition, epoch));
        }
        let of_topic = &mut held[first..];
        reader.tagged_fields(|tag, field| {
            if tag == ASSIGNMENT_EPOCHS_TAG
                && let Some(count) = field.nullable_count(true)?
                && count == of_topic.len()
            {
                for (_, epoch) in of_topic.iter_mut() {
                    *epoch = field.i32()?;
                }
            }
            Ok(())
        })?;
    }
    Ok(held)
}

fn take_current(reader: &mut Reader) -> Result<CurrentAssignment, DecodeError> {
    let epoch = reader.i32()?;
    let previous_epoch = reader.i32()?;
    let state = MemberState::from_number(reader.i8()?);
    let since = epoch.max(0);
    let assigned = take_held(reader, since)?;
    let pending = take_held(reader, since)?;
    let partitions = |held: &[(TopicPartition, i32)]| held.iter().map(|(it, _)| *it).collect();
    Ok(CurrentAssignment {
        epoch,
        previous_epoch,
        state,
        assigned: partitions(&assigned),
        pending_revocation: partitions(&pending),
        epochs: pending.into_iter().chain(assigned).collect(),
    })
}

fn take_regex(reader: &mut Reader) -> Result<ResolvedRegex, DecodeError> {
    Ok(ResolvedRegex {
        topics: take_texts::<BTreeSet<_>>(reader)?,
        version: reader.i64()?.cast_unsigned(),
        timestamp_ms: reader.i64()?,
    })
}
