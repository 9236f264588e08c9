//! Reading the catalogue, and preparing requests from it, in a process of one
//! thread.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Row;
use super::plan::Plan;
use super::row::{Target, median};
use crate::workspace;

/// Of all built-in templates, in ms.
const LOAD_MS: f64 = 50.0;
/// Requests prepared in a second.
const PREPARED: f64 = 100_000.0;

const PROGRAM: &str = "linkspan-bench-templates";

/// What the program prints.
#[derive(Deserialize)]
struct Report {
    templates: u32,
    load_ms: f64,
    mix: f64,
    bearer: f64,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let mut build = workspace::cargo();
    build.args(["build", "--package", "linkspan-auth", "--bin", PROGRAM]);
    build.args(["--features", "bench"]);
    build.args(plan.profile());
    workspace::run(&mut build)?;
    let program = plan.program_named(PROGRAM);
    let seconds = plan.round.as_secs_f64() / 2.0;
    let mut reports = Vec::new();
    for round in 1..=plan.rounds {
        let mut command = std::process::Command::new(&program);
        let printed = workspace::read(command.arg(seconds.to_string()))?;
        let report: Report = serde_json::from_str(&printed).context("no report")?;
        let (count, load) = (report.templates, report.load_ms);
        eprintln!("round {round}: {count} templates read in {load:.0} ms");
        reports.push(report);
    }
    let middle = |figure: fn(&Report) -> f64| median(&reports, figure);
    let row = |name: &str, value, unit| Row::new(format!("templates.{name}"), value, unit);
    let rate = |name, value| row(name, value, "requests/s").held_to(Target::AtLeast(PREPARED));
    Ok(vec![
        row("load", middle(|report| report.load_ms), "ms").held_to(Target::AtMost(LOAD_MS)),
        rate("prepare_mix", middle(|report| report.mix)),
        rate("prepare_bearer", middle(|report| report.bearer)),
    ])
}
