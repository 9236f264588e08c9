//! How long calls take at rates that leave the machine some rest, and how full
//! it is by then.

use std::time::Instant;

use anyhow::Result;

use super::Row;
use super::instruments::open_loop::{Latencies, OpenLoop};
use super::instruments::process::Usage;
use super::plan::Plan;
use super::proxy::Field;
use super::row::median;

/// A load at a set rate, and the servers that it keeps busy.
pub(super) struct Paced {
    pub(super) name: &'static str,
    pub(super) load: OpenLoop,
    pub(super) servers: Vec<Usage>,
}

/// What came of all rounds of a load.
#[derive(Default)]
pub(super) struct Rounds {
    latencies: Vec<Latencies>,
    /// Cores that the servers and the load kept busy.
    busy: Vec<f64>,
    /// Of them, with the load itself.
    load: Vec<f64>,
}

impl Rounds {
    /// The median of the rounds, in milliseconds.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        median(&self.latencies, |one| one.quantile_ms(share))
    }
}

/// The knee: latencies at one rate after the other.
pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let field = Field::set_up(plan)?;
    let mut rows = Vec::new();
    for &rate in &plan.rates {
        let [ours, theirs] = field.open_loops(rate);
        let all = at(plan, [ours, theirs, field.upstream_alone(rate)])?;
        let [ours, theirs, upstream] = &all;
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
            let name = |of| format!("latency.{rate:.0}.{of}{name}");
            let [ours, theirs, alone] = [ours, theirs, upstream].map(|of| of.quantile(share));
            rows.push(Row::new(name(""), ours, "ms").against(theirs));
            rows.push(Row::new(name("upstream_alone_"), alone, "ms"));
        }
        let row = |name, of: fn(&Rounds) -> &Vec<f64>| {
            let share = |rounds| median(of(rounds), |one| *one);
            Row::new(format!("latency.{rate:.0}.{name}"), share(ours), "cores")
                .against(share(theirs))
        };
        rows.push(row("busy", |rounds| &rounds.busy));
        rows.push(row("busy_with_the_load", |rounds| &rounds.load));
    }
    rows.extend(field.operations("latency")?);
    Ok(rows)
}

/// The loads in turn, as often as the plan says.
pub(super) fn at<const N: usize>(plan: &Plan, loads: [Paced; N]) -> Result<[Rounds; N]> {
    for paced in &loads {
        paced.load.run(plan.warm_up)?;
    }
    let mut results: [Rounds; N] = std::array::from_fn(|_| Rounds::default());
    for round in 1..=plan.rounds {
        for (paced, results) in loads.iter().zip(&mut results) {
            results.add(round, paced, plan)?;
        }
    }
    Ok(results)
}

impl Rounds {
    fn add(&mut self, round: usize, paced: &Paced, plan: &Plan) -> Result<()> {
        let load = Usage::of(std::process::id());
        let servers_us = || {
            paced
                .servers
                .iter()
                .map(|one| one.cpu_us())
                .sum::<Result<f64>>()
        };
        let cpu_us = || -> Result<[f64; 2]> { Ok([servers_us()?, load.own_cpu_us()?]) };
        let (begun, before) = (Instant::now(), cpu_us()?);
        let latencies = paced.load.run(plan.round)?;
        let (after, microseconds) = (cpu_us()?, begun.elapsed().as_secs_f64() * 1e6);
        let [servers, load] = [0, 1].map(|of| (after[of] - before[of]) / microseconds);
        let (name, rate) = (paced.name, paced.load.rate);
        let quantiles = [0.5, 0.9, 0.99, 0.999].map(|share| latencies.quantile_ms(share));
        let [p50, p90, p99, p999] = quantiles;
        eprintln!(
            "round {round}: {rate:>6.0} req/s to {name:<9} p50 {p50:.2}  p90 {p90:.2}  \
             p99 {p99:.2}  p99.9 {p999:.2} ms  {servers:.2} cores, {load:.2} for the load"
        );
        self.latencies.push(latencies);
        self.busy.push(servers + load);
        self.load.push(load);
        Ok(())
    }
}
