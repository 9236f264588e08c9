//! Writes down what became of runs, many in one statement.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use linkspan_jobs::{Error, Outcome, Settled, Settlement};
use linkspan_shared::breakpoint;
use tokio::sync::mpsc;

use crate::answer::{heard, within};
use crate::runner::Worker;

/// Settlements in one statement.
const BATCH: usize = 500;
/// Statements at once: a second one begins while Postgres is at work on the first when
/// so many wait.
const STATEMENTS: usize = 2;
const ENOUGH: usize = 250;
/// Between attempts while the database is away.
const WAIT: Duration = Duration::from_millis(250);

/// Settles what comes until nobody can send any more. While the database is away
/// it waits: what was done counts if it is back before the lease has run out.
pub(crate) async fn run(worker: Arc<Worker>, mut ended: mpsc::Receiver<Settlement>) {
    let mut batch = Vec::new();
    let mut under_way = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !batch.is_empty() || !under_way.is_empty() {
        let is_room = match under_way.len() {
            0 => true,
            statements => statements < STATEMENTS && batch.len() >= ENOUGH,
        };
        if is_room && !batch.is_empty() {
            under_way.push(settle_batch(&worker, std::mem::take(&mut batch)));
        }
        let room = BATCH - batch.len();
        tokio::select! {
            biased;
            Some(()) = under_way.next() => {}
            count = ended.recv_many(&mut batch, room), if is_open && room > 0 => {
                is_open = count > 0;
            }
        }
    }
}

async fn settle_batch(worker: &Worker, mut batch: Vec<Settlement>) {
    breakpoint::reach("job.settling");
    let (settled, unparked) = settle_all(worker, &mut batch).await;
    breakpoint::reach("job.settled");
    let refused = batch.len().saturating_sub(settled);
    if refused > 0 {
        tracing::warn!(
            refused,
            "runs do not count: their jobs were taken from this worker"
        );
    }
    worker
        .jobs
        .remove(batch.iter().map(|one| (one.id, one.fence)));
    worker.ready(unparked);
    let is_delayed = |one: &Settlement| {
        use Outcome::{Postponed, Retry, Unknown};
        matches!(one.outcome, Retry { .. } | Postponed { .. } | Unknown)
    };
    if batch.iter().any(is_delayed) {
        worker.keeper_wake.notify_one();
    }
}

/// How many were still held, and how many others became ready.
async fn settle_all(worker: &Worker, batch: &mut [Settlement]) -> (usize, usize) {
    match settle_patiently(worker, batch).await {
        Ok(settled) => (settled.ids.len(), settled.unparked),
        Err(error) => {
            tracing::error!(%error, "jobs cannot be settled together; trying one by one");
            settle_each(worker, batch).await
        }
    }
}

/// One that the database refuses must not keep the others from being settled.
async fn settle_each(worker: &Worker, batch: &mut [Settlement]) -> (usize, usize) {
    let (mut held, mut unparked) = (0, 0);
    for one in batch {
        let mut settled = settle_patiently(worker, std::slice::from_ref(one)).await;
        if let Err(error) = settled {
            tracing::error!(job = one.id, %error, "a job cannot be settled as it ended");
            let error = format!("what became of it cannot be stored: {error}");
            one.outcome = Outcome::Dead { error };
            settled = settle_patiently(worker, std::slice::from_ref(one)).await;
        }
        match settled {
            Ok(settled) => {
                held += settled.ids.len();
                unparked += settled.unparked;
            }
            // The next heartbeat hands it back.
            Err(error) => tracing::error!(job = one.id, %error, "a job cannot be settled at all"),
        }
    }
    (held, unparked)
}

/// Tries again for as long as it is not the settlements that are refused.
async fn settle_patiently(worker: &Worker, batch: &[Settlement]) -> Result<Settled, Error> {
    loop {
        match settle(worker, batch).await {
            Err(Error::Database(error)) if error.is_transient() => {
                tracing::warn!(%error, "jobs could not be settled; trying again");
                tokio::time::sleep(WAIT).await;
            }
            done => return done,
        }
    }
}

async fn settle(worker: &Worker, batch: &[Settlement]) -> Result<Settled, Error> {
    let mut conn = worker.db.conn().await?;
    let call = linkspan_jobs::settle_knowing(&mut conn, batch, &worker.limits);
    let call = within(worker.patience(), call).await;
    heard(conn, call)
}
