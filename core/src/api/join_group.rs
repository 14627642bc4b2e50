//! JoinGroup (11): a member joins; the answer comes when the others have.

use rinka_net::wire::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use rinka_net::wire::{ErrorCode, Text};
use uuid::Uuid;

use super::Context;
use super::group_coordinator::{ask, client_host, text};
use crate::coordinator::group::request::JoinRequest;
use crate::coordinator::group::response::{JoinRefused, Joined, Response};
use crate::shard::mailbox::Lane;

/// The first version whose new members are told their id and come back with it (KIP-394).
const MEMBER_ID_REQUIRED: i16 = 4;

/// The first version that can tell a leader not to assign (KIP-814).
const SKIPS_ASSIGNMENT: i16 = 9;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    client_id: Text,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    // A name of its own: the request's would keep its frame.
    let group_id = request.group_id.to_string();
    let member_id = request.member_id.to_string();
    let client_host = client_host(context);
    let joined = ask(context, Lane::Read, &group_id, move |token, asked| {
        let (coordinator, time, out) = asked;
        let protocols = request.protocols.iter();
        let join = JoinRequest {
            group_id: &request.group_id,
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            client_id: &client_id,
            client_host: &client_host,
            new_member_uuid: &Uuid::new_v4().to_string(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocol_type: &request.protocol_type,
            protocols: protocols
                .map(|protocol| (protocol.name.as_str(), &*protocol.metadata))
                .collect(),
            requires_known_member_id: version >= MEMBER_ID_REQUIRED,
            supports_skipping_assignment: version >= SKIPS_ASSIGNMENT,
        };
        coordinator.on_join(&join, token, time, out);
    });
    match joined.await {
        Ok(Response::Join(Ok(joined))) => accepted(&joined),
        Ok(Response::Join(Err(JoinRefused { error, member_id }))) => {
            refused(error.into(), text(&member_id))
        }
        Ok(_) => refused(ErrorCode::UNKNOWN_SERVER_ERROR, Text::from(member_id)),
        Err(error) => refused(error, Text::from(member_id)),
    }
}

fn accepted(joined: &Joined) -> JoinGroupResponse {
    let members = joined.members.iter().map(|member| JoinGroupResponseMember {
        member_id: text(&member.member_id),
        group_instance_id: member.instance_id.as_ref().map(text),
        metadata: member.metadata.clone(),
    });
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.as_ref().map(text),
        protocol_name: joined.protocol_name.as_ref().map(text),
        leader: text(&joined.leader),
        skip_assignment: joined.skip_assignment,
        member_id: text(&joined.member_id),
        members: members.collect(),
        ..Default::default()
    }
}

fn refused(error_code: ErrorCode, member_id: Text) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code,
        generation_id: -1,
        protocol_name: None,
        member_id,
        ..Default::default()
    }
}
