//! OffsetCommit (8), versions 2-10: a group's offsets (KIP-211 no retention time from 5, KIP-320 leader epochs from 6, KIP-345
//! static members from 7, KIP-848 member epochs from 9 and topic ids in 10). Flexible from 8.
//!
//! Generation -1 with an empty member id is a commit from outside of the group's membership.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct OffsetCommitRequest, flexible 8 {
        group_id: Text, since 0;
        /// The generation of a classic group; the member's epoch where the group has KIP-848's protocol.
        generation_id_or_member_epoch: i32, since 1, default -1;
        member_id: Text, since 1;
        group_instance_id: Option<Text>, since 7;
        /// -1: as the broker is configured.
        retention_time_ms: i64, since 2, until 4, default -1;
        topics: Vec<OffsetCommitRequestTopic>, since 0;
    }

    struct OffsetCommitRequestTopic, flexible 8 {
        name: Text, since 0, until 9;
        topic_id: Uuid, since 10;
        partitions: Vec<OffsetCommitRequestPartition>, since 0;
    }

    struct OffsetCommitRequestPartition, flexible 8 {
        partition_index: i32, since 0;
        committed_offset: i64, since 0;
        /// -1: not known.
        committed_leader_epoch: i32, since 6, default -1;
        committed_metadata: Option<Text>, since 0;
    }

    struct OffsetCommitResponse, flexible 8 {
        throttle_time_ms: i32, since 3;
        topics: Vec<OffsetCommitResponseTopic>, since 0;
    }

    struct OffsetCommitResponseTopic, flexible 8 {
        name: Text, since 0, until 9;
        topic_id: Uuid, since 10;
        partitions: Vec<OffsetCommitResponsePartition>, since 0;
    }

    struct OffsetCommitResponsePartition, flexible 8 {
        partition_index: i32, since 0;
        error_code: ErrorCode, since 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle;
    use super::*;

    /// The oracle lacks this version: these bytes were made by hand from Kafka's schema.
    #[test]
    fn a_request_of_version_10_has_topic_ids_and_no_names() {
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: 5,
            member_id: "m".into(),
            group_instance_id: None,
            topics: vec![OffsetCommitRequestTopic {
                topic_id: Uuid::from_u128(0x0001_0203_0405_0607_0809_0A0B_0C0D_0E0F),
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: 3,
                    committed_offset: 42,
                    committed_leader_epoch: 7,
                    committed_metadata: Some("x".into()),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        #[rustfmt::skip]
        let bytes = [
            2, b'g',
            0, 0, 0, 5,
            2, b'm',
            0,
            2, // one topic
                0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                2, // one partition
                    0, 0, 0, 3,
                    0, 0, 0, 0, 0, 0, 0, 42,
                    0, 0, 0, 7,
                    2, b'x',
                    0,
                0,
            0,
        ];
        oracle::check_bytes(&request, OffsetCommitRequest::version(10), &bytes);
    }
}
