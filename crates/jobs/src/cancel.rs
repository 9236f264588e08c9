//! Ending jobs that nobody wants any more.

use diesel::sql_types::{Array, BigInt, Text};
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
    /// The live ones with these unique keys.
    UniqueKeys(&'a [String]),
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
    let one = |value: &str| vec![value.to_owned()];
    let (column, values) = match which {
        Which::Id(id) => ("id", one(&id.to_string())),
        Which::UniqueKey(key) => ("unique_key", one(key)),
        Which::UniqueKeys(keys) => ("unique_key", keys.to_vec()),
        Which::Schedule(id) => ("schedule_id", one(&id.to_string())),
        Which::Group(key) => ("group_key", one(key)),
        Which::Tenant(key) => ("tenant", one(key)),
    };
    // On the column itself, where there is an index for it.
    let condition = match which {
        Which::Id(_) | Which::Schedule(_) => format!("{column} = ANY($1::bigint[])"),
        _ => format!("{column} = ANY($1)"),
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
        .bind::<Array<Text>, _>(values)
        .get_result(conn)
        .await?)
}
