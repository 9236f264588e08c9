//! Making schedules, changing them, and taking them away.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_db::Connection;

use super::Spec;
use crate::enqueue::{attempts, milliseconds};
use crate::{Error, NewJob};

/// A schedule.
#[derive(Debug, Clone, QueryableByName)]
pub struct Schedule {
    /// Its number.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// The name that its maker gave it.
    #[diesel(sql_type = Text)]
    pub key: String,
    /// When it is due, as it was given.
    #[diesel(sql_type = Text)]
    pub spec: String,
    /// Whether it makes nothing for now.
    #[diesel(sql_type = Bool)]
    pub is_paused: bool,
    /// When it is due next; of no meaning while it is paused.
    #[diesel(sql_type = Timestamptz)]
    pub next_at: DateTime<Utc>,
    /// The last job that it made.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub last_job: Option<i64>,
    /// When it made it.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub last_at: Option<DateTime<Utc>>,
}

pub(super) const COLUMNS: &str = "id, key, spec, is_paused, next_at, last_job, last_at";

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// Makes a schedule of jobs like `job` under a name, or gives the one of this
/// name another job and other times; whether it is paused stays. `job`'s own
/// delay and unique key do not count. A new one is due first within one interval,
/// or at cron's next time: enqueue `job` as well for a first run at once.
///
/// # Errors
/// When the database fails, or `spec` is none.
pub async fn create(
    conn: &mut Connection,
    key: &str,
    spec: &str,
    job: &NewJob,
) -> Result<Schedule, Error> {
    let times = Spec::parse(spec)?;
    let statement = "INSERT INTO jobs.schedules AS s (key, kind, payload, tenant, group_key, priority, \
            start_within_ms, run_limit_ms, max_attempts, spec, next_at) \
         VALUES ($1, $2, $3::json, $4, $5, $6, $7, $8, $9, $10, 'infinity') \
         ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, payload = excluded.payload, \
            tenant = excluded.tenant, group_key = excluded.group_key, \
            priority = excluded.priority, start_within_ms = excluded.start_within_ms, \
            run_limit_ms = excluded.run_limit_ms, max_attempts = excluded.max_attempts, \
            next_at = CASE WHEN s.spec = excluded.spec THEN s.next_at ELSE 'infinity' END, \
            spec = excluded.spec, updated_at = now() \
         RETURNING id, now() AS now";
    conn.transaction(async |conn: &mut Connection| {
        let made: Now = sql_query(statement)
            .bind::<Text, _>(key)
            .bind::<Text, _>(job.kind)
            .bind::<Text, _>(&job.payload)
            .bind::<Nullable<Text>, _>(&job.tenant)
            .bind::<Text, _>(&job.group)
            .bind::<SmallInt, _>(job.priority.number())
            .bind::<Nullable<BigInt>, _>(job.start_within.map(milliseconds))
            .bind::<BigInt, _>(milliseconds(job.run_limit))
            .bind::<SmallInt, _>(attempts(job))
            .bind::<Text, _>(spec)
            .get_result(&mut *conn)
            .await?;
        settle_next(conn, &made, &times).await
    })
    .await
}

/// The time depends on the id, which is known only now: the second statement of
/// each transaction here.
async fn settle_next(conn: &mut Connection, made: &Now, times: &Spec) -> Result<Schedule, Error> {
    let statement = format!(
        "UPDATE jobs.schedules SET next_at = CASE next_at WHEN 'infinity' THEN $2 \
            ELSE next_at END WHERE id = $1 RETURNING {COLUMNS}"
    );
    Ok(sql_query(statement)
        .bind::<BigInt, _>(made.id)
        .bind::<Timestamptz, _>(times.next(made.now, made.id))
        .get_result(conn)
        .await?)
}

/// Gives a schedule other times, from now on. The schedule, if there is one.
///
/// # Errors
/// When the database fails, or `spec` is none.
pub async fn update(
    conn: &mut Connection,
    key: &str,
    spec: &str,
) -> Result<Option<Schedule>, Error> {
    let times = Spec::parse(spec)?;
    conn.transaction(async |conn: &mut Connection| {
        let changed: Option<Now> = sql_query(
            "UPDATE jobs.schedules SET spec = $2, next_at = 'infinity', updated_at = now() \
         WHERE key = $1 RETURNING id, now() AS now",
        )
        .bind::<Text, _>(key)
        .bind::<Text, _>(spec)
        .get_result(&mut *conn)
        .await
        .optional()?;
        match changed {
            Some(changed) => Ok(Some(settle_next(conn, &changed, &times).await?)),
            None => Ok(None),
        }
    })
    .await
}

/// Makes nothing any more until it is resumed. Jobs that it made go on. Whether
/// there is one.
///
/// # Errors
/// When the database fails.
pub async fn pause(conn: &mut Connection, key: &str) -> Result<bool, Error> {
    let paused =
        sql_query("UPDATE jobs.schedules SET is_paused = true, updated_at = now() WHERE key = $1")
            .bind::<Text, _>(key)
            .execute(conn)
            .await?;
    Ok(paused > 0)
}

/// Goes on, with the next time from now: what was missed is not made up for. The
/// schedule, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn resume(conn: &mut Connection, key: &str) -> Result<Option<Schedule>, Error> {
    conn.transaction(async |conn: &mut Connection| {
        let Some(schedule) = find(conn, key).await? else {
            return Ok(None);
        };
        let times = Spec::parse(&schedule.spec)?;
        let resumed: Option<Now> = sql_query(
            "UPDATE jobs.schedules SET is_paused = false, next_at = 'infinity', updated_at = now() \
         WHERE key = $1 AND is_paused RETURNING id, now() AS now",
        )
        .bind::<Text, _>(key)
        .get_result(&mut *conn)
        .await
        .optional()?;
        match resumed {
            Some(resumed) => Ok(Some(settle_next(conn, &resumed, &times).await?)),
            None => Ok(Some(schedule)),
        }
    })
    .await
}

/// Takes a schedule away. Jobs that it made stay: cancel them by
/// [`Which::Schedule`](crate::cancel::Which::Schedule). Its number, if there was
/// one.
///
/// # Errors
/// When the database fails.
pub async fn delete(conn: &mut Connection, key: &str) -> Result<Option<i64>, Error> {
    #[derive(QueryableByName)]
    struct Id {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let deleted: Option<Id> = sql_query("DELETE FROM jobs.schedules WHERE key = $1 RETURNING id")
        .bind::<Text, _>(key)
        .get_result(conn)
        .await
        .optional()?;
    Ok(deleted.map(|row| row.id))
}

/// Takes away all schedules whose jobs are a tenant's; how many. Jobs that they made
/// stay: [`tenant::end`](crate::tenant::end) ends those too.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_tenant(conn: &mut Connection, tenant: &str) -> Result<usize, Error> {
    Ok(sql_query("DELETE FROM jobs.schedules WHERE tenant = $1")
        .bind::<Text, _>(tenant)
        .execute(conn)
        .await?)
}

/// A schedule by its name.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut Connection, key: &str) -> Result<Option<Schedule>, Error> {
    let statement = format!("SELECT {COLUMNS} FROM jobs.schedules WHERE key = $1");
    Ok(sql_query(statement)
        .bind::<Text, _>(key)
        .get_result(conn)
        .await
        .optional()?)
}
