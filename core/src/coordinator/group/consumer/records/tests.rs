use proptest::prelude::*;

use super::*;

fn partition(topic: u128, partition: i32) -> TopicPartition {
    TopicPartition {
        topic_id: TopicId(Uuid::from_u128(topic)),
        partition,
    }
}

/// The record has these bytes, and the bytes make the record.
#[track_caller]
fn check(record: &ConsumerGroupRecord, key: &[u8], value: Option<&[u8]>) {
    let encoded = record.encode("gr");
    assert_eq!(encoded.key, key, "key");
    assert_eq!(encoded.value.as_deref(), value, "value");
    let decoded = ConsumerGroupRecord::decode(encoded.key, encoded.value);
    assert_eq!(decoded, Ok(("gr".into(), record.clone())));
}

// Worked out by hand from the schemas in Kafka's group-coordinator/src/main/resources/common/message. A compact length is one more
// than it is; the last 00 of a structure says that it has no tagged fields.

#[test]
fn a_group_has_kafkas_bytes() {
    let group = |hash| Some(GroupMetadata { epoch: 7, hash });
    check(
        &ConsumerGroupRecord::Group(group(0)),
        b"\x00\x03\x00\x02gr",
        Some(b"\x00\x00\x00\x00\x00\x07\x00"),
    );
    check(
        &ConsumerGroupRecord::Group(group(0x8000_0000_0000_0001)),
        b"\x00\x03\x00\x02gr",
        Some(b"\x00\x00\x00\x00\x00\x07\x01\x00\x08\x80\x00\x00\x00\x00\x00\x00\x01"),
    );
    check(
        &ConsumerGroupRecord::Group(None),
        b"\x00\x03\x00\x02gr",
        None,
    );
}

#[test]
fn partition_metadata_has_kafkas_bytes() {
    let topic = TopicMetadata {
        id: TopicId(Uuid::from_u128(1)),
        name: "to".into(),
        partition_count: 2,
        racks: vec![(1, vec!["r".into()])],
    };
    let mut value = b"\x00\x00\x02".to_vec();
    value.extend_from_slice(&1_u128.to_be_bytes());
    value.extend_from_slice(b"\x03to\x00\x00\x00\x02\x02\x00\x00\x00\x01\x02\x02r\x00\x00\x00");
    check(
        &ConsumerGroupRecord::PartitionMetadata(Some(vec![topic])),
        b"\x00\x04\x00\x02gr",
        Some(&value),
    );
    check(
        &ConsumerGroupRecord::PartitionMetadata(None),
        b"\x00\x04\x00\x02gr",
        None,
    );
}

#[test]
fn a_member_has_kafkas_bytes() {
    let member = MemberMetadata {
        instance_id: Some("i".into()),
        rack_id: None,
        client_id: "c".into(),
        client_host: "/h".into(),
        subscribed_topic_names: ["b", "a"].map(Arc::from).into(),
        subscribed_topic_regex: Some("".into()),
        rebalance_timeout_ms: 300_000,
        server_assignor: Some("range".into()),
        classic: None,
    };
    let key = b"\x00\x05\x00\x02gr\x00\x02me";
    let fields = b"\x00\x00\x02i\x00\x02c\x03/h\x03\x02a\x02b\x01\x00\x04\x93\xE0\x06range";
    check(
        &ConsumerGroupRecord::Member("me".into(), Some(Arc::new(member.clone()))),
        key,
        Some(&[fields.as_slice(), b"\x00"].concat()),
    );
    let classic = MemberMetadata {
        classic: Some(ClassicMember {
            session_timeout_ms: 45_000,
            protocols: vec![ClassicProtocol {
                name: "range".into(),
                metadata: Bytes::from_static(b"\x01\x02"),
            }],
        }),
        ..member
    };
    // One tag, number 0, of 17 bytes: present, timeout, one protocol.
    let tag = b"\x01\x00\x11\x01\x00\x00\xAF\xC8\x02\x06range\x03\x01\x02\x00\x00";
    check(
        &ConsumerGroupRecord::Member("me".into(), Some(Arc::new(classic))),
        key,
        Some(&[fields.as_slice(), tag].concat()),
    );
    check(&ConsumerGroupRecord::Member("me".into(), None), key, None);
}

#[test]
fn targets_have_kafkas_bytes() {
    check(
        &ConsumerGroupRecord::TargetEpoch(Some(TargetMetadata {
            epoch: 9,
            timestamp_ms: 0,
        })),
        b"\x00\x06\x00\x02gr",
        Some(b"\x00\x00\x00\x00\x00\x09\x00"),
    );
    // With the time of the assignment as tag 0 (KIP-1263).
    check(
        &ConsumerGroupRecord::TargetEpoch(Some(TargetMetadata {
            epoch: 9,
            timestamp_ms: 5,
        })),
        b"\x00\x06\x00\x02gr",
        Some(b"\x00\x00\x00\x00\x00\x09\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x05"),
    );
    check(
        &ConsumerGroupRecord::TargetEpoch(None),
        b"\x00\x06\x00\x02gr",
        None,
    );
    let target = [partition(1, 3), partition(1, 0)].into_iter().collect();
    let mut value = b"\x00\x00\x02".to_vec();
    value.extend_from_slice(&1_u128.to_be_bytes());
    value.extend_from_slice(b"\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00");
    let key = b"\x00\x07\x00\x02gr\x00\x02me";
    check(
        &ConsumerGroupRecord::Target("me".into(), Some(target)),
        key,
        Some(&value),
    );
    check(&ConsumerGroupRecord::Target("me".into(), None), key, None);
}

#[test]
fn a_current_assignment_has_kafkas_bytes() {
    let current = CurrentAssignment {
        epoch: 5,
        previous_epoch: 4,
        state: MemberState::UnrevokedPartitions,
        assigned: Assignment::default(),
        pending_revocation: [partition(2, 1)].into_iter().collect(),
        epochs: [(partition(2, 1), 4)].into_iter().collect(),
    };
    let mut value = b"\x00\x00\x00\x00\x00\x05\x00\x00\x00\x04\x01\x01\x02".to_vec();
    value.extend_from_slice(&2_u128.to_be_bytes());
    // Assignment epochs are tag 0 of a topic (KIP-1251).
    value.extend_from_slice(b"\x02\x00\x00\x00\x01\x01\x00\x05\x02\x00\x00\x00\x04\x00");
    let key = b"\x00\x08\x00\x02gr\x00\x02me";
    check(
        &ConsumerGroupRecord::Current("me".into(), Some(current)),
        key,
        Some(&value),
    );
    check(&ConsumerGroupRecord::Current("me".into(), None), key, None);
}

#[test]
fn a_regular_expression_has_kafkas_bytes() {
    let regex = ResolvedRegex {
        topics: ["t"].map(Arc::from).into(),
        version: 3,
        timestamp_ms: 258,
    };
    let key = b"\x00\x10\x00\x02gr\x00\x02t*";
    check(
        &ConsumerGroupRecord::Regex("t*".into(), Some(regex)),
        key,
        Some(
            b"\x00\x00\x02\x02t\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x01\x02\x00",
        ),
    );
    check(&ConsumerGroupRecord::Regex("t*".into(), None), key, None);
}

#[test]
fn what_is_written_without_epochs_or_with_too_few_is_held_since_the_members_own() {
    let since = |epoch: i32, tags: &[u8]| {
        let key = Bytes::from_static(b"\x00\x08\x00\x02gr\x00\x02me");
        let epoch = epoch.to_be_bytes();
        let mut value = [b"\x00\x00", epoch.as_slice(), b"\x00\x00\x00\x04\x00\x02"].concat();
        value.extend_from_slice(&2_u128.to_be_bytes());
        value.extend_from_slice(b"\x02\x00\x00\x00\x01");
        value.extend_from_slice(tags);
        value.extend_from_slice(b"\x01\x00");
        let (_, record) = ConsumerGroupRecord::decode(key, Some(value.into())).unwrap();
        let ConsumerGroupRecord::Current(_, Some(current)) = record else {
            panic!("{record:?}");
        };
        assert_eq!(current.assigned, [partition(2, 1)].into_iter().collect());
        current.epochs.of(partition(2, 1))
    };
    assert_eq!(since(5, b"\x01\x00\x05\x02\x00\x00\x00\x04"), Some(4));
    // None, null, and none for one partition.
    assert_eq!(since(5, b"\x00"), Some(5));
    assert_eq!(since(5, b"\x01\x00\x01\x00"), Some(5));
    assert_eq!(since(5, b"\x01\x00\x01\x01"), Some(5));
    // A static member that has left for a while.
    assert_eq!(since(-2, b"\x00"), Some(0));
}

#[test]
fn keys_of_others_are_told_apart() {
    for key in [0_i16, 1, 2, 9, 15, 17, -1] {
        let decoded = ConsumerGroupRecord::decode(Bytes::from(key.to_be_bytes().to_vec()), None);
        assert_eq!(decoded, Err(RecordError::OtherKey(key)));
    }
    let key = ConsumerGroupRecord::Group(None).encode("gr").key;
    let newer = ConsumerGroupRecord::decode(key, Some(Bytes::from_static(b"\x00\x01")));
    assert_eq!(newer, Err(RecordError::ValueVersion(1)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        number in 3_i16..=16,
        key in proptest::collection::vec(any::<u8>(), 0..24),
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
    ) {
        let key = [number.to_be_bytes().as_slice(), &key].concat();
        let value = value.map(|value| Bytes::from([&[0, 0], value.as_slice()].concat()));
        let _ = ConsumerGroupRecord::decode(Bytes::from(key), value);
    }
}
