//! Adding jobs, in the transaction of what makes them necessary.

use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Bool, Nullable, SmallInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::Error;
use crate::kind::{Kind, Priority};

/// A job to be added.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub(crate) kind: &'static str,
    pub(crate) payload: String,
    pub(crate) tenant: Option<String>,
    pub(crate) group: String,
    pub(crate) priority: Priority,
    pub(crate) delay: Option<Duration>,
    pub(crate) start_within: Option<Duration>,
    pub(crate) run_limit: Duration,
    pub(crate) max_attempts: u16,
    pub(crate) unique_key: Option<String>,
}

impl NewJob {
    /// A job of a kind, ready at once, of no tenant and no group.
    ///
    /// # Errors
    /// When the payload cannot be written as JSON.
    pub fn new<K: Kind>(payload: &K) -> Result<Self, Error> {
        let payload = serde_json::to_string(payload).map_err(|cause| Error::Payload {
            kind: K::NAME,
            cause,
        })?;
        Ok(Self {
            kind: K::NAME,
            payload,
            tenant: None,
            group: String::new(),
            priority: K::PRIORITY,
            delay: None,
            start_within: K::START_WITHIN,
            run_limit: K::RUN_LIMIT,
            max_attempts: K::MAX_ATTEMPTS,
            unique_key: None,
        })
    }

    /// Whose it is: one limit holds for all jobs of a tenant. A job of no group
    /// takes turns in its tenant's.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        let tenant = tenant.into();
        if self.group.is_empty() {
            self.group.clone_from(&tenant);
        }
        self.tenant = Some(tenant);
        self
    }

    /// The group that it takes turns in. A group has as many turns as any other,
    /// however many of its jobs wait: a tenant with many groups has many turns.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Which jobs go first, if not what the kind says.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// When it becomes ready, from now.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// How long it may wait before it is given up, from now.
    #[must_use]
    pub const fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = Some(limit);
        self
    }

    /// How long a run may take, if not what the kind says.
    #[must_use]
    pub const fn run_limit(mut self, limit: Duration) -> Self {
        self.run_limit = limit;
        self
    }

    /// How many runs it gets, if not what the kind says; at least one.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u16) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// While a job with this key is waiting or running, no other is added.
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }
}

/// What became of a job that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits, under this id.
    Added(i64),
    /// One with its unique key is waiting or running.
    AlreadyLive,
}

impl Enqueued {
    /// The id, if it was added.
    #[must_use]
    pub const fn id(self) -> Option<i64> {
        match self {
            Self::Added(id) => Some(id),
            Self::AlreadyLive => None,
        }
    }
}

/// A job's turn is after the last one of its group that is ready or parked, and not before
/// the turns that are being served: a group with a hundred thousand jobs waits
/// for itself, and another's single job is among the next. Two who enqueue to one
/// group at once may give the same turns, which costs a little fairness and
/// spares every enqueuing transaction a lock.
///
/// Turns that have come do not matter, and are not passed: while a transaction is
/// old, the index keeps them all. Materialised, the last turn is looked for once for each group and not for each
/// job.
pub(crate) const TURNS: &str = "turns AS MATERIALIZED (SELECT g.group_key, g.priority, greatest(c.virtual_time, \
        (SELECT max(j.virtual_time) FROM jobs.jobs j WHERE j.state = 'ready' \
            AND j.group_key = g.group_key AND j.priority = g.priority \
            AND j.virtual_time > c.virtual_time), \
        (SELECT max(j.virtual_time) FROM jobs.jobs j WHERE j.state = 'parked' \
            AND j.group_key = g.group_key AND j.priority = g.priority \
            AND j.virtual_time > c.virtual_time)) AS last \
    FROM (SELECT DISTINCT group_key, priority FROM input) g \
    JOIN jobs.clocks c ON c.priority = g.priority)";

/// Where no job has a unique key, a row is not put in on trial first: Postgres
/// writes one record of its log less for each.
fn statement(has_unique_keys: bool) -> String {
    let on_conflict = match has_unique_keys {
        true => {
            "ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL AND state <> 'dead' DO NOTHING"
        }
        false => "",
    };
    format!(
        "WITH input AS MATERIALIZED (SELECT i.*, nextval('jobs.job_ids') AS id \
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY AS i \
                (kind, payload, tenant, group_key, priority, delay_ms, start_within_ms, \
                 run_limit_ms, max_attempts, unique_key, n)), \
        {TURNS}, \
        added AS (INSERT INTO jobs.jobs (id, kind, payload, tenant, group_key, priority, state, \
                virtual_time, run_at, start_by, run_limit_ms, max_attempts, unique_key) \
            SELECT i.id, i.kind, i.payload::json, i.tenant, i.group_key, i.priority, \
                CASE WHEN i.delay_ms > 0 THEN 'delayed' ELSE 'ready' END, \
                t.last + row_number() OVER (PARTITION BY i.group_key, i.priority ORDER BY i.n), \
                now() + i.delay_ms * interval '1 ms', \
                now() + i.start_within_ms * interval '1 ms', \
                i.run_limit_ms, i.max_attempts, i.unique_key \
            FROM input i JOIN turns t \
                ON t.group_key = i.group_key AND t.priority = i.priority \
            ORDER BY i.n {on_conflict} RETURNING id) \
        SELECT i.id, a.id IS NOT NULL AS is_added \
        FROM input i LEFT JOIN added a ON a.id = i.id ORDER BY i.n"
    )
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Bool)]
    is_added: bool,
}

/// Adds jobs, in one statement. What became of each is in the order of `jobs`.
///
/// Whoever waits for jobs sees them after the commit: wake them then
/// ([`Waker::wake`](crate::Waker::wake)), or they see them when they next look.
///
/// # Errors
/// When the database fails.
pub async fn enqueue(conn: &mut Connection, jobs: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let all = |field: fn(&NewJob) -> i64| -> Vec<i64> { jobs.iter().map(field).collect() };
    let has_unique_keys = jobs.iter().any(|job| job.unique_key.is_some());
    let rows: Vec<Row> = sql_query(statement(has_unique_keys))
        .bind::<Array<Text>, _>(jobs.iter().map(|j| j.kind).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(jobs.iter().map(|j| &*j.payload).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(
            jobs.iter().map(|j| j.tenant.as_deref()).collect::<Vec<_>>(),
        )
        .bind::<Array<Text>, _>(jobs.iter().map(|j| &*j.group).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(jobs.iter().map(|j| j.priority.number()).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(all(|j| j.delay.map_or(0, milliseconds)))
        .bind::<Array<Nullable<BigInt>>, _>(
            jobs.iter()
                .map(|j| j.start_within.map(milliseconds))
                .collect::<Vec<_>>(),
        )
        .bind::<Array<BigInt>, _>(all(|j| milliseconds(j.run_limit)))
        .bind::<Array<SmallInt>, _>(jobs.iter().map(attempts).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(
            jobs.iter()
                .map(|j| j.unique_key.as_deref())
                .collect::<Vec<_>>(),
        )
        .load(conn)
        .await?;
    let became = |row: Row| match row.is_added {
        true => Enqueued::Added(row.id),
        false => Enqueued::AlreadyLive,
    };
    Ok(rows.into_iter().map(became).collect())
}

/// In whole milliseconds, which the table counts in; ten years at most. More would
/// not fit into Postgres' times, and fail each statement that meets the job.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    const LONGEST: i64 = 10 * 365 * 86_400_000;
    i64::try_from(duration.as_millis()).map_or(LONGEST, |ms| ms.min(LONGEST))
}

pub(crate) fn attempts(job: &NewJob) -> i16 {
    i16::try_from(job.max_attempts.max(1)).unwrap_or(i16::MAX)
}
