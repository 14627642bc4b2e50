//! OffsetFetch (9), versions 1-10: the offsets that a group committed (KIP-320 leader epochs from 5, KIP-447 stable offsets from
//! 7, KIP-709 many groups at once from 8, KIP-848 members from 9 and topic ids in 10). Flexible from 6.
//!
//! No topics (null) means all, from version 2 on. Up to version 7 one group is at the top; from 8 on each has its own place.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct OffsetFetchRequest, flexible 6 {
        group_id: Text, since 0, until 7;
        topics: Option<Vec<OffsetFetchRequestTopic>>, since 0, until 7, nullable 2, default Some(Vec::new());
        groups: Vec<OffsetFetchRequestGroup>, since 8;
        /// Offsets of transactions that are still open are an error, and not left out.
        require_stable: bool, since 7;
    }

    struct OffsetFetchRequestGroup, flexible 6 {
        group_id: Text, since 8;
        /// Null: not a member of KIP-848's protocol.
        member_id: Option<Text>, since 9;
        member_epoch: i32, since 9, default -1;
        topics: Option<Vec<OffsetFetchRequestTopic>>, since 8, default Some(Vec::new());
    }

    /// Of the one group of versions up to 7, and of each group from 8 on.
    struct OffsetFetchRequestTopic, flexible 6 {
        name: Text, since 0, until 9;
        topic_id: Uuid, since 10;
        partition_indexes: Vec<i32>, since 0;
    }

    struct OffsetFetchResponse, flexible 6 {
        throttle_time_ms: i32, since 3;
        topics: Vec<OffsetFetchResponseTopic>, since 0, until 7;
        error_code: ErrorCode, since 2, until 7;
        groups: Vec<OffsetFetchResponseGroup>, since 8;
    }

    struct OffsetFetchResponseGroup, flexible 6 {
        group_id: Text, since 8;
        topics: Vec<OffsetFetchResponseTopic>, since 8;
        error_code: ErrorCode, since 8;
    }

    /// Of the one group of versions up to 7, and of each group from 8 on.
    struct OffsetFetchResponseTopic, flexible 6 {
        name: Text, since 0, until 9;
        topic_id: Uuid, since 10;
        partitions: Vec<OffsetFetchResponsePartition>, since 0;
    }

    struct OffsetFetchResponsePartition, flexible 6 {
        partition_index: i32, since 0;
        /// -1: none.
        committed_offset: i64, since 0;
        committed_leader_epoch: i32, since 5, default -1;
        metadata: Option<Text>, since 0;
        error_code: ErrorCode, since 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::oracle;
    use super::super::{DecodeError, Field, Reader};
    use super::*;

    #[test]
    fn null_topics_are_all_from_version_2_on_and_nothing_before() {
        let body: &[u8] = &[0, 1, b'g', 0xFF, 0xFF, 0xFF, 0xFF];
        let read = |number| {
            let mut reader = Reader::new(Bytes::from_static(body));
            OffsetFetchRequest::read(&mut reader, OffsetFetchRequest::version(number))
        };
        assert_eq!(read(1), Err(DecodeError::Null));
        assert_eq!(read(2).map(|request| request.topics), Ok(None));
    }

    /// The oracle lacks this version: these bytes were made by hand from Kafka's schema.
    #[test]
    fn a_request_of_version_10_has_topic_ids_and_no_names() {
        let request = OffsetFetchRequest {
            groups: vec![
                OffsetFetchRequestGroup {
                    group_id: "g".into(),
                    member_id: Some("m".into()),
                    member_epoch: 5,
                    topics: Some(vec![OffsetFetchRequestTopic {
                        topic_id: Uuid::from_u128(0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F),
                        partition_indexes: vec![0, 3],
                        ..Default::default()
                    }]),
                },
                OffsetFetchRequestGroup {
                    group_id: "h".into(),
                    topics: None,
                    ..Default::default()
                },
            ],
            require_stable: true,
            ..Default::default()
        };
        #[rustfmt::skip]
        let bytes = [
            3, // two groups
                2, b'g',
                2, b'm',
                0, 0, 0, 5,
                2, // one topic
                    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                    3, 0, 0, 0, 0, 0, 0, 0, 3,
                    0,
                0,
                2, b'h',
                0,
                0xFF, 0xFF, 0xFF, 0xFF,
                0,
                0,
            1,
            0,
        ];
        oracle::check_bytes(&request, OffsetFetchRequest::version(10), &bytes);
    }
}
