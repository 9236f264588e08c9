//! `cargo xtask dev`: build the program and become it.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to `linkspan dev`, such as `--ready-file PATH`.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    arguments: Vec<String>,
}

/// Returns only when something fails: the program takes this process's place,
/// so that signals and the exit status are its own.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    workspace::run(workspace::cargo().args(["build", "--package", "linkspan-cli"]))?;
    let program = workspace::target()?.join("debug/linkspan");
    let error = Command::new(&program)
        .arg("dev")
        .args(&arguments.arguments)
        .exec();
    Err(anyhow!("cannot run {}: {error}", program.display()))
}
