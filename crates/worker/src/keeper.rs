//! What any worker does for all: making delayed jobs ready, ticking schedules,
//! taking over from workers that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use linkspan_db::Connection;
use linkspan_jobs::{Error, limits, promote, recover, schedules, stats};
use linkspan_shared::breakpoint;

use crate::answer::{heard, within};
use crate::metrics;
use crate::runner::Worker;

/// Two looks are at least so far apart, and while they take long, no farther than
/// [`MOST`] for that.
const LEAST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(5);

/// Keeps until it is cancelled.
pub(crate) async fn run(worker: Arc<Worker>) {
    // What is due next is known, unless somebody else adds something earlier,
    // and then wakes us if it can.
    let mut last_patrol: Option<Instant> = None;
    loop {
        let longest = worker.longest_look();
        let began = Instant::now();
        let (least, next) = match look(&worker).await {
            // While a transaction is old, each look reads what has long been ready.
            Ok(Look { made: 0, next }) => ((4 * began.elapsed()).clamp(LEAST, MOST), next),
            Ok(Look { next, .. }) => (LEAST, next),
            Err(error) => {
                tracing::warn!(%error, "due jobs could not be looked for; trying again");
                (LEAST, Some(worker.settings.poll))
            }
        };
        let next = next.unwrap_or(longest).min(longest);
        let patrol_due = worker.settings.lease / 3;
        if last_patrol.is_none_or(|at| at.elapsed() >= patrol_due) {
            last_patrol = Some(Instant::now());
            match patrol(&worker).await {
                // They wait for less than what was due next before.
                Ok(true) => worker.keeper_wake.notify_one(),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "lost jobs could not be looked for; trying again");
                }
            }
        }
        tokio::time::sleep(least).await;
        tokio::select! {
            () = tokio::time::sleep(next.saturating_sub(least).min(patrol_due)) => {}
            () = worker.keeper_wake.notified() => {}
            () = worker.waker.keeper_woken() => {}
        }
    }
}

/// What a look came to.
struct Look {
    /// Jobs that are ready now.
    made: usize,
    /// How long until more are, if any waits.
    next: Option<Duration>,
}

/// Makes ready what is due.
async fn look(worker: &Worker) -> Result<Look, Error> {
    let mut conn = worker.db.conn().await?;
    let call = within(worker.patience(), look_on(worker, &mut conn)).await;
    heard(conn, call)
}

async fn look_on(worker: &Worker, conn: &mut Connection) -> Result<Look, Error> {
    let promoted = promote::promote(conn).await?;
    breakpoint::reach("keeper.promoted");
    let tick = schedules::tick(conn).await?;
    breakpoint::reach("keeper.ticked");
    let made = promoted.count + tick.made;
    worker.ready(made);
    metrics::ticked(&tick);
    let next = [promoted.next, tick.next].into_iter().flatten().min();
    Ok(Look { made, next })
}

/// Whether jobs were taken from lost workers.
async fn patrol(worker: &Worker) -> Result<bool, Error> {
    let mut conn = worker.db.conn().await?;
    let call = within(worker.patience(), patrol_on(worker, &mut conn)).await;
    heard(conn, call)
}

async fn patrol_on(worker: &Worker, conn: &mut Connection) -> Result<bool, Error> {
    // After an outage of the database all leases have run out, and their holders are
    // about to renew them.
    let since_missed = worker.jobs.since_missed();
    let recovered = match since_missed.is_some_and(|since| since < worker.settings.lease) {
        true => Vec::new(),
        false => recover(conn).await?,
    };
    breakpoint::reach("keeper.recovered");
    if !recovered.is_empty() {
        tracing::warn!(jobs = ?recovered, "jobs were taken from workers that are gone");
    }
    promote::expire(conn).await?;
    // Whoever frees a place unparks; he may have died in between.
    worker.ready(limits::unpark(conn).await?);
    metrics::counted(&stats::count(conn).await?);
    Ok(!recovered.is_empty())
}
