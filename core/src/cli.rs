//! The command line: one file a command. Says what may be asked for and how a run ends; what a command does is in its own file.
//!
//! Never panics at what a person types or a broker answers, and never mixes results (standard output) with remarks (standard error).

mod client;
mod cluster;
mod completions;
mod config;
mod config_keys;
mod consume;
mod doctor;
mod dump;
mod failure;
mod group;
mod interrupt;
mod moment;
mod output;
mod produce;
mod serve;
mod table;
mod topic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

/// A streaming broker that speaks the Kafka protocol: one shard per core, io_uring, direct I/O. An ack means: on disk, flushed.
#[derive(Parser)]
#[command(
    name = "rinka",
    bin_name = "rinka",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  rinka serve                                a broker on 127.0.0.1:9092
  rinka topic create greetings
  echo hello | rinka produce greetings
  rinka consume greetings
  rinka group lag --watch                    who is behind, and how fast that changes

topic, group, produce, consume, config and cluster speak to any broker of the Kafka protocol:
name one with --bootstrap, or with RINKA_BOOTSTRAP in the environment.
Exit code: 0, 1 when something failed, 2 when the command line is wrong.
`rinka doctor` has codes of its own."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    #[command(subcommand)]
    Topic(topic::Topic),
    Produce(produce::Produce),
    Consume(consume::Consume),
    #[command(subcommand)]
    Group(group::Group),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// List every configuration key of the broker with its default and meaning
    ConfigKeys,
    Dump(dump::Dump),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
}

/// Runs what the command line asks for.
pub(crate) fn run() -> ExitCode {
    let done = |result: Result<(), Failure>| result.map(|()| ExitCode::SUCCESS);
    let result = match Cli::parse().command {
        Command::Serve(arguments) => done(serve::run(arguments)),
        Command::Topic(arguments) => done(topic::run(arguments)),
        Command::Produce(arguments) => done(produce::run(arguments)),
        Command::Consume(arguments) => done(consume::run(arguments)),
        Command::Group(arguments) => done(group::run(arguments)),
        Command::Config(arguments) => done(config::run(arguments)),
        Command::Cluster(arguments) => done(cluster::run(arguments)),
        Command::ConfigKeys => done(config_keys::run()),
        Command::Dump(arguments) => dump::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Completions(arguments) => done(completions::run(&arguments)),
    };
    match result {
        Ok(code) => code,
        // Whoever reads has seen enough, as `head` has.
        Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            output::remark(format_args!("rinka: {failure}"));
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Every command has a line that says what it is, and every one that takes arguments shows how it is used.
    #[test]
    fn every_command_explains_itself() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} says nothing");
            let simple = ["completions", "config-keys"].contains(&command.get_name());
            if !simple {
                let help = command.get_after_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                assert!(help.contains("Example"), "{path} has no example");
            }
            for inner in command.get_subcommands() {
                check(inner, &path);
            }
        }
        check(&Cli::command(), "");
    }
}
