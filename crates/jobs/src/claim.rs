//! Taking what is ready.

use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{
    self, Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz,
};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;
use uuid::Uuid;

use crate::Error;
use crate::limits::Known;

/// Looks at no more than this many jobs at once.
pub const WINDOW: usize = 1_000;

/// A job that this worker holds.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its id.
    pub id: i64,
    /// Later claims have higher fences. Every write for the job names it.
    pub fence: i64,
    /// The name of its kind.
    pub kind: String,
    /// Its payload, as JSON.
    pub payload: String,
    /// Whose it is.
    pub tenant: Option<String>,
    /// The group it takes turns in; empty for none.
    pub group: String,
    /// Which run this is; the first is 1.
    pub attempt: u16,
    /// After so many it is dead.
    pub max_attempts: u16,
    /// How long this run may take.
    pub run_limit: Duration,
    /// The schedule that made it.
    pub schedule: Option<i64>,
    /// How long it was ready and waited.
    pub waited: Duration,
    /// Whether it should have begun by now, and is to be given up.
    pub is_late: bool,
    /// When it was enqueued, by the database's clock.
    pub enqueued_at: DateTime<Utc>,
}

/// What a claim came to.
#[derive(Debug, Default)]
pub struct Claim {
    /// What was taken, the first turn first.
    pub jobs: Vec<Claimed>,
    /// How many were found and put aside, since their group or tenant runs as
    /// many as it may.
    pub parked: usize,
}

/// The first of those that are ready. Priorities are looked at one after the other,
/// and the inner limit keeps the order of the index; the outer one ends the loop.
const CANDIDATE: &str = "\
    SELECT j.* FROM (SELECT * FROM jobs.clocks ORDER BY priority) c CROSS JOIN LATERAL ( \
        SELECT id, group_key, tenant, priority, virtual_time FROM jobs.jobs \
        WHERE state = 'ready' AND priority = c.priority AND (virtual_time, id) > ( \
            CASE WHEN $4 THEN c.virtual_time ELSE -1 END, CASE WHEN $4 THEN c.job ELSE 0 END) \
            AND kind <> ALL($5)";
const CANDIDATE_END: &str = "\
        ORDER BY virtual_time, id LIMIT $2 FOR UPDATE SKIP LOCKED) j \
    LIMIT $2";

const TAKE: &str = "state = 'running', worker = $1, \
    fence = nextval('jobs.fences'), attempt = j.attempt + 1, started_at = now(), \
    deadline = now() + j.run_limit_ms * interval '1 ms'";

/// Moves the clocks to what was taken, those that nobody else moves just now.
const CLOCK: &str = "\
    UPDATE jobs.clocks c SET virtual_time = n.virtual_time, job = n.id \
    FROM (SELECT DISTINCT ON (k.priority) k.priority, t.virtual_time, t.id \
        FROM taken t JOIN (SELECT priority FROM jobs.clocks FOR UPDATE SKIP LOCKED) k \
            ON k.priority = t.priority ORDER BY k.priority, t.virtual_time DESC, t.id DESC) n \
    WHERE c.priority = n.priority AND (c.virtual_time, c.job) < (n.virtual_time, n.id)";

const TAKEN: &str = "id, fence, kind, payload::text AS payload, tenant, group_key, attempt, \
        max_attempts, run_limit_ms, schedule_id, enqueued_at, \
        coalesce(start_by < now(), false) AND attempt = 1 AS is_late, \
        greatest(0, extract(epoch FROM clock_timestamp() - run_at) * 1000000)::bigint AS waited_us";

/// Where nobody has a limit. When somebody has one, this takes nothing and says so.
static UNLIMITED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH candidate AS MATERIALIZED ( \
            {CANDIDATE} AND NOT EXISTS (SELECT FROM jobs.limits) {CANDIDATE_END}), \
        taken AS ( \
            UPDATE jobs.jobs j SET {TAKE}, counts_in_group = false, counts_in_tenant = false \
            FROM candidate c WHERE j.id = c.id RETURNING j.*), \
        clock AS ({CLOCK}) \
        SELECT 0 AS parked, is_limited, {TAKEN} \
        FROM (SELECT EXISTS (SELECT FROM jobs.limits) AS is_limited) AS one \
        LEFT JOIN taken ON true ORDER BY priority, virtual_time, id"
    )
});

/// The rows of jobs first, then those of limits by key: everybody who locks both
/// does so in this order, and nobody waits for a job's row that another has, so
/// that none waits for each other. Only keys that have a limit cost anything.
///
/// Nothing is ranked but what is about to be taken and has a limit. A group that
/// is its own tenant counts once.
///
/// The limits of what cannot be more than the candidates only tell the planner so,
/// which would take it for half a million rows and compile the statement.
static LIMITED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH candidate AS MATERIALIZED ({CANDIDATE} {CANDIDATE_END}), \
        free AS MATERIALIZED ( \
            SELECT key, max_running - running AS places FROM jobs.limits \
            WHERE key IN (SELECT group_key FROM candidate UNION SELECT tenant FROM candidate) \
            ORDER BY key FOR UPDATE), \
        in_group AS ( \
            SELECT c.id, g.places >= row_number() OVER (PARTITION BY c.group_key \
                ORDER BY c.priority, c.virtual_time, c.id) AS fits \
            FROM candidate c JOIN free g ON g.key = c.group_key LIMIT $2), \
        in_tenant AS ( \
            SELECT c.id, t.places >= row_number() OVER (PARTITION BY c.tenant \
                ORDER BY c.priority, c.virtual_time, c.id) AS fits \
            FROM candidate c JOIN free t ON t.key = c.tenant LEFT JOIN in_group g ON g.id = c.id \
            WHERE g.fits IS NOT FALSE AND c.tenant <> c.group_key LIMIT $2), \
        ranked AS MATERIALIZED ( \
            SELECT c.*, g.id IS NOT NULL AS counts_in_group, t.id IS NOT NULL AS counts_in_tenant, \
                g.fits IS NOT FALSE AS fits_group, t.fits IS NOT FALSE AS fits_tenant \
            FROM candidate c LEFT JOIN in_group g ON g.id = c.id \
                LEFT JOIN in_tenant t ON t.id = c.id LIMIT $2), \
        chosen AS ( \
            SELECT id, counts_in_group, counts_in_tenant FROM ranked \
            WHERE fits_group AND fits_tenant ORDER BY priority, virtual_time, id LIMIT $3), \
        parked AS ( \
            UPDATE jobs.jobs j SET state = 'parked', \
                parked_on = CASE WHEN c.fits_group THEN c.tenant ELSE c.group_key END \
            FROM ranked c WHERE j.id = c.id AND NOT (c.fits_group AND c.fits_tenant) \
            RETURNING j.id), \
        taken AS ( \
            UPDATE jobs.jobs j SET {TAKE}, \
                counts_in_group = c.counts_in_group, counts_in_tenant = c.counts_in_tenant \
            FROM chosen c WHERE j.id = c.id RETURNING j.*), \
        counted AS ( \
            UPDATE jobs.limits l SET running = l.running + n.taken \
            FROM (SELECT key, count(*)::integer AS taken FROM ( \
                    SELECT group_key AS key FROM taken WHERE counts_in_group \
                    UNION ALL SELECT tenant FROM taken WHERE counts_in_tenant) k GROUP BY key) n \
            WHERE l.key = n.key), \
        clock AS ({CLOCK}) \
        SELECT (SELECT count(*)::integer FROM parked) AS parked, true AS is_limited, {TAKEN} \
        FROM (SELECT 1) AS one LEFT JOIN taken ON true ORDER BY priority, virtual_time, id"
    )
});

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Integer)]
    parked: i32,
    /// Whether anybody has a limit.
    #[diesel(sql_type = Bool)]
    is_limited: bool,
    #[diesel(sql_type = Nullable<BigInt>)]
    id: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    fence: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    kind: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    payload: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    tenant: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    group_key: Option<String>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    attempt: Option<i16>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    max_attempts: Option<i16>,
    #[diesel(sql_type = Nullable<BigInt>)]
    run_limit_ms: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    schedule_id: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    enqueued_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Bool>)]
    is_late: Option<bool>,
    #[diesel(sql_type = Nullable<BigInt>)]
    waited_us: Option<i64>,
}

impl Row {
    /// Nothing when nothing was taken, and the row is there for `parked` alone.
    fn claimed(self) -> Option<Claimed> {
        Some(Claimed {
            id: self.id?,
            fence: self.fence?,
            kind: self.kind?,
            payload: self.payload?,
            tenant: self.tenant,
            group: self.group_key?,
            attempt: u16::try_from(self.attempt?).unwrap_or(u16::MAX),
            max_attempts: u16::try_from(self.max_attempts?).unwrap_or(1),
            run_limit: Duration::from_millis(u64::try_from(self.run_limit_ms?).unwrap_or(0)),
            schedule: self.schedule_id,
            waited: Duration::from_micros(u64::try_from(self.waited_us?).unwrap_or(0)),
            is_late: self.is_late?,
            enqueued_at: self.enqueued_at?,
        })
    }
}

/// How far back a claim looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// At everything that is ready.
    All,
    /// From the last turn that anybody was given on: what was enqueued since, and
    /// what waits. Not what came back from a worker or was committed long after
    /// it was enqueued.
    ///
    /// While some transaction is old, a backup's for one, the index keeps an entry
    /// for every job that has been claimed since it began, and [`Reach::All`] reads
    /// them all.
    Ahead,
}

/// Takes up to `count` jobs for a worker, looking at up to `window` of those
/// that are ready (at least `count`, at most [`WINDOW`]): a wider one finds
/// more when many are put aside.
///
/// # Errors
/// When the database fails; then nothing was taken, or the worker learns of it
/// with its next heartbeat.
pub async fn claim(
    conn: &mut Connection,
    worker: Uuid,
    count: usize,
    window: usize,
    reach: Reach,
) -> Result<Claim, Error> {
    let known = Known::default();
    claim_but(conn, worker, count, window, reach, (&[], &known)).await
}

/// The same without jobs of some kinds, those that this worker does not know and
/// another does; with what this process knows of limits.
///
/// # Errors
/// As [`claim`].
pub async fn claim_but(
    conn: &mut Connection,
    worker: Uuid,
    count: usize,
    window: usize,
    reach: Reach,
    (kinds, known): (&[String], &Known),
) -> Result<Claim, Error> {
    let count = count.min(WINDOW);
    let window = window.clamp(count, WINDOW);
    let mut ask = async |statement: &str, window: usize| {
        sql_query(statement)
            .bind::<sql_types::Uuid, _>(worker)
            .bind::<BigInt, _>(i64::try_from(window).unwrap_or(i64::MAX))
            .bind::<BigInt, _>(i64::try_from(count).unwrap_or(i64::MAX))
            .bind::<Bool, _>(reach == Reach::Ahead)
            .bind::<Array<Text>, _>(kinds)
            .load::<Row>(&mut *conn)
            .await
    };
    let mut rows = Vec::new();
    if !known.is_limited() {
        rows = ask(&UNLIMITED, count).await?;
        if rows.iter().any(|row| row.is_limited) {
            known.note();
        }
    }
    if known.is_limited() {
        rows = ask(&LIMITED, window).await?;
    }
    let parked = rows.iter().map(|row| row.parked).max().unwrap_or(0);
    Ok(Claim {
        jobs: rows.into_iter().filter_map(Row::claimed).collect(),
        parked: usize::try_from(parked).unwrap_or(0),
    })
}
