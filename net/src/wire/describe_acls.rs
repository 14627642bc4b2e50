//! DescribeAcls (29), versions 1-3: the access control entries that match a filter (KIP-140, pattern types KIP-290). Flexible from 2.
//!
//! Kinds, operations and permissions are numbers here, in the request as in the answer: what a number means is the authorizer's.

use super::{ErrorCode, Text};

message! {
    struct DescribeAclsRequest, flexible 2 {
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

    struct DescribeAclsResponse, flexible 2 {
        throttle_time_ms: i32, since 1;
        error_code: ErrorCode, since 1;
        error_message: Option<Text>, since 1;
        resources: Vec<DescribeAclsResource>, since 1;
    }

    struct DescribeAclsResource, flexible 2 {
        resource_type: i8, since 1;
        resource_name: Text, since 1;
        pattern_type: i8, since 1, default 3;
        acls: Vec<AclDescription>, since 1;
    }

    struct AclDescription, flexible 2 {
        principal: Text, since 1;
        host: Text, since 1;
        operation: i8, since 1;
        permission_type: i8, since 1;
    }
}
