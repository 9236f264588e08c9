//! The end of a tenant: what it has here goes.

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::{Error, schedules};

/// Jobs dealt with in one statement: nobody waits long for one of them.
const PAGE: i64 = 1_000;

/// What was ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Schedules that make nothing any more.
    pub schedules: usize,
    /// Jobs that waited or were dead.
    pub jobs: i64,
    /// Jobs that run: their workers are told within a second, and end them.
    pub running: i64,
}

/// By the state that the locked row has, as when one is cancelled. There is no index
/// of tenants, which every job would pay for: the pages go through the table once, by
/// the ids.
const PAGE_OF_JOBS: &str = "WITH found AS MATERIALIZED ( \
        SELECT id, state FROM jobs.jobs WHERE tenant = $1 AND id > $2 \
        ORDER BY id LIMIT $3 FOR UPDATE), \
    gone AS (DELETE FROM jobs.jobs j USING found f \
        WHERE j.id = f.id AND f.state <> 'running' RETURNING j.*), \
    kept AS (INSERT INTO jobs.finished (id, kind, tenant, group_key, outcome, attempt, \
            schedule_id, enqueued_at, started_at) \
        SELECT id, kind, tenant, group_key, 'cancelled', attempt, schedule_id, enqueued_at, \
            started_at FROM gone), \
    told AS (UPDATE jobs.jobs j SET cancel_requested = true FROM found f \
        WHERE j.id = f.id AND f.state = 'running' RETURNING j.id) \
    SELECT (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM told) AS running, \
        (SELECT max(id) FROM found) AS last";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    gone: i64,
    #[diesel(sql_type = BigInt)]
    running: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    last: Option<i64>,
}

/// Ends all that a tenant has: its schedules first, so that they make nothing new,
/// then its jobs, also the dead ones, whose payloads are the tenant's, and its limit.
/// What runs is told to end. Repeating it is harmless.
///
/// # Errors
/// When the database fails; then some of it may be done.
pub async fn end(conn: &mut Connection, tenant: &str) -> Result<Ended, Error> {
    let mut ended = Ended {
        schedules: schedules::delete_of_tenant(conn, tenant).await?,
        ..Ended::default()
    };
    let mut last = 0;
    loop {
        let page: Row = sql_query(PAGE_OF_JOBS)
            .bind::<Text, _>(tenant)
            .bind::<BigInt, _>(last)
            .bind::<BigInt, _>(PAGE)
            .get_result(conn)
            .await?;
        ended.jobs += page.gone;
        ended.running += page.running;
        match page.last {
            Some(id) => last = id,
            None => break,
        }
    }
    sql_query("DELETE FROM jobs.limits WHERE key = $1")
        .bind::<Text, _>(tenant)
        .execute(conn)
        .await?;
    Ok(ended)
}
