//! `rinka group list`: the groups that every broker coordinates, together.
//!
//! Changes nothing.

use std::collections::BTreeMap;

use clap::Args;
use rinka_net::wire::list_groups::{ListGroupsRequest, ListGroupsResponse};
use rinka_net::wire::{ApiKey, ErrorCode};
use serde::Serialize;

use crate::cli::client::{Attempt, Client, ConnectArguments, Deadline, explain, is_passing};
use crate::cli::failure::{Result, failed};
use crate::cli::output::OutputArguments;
use crate::cli::table::Table;

/// List the groups of the cluster
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka group list
  rinka group list --output json | jq -r 'select(.state == \"Empty\").group'")]
pub(crate) struct List {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
}

/// A group as its coordinator lists it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    pub(super) group: String,
    /// `classic`, `consumer`, `share`; empty where the broker does not say.
    pub(super) kind: String,
    state: String,
    protocol_type: String,
    coordinator: i32,
}

pub(super) fn run(arguments: &List) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let groups = groups(&mut client, deadline)?;
    let mut out = arguments.output.open();
    let mut table = Table::new(&["GROUP", "TYPE", "STATE", "PROTOCOL", ">COORDINATOR"]);
    for group in groups.values() {
        if out.is_json() {
            out.json(group)?;
            continue;
        }
        table.row([
            group.group.clone().into(),
            group.kind.clone().into(),
            group.state.clone().into(),
            group.protocol_type.clone().into(),
            group.coordinator.to_string().into(),
        ]);
    }
    if !out.is_json() {
        if table.is_empty() {
            out.line("No groups: `rinka consume TOPIC --group NAME` makes one.")?;
        } else {
            out.table(&table)?;
        }
    }
    out.finish()
}

/// Every group, by name. A broker that does not answer fails all: the list would not be whole.
pub(super) fn groups(client: &mut Client, deadline: Deadline) -> Result<BTreeMap<String, Listed>> {
    let metadata = client.metadata(Some(&[]), deadline)?;
    let request = ListGroupsRequest::default();
    let mut groups = BTreeMap::new();
    for (id, address) in &metadata.brokers {
        let response: ListGroupsResponse = client.retrying(deadline, |client| {
            let response: ListGroupsResponse =
                client.call(address, ApiKey::ListGroups, &request, deadline)?;
            let code = response.error_code;
            match code {
                ErrorCode::NONE => Ok(Attempt::Done(response)),
                code if is_passing(code) => Ok(Attempt::Again(explain(code, None))),
                code => failed(format!("broker {id}: {}", explain(code, None))),
            }
        })?;
        for group in response.groups {
            let listed = Listed {
                group: group.group_id.to_string(),
                kind: group.group_type.to_string(),
                state: group.group_state.to_string(),
                protocol_type: group.protocol_type.to_string(),
                coordinator: *id,
            };
            groups.insert(listed.group.clone(), listed);
        }
    }
    Ok(groups)
}
