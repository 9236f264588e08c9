//! Making ready what is due, and giving up what waited too long.

use std::time::Duration;

use diesel::sql_types::{BigInt, Nullable};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::Error;
use crate::enqueue::TURNS;

/// Jobs made ready in one statement.
const PAGE: i64 = 1_000;

/// What came of a look at the delayed jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// How many are ready now.
    pub count: usize,
    /// How long until the next one is due, if any waits. Zero: look again.
    pub next: Option<Duration>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    next_us: Option<i64>,
}

/// Makes ready what is due, up to 1,000 jobs. They take their turns now: to have
/// waited for a time is no claim to go first.
///
/// # Errors
/// When the database fails.
pub async fn promote(conn: &mut Connection) -> Result<Promoted, Error> {
    let statement = format!(
        "WITH input AS MATERIALIZED ( \
            SELECT id, group_key, priority, run_at FROM jobs.jobs \
            WHERE state = 'delayed' AND run_at <= now() \
            ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED), \
        {TURNS}, \
        turn AS (SELECT i.id, t.last + row_number() \
                OVER (PARTITION BY i.group_key, i.priority ORDER BY i.run_at, i.id) AS virtual_time \
            FROM input i JOIN turns t ON t.group_key = i.group_key AND t.priority = i.priority), \
        made AS (UPDATE jobs.jobs j SET state = 'ready', virtual_time = t.virtual_time \
            FROM turn t WHERE j.id = t.id RETURNING j.id) \
        SELECT (SELECT count(*) FROM made) AS count, \
            (SELECT (extract(epoch FROM run_at - clock_timestamp()) * 1000000)::bigint \
                FROM jobs.jobs WHERE state = 'delayed' AND run_at > now() \
                ORDER BY run_at LIMIT 1) AS next_us"
    );
    let row: Row = sql_query(statement)
        .bind::<BigInt, _>(PAGE)
        .get_result(conn)
        .await?;
    let next = row
        .next_us
        .map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(0)));
    Ok(Promoted {
        count: usize::try_from(row.count).unwrap_or(0),
        next: if row.count == PAGE {
            Some(Duration::ZERO)
        } else {
            next
        },
    })
}

/// Gives up what should have begun by now, up to 1,000 jobs; returns how many.
///
/// # Errors
/// When the database fails.
pub async fn expire(conn: &mut Connection) -> Result<usize, Error> {
    let row: Row = sql_query(
        "WITH late AS MATERIALIZED ( \
            SELECT id FROM jobs.jobs WHERE start_by < now() \
                AND state IN ('delayed', 'ready', 'parked') \
            ORDER BY start_by LIMIT $1 FOR UPDATE SKIP LOCKED), \
        gone AS (DELETE FROM jobs.jobs j USING late l WHERE j.id = l.id RETURNING j.*), \
        kept AS (INSERT INTO jobs.finished (id, kind, tenant, group_key, outcome, attempt, \
                schedule_id, enqueued_at) \
            SELECT id, kind, tenant, group_key, 'expired', attempt, schedule_id, enqueued_at \
            FROM gone) \
        SELECT count(*) AS count, NULL::bigint AS next_us FROM gone",
    )
    .bind::<BigInt, _>(PAGE)
    .get_result(conn)
    .await?;
    Ok(usize::try_from(row.count).unwrap_or(0))
}
