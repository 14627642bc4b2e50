//! `rinka dump`: its arguments. What is printed is decided in the dump itself.
//!
//! Never asks a broker.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use rinka_core::dump::{self, DumpOptions};

use super::failure::{Result, failed};

/// Print what is in the files of a data directory: segments and indexes as Kafka's kafka-dump-log does, journals, checkpoints
#[derive(Args)]
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
pub(crate) struct Dump {
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

pub(crate) fn run(arguments: Dump) -> Result<ExitCode> {
    if let Some(absent) = arguments.files.iter().find(|path| !path.exists()) {
        return failed(format!("there is no {}", absent.display()));
    }
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
    let whole = dump::dump(&arguments.files, &options, &mut out, &mut io::stderr())?;
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
