//! The proxy against nginx's `proxy_pass`: the same upstream, the same cores,
//! the same load, in turn.

mod load;
mod peer;
mod subject;

use anyhow::{Context, Result};

use self::load::{Load, Measured};
use self::peer::Nginx;
use self::subject::Linkspan;
use super::Row;
use super::row::Target;
use crate::programs::{NGINX, WRK};
use crate::workspace;

/// Runs of each; the median counts.
const RUNS: usize = 5;
/// What our throughput is to be of nginx's (docs/performance.md).
const SHARE: f64 = 0.5;
/// What the server may take under this load, in MB.
const MEMORY_MB: f64 = 80.0;

pub(super) fn run() -> Result<Vec<Row>> {
    let wrk = WRK.find_or_install()?;
    let nginx = NGINX.find_or_install()?;
    let build = ["build", "--release", "--package", "linkspan-cli"];
    workspace::run(workspace::cargo().args(build))?;
    let target = workspace::target()?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;

    let upstream = Nginx::upstream(&nginx, &folder.path().join("upstream"))?;
    let one = Nginx::proxy(&nginx, &folder.path().join("one"), 1, &upstream)?;
    let two = Nginx::proxy(&nginx, &folder.path().join("two"), 2, &upstream)?;
    let linkspan = Linkspan::start(&target, &upstream)?;

    let subjects = [linkspan.load(), one.load(), two.load()];
    let [ours, one, two] = measure(&wrk, &subjects)?;
    let answers: f64 = ours.iter().map(|one| one.answers).sum();
    let lost = 100.0 * linkspan.operations_lost()? / answers;
    Ok(vec![
        rate("proxy.small_get.rps", &ours, &two).held_to(Target::AtLeast(SHARE)),
        rate("proxy.small_get.rps_to_one_worker", &ours, &one),
        cpu("proxy.small_get.cpu", &ours, &two),
        p99("proxy.small_get.p99_saturated", &ours, &two),
        Row::new("proxy.small_get.operations_not_logged", lost, "%"),
        Row::new("proxy.memory", linkspan.memory_mb()?, "MB").held_to(Target::AtMost(MEMORY_MB)),
    ])
}

/// In turn, so that what else the machine does meets all alike; the first,
/// short round fills caches and pools.
fn measure<const N: usize>(
    wrk: &std::path::Path,
    subjects: &[Load; N],
) -> Result<[Vec<Measured>; N]> {
    for subject in subjects {
        subject.warm_up(wrk)?;
    }
    let mut results = std::array::from_fn(|_| Vec::new());
    for round in 1..=RUNS {
        for (subject, results) in subjects.iter().zip(&mut results) {
            let measured = subject.run(wrk)?;
            eprintln!("round {round}: {:<20} {measured}", subject.name);
            results.push(measured);
        }
    }
    Ok(results)
}

fn rate(name: &str, ours: &[Measured], theirs: &[Measured]) -> Row {
    let rate = |of: &[Measured]| median(of, |one| one.rate);
    Row::new(name, rate(ours), "req/s").against(rate(theirs))
}

fn cpu(name: &str, ours: &[Measured], theirs: &[Measured]) -> Row {
    let cpu = |of: &[Measured]| median(of, |one| one.cpu_us);
    Row::new(name, cpu(ours), "µs/req").against(cpu(theirs))
}

fn p99(name: &str, ours: &[Measured], theirs: &[Measured]) -> Row {
    let p99 = |of: &[Measured]| median(of, |one| one.p99_ms);
    Row::new(name, p99(ours), "ms").against(p99(theirs))
}

fn median(of: &[Measured], figure: impl Fn(&Measured) -> f64) -> f64 {
    let mut figures: Vec<f64> = of.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
