//! DeleteTopics (20), versions 1-6: by name, and from 6 on by id too (KIP-516). Flexible from 4.
//!
//! A topic of the request has a name or an id, never both.

use uuid::Uuid;

use super::{ErrorCode, Text};

message! {
    struct DeleteTopicsRequest, flexible 4 {
        topics: Vec<DeleteTopicState>, since 6;
        topic_names: Vec<Text>, since 0, until 5;
        timeout_ms: i32, since 0;
    }

    struct DeleteTopicState, flexible 4 {
        name: Option<Text>, since 6;
        topic_id: Uuid, since 6;
    }

    struct DeleteTopicsResponse, flexible 4 {
        throttle_time_ms: i32, since 1;
        responses: Vec<DeletableTopicResult>, since 0;
    }

    struct DeletableTopicResult, flexible 4 {
        name: Option<Text>, since 0, nullable 6, default Some(Text::default());
        topic_id: Uuid, since 6;
        error_code: ErrorCode, since 0;
        error_message: Option<Text>, since 5;
    }
}
