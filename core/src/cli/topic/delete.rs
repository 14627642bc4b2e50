//! `rinka topic delete`: topics and all their records, for good.
//!
//! Takes exact names alone.

use clap::Args;
use rinka_net::wire::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use serde::Serialize;

use crate::cli::client::{Attempt, Client, ConnectArguments, explain, no_topic};
use crate::cli::failure::{Result, failed};
use crate::cli::output::{OutputArguments, printable, remark};

/// Delete topics with all their records, for good
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka topic delete greetings
  rinka topic delete greetings orders --if-exists")]
pub(crate) struct Delete {
    #[command(flatten)]
    connect: ConnectArguments,
    #[command(flatten)]
    output: OutputArguments,
    /// Their names
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// A topic that is not there is no error
    #[arg(long)]
    if_exists: bool,
}

#[derive(Serialize)]
struct Row<'a> {
    topic: &'a str,
    deleted: bool,
    error: Option<String>,
}

pub(super) fn run(arguments: &Delete) -> Result<()> {
    super::no_doubles(&arguments.topics)?;
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let names = arguments.topics.iter().cloned().map(Text::from);
    let mut request = DeleteTopicsRequest {
        topic_names: names.clone().collect(),
        topics: names
            .map(|name| DeleteTopicState {
                name: Some(name),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let response: DeleteTopicsResponse = client.retrying(deadline, |client| {
        let controller = client.controller(deadline)?;
        request.timeout_ms = deadline.milliseconds();
        let response: DeleteTopicsResponse =
            client.call(&controller, ApiKey::DeleteTopics, &request, deadline)?;
        let moved = response
            .responses
            .iter()
            .find(|topic| topic.error_code == ErrorCode::NOT_CONTROLLER);
        Ok(match moved {
            Some(topic) => Attempt::Again(explain(topic.error_code, None)),
            None => Attempt::Done(response),
        })
    })?;
    let mut out = arguments.output.open();
    let mut refused = 0;
    for name in &arguments.topics {
        let shown = printable(name);
        let result = response
            .responses
            .iter()
            .find(|topic| topic.name.as_deref() == Some(name.as_str()));
        let Some(result) = result else {
            return failed(format!("the broker says nothing of topic {shown}"));
        };
        let code = result.error_code;
        let gone = code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let error = match code {
            ErrorCode::NONE => None,
            _ if gone && arguments.if_exists => None,
            _ if gone => Some(no_topic(name)),
            _ => Some(explain(code, result.error_message.as_deref())),
        };
        refused += usize::from(error.is_some());
        if out.is_json() {
            out.json(&Row {
                topic: name,
                deleted: !code.is_error(),
                error,
            })?;
        } else if let Some(error) = error {
            remark(format_args!("rinka: topic {shown}: {error}"));
        } else if gone {
            out.line(format_args!("{shown} is not there"))?;
        } else {
            out.line(format_args!("Deleted {shown}"))?;
        }
    }
    out.finish()?;
    super::all_went_well(refused, arguments.topics.len(), "deleted")
}
