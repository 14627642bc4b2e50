//! DescribeGroups (15): state and members of classic groups.

use rinka_net::wire::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::group_coordinator::{operations, read, text};
use crate::coordinator::group::response;

/// The first version that tells an unknown group from a dead one (KIP-1043).
const NOT_FOUND: i16 = 6;

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in request.groups {
        let id = group_id.clone();
        let described = read(context, &group_id, move |coordinator| {
            coordinator.describe(&id)
        });
        let described = match described.await {
            Ok(Some(group)) => describe(group_id, group),
            Ok(None) => unknown(version, group_id),
            Err(error_code) => DescribedGroup {
                error_code,
                group_id,
                ..Default::default()
            },
        };
        let asked = request.include_authorized_operations;
        groups.push(DescribedGroup {
            authorized_operations: operations(asked, described.error_code),
            ..described
        });
    }
    DescribeGroupsResponse {
        groups,
        ..Default::default()
    }
}

fn unknown(version: i16, group_id: Text) -> DescribedGroup {
    let dead = Text::from("Dead");
    match version >= NOT_FOUND {
        true => DescribedGroup {
            error_code: ErrorCode::GROUP_ID_NOT_FOUND,
            error_message: Some(Text::from(format!("Group {group_id} not found."))),
            group_id,
            group_state: dead,
            ..Default::default()
        },
        false => DescribedGroup {
            group_id,
            group_state: dead,
            ..Default::default()
        },
    }
}

fn describe(group_id: Text, group: response::DescribedGroup) -> DescribedGroup {
    let members = group.members.iter().map(|member| DescribedGroupMember {
        member_id: text(&member.member_id),
        group_instance_id: member.instance_id.as_ref().map(text),
        client_id: text(&member.client_id),
        client_host: text(&member.client_host),
        member_metadata: member.metadata.clone(),
        member_assignment: member.assignment.clone(),
    });
    DescribedGroup {
        group_id,
        group_state: Text::from(group.state),
        protocol_type: text(&group.protocol_type),
        protocol_data: text(&group.protocol),
        members: members.collect(),
        ..Default::default()
    }
}
