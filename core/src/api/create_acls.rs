//! CreateAcls (30): there is no authorizer, and Kafka's brokers without one refuse each entry so too.

use rinka_net::wire::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};
use rinka_net::wire::{ErrorCode, Text};

pub(super) fn handle(request: &CreateAclsRequest) -> CreateAclsResponse {
    let results = request.creations.iter().map(|_| AclCreationResult {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some(Text::from("No Authorizer is configured.")),
    });
    CreateAclsResponse {
        results: results.collect(),
        ..Default::default()
    }
}
