//! SyncGroup (14): the leader hands out the assignments, the others wait for theirs.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::Context;
use super::group_coordinator::{ask, text};
use crate::coordinator::group::request::SyncRequest;
use crate::coordinator::group::response::Response;
use crate::shard::mailbox::Lane;

/// The first version that says which protocol the member believes was chosen, and must (KIP-559).
const WITH_PROTOCOL: i16 = 5;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let without = request.protocol_type.is_none() || request.protocol_name.is_none();
    if version >= WITH_PROTOCOL && without {
        return SyncGroupResponse {
            error_code: ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
            ..Default::default()
        };
    }
    let group_id = request.group_id.to_string();
    let synced = ask(context, Lane::Read, &group_id, move |token, asked| {
        let (coordinator, time, out) = asked;
        let assignments = request.assignments.iter();
        let sync = SyncRequest {
            group_id: &request.group_id,
            generation: request.generation_id,
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            protocol_type: request.protocol_type.as_deref(),
            protocol_name: request.protocol_name.as_deref(),
            assignments: assignments
                .map(|assignment| (assignment.member_id.as_str(), &*assignment.assignment))
                .collect(),
        };
        coordinator.on_sync(&sync, token, time, out);
    });
    let error_code = match synced.await {
        Ok(Response::Sync(Ok(synced))) => {
            return SyncGroupResponse {
                protocol_type: synced.protocol_type.as_ref().map(text),
                protocol_name: synced.protocol_name.as_ref().map(text),
                assignment: synced.assignment,
                ..Default::default()
            };
        }
        Ok(Response::Sync(Err(error))) => error.into(),
        Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        Err(error) => error,
    };
    SyncGroupResponse {
        error_code,
        ..Default::default()
    }
}
