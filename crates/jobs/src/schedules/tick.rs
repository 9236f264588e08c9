//! Making the jobs of schedules that are due.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection as _};
use linkspan_db::Connection;

use super::Spec;
use crate::Error;
use crate::enqueue::TURNS;

/// Schedules looked at in one transaction.
const PAGE: usize = 1_000;

/// What the unique keys of schedules' jobs begin with; the number follows.
pub(super) const KEY: &str = "schedule:";

/// A process that stands still in the middle keeps its rows locked, and others
/// pass them over: after so long the server ends it.
const STANDSTILL: &str = "5s";

/// What a look at the schedules came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tick {
    /// Jobs made.
    pub made: usize,
    /// Schedules that were due while their last job still waited or ran.
    pub skipped: usize,
    /// How late each due schedule was looked at.
    pub lateness: Vec<Duration>,
    /// How long until the next one is due, if any is. Zero: look again.
    pub next: Option<Duration>,
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = Text)]
    spec: String,
    #[diesel(sql_type = Timestamptz)]
    next_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
}

/// Rows that another worker looks at are his.
const DUE: &str = "SELECT id, key, spec, next_at, clock_timestamp() AS now FROM jobs.schedules \
    WHERE NOT is_paused AND next_at <= now() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED";

#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = BigInt)]
    made: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    next_us: Option<i64>,
}

fn make() -> String {
    format!(
        "WITH due AS MATERIALIZED (SELECT * FROM unnest($1, $2) AS d (id, next_at)), \
        input AS MATERIALIZED ( \
            SELECT s.*, d.next_at AS then_at, nextval('jobs.job_ids') AS job \
            FROM due d JOIN jobs.schedules s ON s.id = d.id), \
        {TURNS}, \
        added AS (INSERT INTO jobs.jobs (id, kind, payload, tenant, group_key, priority, state, \
                virtual_time, start_by, run_limit_ms, max_attempts, unique_key, schedule_id) \
            SELECT i.job, i.kind, i.payload, i.tenant, i.group_key, i.priority, 'ready', \
                t.last + row_number() OVER (PARTITION BY i.group_key, i.priority ORDER BY i.id), \
                now() + i.start_within_ms * interval '1 ms', i.run_limit_ms, i.max_attempts, \
                '{KEY}' || i.id, i.id \
            FROM input i JOIN turns t ON t.group_key = i.group_key AND t.priority = i.priority \
            ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead' \
                DO NOTHING RETURNING id, schedule_id), \
        noted AS (UPDATE jobs.schedules s SET next_at = i.then_at, \
                last_job = coalesce(a.id, s.last_job), \
                last_at = CASE WHEN a.id IS NULL THEN s.last_at ELSE now() END \
            FROM input i LEFT JOIN added a ON a.schedule_id = i.id WHERE s.id = i.id) \
        SELECT (SELECT count(*) FROM added) AS made, \
            (SELECT (extract(epoch FROM next_at - clock_timestamp()) * 1000000)::bigint \
                FROM (SELECT min(then_at) AS next_at FROM input \
                    UNION ALL (SELECT next_at FROM jobs.schedules \
                        WHERE NOT is_paused AND next_at > now() AND next_at < 'infinity' \
                        ORDER BY next_at LIMIT 1)) AS n \
                ORDER BY next_at LIMIT 1) AS next_us"
    )
}

/// Makes jobs of the schedules that are due, up to 1,000 in one transaction. Any
/// number of workers may do so at once.
///
/// # Errors
/// When the database fails; then nothing was made.
pub async fn tick(conn: &mut Connection) -> Result<Tick, Error> {
    conn.transaction(async |conn: &mut Connection| {
        conn.batch_execute(&format!(
            "SET LOCAL idle_in_transaction_session_timeout = '{STANDSTILL}'"
        ))
        .await?;
        let due: Vec<Due> = sql_query(DUE)
            .bind::<BigInt, _>(i64::try_from(PAGE).unwrap_or(i64::MAX))
            .load(&mut *conn)
            .await?;
        let next: Vec<DateTime<Utc>> = due.iter().map(next_of).collect();
        let made: Made = sql_query(make())
            .bind::<Array<BigInt>, _>(due.iter().map(|one| one.id).collect::<Vec<_>>())
            .bind::<Array<Timestamptz>, _>(next)
            .get_result(conn)
            .await?;
        let count = usize::try_from(made.made).unwrap_or(0);
        let until = made.next_us.map(|us| u64::try_from(us).unwrap_or(0));
        Ok(Tick {
            made: count,
            skipped: due.len().saturating_sub(count),
            lateness: due.iter().map(late).collect(),
            next: match due.len() == PAGE {
                true => Some(Duration::ZERO),
                false => until.map(Duration::from_micros),
            },
        })
    })
    .await
}

fn next_of(due: &Due) -> DateTime<Utc> {
    Spec::parse(&due.spec).map_or_else(
        |error| {
            // Nothing of ours writes such a text.
            tracing::error!(schedule = %due.key, %error, "a schedule is put off by a day");
            due.now + TimeDelta::days(1)
        },
        |spec| spec.next(due.now, due.id),
    )
}

fn late(due: &Due) -> Duration {
    (due.now - due.next_at).to_std().unwrap_or_default()
}
