//! CreateAcls (30), versions 1-3: access control entries to add (KIP-140, pattern types KIP-290). Flexible from 2.
//!
//! The answer has one result for each entry, in their order.

use super::{ErrorCode, Text};

message! {
    struct CreateAclsRequest, flexible 2 {
        creations: Vec<AclCreation>, since 1;
    }

    struct AclCreation, flexible 2 {
        resource_type: i8, since 1;
        resource_name: Text, since 1;
        resource_pattern_type: i8, since 1, default 3;
        principal: Text, since 1;
        host: Text, since 1;
        operation: i8, since 1;
        permission_type: i8, since 1;
    }

    struct CreateAclsResponse, flexible 2 {
        throttle_time_ms: i32, since 1;
        results: Vec<AclCreationResult>, since 1;
    }

    struct AclCreationResult, flexible 2 {
        error_code: ErrorCode, since 1;
        error_message: Option<Text>, since 1;
    }
}
