//! `rinka`: the command line. Parses arguments and starts the broker or one of the tools beside it; decides nothing.

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rinka_core::config::broker::BrokerConfig;
use rinka_core::config::properties;
use rinka_core::doctor::{self, DirectoryOptions};
use rinka_core::dump::{self, DumpOptions};
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
    /// Print what is in the files of a data directory: segments and indexes as Kafka's kafka-dump-log does, journals, checkpoints
    #[command(after_help = "\
Examples:
  rinka dump rinka-data/greetings-0/00000000000000000000.log
  rinka dump --print-data-log rinka-data/greetings-0/*.log       keys and values too
  rinka dump rinka-data/greetings-0                              every segment and index of a partition
  rinka dump --index-sanity-check rinka-data/greetings-0/*index
  rinka dump rinka-data/rinka/journal-0/000.journal              block by block, and whose appends are in them
  rinka dump rinka-data/rinka/base.checkpoint                    where each log began and ended at the last start
  rinka dump --cluster-metadata-decoder rinka-data/__cluster_metadata-0/*.log
  rinka dump --output json rinka-data/greetings-0 | jq -c 'select(.type == \"batch\") | [.baseOffset, .size]'

Reads only, and beside a running broker too; what the journal alone holds is not in a segment yet.
What does not agree goes to standard error. Exit code: 0, or 1 when a file cannot be read.")]
    Dump(Dump),
    /// Check this machine, or a data directory; repair what is safe to repair
    #[command(after_help = "\
Examples:
  rinka doctor                               kernel, io_uring, limits, cores, and the disk below ./rinka-data
  rinka doctor --disk /data                  the same for another disk: what a flushed write costs there
  rinka doctor --data rinka-data             every batch, index, checkpoint and journal, and what should not be there
  rinka doctor --data rinka-data --repair    makes indexes anew from their segments and removes leftovers, nothing else

Exit code: 0, or 2 with problems; with --strict 1 when there are only warnings.")]
    Doctor(Doctor),
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

#[derive(Args)]
struct Dump {
    /// Segments (.log), indexes (.index, .timeindex), journals, checkpoints, or directories of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the records of each batch with their keys and values
    #[arg(long)]
    print_data_log: bool,
    /// Print the records of each batch
    #[arg(long)]
    deep_iteration: bool,
    /// Print of the records only keys and values
    #[arg(long)]
    skip_record_metadata: bool,
    /// Only check that an index is whole
    #[arg(long)]
    index_sanity_check: bool,
    /// Only hold an index against its segment; print nothing of it
    #[arg(long)]
    verify_index_only: bool,
    /// The values are records of Rinka's metadata log: print them by name
    #[arg(long)]
    cluster_metadata_decoder: bool,
    /// Stop after so many bytes of a segment
    #[arg(long, value_name = "N")]
    max_bytes: Option<u64>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people, as Kafka's tool has it
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Args)]
struct Doctor {
    /// The data directory to check, instead of the machine
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A directory on the disk to measure [default: ./rinka-data if it is there, else .]
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    disk: Option<PathBuf>,
    /// Make damaged indexes anew, remove leftovers; never touches a record or a checkpoint
    #[arg(long, requires = "data")]
    repair: bool,
    /// Warnings count: exit code 1
    #[arg(long)]
    strict: bool,
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
            Ok(ExitCode::SUCCESS)
        }
        Command::Dump(arguments) => dump(arguments),
        Command::Doctor(arguments) => examine(arguments),
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("rinka: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dump(arguments: Dump) -> Result<ExitCode, String> {
    let options = DumpOptions {
        print_data_log: arguments.print_data_log,
        deep_iteration: arguments.deep_iteration,
        skip_record_metadata: arguments.skip_record_metadata,
        index_sanity_check: arguments.index_sanity_check,
        verify_index_only: arguments.verify_index_only,
        cluster_metadata_decoder: arguments.cluster_metadata_decoder,
        max_bytes: arguments.max_bytes,
        json: arguments.output == Output::Json,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match dump::dump(&arguments.files, &options, &mut out, &mut io::stderr()) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(format!("cannot print: {error}")),
    }
}

fn examine(arguments: Doctor) -> Result<ExitCode, String> {
    let report = match arguments.data {
        Some(path) => doctor::check_directory(&DirectoryOptions {
            path,
            repair: arguments.repair,
        }),
        None => {
            let data = Path::new("rinka-data");
            let usual = if data.is_dir() { data } else { Path::new(".") };
            doctor::check_machine(arguments.disk.as_deref().unwrap_or(usual))
        }
    };
    let printed = report.print(&mut io::stdout().lock());
    printed.map_err(|error| format!("cannot print: {error}"))?;
    Ok(ExitCode::from(report.exit_code(arguments.strict)))
}

fn serve(arguments: Serve) -> Result<ExitCode, String> {
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
    server::serve(config).map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn print_config_keys() {
    for (key, default, documentation) in rinka_core::config::broker::documentation() {
        println!(
            "{key} = {}\n    {documentation}",
            default.unwrap_or("(unset)")
        );
    }
}
