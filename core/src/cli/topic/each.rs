//! What the subcommands for several topics have in common: one request to the controller, and a report of each topic in turn.
//!
//! Knows nothing of what is asked.

use rinka_net::wire::{ApiKey, ErrorCode, Field};
use serde::Serialize;

use crate::cli::client::{Attempt, Client, Deadline, explain};
use crate::cli::failure::{Result, failed, usage};
use crate::cli::output::{OutputArguments, printable, remark};

/// A topic may stand only once on a command line: brokers refuse doubles with words that do not help.
pub(in crate::cli) fn no_doubles(topics: &[String]) -> Result<()> {
    for (index, topic) in topics.iter().enumerate() {
        if topics[..index].contains(topic) {
            return usage(format!("topic {topic} is named twice"));
        }
    }
    Ok(())
}

/// Asks the controller, and looks for it again when it has moved. `request` is made anew for each try, with the milliseconds left.
pub(super) fn ask_controller<Q: Field, R: Field>(
    client: &mut Client,
    api: ApiKey,
    deadline: Deadline,
    mut request: impl FnMut(i32) -> Q,
    codes: impl Fn(&R) -> Vec<ErrorCode>,
) -> Result<R> {
    client.retrying(deadline, |client| {
        let controller = client.controller(deadline)?;
        let request = request(deadline.milliseconds());
        let response: R = client.call(&controller, api, &request, deadline)?;
        let moved = ErrorCode::NOT_CONTROLLER;
        Ok(match codes(&response).contains(&moved) {
            true => Attempt::Again(explain(moved, None)),
            false => Attempt::Done(response),
        })
    })
}

/// How it went with one topic.
pub(super) struct Reported<R> {
    /// The line for programs.
    pub(super) row: R,
    /// What people are told, or why it was refused.
    pub(super) told: std::result::Result<String, String>,
}

/// Tells of each topic, and fails when any was refused. `of`: nothing where the broker said nothing of a topic.
pub(super) fn report<'t, R: Serialize>(
    topics: &'t [String],
    output: &OutputArguments,
    done: &str,
    of: impl Fn(&'t str) -> Option<Reported<R>>,
) -> Result<()> {
    let mut out = output.open();
    let mut refused = 0;
    for name in topics {
        let shown = printable(name);
        let Some(Reported { row, told }) = of(name) else {
            return failed(format!("the broker says nothing of topic {shown}"));
        };
        refused += usize::from(told.is_err());
        if out.is_json() {
            out.json(&row)?;
            continue;
        }
        match told {
            Ok(line) => out.line(format_args!("{line}"))?,
            Err(error) => remark(format_args!("rinka: topic {shown}: {error}")),
        }
    }
    out.finish()?;
    if refused == 0 {
        return Ok(());
    }
    failed(format!(
        "{refused} of {} topics were not {done}",
        topics.len()
    ))
}
