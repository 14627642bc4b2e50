//! `rinka completions`: the script that a shell completes this command line with. Made from the same definitions as the help.
//!
//! Never asks a broker.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use super::failure::Result;

/// Print the completion script of a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  source <(rinka completions bash)                                this shell only
  rinka completions bash > ~/.local/share/bash-completion/completions/rinka
  rinka completions zsh > ~/.zfunc/_rinka                         with ~/.zfunc in fpath
  rinka completions fish > ~/.config/fish/completions/rinka.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Completions) -> Result<()> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "rinka", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}
