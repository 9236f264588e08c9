//! Jobs that wait.

use anyhow::Result;
use linkspan_db::{Database, scalar};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::noop::{ACCOUNTS, Noop};
use linkspan_jobs::Kind as _;

/// Half of them in the accounts whose jobs are measured, a quarter behind all
/// others by their priority, a quarter due tomorrow.
pub(crate) async fn fill(db: &Database, waiting: u64) -> Result<Value> {
    let begun = Instant::now();
    let conn = db.conn().await?;
    let there: i64 = scalar(
        &conn,
        "SELECT count(*) FROM jobs.jobs WHERE state IN ('ready', 'delayed')",
    )
    .await?;
    let missing = waiting.saturating_sub(u64::try_from(there)?);
    let sql = format!(
        "INSERT INTO jobs.jobs (kind, payload, tenant, group_key, priority, state, \
            virtual_time, run_at, run_limit_ms, max_attempts) \
         SELECT '{}', json_build_object('id', n), 'bench', 'account-' || n % {ACCOUNTS}, \
            CASE n % 4 WHEN 0 THEN 2 ELSE 1 END, CASE n % 4 WHEN 1 THEN 'delayed' ELSE 'ready' END, \
            n / {ACCOUNTS}, now() + CASE n % 4 WHEN 1 THEN interval '1 day' ELSE interval '0' END, \
            60000, 5 \
         FROM generate_series(1, {missing}) AS n",
        Noop::NAME
    );
    conn.client().batch_execute(&sql).await?;
    settle_down(db).await?;
    Ok(json!({ "added": missing, "seconds": begun.elapsed().as_secs_f64() }))
}

/// What autovacuum and the checkpointer would do sooner or later, and not while
/// one measures.
pub(crate) async fn settle_down(db: &Database) -> Result<()> {
    let conn = db.conn().await?;
    for sql in [
        "VACUUM ANALYZE jobs.jobs",
        "VACUUM ANALYZE jobs.schedules",
        "CHECKPOINT",
    ] {
        conn.client().batch_execute(sql).await?;
    }
    Ok(())
}

/// Jobs that are done.
pub(crate) async fn finished(db: &Database) -> Result<u64> {
    let conn = db.conn().await?;
    let count: i64 = scalar(&conn, "SELECT count(*) FROM jobs.finished").await?;
    Ok(u64::try_from(count)?)
}

/// Empties the table of what is done, so that counting it stays quick.
pub(crate) async fn forget_finished(db: &Database) -> Result<()> {
    let conn = db.conn().await?;
    conn.client()
        .batch_execute("TRUNCATE jobs.finished")
        .await?;
    Ok(())
}
