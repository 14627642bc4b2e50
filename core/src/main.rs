//! `rinka`: the broker and its tools behind one command line. Parses arguments and hands over; decides nothing.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,rinka=info,rinka_core=info"),
    )
    .format_target(false)
    .init();
    cli::run()
}
