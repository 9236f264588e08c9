//! The heartbeat: keeps this worker's lease, and hears what became of what it
//! holds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use linkspan_db::Connection;
use linkspan_jobs::{Error, lease, unknown};

use crate::answer::{heard, within};
use crate::runner::Worker;

/// While something runs: within this time it hears that it was cancelled.
const WHILE_RUNNING: Duration = Duration::from_secs(1);

/// Two beats are at least so far apart.
const LEAST: Duration = Duration::from_millis(200);

/// Beats until it is cancelled.
pub(crate) async fn run(worker: Arc<Worker>) {
    let longest = worker.settings.lease / 3;
    let mut took = Duration::ZERO;
    loop {
        let wait = match worker.jobs.is_empty() {
            true => longest,
            // While a transaction is old, asking reads what has long ended.
            false => longest.min(WHILE_RUNNING.max(4 * took)),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // It is waiting for long, and something has begun or was cancelled.
            () = worker.heart_wake.notified() => {}
        }
        let began = Instant::now();
        let beaten = beat(&worker).await;
        took = began.elapsed();
        if beaten.is_err() || took > longest {
            worker.jobs.beat_missed(Instant::now());
        }
        if let Err(error) = beaten {
            tracing::warn!(%error, "the worker's lease was not renewed; trying again");
        }
        // Whoever enqueues wakes it, perhaps a hundred times a second.
        tokio::time::sleep(LEAST.min(longest)).await;
    }
}

/// Renews the lease and compares what is held.
pub(crate) async fn beat(worker: &Worker) -> Result<(), Error> {
    let beaten = match worker.db.conn().await {
        Ok(mut conn) => {
            // One that takes longer has renewed nothing.
            let call = within(worker.settings.lease, beat_on(worker, &mut conn)).await;
            heard(conn, call)
        }
        Err(error) => Err(error.into()),
    };
    worker.jobs.beat_ended(beaten.is_ok());
    beaten
}

async fn beat_on(worker: &Worker, conn: &mut Connection) -> Result<(), Error> {
    let asked = Instant::now();
    let kinds: Vec<&str> = worker.registry.names().collect();
    let held = lease::heartbeat(conn, worker.id, worker.settings.lease, &kinds).await?;
    worker.jobs.beat_at(asked);
    // Before comparing: when no claim is under way now, all that earlier ones
    // brought is known here.
    let is_claiming = worker.is_claiming.load(Ordering::SeqCst);
    let unknown = worker.jobs.compare(&held, asked);
    if !unknown.is_empty() && !is_claiming {
        tracing::warn!(
            jobs = unknown.len(),
            "handing back jobs of a claim whose answer was lost"
        );
        lease::hand_back(conn, &unknown).await?;
        worker.waker.wake();
    }
    let met = worker.foreign.met();
    if !met.is_empty() {
        let left = unknown::known_to_others(conn, &met).await?;
        worker.foreign.leave(left);
    }
    Ok(())
}
