//! `rinka group`: consumer groups of both protocols, classic and KIP-848. One file a subcommand.
//!
//! Changes offsets only of groups that nobody is a member of, and only when told to execute it.

pub(super) mod assignment;
mod delete;
mod describe;
mod description;
mod lag;
mod list;
pub(super) mod offsets;
mod reset_offsets;

use clap::Subcommand;

pub(super) use description::has_classic_members;

use super::failure::Result;

/// List, describe and delete consumer groups, watch their lag, move their offsets
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  rinka group list
  rinka group describe readers
  rinka group lag readers --watch
  rinka group reset-offsets readers --all-topics --to earliest
  rinka group delete readers")]
pub(crate) enum Group {
    List(list::List),
    Describe(describe::Describe),
    Lag(lag::Lag),
    ResetOffsets(reset_offsets::ResetOffsets),
    Delete(delete::Delete),
}

pub(crate) fn run(arguments: Group) -> Result<()> {
    match arguments {
        Group::List(arguments) => list::run(&arguments),
        Group::Describe(arguments) => describe::run(&arguments),
        Group::Lag(arguments) => lag::run(&arguments),
        Group::ResetOffsets(arguments) => reset_offsets::run(&arguments),
        Group::Delete(arguments) => delete::run(&arguments),
    }
}
