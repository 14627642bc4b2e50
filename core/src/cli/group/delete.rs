//! `rinka group delete`: groups without members, and the offsets that they committed.
//!
//! Takes exact names alone; the coordinator refuses a group that has members.

use clap::Args;
use rinka_net::wire::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use serde::Serialize;

use super::description::no_group;
use crate::cli::client::{Client, ConnectArguments, explain};
use crate::cli::failure::{Result, failed};
use crate::cli::output::{OutputArguments, printable, remark};

/// Delete groups that have no members, with the offsets that they committed
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka group delete readers
  rinka group delete readers writers

To move a group instead: rinka group reset-offsets")]
pub(crate) struct Delete {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    group: &'a str,
    deleted: bool,
    error: Option<String>,
}

pub(super) fn run(arguments: &Delete) -> Result<()> {
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let mut out = arguments.output.open();
    let mut refused = 0;
    for group in &arguments.groups {
        let request = DeleteGroupsRequest {
            groups_names: vec![Text::from(group.clone())],
        };
        let error_of = |response: &DeleteGroupsResponse| {
            let result = response.results.first();
            result.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |result| result.error_code)
        };
        let response: DeleteGroupsResponse = client.ask_coordinator(
            group,
            ApiKey::DeleteGroups,
            i16::MAX,
            &request,
            error_of,
            deadline,
        )?;
        let error = match error_of(&response) {
            ErrorCode::NONE => None,
            ErrorCode::GROUP_ID_NOT_FOUND => Some(no_group(group)),
            ErrorCode::NON_EMPTY_GROUP => Some(
                "it has members: stop them first, `rinka group describe` shows them".to_owned(),
            ),
            code => Some(explain(code, None)),
        };
        refused += usize::from(error.is_some());
        let shown = printable(group);
        if out.is_json() {
            out.json(&Row {
                group,
                deleted: error.is_none(),
                error,
            })?;
        } else if let Some(error) = error {
            remark(format_args!("rinka: group {shown}: {error}"));
        } else {
            out.line(format_args!("Deleted {shown}"))?;
        }
    }
    out.finish()?;
    match refused {
        0 => Ok(()),
        _ => failed(format!(
            "{refused} of {} groups were not deleted",
            arguments.groups.len()
        )),
    }
}
