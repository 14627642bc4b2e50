//! ListGroups (16): the groups that this broker coordinates; under core routing those of one shard.

use std::rc::Rc;

use rinka_net::wire::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::coordinator_error;
use super::group_coordinator::text;
use crate::coordinator::group::request::ListRequest;
use crate::coordinator::group::response;
use crate::shard::Shard;
use crate::shard::mailbox::Lane;

pub(super) async fn handle(context: &Context, request: ListGroupsRequest) -> ListGroupsResponse {
    let shard = &context.shard;
    let mut groups = Vec::new();
    for number in shard.of_broker() {
        match list(shard, number, request.clone()).await {
            Ok(listed) => groups.extend(listed.iter().map(group)),
            Err(error_code) => {
                return ListGroupsResponse {
                    error_code,
                    ..Default::default()
                };
            }
        }
    }
    ListGroupsResponse {
        groups,
        ..Default::default()
    }
}

async fn list(
    shard: &Rc<Shard>,
    number: usize,
    request: ListGroupsRequest,
) -> Result<Vec<response::ListedGroup>, ErrorCode> {
    let listing = move |shard: &Rc<Shard>| {
        let texts =
            |texts: &[Text]| -> Vec<String> { texts.iter().map(|text| text.to_string()).collect() };
        let (states, types) = (texts(&request.states_filter), texts(&request.types_filter));
        let listed = shard.read_coordinators(|coordinator| {
            coordinator.list(&ListRequest {
                states: states.iter().map(String::as_str).collect(),
                types: types.iter().map(String::as_str).collect(),
            })
        });
        std::future::ready(listed.map(|listed| listed.concat()))
    };
    let started = shard.start_on(number, Lane::Read, listing).await;
    let started = started.map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let listed = started.wait().await;
    listed
        .map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?
        .map_err(coordinator_error)
}

fn group(group: &response::ListedGroup) -> ListedGroup {
    ListedGroup {
        group_id: text(&group.group_id),
        protocol_type: text(&group.protocol_type),
        group_state: Text::from(group.state),
        group_type: Text::from(group.group_type),
    }
}
