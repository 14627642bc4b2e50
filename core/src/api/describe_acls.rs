//! DescribeAcls (29): who may do what. There is no authorizer, and Kafka's brokers without one answer so too.

use rinka_net::wire::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use rinka_net::wire::{ErrorCode, Text};

pub(super) fn handle(_request: &DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some(Text::from("No Authorizer is configured on the broker")),
        ..Default::default()
    }
}
