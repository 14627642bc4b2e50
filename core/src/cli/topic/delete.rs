//! `rinka topic delete`: topics and all their records, for good.
//!
//! Takes exact names alone.

use clap::Args;
use rinka_net::wire::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use serde::Serialize;

use super::each::{self, Reported};
use crate::cli::client::{Client, ConnectArguments, explain, no_topic};
use crate::cli::failure::Result;
use crate::cli::output::{OutputArguments, printable};

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
    each::no_doubles(&arguments.topics)?;
    let mut client = Client::connect(&arguments.connect)?;
    let deadline = client.deadline();
    let response: DeleteTopicsResponse = each::ask_controller(
        &mut client,
        ApiKey::DeleteTopics,
        deadline,
        |timeout_ms| request(arguments, timeout_ms),
        |response: &DeleteTopicsResponse| {
            let topics = response.responses.iter();
            topics.map(|topic| topic.error_code).collect()
        },
    )?;
    each::report(&arguments.topics, &arguments.output, "deleted", |name| {
        let mut topics = response.responses.iter();
        let result = topics.find(|topic| topic.name.as_deref() == Some(name))?;
        Some(reported(arguments, name, result))
    })
}

fn request(arguments: &Delete, timeout_ms: i32) -> DeleteTopicsRequest {
    let names = arguments.topics.iter().cloned().map(Text::from);
    DeleteTopicsRequest {
        topic_names: names.clone().collect(),
        topics: names
            .map(|name| DeleteTopicState {
                name: Some(name),
                ..Default::default()
            })
            .collect(),
        timeout_ms,
    }
}

fn reported<'t>(
    arguments: &Delete,
    name: &'t str,
    result: &DeletableTopicResult,
) -> Reported<Row<'t>> {
    let code = result.error_code;
    let gone = code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let shown = printable(name);
    let told = match code {
        ErrorCode::NONE => Ok(format!("Deleted {shown}")),
        _ if gone && arguments.if_exists => Ok(format!("{shown} is not there")),
        _ if gone => Err(no_topic(name)),
        _ => Err(explain(code, result.error_message.as_deref())),
    };
    let row = Row {
        topic: name,
        deleted: !code.is_error(),
        error: told.as_ref().err().cloned(),
    };
    Reported { row, told }
}
