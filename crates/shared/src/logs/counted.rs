//! The successes that were only counted: their table, and the task that adds to it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{self, Array, BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use linkspan_api::logs::CountedOperations;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::budget::{Budget, Count};
use crate::Error;
use crate::db::{self, Connection, Database};
use crate::tenancy::EnvironmentId;

/// How long counts are gathered before they are stored.
const GATHER: Duration = Duration::from_millis(250);
/// Between two tries to store them.
const AGAIN: Duration = Duration::from_secs(1);
/// Tries to store the last ones of a server that is stopping.
const LAST_TRIES: u32 = 3;

/// Stores what is counted, until nobody can wake it any more: `woken` gets
/// something with the first count after each drain.
pub(super) async fn store_all(db: Database, budget: Arc<Budget>, mut woken: mpsc::Receiver<()>) {
    let mut ledger = Ledger {
        db,
        process: Uuid::new_v4(),
        batch: 0,
    };
    while woken.recv().await.is_some() {
        // Ends at once when the server is stopping.
        let _ = tokio::time::timeout(GATHER, closed(&mut woken)).await;
        ledger.add(&budget.drain(), &mut woken).await;
    }
    ledger.add(&budget.drain(), &mut woken).await;
}

/// Waits until nobody can wake the task any more.
async fn closed(woken: &mut mpsc::Receiver<()>) {
    while woken.recv().await.is_some() {}
}

/// The rows of this process.
struct Ledger {
    db: Database,
    process: Uuid,
    /// The number of the last batch that was added. A row has the number of the
    /// last one that is in it, so that a batch whose commit went through while its
    /// acknowledgement was lost is not added twice.
    batch: i64,
}

impl Ledger {
    /// Adds what was drained, however long the database is away. Meanwhile counts
    /// gather in the budget, where a minute of an integration is one number.
    async fn add(&mut self, counts: &[Count], woken: &mut mpsc::Receiver<()>) {
        if counts.is_empty() {
            return;
        }
        self.batch += 1;
        let mut tries = 0;
        while let Err(error) = self.store(counts).await {
            tries += 1;
            let successes: i64 = counts.iter().map(|count| count.successes).sum();
            if woken.is_closed() && tries >= LAST_TRIES {
                tracing::error!(%error, lost = successes, "counts of operations were lost");
                return;
            }
            if tries == 1 {
                tracing::warn!(
                    %error,
                    successes,
                    "counts of operations could not be stored; trying again until they are"
                );
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn store(&self, counts: &[Count]) -> Result<(), db::Error> {
        let column = |of: fn(&Count) -> &str| counts.iter().map(of).collect::<Vec<_>>();
        let minute = |count: &Count| DateTime::from_timestamp(count.counted.minute * 60, 0);
        let mut conn = self.db.conn().await?;
        diesel::sql_query(
            "INSERT INTO logs.counted_operations AS counted \
             (environment_id, minute, integration, provider, process, batch, successes) \
             SELECT environment_id, minute, integration, provider, $1, $2, successes \
             FROM unnest($3, $4, $5, $6, $7) \
             AS new (environment_id, minute, integration, provider, successes) \
             ON CONFLICT (environment_id, minute, integration, provider, process) DO UPDATE \
             SET batch = excluded.batch, successes = counted.successes + excluded.successes \
             WHERE counted.batch < excluded.batch",
        )
        .bind::<sql_types::Uuid, _>(self.process)
        .bind::<BigInt, _>(self.batch)
        .bind::<Array<sql_types::Uuid>, _>(
            counts
                .iter()
                .map(|count| count.environment.0)
                .collect::<Vec<_>>(),
        )
        .bind::<Array<Timestamptz>, _>(
            counts
                .iter()
                .map(|count| minute(count).unwrap_or_default())
                .collect::<Vec<_>>(),
        )
        .bind::<Array<Text>, _>(column(|count| &count.counted.integration))
        .bind::<Array<Text>, _>(column(|count| &count.counted.provider))
        .bind::<Array<BigInt>, _>(
            counts
                .iter()
                .map(|count| count.successes)
                .collect::<Vec<_>>(),
        )
        .execute(&mut conn)
        .await?;
        Ok(())
    }
}

/// Drops the counts of the time before.
pub(super) async fn drop_before(
    conn: &mut Connection,
    first_kept: DateTime<Utc>,
) -> Result<(), db::Error> {
    diesel::sql_query("DELETE FROM logs.counted_operations WHERE minute < $1")
        .bind::<Timestamptz, _>(first_kept)
        .execute(conn)
        .await?;
    Ok(())
}

/// Which counts to add up. They are by the minute: one that the time begins in
/// counts whole, and so does the last.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those of operations that began in the minute of this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those of minutes that begin before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only those of these integrations; all when empty.
    pub integrations: Vec<String>,
}

/// How many successful calls of an environment were counted and not stored, for
/// each integration, by its key.
///
/// # Errors
/// When the database fails.
pub async fn counted(
    conn: &mut Connection,
    environment: EnvironmentId,
    filter: Filter,
) -> Result<Vec<CountedOperations>, Error> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        integration: String,
        #[diesel(sql_type = Text)]
        provider: String,
        #[diesel(sql_type = BigInt)]
        successes: i64,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT integration, provider, sum(successes)::bigint AS successes \
         FROM logs.counted_operations \
         WHERE environment_id = $1 \
         AND minute >= coalesce(date_trunc('minute', $2, 'UTC'), '-infinity') \
         AND minute < coalesce($3, 'infinity') \
         AND (cardinality($4) = 0 OR integration = ANY ($4)) \
         GROUP BY integration, provider ORDER BY integration, provider",
    )
    .bind::<sql_types::Uuid, _>(environment)
    .bind::<Nullable<Timestamptz>, _>(filter.from)
    .bind::<Nullable<Timestamptz>, _>(filter.to)
    .bind::<Array<Text>, _>(filter.integrations)
    .load(conn)
    .await?;
    let counted = |row: Row| CountedOperations {
        provider_config_key: row.integration,
        provider: row.provider,
        successes: row.successes,
    };
    Ok(rows.into_iter().map(counted).collect())
}
