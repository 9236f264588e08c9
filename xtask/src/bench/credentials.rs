//! `GET /connections/{id}`, against the plainest thing that a database can be
//! asked: a prepared select of one row by its key.

use anyhow::{Context, Result};

use super::Row;
use super::instruments::linkspan::{Installation, Linkspan};
use super::instruments::postgres::SingleRows;
use super::instruments::wrk::Wrk;
use super::plan::Plan;
use super::row::{Target, median};

/// What our rate is to be of pgbench's (docs/performance.md).
const SHARE: f64 = 0.35;
const CONNECTIONS: usize = 64;
/// Accounts whose credentials are asked for in turn would need a path each; the
/// load has one path, and the cache is the same for all.
const ACCOUNTS: usize = 1;

pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let wrk = Wrk::find(folder.path())?;
    let linkspan = Linkspan::start(Installation::new(plan)?)?;
    let accounts = linkspan.connect(ACCOUNTS)?;
    let id = accounts.first().context("no account")?;
    let selects = SingleRows::fill(linkspan.database())?;
    let path = format!("/connections/{id}?provider_config_key=bench");
    let caller = vec![linkspan.authorization()];
    let load = linkspan.load(&path, CONNECTIONS, vec![caller]);
    let once = Plan {
        rounds: 1,
        target: plan.target.clone(),
        program: plan.program.clone(),
        rates: plan.rates.clone(),
        ..*plan
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    selects.selects_a_second(plan.warm_up)?;
    let loads = [load];
    for round in 1..=plan.rounds {
        let [measured] = wrk.measure(&once, &loads)?;
        ours.extend(measured);
        let selects = selects.selects_a_second(plan.round)?;
        eprintln!("round {round}: pgbench {selects:.0} selects/s");
        theirs.push(selects);
    }
    let rate = Row::new("credentials.rps", median(&ours, |one| one.rate), "req/s")
        .against(median(&theirs, |rate| *rate));
    Ok(vec![
        rate.held_to(Target::AtLeast(SHARE)),
        Row::new("credentials.cpu", median(&ours, |one| one.cpu_us), "µs/req"),
        Row::new(
            "credentials.database_cpu",
            median(&ours, |one| one.database_us),
            "µs/req",
        ),
        Row::new(
            "credentials.p99_saturated",
            median(&ours, |one| one.p99_ms),
            "ms",
        ),
    ])
}
