//! Writes down what became of runs, many in one statement.

use std::sync::Arc;
use std::time::Duration;

use linkspan_db::{Database, Error as DbError};
use linkspan_jobs::{Error, Outcome, Settlement};
use linkspan_shared::breakpoint;
use tokio::sync::mpsc;

use crate::running::Jobs;

/// Settlements in one statement.
const BATCH: usize = 500;
/// Between attempts while the database is away.
const WAIT: Duration = Duration::from_millis(250);

/// Settles what comes until nobody can send any more. While the database is away
/// it waits: what was done counts if it is back before the lease has run out.
pub(crate) async fn run(db: Database, mut ended: mpsc::Receiver<Settlement>, jobs: Arc<Jobs>) {
    let mut batch = Vec::with_capacity(BATCH);
    while ended.recv_many(&mut batch, BATCH).await > 0 {
        breakpoint::reach("job.settling");
        let settled = settle_all(&db, &mut batch).await;
        breakpoint::reach("job.settled");
        let refused = batch.len().saturating_sub(settled);
        if refused > 0 {
            tracing::warn!(
                refused,
                "runs do not count: their jobs were taken from this worker"
            );
        }
        jobs.remove(batch.iter().map(|one| (one.id, one.fence)));
        batch.clear();
    }
}

async fn settle_all(db: &Database, batch: &mut [Settlement]) -> usize {
    loop {
        match settle(db, batch).await {
            Ok(settled) => return settled,
            Err(Error::Database(DbError::Unavailable(error))) => {
                tracing::warn!(error, "jobs cannot be settled; trying again");
                tokio::time::sleep(WAIT).await;
            }
            Err(error) if is_connection_lost(&error) => {
                tracing::warn!(%error, "jobs could not be settled; trying again");
                tokio::time::sleep(WAIT).await;
            }
            Err(error) => {
                tracing::error!(%error, "jobs cannot be settled together; trying one by one");
                return settle_each(db, batch).await;
            }
        }
    }
}

/// One that the database refuses must not keep the others from being settled.
async fn settle_each(db: &Database, batch: &mut [Settlement]) -> usize {
    let mut settled = 0;
    for one in batch {
        match settle(db, std::slice::from_ref(one)).await {
            Ok(count) => settled += count,
            Err(error) => {
                tracing::error!(job = one.id, %error, "a job cannot be settled as it ended");
                let error = format!("what became of it cannot be stored: {error}");
                one.outcome = Outcome::Dead { error };
                settled += settle(db, std::slice::from_ref(one)).await.unwrap_or(0);
            }
        }
    }
    settled
}

async fn settle(db: &Database, batch: &[Settlement]) -> Result<usize, Error> {
    let mut conn = db.conn().await?;
    Ok(linkspan_jobs::settle(&mut conn, batch).await?.len())
}

fn is_connection_lost(error: &Error) -> bool {
    use diesel::result::{DatabaseErrorKind, Error as Query};
    let Error::Database(DbError::Query(query)) = error else {
        return false;
    };
    matches!(
        query,
        Query::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction,
            _
        )
    )
}
