//! Writing down what became of a run.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::enqueue::milliseconds;
use crate::limits::Known;
use crate::{Claimed, Error, limits, unknown};

/// The longest error that is kept, in bytes.
const LONGEST_ERROR: usize = 8_192;

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, with a result as JSON if it has one.
    Succeeded(Option<String>),
    /// It failed and runs again after a while.
    Retry {
        /// Why it failed.
        error: String,
        /// After how long.
        after: Duration,
    },
    /// It failed and is out of attempts, or cannot succeed: a person is to look.
    Dead {
        /// Why it failed.
        error: String,
    },
    /// It did not run, and waits for a while. It keeps its attempts.
    Postponed {
        /// Why it did not run.
        error: String,
        /// For how long.
        after: Duration,
    },
    /// This worker does not know its kind: it is postponed, or dead when nobody has
    /// known it for a day ([`unknown`]).
    Unknown,
    /// Somebody cancelled it.
    Cancelled,
    /// It waited too long to be begun.
    Expired,
    /// It is handed back as if it had not been claimed.
    Released,
}

impl Outcome {
    /// Its name in the table and in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded(_) => "succeeded",
            Self::Retry { .. } => "retried",
            Self::Dead { .. } => "dead",
            Self::Postponed { .. } | Self::Unknown => "postponed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Released => "released",
        }
    }
}

/// What became of one claimed job.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The job.
    pub id: i64,
    /// The fence of the claim.
    pub fence: i64,
    /// What became of it.
    pub outcome: Outcome,
}

impl Settlement {
    /// Of a job that this worker holds.
    #[must_use]
    pub const fn new(job: &Claimed, outcome: Outcome) -> Self {
        Self {
            id: job.id,
            fence: job.fence,
            outcome,
        }
    }
}

/// What settling came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The jobs that were still held: whoever is not among them was taken from
    /// this worker, and what it did does not count.
    pub ids: Vec<i64>,
    /// How many others became ready by it, since they waited for a place.
    pub unparked: usize,
}

/// `mine` are the jobs that are still held under the fence that is named. Their
/// rows are locked by id, since a cancellation may hold some, and then the limits'
/// by key: the order in which everybody locks both. A job that somebody cancelled
/// while it ran does not run again, however its run ended.
///
/// Who has a worker is running. Asked for by its state, the planner would take the
/// index of what runs, believe it empty as it was when it was last analysed, and
/// compare every running job with every settlement: 110 ms for 500 of them.
const SETTLE: &str = "WITH said AS MATERIALIZED ( \
        SELECT * FROM unnest($1, $2, $3, $4, $5) AS s (id, fence, outcome, text, delay_ms)), \
    mine AS MATERIALIZED ( \
        SELECT j.id, CASE WHEN j.cancel_requested AND s.outcome NOT IN ('succeeded', 'expired') \
                THEN 'cancelled' ELSE s.outcome END AS outcome, \
            CASE WHEN NOT j.cancel_requested OR s.outcome = 'succeeded' THEN s.text END AS text, \
            s.delay_ms, j.group_key, j.tenant, j.counts_in_group, \
            j.counts_in_tenant \
        FROM said s JOIN jobs.jobs j ON j.id = s.id \
        WHERE j.fence = s.fence AND j.worker IS NOT NULL ORDER BY j.id FOR UPDATE OF j), \
    freed AS MATERIALIZED ( \
        SELECT key, count(*)::integer AS freed FROM ( \
            SELECT group_key AS key FROM mine WHERE counts_in_group \
            UNION ALL SELECT tenant FROM mine WHERE counts_in_tenant) k GROUP BY key), \
    held AS MATERIALIZED ( \
        SELECT key FROM jobs.limits WHERE key IN (SELECT key FROM freed) \
        ORDER BY key FOR UPDATE), \
    counted AS ( \
        UPDATE jobs.limits l SET running = greatest(0, l.running - f.freed) \
        FROM freed f JOIN held h ON h.key = f.key WHERE l.key = f.key), \
    gone AS ( \
        DELETE FROM jobs.jobs j USING mine m \
        WHERE j.id = m.id AND m.outcome IN ('succeeded', 'cancelled', 'expired') \
        RETURNING j.*, m.outcome, m.text), \
    kept AS ( \
        INSERT INTO jobs.finished (id, kind, tenant, group_key, outcome, attempt, schedule_id, \
            worker, enqueued_at, started_at, output) \
        SELECT id, kind, tenant, group_key, outcome, attempt, schedule_id, worker, enqueued_at, \
            started_at, text::json FROM gone), \
    left_over AS ( \
        UPDATE jobs.jobs j SET \
            state = CASE m.outcome WHEN 'dead' THEN 'dead' WHEN 'released' THEN 'ready' \
                ELSE 'delayed' END, \
            run_at = CASE WHEN m.outcome IN ('retried', 'postponed') \
                THEN now() + m.delay_ms * interval '1 ms' ELSE j.run_at END, \
            attempt = j.attempt - CASE WHEN m.outcome IN ('released', 'postponed') THEN 1 ELSE 0 END, \
            start_by = CASE WHEN m.outcome IN ('released', 'postponed') THEN j.start_by END, \
            unknown_since = CASE WHEN m.outcome IN ('released', 'postponed') \
                THEN j.unknown_since END, \
            died_at = CASE m.outcome WHEN 'dead' THEN now() END, \
            last_error = CASE m.outcome WHEN 'released' THEN j.last_error ELSE m.text END, \
            worker = NULL, deadline = NULL, counts_in_group = false, counts_in_tenant = false, \
            cancel_requested = false \
        FROM mine m WHERE j.id = m.id AND m.outcome IN ('retried', 'dead', 'released', 'postponed')) \
    SELECT id, CASE WHEN counts_in_group THEN group_key END AS in_group, \
        CASE WHEN counts_in_tenant THEN tenant END AS in_tenant FROM mine";

/// The same for jobs that all have succeeded, where nobody has a limit. When somebody
/// has one, this settles nothing and says so.
const SETTLE_SUCCEEDED: &str = "WITH said AS MATERIALIZED ( \
        SELECT * FROM unnest($1, $2, $3) AS s (id, fence, text) \
        WHERE NOT EXISTS (SELECT FROM jobs.limits)), \
    mine AS MATERIALIZED ( \
        SELECT j.id, s.text FROM said s JOIN jobs.jobs j ON j.id = s.id \
        WHERE j.fence = s.fence AND j.worker IS NOT NULL ORDER BY j.id FOR UPDATE OF j), \
    gone AS ( \
        DELETE FROM jobs.jobs j USING mine m WHERE j.id = m.id RETURNING j.*, m.text), \
    kept AS ( \
        INSERT INTO jobs.finished (id, kind, tenant, group_key, outcome, attempt, schedule_id, \
            worker, enqueued_at, started_at, output) \
        SELECT id, kind, tenant, group_key, 'succeeded', attempt, schedule_id, worker, \
            enqueued_at, started_at, text::json FROM gone) \
    SELECT is_limited, m.id FROM (SELECT EXISTS (SELECT FROM jobs.limits) AS is_limited) l \
    LEFT JOIN mine m ON true";

#[derive(QueryableByName)]
struct Succeeded {
    /// Whether anybody has a limit.
    #[diesel(sql_type = Bool)]
    is_limited: bool,
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<i64>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    /// The limits that it counted in.
    #[diesel(sql_type = Nullable<Text>)]
    in_group: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    in_tenant: Option<String>,
}

/// Writes down what became of jobs, in one statement, and gives their places to
/// others.
///
/// # Errors
/// When the database fails. The statement may have taken effect all the same;
/// repeating it is harmless, and then returns fewer ids.
pub async fn settle(conn: &mut Connection, all: &[Settlement]) -> Result<Settled, Error> {
    settle_knowing(conn, all, &Known::default()).await
}

/// The same with what this process knows of limits.
///
/// # Errors
/// As [`settle`].
pub async fn settle_knowing(
    conn: &mut Connection,
    all: &[Settlement],
    known: &Known,
) -> Result<Settled, Error> {
    if all.is_empty() {
        return Ok(Settled::default());
    }
    let succeeded = |one: &Settlement| matches!(one.outcome, Outcome::Succeeded(_));
    if !known.is_limited() && all.iter().all(succeeded) {
        let rows: Vec<Succeeded> = sql_query(SETTLE_SUCCEEDED)
            .bind::<Array<BigInt>, _>(all.iter().map(|s| s.id).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(all.iter().map(|s| s.fence).collect::<Vec<_>>())
            .bind::<Array<Nullable<Text>>, _>(
                all.iter().map(|s| text(&s.outcome)).collect::<Vec<_>>(),
            )
            .load(conn)
            .await?;
        if !rows.iter().any(|row| row.is_limited) {
            return Ok(Settled {
                ids: rows.into_iter().filter_map(|row| row.id).collect(),
                unparked: 0,
            });
        }
        known.note();
    }
    let resolved;
    let all = match all.iter().any(|one| one.outcome == Outcome::Unknown) {
        true => {
            resolved = unknown::resolve(conn, all).await?;
            &resolved
        }
        false => all,
    };
    let rows: Vec<Row> = sql_query(SETTLE)
        .bind::<Array<BigInt>, _>(all.iter().map(|s| s.id).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(all.iter().map(|s| s.fence).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(all.iter().map(|s| s.outcome.as_str()).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(all.iter().map(|s| text(&s.outcome)).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(all.iter().map(|s| delay(&s.outcome)).collect::<Vec<_>>())
        .load(conn)
        .await?;
    // Not in the statement above: whoever parked a job while it waited for a
    // limit's row is seen by a later statement only.
    let ids = rows.iter().map(|row| row.id).collect();
    let freed = rows
        .into_iter()
        .flat_map(|row| [row.in_group, row.in_tenant]);
    let freed: Vec<String> = freed
        .flatten()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let unparked = match freed.is_empty() {
        true => 0,
        false => limits::unpark_of(conn, &freed).await?,
    };
    Ok(Settled { ids, unparked })
}

fn text(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Succeeded(output) => output.clone(),
        Outcome::Retry { error, .. }
        | Outcome::Postponed { error, .. }
        | Outcome::Dead { error } => Some(storable(error)),
        Outcome::Unknown | Outcome::Cancelled | Outcome::Expired | Outcome::Released => None,
    }
}

/// Postgres has no NUL in its texts.
fn storable(error: &str) -> String {
    let end = error.floor_char_boundary(LONGEST_ERROR);
    error[..end].replace('\0', "\u{fffd}")
}

fn delay(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Retry { after, .. } | Outcome::Postponed { after, .. } => milliseconds(*after),
        _ => 0,
    }
}
