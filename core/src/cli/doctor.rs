//! `rinka doctor`: its arguments. What is checked is decided in the doctor itself.
//!
//! Never asks a broker.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rinka_core::doctor::{self, DirectoryOptions};

use super::failure::Result;

/// Check this machine, or a data directory; repair what is safe to repair
#[derive(Args)]
#[command(after_help = "\
Examples:
  rinka doctor                               kernel, io_uring, limits, cores, and the disk below ./rinka-data
  rinka doctor --disk /data                  the same for another disk: what a flushed write costs there
  rinka doctor --data rinka-data             every batch, index, checkpoint and journal, and what should not be there
  rinka doctor --data rinka-data --repair    makes indexes anew from their segments and removes leftovers, nothing else

Exit code: 0, or 2 with problems; with --strict 1 when there are only warnings.")]
pub(crate) struct Doctor {
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

pub(crate) fn run(arguments: Doctor) -> Result<ExitCode> {
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
    report.print(&mut io::stdout().lock())?;
    Ok(ExitCode::from(report.exit_code(arguments.strict)))
}
