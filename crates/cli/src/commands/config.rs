//! `linkspan config`.

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;

use crate::environment;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print every setting that is in effect and where it came from; fail if
    /// one is wrong.
    Check,
    /// Print the built-in defaults, with what each setting means.
    Defaults,
}

pub(crate) fn run(file: Option<&Path>, command: Command) -> Result<()> {
    match command {
        Command::Check => print!("{}", environment::config(file, &[])?.describe()),
        Command::Defaults => print!("{}", linkspan_shared::config::DEFAULTS),
    }
    Ok(())
}
