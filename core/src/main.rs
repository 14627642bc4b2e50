//! `rinka`: the command line. Parses arguments and starts the broker; decides nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rinka_core::config::broker::BrokerConfig;
use rinka_core::config::properties;
use rinka_core::server;

/// A streaming broker that speaks the Kafka protocol: one shard per core, io_uring, direct I/O. An ack means: on disk, flushed.
#[derive(Parser)]
#[command(name = "rinka", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the broker: one node on 127.0.0.1:9092 with its data in ./rinka-data unless told otherwise
    #[command(after_help = "\
Examples:
  rinka serve
  rinka serve --config server.properties
  rinka serve --set listeners=PLAINTEXT://0.0.0.0:9092 --set log.dirs=/data/rinka
  rinka serve --set rinka.ack=written       an ack then survives kill -9, as Kafka's does, but not power loss
  rinka serve --set rinka.routing=core      clients connect straight to the core that owns a partition

Every key: rinka config-keys. Log level: RUST_LOG=debug. Stop: Ctrl-C or SIGTERM.")]
    Serve(Serve),
    /// List every configuration key with its default and meaning
    ConfigKeys,
}

#[derive(Args)]
struct Serve {
    /// A file of Kafka's keys (server.properties); a KRaft node's own file will do
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key; stronger than the file, may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Shards to run, 0 for one per usable core [default: 0]
    #[arg(long, value_name = "N")]
    shards: Option<u16>,
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,rinka=info,rinka_core=info"),
    )
    .format_target(false)
    .init();
    let result = match Cli::parse().command {
        Command::Serve(arguments) => serve(arguments),
        Command::ConfigKeys => {
            print_config_keys();
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("rinka: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Serve) -> Result<(), String> {
    let text = match &arguments.config {
        Some(path) => properties::read_file(path).map_err(|error| {
            format!(
                "cannot read the configuration file {}: {error}",
                path.display()
            )
        })?,
        None => String::new(),
    };
    let mut overrides = arguments.overrides;
    if let Some(shards) = arguments.shards {
        overrides.push(format!("rinka.shards={shards}"));
    }
    let config = BrokerConfig::parse(&text, &overrides).map_err(|error| error.to_string())?;
    server::serve(config).map_err(|error| error.to_string())
}

fn print_config_keys() {
    for (key, default, documentation) in rinka_core::config::broker::documentation() {
        println!(
            "{key} = {}\n    {documentation}",
            default.unwrap_or("(unset)")
        );
    }
}
