//! From enqueuing a job to its start.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use linkspan_db::Database;
use linkspan_jobs::{Waker, enqueue};
use linkspan_worker::{Settings, start};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, timeout};

use crate::noop::{job, telling};

/// How a worker learns of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// It is told by who enqueues in its own process.
    Here,
    /// By `NOTIFY`, as from another process.
    Notify,
    /// It looks once a second.
    Poll,
}

/// How long a job may take to start before something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before the first counts.
const WARM_UP: usize = 20;
/// After one job has run the next is enqueued within this time, in no step with
/// what the worker waits for.
const fn pause(by: Way, n: u64) -> Duration {
    Duration::from_millis(match by {
        Way::Here | Way::Notify => n * 7 % 17,
        Way::Poll => n * 617 % 1_000,
    })
}

pub(crate) async fn run(db: &Database, url: &SecretString, by: Way, count: usize) -> Result<Value> {
    let (ran, mut runs) = unbounded_channel();
    let ours = Waker::new();
    // What another process wakes by.
    let others = Waker::new();
    let teller = tokio::spawn(others.clone().tell_others(db.clone()));
    let settings = Settings {
        slots: 24,
        lease: Duration::from_secs(30),
        poll: Duration::from_secs(1),
        drain: Duration::from_secs(10),
        listen: (by == Way::Notify).then(|| url.clone()),
    };
    let worker = start(db.clone(), ours.clone(), telling(ran), settings);
    let mut latencies = Vec::new();
    for n in 0..WARM_UP + count {
        let id = u64::try_from(n)?;
        let mut conn = db.conn().await?;
        let begun = Instant::now();
        enqueue(&mut conn, &[job(id)?]).await?;
        match by {
            Way::Here => ours.wake(),
            Way::Notify => others.wake(),
            Way::Poll => {}
        }
        while timeout(PATIENCE, runs.recv())
            .await
            .context("a job did not start")?
            != Some(id)
        {}
        if n >= WARM_UP {
            latencies.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        drop(conn);
        sleep(pause(by, id)).await;
    }
    worker.stop().await;
    teller.abort();
    latencies.sort_by(f64::total_cmp);
    Ok(json!({ "p50_ms": at(&latencies, 50), "p99_ms": at(&latencies, 99) }))
}

/// A percentile of what is sorted.
pub(crate) fn at(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted
        .get((sorted.len() * percent / 100).min(last))
        .copied()
}
