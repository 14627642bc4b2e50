//! JoinGroup (11), versions 0-9: a member joins or rejoins a classic group (KIP-62 rebalance timeout from 1, KIP-394 member id
//! required from 4, KIP-345 static members from 5, KIP-559 protocol type from 7, KIP-800 reason from 8, KIP-814 skipped
//! assignment from 9). Flexible from 6.
//!
//! The answer to the leader names all members with their metadata, the answers to the others none. What a group keeps of a
//! request must be copied: texts and bytes are slices that keep the whole frame in memory.

use bytes::Bytes;

use super::{ErrorCode, Text};

message! {
    struct JoinGroupRequest, flexible 6 {
        group_id: Text, since 0;
        session_timeout_ms: i32, since 0;
        /// -1: as long as the session timeout.
        rebalance_timeout_ms: i32, since 1, default -1;
        /// Empty for a member that has none yet.
        member_id: Text, since 0;
        /// Null: no static member.
        group_instance_id: Option<Text>, since 5;
        /// `consumer`, `connect`, or what else the members agree on.
        protocol_type: Text, since 0;
        /// The assignors that the member knows, the preferred one first.
        protocols: Vec<JoinGroupRequestProtocol>, since 0;
        reason: Option<Text>, since 8;
    }

    struct JoinGroupRequestProtocol, flexible 6 {
        name: Text, since 0;
        /// For the leader's eyes: of consumers it is their subscription.
        metadata: Bytes, since 0;
    }

    struct JoinGroupResponse, flexible 6 {
        throttle_time_ms: i32, since 2;
        error_code: ErrorCode, since 0;
        generation_id: i32, since 0, default -1;
        protocol_type: Option<Text>, since 7;
        /// Null where there is none, which versions below 7 have as the empty text.
        protocol_name: Option<Text>, since 0, nullable 7, default Some(Text::default());
        leader: Text, since 0;
        /// The leader is to keep the assignment that there is.
        skip_assignment: bool, since 9;
        member_id: Text, since 0;
        members: Vec<JoinGroupResponseMember>, since 0;
    }

    struct JoinGroupResponseMember, flexible 6 {
        member_id: Text, since 0;
        group_instance_id: Option<Text>, since 5;
        metadata: Bytes, since 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle;
    use super::*;

    #[test]
    fn no_protocol_is_an_empty_text_where_null_is_not_known() {
        let response = JoinGroupResponse {
            protocol_name: None,
            ..Default::default()
        };
        for number in 0..=9 {
            let read: JoinGroupResponse =
                oracle::written_and_read(&response, JoinGroupResponse::version(number));
            let expected = (number < 7).then(Text::default);
            assert_eq!(read.protocol_name, expected, "version {number}");
        }
    }
}
