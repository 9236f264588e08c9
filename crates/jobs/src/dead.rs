//! Jobs that failed too often: a person looks at them, and retries them or not.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::Error;

/// A dead job.
#[derive(Debug, Clone, QueryableByName)]
pub struct Dead {
    /// Its id.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// The name of its kind.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// Whose it is.
    #[diesel(sql_type = Nullable<Text>)]
    pub tenant: Option<String>,
    /// Its group; empty for none.
    #[diesel(sql_type = Text)]
    pub group_key: String,
    /// How often it was run.
    #[diesel(sql_type = SmallInt)]
    pub attempt: i16,
    /// Why the last run failed.
    #[diesel(sql_type = Nullable<Text>)]
    pub last_error: Option<String>,
    /// When it was enqueued.
    #[diesel(sql_type = Timestamptz)]
    pub enqueued_at: DateTime<Utc>,
    /// When it was given up.
    #[diesel(sql_type = Timestamptz)]
    pub died_at: DateTime<Utc>,
}

/// Those that died after the job `after` did, the earliest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut Connection,
    after: Option<&Dead>,
    limit: u16,
) -> Result<Vec<Dead>, Error> {
    Ok(sql_query(
        "SELECT id, kind, tenant, group_key, attempt, last_error, enqueued_at, died_at \
         FROM jobs.jobs WHERE state = 'dead' \
            AND ($1 IS NULL OR (died_at, id) > ($1, $2)) ORDER BY died_at, id LIMIT $3",
    )
    .bind::<Nullable<Timestamptz>, _>(after.map(|dead| dead.died_at))
    .bind::<BigInt, _>(after.map_or(0, |dead| dead.id))
    .bind::<BigInt, _>(i64::from(limit))
    .load(conn)
    .await?)
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    #[expect(dead_code, reason = "there, or not there")]
    id: i64,
}

/// Gives a dead job all its attempts again, at once. Whether there was one.
///
/// # Errors
/// [`Error::KeyIsTaken`] when another with its unique key is alive; or the
/// database fails.
pub async fn retry(conn: &mut Connection, id: i64) -> Result<bool, Error> {
    let retried: Result<Option<Id>, _> = sql_query(
        "UPDATE jobs.jobs SET state = 'delayed', run_at = now(), attempt = 0, died_at = NULL, \
            unknown_since = NULL \
         WHERE id = $1 AND state = 'dead' RETURNING id",
    )
    .bind::<BigInt, _>(id)
    .get_result(conn)
    .await
    .optional();
    match retried.map_err(linkspan_db::Error::from) {
        Ok(row) => Ok(row.is_some()),
        Err(error) if error.is_unique_violation() => Err(Error::KeyIsTaken(id)),
        Err(error) => Err(error.into()),
    }
}

/// Forgets a dead job. Whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn discard(conn: &mut Connection, id: i64) -> Result<bool, Error> {
    let discarded = sql_query("DELETE FROM jobs.jobs WHERE id = $1 AND state = 'dead'")
        .bind::<BigInt, _>(id)
        .execute(conn)
        .await?;
    Ok(discarded > 0)
}
