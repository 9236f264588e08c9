//! What any worker does for all: making delayed jobs ready, ticking schedules,
//! taking over from workers that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use linkspan_jobs::{Error, limits, promote, recover, schedules, stats};

use crate::metrics;
use crate::runner::Worker;

/// Two looks are at least so far apart.
const LEAST: Duration = Duration::from_millis(50);

/// Keeps until it is cancelled.
pub(crate) async fn run(worker: Arc<Worker>) {
    // What is due next is known, unless somebody else adds something earlier,
    // and then wakes us if it can.
    let longest = worker.longest_look();
    let mut last_patrol: Option<Instant> = None;
    loop {
        let next = match look(&worker).await {
            Ok(next) => next.unwrap_or(longest).min(longest),
            Err(error) => {
                tracing::warn!(%error, "due jobs could not be looked for; trying again");
                worker.settings.poll
            }
        };
        let patrol_due = worker.settings.lease / 3;
        if last_patrol.is_none_or(|at| at.elapsed() >= patrol_due) {
            last_patrol = Some(Instant::now());
            if let Err(error) = patrol(&worker).await {
                tracing::warn!(%error, "lost jobs could not be looked for; trying again");
            }
        }
        tokio::time::sleep(LEAST).await;
        tokio::select! {
            () = tokio::time::sleep(next.saturating_sub(LEAST).min(patrol_due)) => {}
            () = worker.keeper_wake.notified() => {}
        }
    }
}

/// Makes ready what is due; how long until the next is.
async fn look(worker: &Worker) -> Result<Option<Duration>, Error> {
    let mut conn = worker.db.conn().await?;
    let promoted = promote::promote(&mut conn).await?;
    let tick = schedules::tick(&mut conn).await?;
    if promoted.count + tick.made > 0 {
        worker.waker.wake_here();
    }
    metrics::ticked(&tick);
    Ok([promoted.next, tick.next].into_iter().flatten().min())
}

async fn patrol(worker: &Worker) -> Result<(), Error> {
    let mut conn = worker.db.conn().await?;
    let recovered = recover(&mut conn).await?;
    if !recovered.is_empty() {
        tracing::warn!(jobs = ?recovered, "jobs were taken from workers that are gone");
    }
    promote::expire(&mut conn).await?;
    // Whoever frees a place unparks; he may have died in between.
    limits::unpark(&mut conn).await?;
    metrics::counted(&stats::count(&mut conn).await?);
    Ok(())
}
