//! DeleteGroups (42): groups without members go, with their offsets.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use super::Context;
use super::group_coordinator::ask;
use crate::coordinator::group::response::Response;
use crate::shard::mailbox::Lane;

pub(super) async fn handle(
    context: &Context,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let id = group_id.clone();
        let deleted = ask(context, Lane::Read, &group_id, move |token, asked| {
            let (coordinator, time, out) = asked;
            coordinator.on_delete_groups(&[id.as_str()], token, time, out);
        });
        let error_code = match deleted.await {
            Ok(Response::DeleteGroups(results)) => match results.first() {
                Some((_, Err(error))) => (*error).into(),
                Some((_, Ok(()))) | None => ErrorCode::NONE,
            },
            Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
            Err(error) => error,
        };
        results.push(DeletableGroupResult {
            group_id,
            error_code,
        });
    }
    DeleteGroupsResponse {
        results,
        ..Default::default()
    }
}
