//! Jobs that do nothing: added, claimed, run and finished, while few or many wait;
//! and how soon one starts.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Row;
use super::instruments::graphile_worker::{Fetching, GraphileWorker, Latency};
use super::instruments::jobs::Jobs;
use super::instruments::postgres::{self, ask};
use super::plan::Plan;
use super::row::{Target, median};

/// Of the reference's rate.
const AHEAD: f64 = 1.0;
/// Of the rate while a thousand wait: more than this and it is the same.
const FLAT: f64 = 0.9;
/// As many as the reference fetches at once.
const SLOTS: &str = "500";
/// The reference without its local queue takes ten times as long.
const PLAIN_SHARE: u64 = 10;
/// Jobs that pass while an old transaction is open.
const UNDER_SNAPSHOT: u64 = 2;

#[derive(Deserialize)]
struct Throughput {
    enqueued_per_s: f64,
    finished_per_s: f64,
    /// Of each tenth.
    parts: Vec<f64>,
}

/// Rates of the rounds with one number of jobs waiting.
#[derive(Default)]
struct Rates {
    ours: Vec<Throughput>,
    added: Vec<f64>,
    queue: Vec<f64>,
    plain: Vec<f64>,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let database = postgres::start(&plan.target)?;
    let admin = database.url("postgres");
    ask(&admin, "CREATE DATABASE jobs")?;
    let jobs = Jobs::build(plan, database.url("jobs"))?;
    let reference = GraphileWorker::install(&admin, database.url("graphile_worker"))?;
    let mut rows = latencies(plan, &jobs, &reference)?;
    let (least, more) = plan.waiting.split_first().context("no number of jobs")?;
    let first = beside(plan, &jobs, &reference, *least)?;
    let ours = rate(&first);
    rows.extend(against(*least, &first));
    for waiting in more {
        let rates = alone(plan, &jobs, *waiting)?;
        let row = Row::new(format!("jobs.{waiting}.rps"), rate(&rates), "jobs/s").against(ours);
        rows.push(row.held_to(Target::AtLeast(FLAT)));
        rows.push(added(*waiting, &rates));
    }
    rows.push(under_snapshot(plan, &jobs)?.held_to(Target::AtLeast(FLAT)));
    Ok(rows)
}

fn rate(rates: &Rates) -> f64 {
    median(&rates.ours, |one| one.finished_per_s)
}

fn added(waiting: u64, rates: &Rates) -> Row {
    let value = median(&rates.ours, |one| one.enqueued_per_s);
    Row::new(format!("jobs.{waiting}.enqueued"), value, "jobs/s")
}

fn throughput(plan: &Plan, jobs: &Jobs) -> Result<Throughput> {
    let count = plan.jobs.to_string();
    jobs.measure(&["throughput", "--count", &count, "--slots", SLOTS])
}

fn fill(jobs: &Jobs, waiting: u64) -> Result<()> {
    eprintln!("{waiting} jobs waiting");
    let _: serde_json::Value = jobs.measure(&["fill", "--waiting", &waiting.to_string()])?;
    Ok(())
}

/// Ours and the reference's in turn.
fn beside(plan: &Plan, jobs: &Jobs, reference: &GraphileWorker, waiting: u64) -> Result<Rates> {
    fill(jobs, waiting)?;
    reference.add(waiting)?;
    let mut rates = Rates::default();
    for round in 0..=plan.rounds {
        let ours = throughput(plan, jobs)?;
        let added = reference.add(plan.jobs)?;
        let queue = reference.work(Fetching::Queue, plan.jobs)?;
        reference.add(plan.jobs / PLAIN_SHARE)?;
        let plain = reference.work(Fetching::Plain, plan.jobs / PLAIN_SHARE)?;
        eprintln!(
            "round {round}: {:.0} jobs/s; graphile-worker {queue:.0}, without its queue {plain:.0}",
            ours.finished_per_s
        );
        // The first fills caches.
        if round > 0 {
            rates.ours.push(ours);
            rates.added.push(added);
            rates.queue.push(queue);
            rates.plain.push(plain);
        }
    }
    Ok(rates)
}

fn against(waiting: u64, rates: &Rates) -> [Row; 3] {
    let name = |what| format!("jobs.{waiting}.{what}");
    let middle = |of: &[f64]| median(of, |rate| *rate);
    let row = |what, reference: &[f64]| {
        let row = Row::new(name(what), rate(rates), "jobs/s").against(middle(reference));
        row.held_to(Target::AtLeast(AHEAD))
    };
    [
        row("rps", &rates.queue),
        row("rps_to_plain", &rates.plain),
        added(waiting, rates)
            .against(middle(&rates.added))
            .held_to(Target::AtLeast(AHEAD)),
    ]
}

fn alone(plan: &Plan, jobs: &Jobs, waiting: u64) -> Result<Rates> {
    fill(jobs, waiting)?;
    let mut rates = Rates::default();
    for round in 0..=plan.rounds {
        let ours = throughput(plan, jobs)?;
        eprintln!("round {round}: {:.0} jobs/s", ours.finished_per_s);
        if round > 0 {
            rates.ours.push(ours);
        }
    }
    Ok(rates)
}

/// What jobs leave in the indexes cannot be cleared away while an old transaction
/// may still see it: the last tenth against the first.
fn under_snapshot(plan: &Plan, jobs: &Jobs) -> Result<Row> {
    let count = (plan.jobs * UNDER_SNAPSHOT).to_string();
    let measured: Throughput = jobs.measure(&[
        "throughput",
        "--count",
        &count,
        "--slots",
        SLOTS,
        "--under-snapshot",
    ])?;
    let [first, .., last] = measured.parts[..] else {
        anyhow::bail!("no parts of a run");
    };
    Ok(Row::new("jobs.under_snapshot.last_tenth", last, "jobs/s").against(first))
}

fn latencies(plan: &Plan, jobs: &Jobs, reference: &GraphileWorker) -> Result<Vec<Row>> {
    // A job that waits for a poll takes half a second.
    let (many, few) = (plan.jobs / 100, plan.jobs / 1_000);
    let theirs = reference.latency(many)?;
    let mut rows = Vec::new();
    for (by, count) in [("here", many), ("notify", many), ("poll", few)] {
        let count = count.to_string();
        let ours: Latency = jobs.measure(&["latency", "--by", by, "--count", &count])?;
        let row = |what, value| Row::new(format!("jobs.start_{by}.{what}"), value, "ms");
        let (p50, p99) = (row("p50", ours.p50_ms), row("p99", ours.p99_ms));
        rows.extend(match by {
            "notify" => [p50.against(theirs.p50_ms), p99.against(theirs.p99_ms)],
            _ => [p50, p99],
        });
    }
    Ok(rows)
}
