//! `cargo xtask codegen`: files that are made of the code and checked in, so
//! that a change of theirs is seen in review.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What a file is made by: arguments of the `linkspan` program that print it.
const FILES: &[(&str, &[&str])] = &[
    ("docs/openapi.json", &["openapi"]),
    ("docs/providers.schema.json", &["providers", "schema"]),
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail if a file is not what the code makes.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    workspace::run(workspace::cargo().args(["build", "--package", "linkspan-cli"]))?;
    let program = workspace::target()?.join("debug/linkspan");
    let mut stale = Vec::new();
    for &(file, words) in FILES {
        let made = workspace::read(std::process::Command::new(&program).args(words))?;
        let path = workspace::root().join(file);
        if fs::read_to_string(&path).is_ok_and(|found| found == made) {
            continue;
        }
        if arguments.check {
            stale.push(file);
        } else {
            fs::write(&path, made).with_context(|| format!("cannot write {file}"))?;
            println!("wrote {file}");
        }
    }
    match stale.as_slice() {
        [] => Ok(()),
        stale => bail!(
            "not what the code makes: {}; run `cargo xtask codegen` and look at what changed",
            stale.join(", ")
        ),
    }
}
