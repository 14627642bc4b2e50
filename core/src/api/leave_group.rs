//! LeaveGroup (13): members leave, one up to version 2, many from 3 on.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};

use super::Context;
use super::group_coordinator::{ask, text};
use crate::coordinator::group::request::{LeaveRequest, LeavingMember};
use crate::coordinator::group::response::{Left, Response};
use crate::shard::mailbox::Lane;

/// The first version that names many.
const MANY: i16 = 3;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let group_id = request.group_id.to_string();
    let left = ask(context, Lane::Read, &group_id, move |token, asked| {
        let (coordinator, time, out) = asked;
        let many = request.members.iter().map(|member| LeavingMember {
            member_id: &member.member_id,
            instance_id: member.group_instance_id.as_deref(),
        });
        let members = match version >= MANY {
            true => many.collect(),
            false => vec![LeavingMember {
                member_id: &request.member_id,
                instance_id: None,
            }],
        };
        let group_id = &request.group_id;
        coordinator.on_leave(&LeaveRequest { group_id, members }, token, time, out);
    });
    let left = match left.await {
        Ok(Response::Leave(left)) => left.map_err(ErrorCode::from),
        Ok(_) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(error) => Err(error),
    };
    match left {
        Ok(left) if version >= MANY => LeaveGroupResponse {
            members: left.iter().map(member).collect(),
            ..Default::default()
        },
        Ok(left) => LeaveGroupResponse {
            error_code: left.first().map_or(ErrorCode::NONE, error_of),
            ..Default::default()
        },
        Err(error_code) => LeaveGroupResponse {
            error_code,
            ..Default::default()
        },
    }
}

fn error_of(left: &Left) -> ErrorCode {
    left.result.map_or_else(Into::into, |()| ErrorCode::NONE)
}

fn member(left: &Left) -> MemberResponse {
    MemberResponse {
        member_id: text(&left.member_id),
        group_instance_id: left.instance_id.as_ref().map(text),
        error_code: error_of(left),
    }
}
