//! Many schedules: what looking at them takes, and how late their jobs are.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Row;
use super::instruments::jobs::Jobs;
use super::instruments::postgres::{self, ask};
use super::instruments::process::Usage;
use super::plan::Plan;

const LOOKS: &str = "20";
/// After the worker has started, before processor time is read.
const WARM_UP: Duration = Duration::from_secs(4);

#[derive(Deserialize)]
struct Ticks {
    idle_ms: f64,
    thousand_ms: f64,
}

#[derive(Deserialize)]
struct Lateness {
    ticked: u64,
    late_p50_ms: f64,
    late_p99_ms: f64,
    start_p99_ms: f64,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let database = postgres::start(&plan.target)?;
    ask(&database.url("postgres"), "CREATE DATABASE jobs")?;
    let jobs = Jobs::build(plan, database.url("jobs"))?;
    let schedules = plan.schedules.to_string();
    // A smoke run has few schedules to look at.
    let looks = if plan.schedules < 20_000 { "2" } else { LOOKS };
    let ticks: Ticks = jobs.measure(&["ticks", "--count", &schedules, "--looks", looks])?;
    let postgres = u32::try_from(database.pid()).map(Usage::of)?;
    let seconds = (plan.idle + 2 * WARM_UP).as_secs().to_string();
    let measuring = jobs.start(&["lateness", "--seconds", &seconds])?;
    std::thread::park_timeout(2 * WARM_UP);
    let before = postgres.cpu_us()?;
    std::thread::park_timeout(plan.idle);
    let busy = (postgres.cpu_us()? - before) / plan.idle.as_micros() as f64;
    let late: Lateness = measuring.found().context("schedules were not ticked")?;
    let rate = late.ticked as f64 / seconds.parse::<f64>()?;
    let row = |name: &str, value, unit| Row::new(format!("schedule.{name}"), value, unit);
    Ok(vec![
        row("look_idle", ticks.idle_ms, "ms"),
        row("look_thousand_due", ticks.thousand_ms, "ms"),
        row("ticked", rate, "schedules/s"),
        row("late_p50", late.late_p50_ms, "ms"),
        row("late_p99", late.late_p99_ms, "ms"),
        row("start_delay_p99", late.start_p99_ms, "ms"),
        row("database_busy", busy, "cores"),
    ])
}
