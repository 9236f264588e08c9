//! Saving and reading records, against COPY into a table like theirs.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Row;
use super::instruments::postgres;
use super::plan::Plan;
use super::row::Target;
use crate::workspace;

const PROGRAM: &str = "linkspan-bench-records";
/// What our rate is to be of COPY's (docs/performance.md).
const SHARE: f64 = 0.5;
/// The row that is held to it.
const HELD: &str = "records.save.pages_1000.writers_1";

/// A line that the program prints.
#[derive(Deserialize)]
struct Figure {
    name: String,
    value: f64,
    reference: Option<f64>,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let mut build = workspace::cargo();
    build.args(["build", "--package", "linkspan-testkit", "--bin", PROGRAM]);
    workspace::run(build.args(plan.profile()))?;
    let database = postgres::start(&plan.target)?;
    let mut program = std::process::Command::new(plan.program_named(PROGRAM));
    program.arg(database.url("postgres"));
    let printed = workspace::read(program.arg(plan.records.to_string()))?;
    printed.lines().map(row).collect()
}

fn row(line: &str) -> Result<Row> {
    let figure: Figure = serde_json::from_str(line).context("no figure")?;
    let is_held = figure.name == HELD;
    let row = Row::new(figure.name, figure.value, "records/s");
    let row = match figure.reference {
        Some(reference) => row.against(reference),
        None => row,
    };
    Ok(match is_held {
        true => row.held_to(Target::AtLeast(SHARE)),
        false => row,
    })
}
