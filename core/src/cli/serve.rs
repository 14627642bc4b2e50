//! `rinka serve`: reads the configuration and starts the broker. Returns when the broker has stopped.
//!
//! Decides nothing about the broker; what a key means is in its configuration.

use std::path::PathBuf;

use clap::Args;
use rinka_core::config::broker::BrokerConfig;
use rinka_core::config::properties;
use rinka_core::server;

use super::failure::{Result, failed, usage};

/// Start the broker: one node on 127.0.0.1:9092 with its data in ./rinka-data unless told otherwise
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka serve
  rinka serve --config server.properties
  rinka serve --set listeners=PLAINTEXT://0.0.0.0:9092 --set log.dirs=/data/rinka
  rinka serve --set rinka.ack=written       an ack then survives kill -9, as Kafka's does, but not power loss
  rinka serve --set rinka.routing=core      clients connect straight to the core that owns a partition

Every key: rinka config-keys. Log level: RUST_LOG=debug. Stop: Ctrl-C or SIGTERM.")]
pub(crate) struct Serve {
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

pub(crate) fn run(arguments: Serve) -> Result<()> {
    let text = match &arguments.config {
        Some(path) => match properties::read_file(path) {
            Ok(text) => text,
            Err(error) => {
                let path = path.display();
                return failed(format!(
                    "cannot read the configuration file {path}: {error}"
                ));
            }
        },
        None => String::new(),
    };
    let mut overrides = arguments.overrides;
    if let Some(odd) = overrides.iter().find(|setting| !setting.contains('=')) {
        return usage(format!(
            "--set {odd}: write KEY=VALUE, as in log.dirs=/var/lib/rinka"
        ));
    }
    if let Some(shards) = arguments.shards {
        overrides.push(format!("rinka.shards={shards}"));
    }
    let config = match BrokerConfig::parse(&text, &overrides) {
        Ok(config) => config,
        Err(error) => return failed(error.to_string()),
    };
    server::serve(config).or_else(|error| failed(error.to_string()))
}
