//! How many jobs a second are added, and claimed, run and finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use linkspan_db::Database;
use linkspan_jobs::{NewJob, Waker, enqueue};
use linkspan_worker::{Settings, start};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::noop::{counting, job};
use crate::queue::{finished, forget_finished, settle_down};

/// Jobs in a statement, and connections that add them.
const BATCH: usize = 500;
const WRITERS: u64 = 4;
/// Parts of a run whose rates are told apart.
const PARTS: u64 = 10;

pub(crate) async fn run(
    db: &Database,
    count: u64,
    slots: usize,
    under_snapshot: bool,
) -> Result<Value> {
    let added = add(db, count).await?;
    settle_down(db).await?;
    forget_finished(db).await?;
    let holder = db.conn().await?;
    if under_snapshot {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM jobs.clocks";
        holder.client().batch_execute(begin).await?;
    }
    let (rate, parts) = work(db, count, slots).await?;
    if under_snapshot {
        holder.client().batch_execute("COMMIT").await?;
    }
    Ok(json!({ "enqueued_per_s": added, "finished_per_s": rate, "parts": parts }))
}

async fn add(db: &Database, count: u64) -> Result<f64> {
    let jobs: Vec<NewJob> = (0..count).map(job).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    let share = usize::try_from(count.div_ceil(WRITERS))?;
    let writers = jobs.chunks(share).map(async |share| {
        let mut conn = db.conn().await?;
        for batch in share.chunks(BATCH) {
            enqueue(&mut conn, batch).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(writers).await?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// From starting a worker until what it ran is written down and it has stopped.
async fn work(db: &Database, count: u64, slots: usize) -> Result<(f64, Vec<f64>)> {
    let runs = Arc::new(AtomicU64::new(0));
    let settings = Settings {
        slots,
        lease: Duration::from_secs(30),
        poll: Duration::from_secs(1),
        drain: Duration::from_secs(10),
        listen: None,
    };
    let begun = Instant::now();
    let worker = start(db.clone(), Waker::new(), counting(&runs), settings);
    let mut parts = Vec::new();
    for part in 1..=PARTS {
        let (since, before) = (Instant::now(), runs.load(Ordering::Relaxed));
        while runs.load(Ordering::Relaxed) < count * part / PARTS {
            sleep(Duration::from_millis(1)).await;
            if since.elapsed() > Duration::from_secs(120) {
                bail!("a tenth of the jobs took more than two minutes");
            }
        }
        let ran = runs.load(Ordering::Relaxed) - before;
        parts.push(ran as f64 / since.elapsed().as_secs_f64());
    }
    worker.stop().await;
    let took = begun.elapsed();
    let (ran, written) = (runs.load(Ordering::Relaxed), finished(db).await?);
    if ran != written {
        bail!("{ran} jobs ran, and {written} were written down as done");
    }
    Ok((ran as f64 / took.as_secs_f64(), parts))
}
