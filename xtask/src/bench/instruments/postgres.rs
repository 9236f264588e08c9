//! A Postgres for one benchmark, and pgbench on it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use linkspan_localdb::{LocalPostgres, Options};

use crate::programs::{PGBENCH, PSQL};
use crate::workspace;

/// Rows of pgbench's own table, which fit into any cache.
const SCALE: &str = "1";
/// As many as two cores keep busy; more change little.
const CLIENTS: [&str; 2] = ["--client=8", "--jobs=2"];

/// A new cluster each time, so that no run has the logs of another.
pub(in super::super) fn start(target: &Path) -> Result<LocalPostgres> {
    let data_dir = target.join("bench-postgres");
    linkspan_localdb::remove(&data_dir)?;
    let options = Options {
        cache_dir: Some(target.join("postgres-binaries")),
        search_path: std::env::var_os("PATH"),
        ..Options::new(data_dir)
    };
    Ok(LocalPostgres::start(&options, &|text| eprintln!("{text}"))?)
}

/// What a statement prints, without headings.
pub(in super::super) fn ask(url: &str, sql: &str) -> Result<String> {
    let mut psql = Command::new(PSQL.find_or_install()?);
    psql.args([
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--command",
        sql,
        url,
    ]);
    Ok(workspace::read(&mut psql)?.trim().to_owned())
}

/// pgbench's table, in a database of its own.
pub(in super::super) struct SingleRows {
    url: String,
}

impl SingleRows {
    pub(in super::super) fn fill(database: &LocalPostgres) -> Result<Self> {
        let url = database.url("pgbench");
        ask(&database.url("postgres"), "CREATE DATABASE pgbench")?;
        let mut pgbench = Command::new(PGBENCH.find_or_install()?);
        pgbench.args(["--initialize", "--quiet", "--scale", SCALE]);
        workspace::read(pgbench.arg(&url))?;
        Ok(Self { url })
    }

    /// Prepared selects of a row by its key, a second.
    pub(in super::super) fn selects_a_second(&self, time: Duration) -> Result<f64> {
        let mut pgbench = Command::new(PGBENCH.find_or_install()?);
        pgbench.args(["--select-only", "--no-vacuum", "--protocol=prepared"]);
        pgbench
            .args(CLIENTS)
            .arg(format!("--time={}", time.as_secs()));
        let text = workspace::read(pgbench.arg(&self.url))?;
        tps(&text).with_context(|| format!("pgbench says\n{text}"))
    }
}

fn tps(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pgbench_prints() {
        let text = "number of failed transactions: 0 (0.000%)\nlatency average = 0.2 ms\n\
                    tps = 40612.512893 (without initial connection time)\n";
        assert_eq!(tps(text), Some(40_612.512_893));
        assert_eq!(tps("pgbench: error"), None);
    }
}
