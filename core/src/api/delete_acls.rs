//! DeleteAcls (31): there is no authorizer, and Kafka's brokers without one refuse each filter so too.

use rinka_net::wire::delete_acls::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};
use rinka_net::wire::{ErrorCode, Text};

pub(super) fn handle(request: &DeleteAclsRequest) -> DeleteAclsResponse {
    let results = request.filters.iter().map(|_| DeleteAclsFilterResult {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some(Text::from("No Authorizer is configured.")),
        ..Default::default()
    });
    DeleteAclsResponse {
        filter_results: results.collect(),
        ..Default::default()
    }
}
