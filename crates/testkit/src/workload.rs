//! Kinds of job whose effects can be counted, for processes that are killed and
//! stopped: [`TABLES`] must exist.
//!
//! Each run notes its fence in `test_runs`, then writes its effect: `test_effects`
//! has one row for each job, which only a fence that is not lower may change. What
//! it refused is in `test_refused`, and `test_links` names the jobs that enqueued
//! another. A job's result is its fence.

use std::time::Duration;

use anyhow::bail;
use diesel_async::AsyncConnection as _;
use linkspan_jobs::{Kind, NewJob};
use linkspan_shared::breakpoint;
use linkspan_shared::db::{Connection, Database, scalar};
use linkspan_worker::{Context, Failure, Registry, Retry};
use serde::{Deserialize, Serialize};

/// The tables that the kinds write to.
pub const TABLES: &str = "CREATE TABLE test_runs (job bigint, fence bigint); \
    CREATE TABLE test_effects (job bigint PRIMARY KEY, fence bigint NOT NULL); \
    CREATE TABLE test_refused (job bigint, fence bigint); \
    CREATE TABLE test_links (job bigint PRIMARY KEY);";

/// Takes a while, and fails so many times first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    /// Milliseconds.
    pub takes: u64,
    /// Runs that fail.
    pub fails: u16,
}

impl Kind for Work {
    const NAME: &'static str = "test.work";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
    /// A worker that is killed takes one, and tests kill many.
    const MAX_ATTEMPTS: u16 = 1_000;

    fn backoff(_: u16) -> Duration {
        Duration::from_millis(20)
    }
}

/// Enqueues the next of a chain in the transaction of its effect.
#[derive(Debug, Serialize, Deserialize)]
pub struct Link {
    /// How many are to follow.
    pub left: u32,
}

impl Kind for Link {
    const NAME: &'static str = "test.link";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
    const MAX_ATTEMPTS: u16 = 1_000;
}

/// Runs until it is told to end.
#[derive(Debug, Serialize, Deserialize)]
pub struct Wait;

impl Kind for Wait {
    const NAME: &'static str = "test.wait";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
    const MAX_ATTEMPTS: u16 = 1_000;
}

/// Cannot succeed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hopeless;

impl Kind for Hopeless {
    const NAME: &'static str = "test.hopeless";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
}

/// All of these kinds.
#[must_use]
pub fn registry(db: &Database) -> Registry {
    let [work, link, wait] = [db.clone(), db.clone(), db.clone()];
    Registry::new()
        .with(move |payload: Work, context| {
            let db = work.clone();
            async move {
                begin(&db, &context).await?;
                tokio::time::sleep(Duration::from_millis(payload.takes)).await;
                if context.attempt <= payload.fails {
                    return Err(Failure::new("not yet"));
                }
                write(&mut *db.conn().await?, &context).await?;
                Ok(context.fence)
            }
        })
        .with(move |payload: Link, context| {
            let db = link.clone();
            async move {
                begin(&db, &context).await?;
                go_on(&db, &payload, &context).await?;
                breakpoint::reach("enqueue.committed");
                Ok(context.fence)
            }
        })
        .with(move |Wait, context| {
            let db = wait.clone();
            async move {
                begin(&db, &context).await?;
                context.ending().await;
                Err::<(), _>(Failure::new("it was told to end"))
            }
        })
        .with(|Hopeless, _| async {
            Err::<(), _>(Failure::new("it cannot succeed").retry(Retry::Never))
        })
}

async fn begin(db: &Database, context: &Context) -> Result<(), Failure> {
    let Context { id, fence, .. } = context;
    let note = format!("INSERT INTO test_runs VALUES ({id}, {fence})");
    let conn = db.conn().await?;
    Ok(conn.client().batch_execute(&note).await?)
}

/// Whether this is the job's first effect.
async fn write(conn: &mut Connection, context: &Context) -> Result<bool, Failure> {
    let Context { id, fence, .. } = context;
    let known: i64 = scalar(
        conn,
        &format!("SELECT count(*) FROM test_effects WHERE job = {id}"),
    )
    .await?;
    let taken: i64 = scalar(
        conn,
        &format!(
            "WITH written AS (INSERT INTO test_effects AS e VALUES ({id}, {fence}) \
                ON CONFLICT (job) DO UPDATE SET fence = excluded.fence \
                WHERE e.fence <= excluded.fence RETURNING 1), \
             refused AS (INSERT INTO test_refused SELECT {id}, {fence} \
                WHERE NOT EXISTS (SELECT 1 FROM written)) \
             SELECT count(*) FROM written"
        ),
    )
    .await?;
    if taken == 0 {
        return Err(Failure::new("a later holder has written"));
    }
    Ok(known == 0)
}

async fn go_on(db: &Database, link: &Link, context: &Context) -> Result<(), Failure> {
    let mut lent = db.conn().await?;
    let conn: &mut Connection = &mut lent;
    let done = conn.transaction(async |conn: &mut Connection| {
        // The row that it inserts makes a second holder wait for this one's end.
        let is_first = match write(conn, context).await {
            Ok(is_first) => is_first,
            Err(error) => bail!("{error:?}"),
        };
        if is_first && link.left > 0 {
            let next = Link {
                left: link.left - 1,
            };
            linkspan_jobs::enqueue(conn, &[NewJob::new(&next)?]).await?;
            let note = format!("INSERT INTO test_links VALUES ({})", context.id);
            conn.client().batch_execute(&note).await?;
            breakpoint::reach("enqueue.written");
        }
        Ok(())
    });
    done.await
        .map_err(|error| Failure::new(format!("{error:#}")))
}
