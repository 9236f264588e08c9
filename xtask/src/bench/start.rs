//! How soon a server serves, and what one takes that nobody calls.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Row;
use super::instruments::linkspan::{Installation, Linkspan};
use super::instruments::postgres::ask;
use super::plan::Plan;
use super::row::{Target, median};

/// From starting the process to the first 200 of /health, in ms.
const HEALTHY_MS: f64 = 300.0;
/// Of an idle server, in MB.
const MEMORY_MB: f64 = 80.0;
/// Transactions of an idle server in a second.
const QUERIES: f64 = 2.0;

/// How long a server may take to be healthy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a server that starts.
const LOOK: Duration = Duration::from_millis(1);

pub(super) fn run(plan: &Plan) -> Result<Vec<Row>> {
    let installation = Installation::new(plan)?;
    let mut starts = Vec::new();
    for round in 1..=plan.rounds {
        let begun = Instant::now();
        let (process, address) = installation.spawn()?;
        until_healthy(address, begun)?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        eprintln!("round {round}: healthy after {took:.0} ms");
        starts.push(took);
        drop(process);
    }
    let healthy = Row::new("start.healthy", median(&starts, |ms| *ms), "ms");
    let mut rows = vec![healthy.held_to(Target::AtMost(HEALTHY_MS))];
    rows.extend(idle(plan, installation)?);
    Ok(rows)
}

fn until_healthy(address: SocketAddr, begun: Instant) -> Result<()> {
    while !is_healthy(address).unwrap_or(false) {
        if begun.elapsed() > PATIENCE {
            bail!("the server is not healthy after {PATIENCE:?}; see bench-linkspan.log");
        }
        std::thread::park_timeout(LOOK);
    }
    Ok(())
}

fn is_healthy(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

/// A server that has answered one call of each kind, and then none.
fn idle(plan: &Plan, installation: Installation) -> Result<[Row; 3]> {
    let admin = installation.database().url("postgres");
    // Its workers would count as transactions of ours.
    ask(&admin, "ALTER SYSTEM SET autovacuum = off")?;
    ask(&admin, "SELECT pg_reload_conf()")?;
    let linkspan = Linkspan::start(installation)?;
    linkspan.connect(1)?;
    // Statistics of a session reach the view once a second, or when it idles.
    std::thread::park_timeout(plan.idle / 3);
    let before = transactions(&admin)?;
    let begun = Instant::now();
    std::thread::park_timeout(plan.idle);
    let after = transactions(&admin)?;
    let queries = (after - before) / begun.elapsed().as_secs_f64();
    let memory = linkspan.usage().resident_mb()?;
    let proportional = linkspan.usage().proportional_mb()?;
    Ok([
        Row::new("start.idle_memory", memory, "MB").held_to(Target::AtMost(MEMORY_MB)),
        Row::new("start.idle_memory_proportional", proportional, "MB"),
        Row::new("start.idle_queries", queries, "tx/s").held_to(Target::AtMost(QUERIES)),
    ])
}

/// That ended in our database so far.
fn transactions(admin: &str) -> Result<f64> {
    let database = linkspan_localdb::DATABASE;
    let sql = format!(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{database}'"
    );
    ask(admin, &sql)?
        .parse()
        .context("no number of transactions")
}
