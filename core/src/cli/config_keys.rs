//! `rinka config-keys`: every key of the broker's configuration. Prints what the configuration says of itself.
//!
//! Never asks a broker: these are the keys of this release.

use std::io::{self, Write as _};

use super::failure::Result;

pub(crate) fn run() -> Result<()> {
    let mut out = io::stdout().lock();
    for (key, default, documentation) in rinka_core::config::broker::documentation() {
        let default = default.unwrap_or("(unset)");
        writeln!(out, "{key} = {default}\n    {documentation}")?;
    }
    Ok(())
}
