//! `cargo xtask tidy`: the house rules, each a function; all run, and all
//! that fail are told.

mod crate_map;
mod error_pages;
mod layers;
mod names;
mod sources;
mod tools;
mod wasm;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::codegen;
use crate::workspace::{self, cargo};

/// A rule, in words that complete "the workspace …".
struct Rule {
    name: &'static str,
    check: fn() -> Result<()>,
}

/// The cheap ones first.
const RULES: &[Rule] = &[
    Rule {
        name: "follows the crate map of docs/ARCHITECTURE.md",
        check: crate_map::check,
    },
    Rule {
        name: "keeps its layers apart",
        check: layers::check,
    },
    Rule {
        name: "reads the environment only in cli",
        check: sources::check_environment,
    },
    Rule {
        name: "treats providers and auth modes as data",
        check: names::check,
    },
    Rule {
        name: "has no overlong files",
        check: sources::check_lengths,
    },
    Rule {
        name: "explains every error code in docs/errors.md",
        check: error_pages::check,
    },
    Rule {
        name: "has its made files as the code makes them",
        check: made_files,
    },
    Rule {
        name: "is formatted",
        check: format,
    },
    Rule {
        name: "stays clean for wasm where the SDKs need it",
        check: wasm::check,
    },
    Rule {
        name: "uses every dependency it names",
        check: tools::machete,
    },
    Rule {
        name: "keeps to the licences, bans and sources of deny.toml",
        check: tools::deny,
    },
    Rule {
        name: "passes clippy",
        check: clippy,
    },
];

pub(crate) fn run() -> Result<()> {
    let mut failed = Vec::new();
    for rule in RULES {
        println!("== the workspace {}", rule.name);
        let begun = Instant::now();
        match (rule.check)() {
            Ok(()) => println!("   ok in {:.1} s", begun.elapsed().as_secs_f64()),
            Err(error) => {
                println!("   FAILED: {error:#}");
                failed.push(rule.name);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "these rules do not hold: the workspace {}",
        failed.join("; it ")
    )
}

fn made_files() -> Result<()> {
    codegen::run(&codegen::Arguments { check: true })
}

fn format() -> Result<()> {
    workspace::run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    workspace::run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Turns a list of complaints into one error, or none into success.
fn verdict(complaints: Vec<String>) -> Result<()> {
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{}", complaints.join("\n           "))
}
