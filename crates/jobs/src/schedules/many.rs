//! Many schedules at once, by their numbers, and the jobs that they have alive.

use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use super::store::COLUMNS;
use super::{Schedule, tick};
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
