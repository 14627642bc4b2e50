//! Heartbeat (12): a member says that it lives, and hears whether it must join again.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::Context;
use super::group_coordinator::ask;
use crate::coordinator::group::request;
use crate::coordinator::group::response::Response;
use crate::shard::mailbox::Lane;

pub(super) async fn handle(context: &Context, request: HeartbeatRequest) -> HeartbeatResponse {
    let group_id = request.group_id.to_string();
    let beaten = ask(context, Lane::Read, &group_id, move |token, asked| {
        let (coordinator, time, out) = asked;
        let heartbeat = request::HeartbeatRequest {
            group_id: &request.group_id,
            generation: request.generation_id,
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
        };
        coordinator.on_heartbeat(&heartbeat, token, time, out);
    });
    let error_code = match beaten.await {
        Ok(Response::Heartbeat(Ok(()))) => ErrorCode::NONE,
        Ok(Response::Heartbeat(Err(error))) => error.into(),
        Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        Err(error) => error,
    };
    HeartbeatResponse {
        error_code,
        ..Default::default()
    }
}
