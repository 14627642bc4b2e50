//! Finds the coordinator of a group, on whichever shard it is, and asks it.
//!
//! Knows no API.

use std::rc::Rc;
use std::sync::Arc;

use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::coordinator_error;
use crate::coordinator::group::Coordinator;
use crate::coordinator::group::response::Response;
use crate::shard::Shard;
use crate::shard::coordinator::{Asked, Token, partition_of_group};
use crate::shard::mailbox::Lane;

/// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: without an authorizer all are allowed.
const GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;

/// Hands the group's coordinator a request and waits for the answer. What `ask` holds is dropped when it has asked.
pub(super) async fn ask(
    context: &Context,
    lane: Lane,
    group_id: &str,
    ask: impl FnOnce(Token, Asked<'_>) + Send + 'static,
) -> Result<Response, ErrorCode> {
    let shard = &context.shard;
    let name = partition_of_group(&shard.image.borrow(), group_id);
    let name = name.ok_or(ErrorCode::NOT_COORDINATOR)?;
    let asking = move |shard: &Rc<Shard>| shard.ask_coordinator(name.partition, ask);
    let started = shard.start_on(shard.owner(name), lane, asking).await;
    let started = started.map_err(|_| ErrorCode::NOT_COORDINATOR)?;
    let answer = started.wait().await;
    answer
        .map_err(|_| ErrorCode::NOT_COORDINATOR)?
        .map_err(coordinator_error)
}

/// Reads something off the group's coordinator.
pub(super) async fn read<R: Send + 'static>(
    context: &Context,
    group_id: &str,
    read: impl FnOnce(&Coordinator<Token>) -> R + Send + 'static,
) -> Result<R, ErrorCode> {
    let shard = &context.shard;
    let name = partition_of_group(&shard.image.borrow(), group_id);
    let name = name.ok_or(ErrorCode::NOT_COORDINATOR)?;
    let reading =
        move |shard: &Rc<Shard>| std::future::ready(shard.read_coordinator(name.partition, read));
    let started = shard.start_on(shard.owner(name), Lane::Read, reading).await;
    let started = started.map_err(|_| ErrorCode::NOT_COORDINATOR)?;
    let answer = started.wait().await;
    answer
        .map_err(|_| ErrorCode::NOT_COORDINATOR)?
        .map_err(coordinator_error)
}

pub(super) fn text(text: &Arc<str>) -> Text {
    Text::from(text.to_string())
}

/// As Kafka shows a client's address.
pub(super) fn client_host(context: &Context) -> String {
    format!("/{}", context.peer)
}

/// Of a group that cannot be told of, Kafka tells not even these.
pub(super) fn operations(asked: bool, error_code: ErrorCode) -> i32 {
    match asked && !error_code.is_error() {
        true => GROUP_OPERATIONS,
        false => i32::MIN,
    }
}
