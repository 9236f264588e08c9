//! Many schedules at once, by their numbers, and the jobs that they have alive.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_db::Connection;

use super::store::COLUMNS;
use super::{Schedule, Spec, tick};
use crate::Error;
use crate::cancel::{Cancelled, Which, cancel};

/// The unique key of a schedule's jobs: one that is enqueued with it counts as the
/// schedule's run, so that no other runs beside it.
#[must_use]
pub fn unique_key(schedule: i64) -> String {
    format!("{}{schedule}", tick::KEY)
}

/// A job of a schedule that waits or runs. Of each schedule there is one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Live {
    /// The schedule.
    #[diesel(sql_type = BigInt)]
    pub schedule: i64,
    /// The job.
    #[diesel(sql_type = BigInt)]
    pub job: i64,
    /// Whether a worker has it.
    #[diesel(sql_type = Bool)]
    pub is_running: bool,
}

/// The jobs of these schedules that wait or run.
///
/// # Errors
/// When the database fails.
pub async fn live(conn: &mut Connection, ids: &[i64]) -> Result<Vec<Live>, Error> {
    let statement = format!(
        "SELECT substr(unique_key, {})::bigint AS schedule, id AS job, \
            state = 'running' AS is_running \
         FROM jobs.jobs WHERE unique_key = ANY($1) AND state <> 'dead'",
        tick::KEY.len() + 1
    );
    Ok(sql_query(statement)
        .bind::<Array<Text>, _>(keys(ids))
        .load(conn)
        .await?)
}

/// The schedules of these numbers, in no order.
///
/// # Errors
/// When the database fails.
pub async fn of_ids(conn: &mut Connection, ids: &[i64]) -> Result<Vec<Schedule>, Error> {
    let statement = format!("SELECT {COLUMNS} FROM jobs.schedules WHERE id = ANY($1)");
    Ok(sql_query(statement)
        .bind::<Array<BigInt>, _>(ids)
        .load(conn)
        .await?)
}

/// Keeps schedules as they are until the transaction ends, those of the lowest
/// numbers first: until then they make no jobs. In that order.
///
/// # Errors
/// When the database fails.
pub async fn lock(conn: &mut Connection, ids: &[i64]) -> Result<Vec<Schedule>, Error> {
    let statement =
        format!("SELECT {COLUMNS} FROM jobs.schedules WHERE id = ANY($1) ORDER BY id FOR UPDATE");
    Ok(sql_query(statement)
        .bind::<Array<BigInt>, _>(ids)
        .load(conn)
        .await?)
}

/// Lets schedules make nothing any more until they are resumed. Jobs that they made
/// go on.
///
/// # Errors
/// When the database fails.
pub async fn pause_all(conn: &mut Connection, ids: &[i64]) -> Result<(), Error> {
    conn.transaction(async |conn: &mut Connection| {
        lock(conn, ids).await?;
        sql_query(
            "UPDATE jobs.schedules SET is_paused = true, updated_at = now() \
             WHERE id = ANY($1) AND NOT is_paused",
        )
        .bind::<Array<BigInt>, _>(ids)
        .execute(conn)
        .await?;
        Ok(())
    })
    .await
}

/// Lets those of these schedules go on that are paused, with their next times from
/// now: what was missed is not made up for.
///
/// # Errors
/// When the database fails.
pub async fn resume_all(conn: &mut Connection, ids: &[i64]) -> Result<(), Error> {
    conn.transaction(async |conn: &mut Connection| {
        let all = lock(conn, ids).await?;
        let paused: Vec<Schedule> = all.into_iter().filter(|one| one.is_paused).collect();
        let Now { now } = sql_query("SELECT now() AS now").get_result(conn).await?;
        let mut next = Vec::new();
        for one in &paused {
            next.push(Spec::parse(&one.spec)?.next(now, one.id));
        }
        sql_query(
            "UPDATE jobs.schedules s SET is_paused = false, next_at = n.next_at, \
                 updated_at = now() FROM unnest($1, $2) AS n (id, next_at) WHERE s.id = n.id",
        )
        .bind::<Array<BigInt>, _>(paused.iter().map(|one| one.id).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(next)
        .execute(conn)
        .await?;
        Ok(())
    })
    .await
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

/// Takes schedules away and cancels their jobs.
///
/// # Errors
/// When the database fails.
pub async fn remove(conn: &mut Connection, ids: &[i64]) -> Result<Cancelled, Error> {
    if ids.is_empty() {
        return Ok(Cancelled {
            waiting: 0,
            running: 0,
        });
    }
    // First: whoever makes a job of one holds its row.
    sql_query("DELETE FROM jobs.schedules WHERE id = ANY($1)")
        .bind::<Array<BigInt>, _>(ids)
        .execute(conn)
        .await?;
    cancel(conn, Which::UniqueKeys(&keys(ids))).await
}

fn keys(ids: &[i64]) -> Vec<String> {
    ids.iter().map(|&id| unique_key(id)).collect()
}
