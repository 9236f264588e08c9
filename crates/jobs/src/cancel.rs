//! Ending jobs that nobody wants any more.

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::Error;

/// Which jobs.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// One, by its id.
    Id(i64),
    /// The live one with this unique key.
    UniqueKey(&'a str),
    /// Those that a schedule made.
    Schedule(i64),
    /// All of a group.
    Group(&'a str),
    /// All of a tenant.
    Tenant(&'a str),
}

/// What became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Cancelled {
    /// How many waited, and do so no longer.
    #[diesel(sql_type = BigInt)]
    pub waiting: i64,
    /// How many run: their workers are told within a second, and end them.
    #[diesel(sql_type = BigInt)]
    pub running: i64,
}

/// Cancels jobs. Of those that ran at this moment, one may still succeed.
///
/// # Errors
/// When the database fails.
pub async fn cancel(conn: &mut Connection, which: Which<'_>) -> Result<Cancelled, Error> {
    let (column, value) = match which {
        Which::Id(id) => ("id::text", id.to_string()),
        Which::UniqueKey(key) => ("unique_key", key.to_owned()),
        Which::Schedule(id) => ("schedule_id::text", id.to_string()),
        Which::Group(key) => ("group_key", key.to_owned()),
        Which::Tenant(key) => ("tenant", key.to_owned()),
    };
    // `= $1` on the column itself, where there is an index for it.
    let condition = match which {
        Which::Id(_) => "id = $1::bigint".to_owned(),
        _ => format!("{column} = $1"),
    };
    // By the state that the locked row has, not by the one that this statement's
    // snapshot saw: a claim may have come between.
    let statement = format!(
        "WITH found AS MATERIALIZED ( \
            SELECT id, state FROM jobs.jobs WHERE {condition} AND state <> 'dead' \
            ORDER BY id FOR UPDATE), \
        gone AS (DELETE FROM jobs.jobs j USING found f \
            WHERE j.id = f.id AND f.state <> 'running' RETURNING j.*), \
        kept AS (INSERT INTO jobs.finished (id, kind, tenant, group_key, outcome, attempt, \
                schedule_id, enqueued_at, started_at) \
            SELECT id, kind, tenant, group_key, 'cancelled', attempt, schedule_id, enqueued_at, \
                started_at FROM gone), \
        told AS (UPDATE jobs.jobs j SET cancel_requested = true FROM found f \
            WHERE j.id = f.id AND f.state = 'running' RETURNING j.id) \
        SELECT (SELECT count(*) FROM gone) AS waiting, (SELECT count(*) FROM told) AS running"
    );
    Ok(sql_query(statement)
        .bind::<Text, _>(value)
        .get_result(conn)
        .await?)
}
