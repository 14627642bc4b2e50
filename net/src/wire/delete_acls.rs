//! DeleteAcls (31), versions 1-3: removes the access control entries that match any of some filters (KIP-140, pattern types KIP-290).
//! Flexible from 2.
//!
//! The answer has one result for each filter, in their order.

use super::{ErrorCode, Text};

message! {
    struct DeleteAclsRequest, flexible 2 {
        filters: Vec<DeleteAclsFilter>, since 1;
    }

    struct DeleteAclsFilter, flexible 2 {
        resource_type_filter: i8, since 1;
        /// Null: any name.
        resource_name_filter: Option<Text>, since 1;
        pattern_type_filter: i8, since 1, default 3;
        /// Null: any principal.
        principal_filter: Option<Text>, since 1;
        /// Null: any host.
        host_filter: Option<Text>, since 1;
        operation: i8, since 1;
        permission_type: i8, since 1;
    }

    struct DeleteAclsResponse, flexible 2 {
        throttle_time_ms: i32, since 1;
        filter_results: Vec<DeleteAclsFilterResult>, since 1;
    }

    struct DeleteAclsFilterResult, flexible 2 {
        error_code: ErrorCode, since 1;
        error_message: Option<Text>, since 1;
        matching_acls: Vec<DeleteAclsMatchingAcl>, since 1;
    }

    struct DeleteAclsMatchingAcl, flexible 2 {
        error_code: ErrorCode, since 1;
        error_message: Option<Text>, since 1;
        resource_type: i8, since 1;
        resource_name: Text, since 1;
        pattern_type: i8, since 1, default 3;
        principal: Text, since 1;
        host: Text, since 1;
        operation: i8, since 1;
        permission_type: i8, since 1;
    }
}
