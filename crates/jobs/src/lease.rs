//! Workers, their leases, and the jobs of those that are gone.

use std::time::Duration;

use diesel::sql_types::{self, Array, BigInt, Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;
use uuid::Uuid;

use crate::enqueue::milliseconds;
use crate::{Error, Settled, limits};

/// A running job may stay over its limit for so long before it is taken from a
/// worker that does not end it.
const OVERTIME: Duration = Duration::from_secs(30);

/// A job that the table says this worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Held {
    /// The job.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// The fence of its claim.
    #[diesel(sql_type = BigInt)]
    pub fence: i64,
    /// Whether somebody wants it ended.
    #[diesel(sql_type = Bool)]
    pub cancel_requested: bool,
}

/// Says that a worker lives, for how long it counts as living if nothing more is
/// heard of it, and which kinds it knows. Returns what it holds: a job that it runs and that is not
/// among them was taken from it; one among them that it does not know of was
/// claimed by a statement whose answer was lost.
///
/// # Errors
/// When the database fails.
pub async fn heartbeat(
    conn: &mut Connection,
    worker: Uuid,
    lease: Duration,
    kinds: &[&str],
) -> Result<Vec<Held>, Error> {
    sql_query(
        "INSERT INTO jobs.workers (id, expires_at, kinds) \
         VALUES ($1, now() + $2 * interval '1 ms', $3) \
         ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, kinds = excluded.kinds",
    )
    .bind::<sql_types::Uuid, _>(worker)
    .bind::<BigInt, _>(milliseconds(lease))
    .bind::<Array<Text>, _>(kinds)
    .execute(conn)
    .await?;
    Ok(sql_query(
        "SELECT id, fence, cancel_requested FROM jobs.jobs WHERE state = 'running' AND worker = $1",
    )
    .bind::<sql_types::Uuid, _>(worker)
    .load(conn)
    .await?)
}

/// Takes a worker off the list that has ended and holds nothing.
///
/// # Errors
/// When the database fails.
pub async fn leave(conn: &mut Connection, worker: Uuid) -> Result<(), Error> {
    sql_query("DELETE FROM jobs.workers WHERE id = $1")
        .bind::<sql_types::Uuid, _>(worker)
        .execute(conn)
        .await?;
    Ok(())
}

/// The run is lost and counts as a failed one; a job whose runs always end their
/// worker is dead in the end. Its fence is raised too, so that the old holder's
/// settlement is refused although nobody has claimed the job since.
const RECOVER: &str = "WITH lost AS MATERIALIZED ( \
        SELECT j.id, j.group_key, j.tenant, j.counts_in_group, j.counts_in_tenant, \
            j.cancel_requested, j.deadline, j.attempt >= j.max_attempts AS is_last, \
            EXISTS (SELECT 1 FROM jobs.workers w WHERE w.id = j.worker \
                AND w.expires_at > now()) AS is_overtime \
        FROM jobs.jobs j WHERE j.state = 'running' AND ( \
            j.deadline < now() - $1 * interval '1 ms' OR NOT EXISTS ( \
                SELECT 1 FROM jobs.workers w WHERE w.id = j.worker AND w.expires_at > now())) \
        ORDER BY j.id LIMIT 1000 FOR UPDATE OF j SKIP LOCKED), \
    freed AS MATERIALIZED ( \
        SELECT key, count(*)::integer AS freed FROM ( \
            SELECT group_key AS key FROM lost WHERE counts_in_group \
            UNION ALL SELECT tenant FROM lost WHERE counts_in_tenant) k GROUP BY key), \
    held AS MATERIALIZED ( \
        SELECT key FROM jobs.limits WHERE key IN (SELECT key FROM freed) \
        ORDER BY key FOR UPDATE), \
    counted AS ( \
        UPDATE jobs.limits l SET running = greatest(0, l.running - f.freed) \
        FROM freed f JOIN held h ON h.key = f.key WHERE l.key = f.key), \
    gone AS ( \
        DELETE FROM jobs.jobs j USING lost l WHERE j.id = l.id AND l.cancel_requested \
        RETURNING j.*), \
    kept AS ( \
        INSERT INTO jobs.finished (id, kind, tenant, group_key, outcome, attempt, schedule_id, \
            worker, enqueued_at, started_at) \
        SELECT id, kind, tenant, group_key, 'cancelled', attempt, schedule_id, worker, \
            enqueued_at, started_at FROM gone) \
    UPDATE jobs.jobs j SET state = CASE WHEN l.is_last THEN 'dead' ELSE 'delayed' END, \
        run_at = now() + (0.5 + random() / 2) * power(2, least(j.attempt - 1, 9)) \
            * interval '1 second', \
        died_at = CASE WHEN l.is_last THEN now() END, \
        last_error = CASE WHEN l.is_overtime \
            THEN 'it ran longer than it may, and its worker did not end it' \
            ELSE 'its worker died or stood still while it ran' END, \
        start_by = NULL, worker = NULL, deadline = NULL, fence = nextval('jobs.fences'), \
        counts_in_group = false, counts_in_tenant = false, cancel_requested = false \
    FROM lost l WHERE j.id = l.id AND NOT l.cancel_requested \
    RETURNING j.id";

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// Takes jobs from workers that are gone and has them run again: up to 1,000.
/// Any number of workers may do so at once. Returns the jobs' ids.
///
/// # Errors
/// When the database fails.
pub async fn recover(conn: &mut Connection) -> Result<Vec<i64>, Error> {
    let ids: Vec<Id> = sql_query(RECOVER)
        .bind::<BigInt, _>(milliseconds(OVERTIME))
        .load(conn)
        .await?;
    if !ids.is_empty() {
        limits::unpark(conn).await?;
    }
    Ok(ids.into_iter().map(|row| row.id).collect())
}

/// Hands jobs back that this worker holds by the table and does not run, under
/// the fences that it was told of: what it has claimed since stays its own.
///
/// # Errors
/// When the database fails.
pub async fn hand_back(conn: &mut Connection, held: &[Held]) -> Result<Settled, Error> {
    let released = |held: &Held| crate::Settlement {
        id: held.id,
        fence: held.fence,
        outcome: crate::Outcome::Released,
    };
    crate::settle(conn, &held.iter().map(released).collect::<Vec<_>>()).await
}
