//! What a refresh leaves in the table of connections.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::{now, sql};
use diesel::prelude::*;
use diesel::sql_types::{Date, Nullable, SmallInt, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_auth::Credentials;
use uuid::Uuid;

use super::{Lease, MOST_FAILURE_DAYS};
use crate::connections::Connection;
use crate::connections::store::{Row, credentials_context};
use crate::db::schema::connections;
use crate::vault::EnvironmentKeys;
use crate::{Error, db, events};

/// What a provider has given.
pub(super) struct Fresh<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) operation: Uuid,
    /// The lease of a refresh that is not over with these.
    pub(super) unfinished: Option<&'a Lease>,
}

/// Stores refreshed credentials if the ones that the refresh spent are still
/// the stored ones, and clears what earlier failures left, which is an event.
/// Answers the connection as it is then, or nothing if they were not.
///
/// # Errors
/// When the credentials cannot be sealed, or the database fails.
pub(super) async fn replace_credentials(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    spent: &Connection,
    fresh: &Fresh<'_>,
) -> Result<Option<Connection>, Error> {
    let has_failed = spent.last_refresh_failure_at.is_some();
    if !has_failed && fresh.unfinished.is_none() {
        return store(conn, keys, spent, fresh.credentials).await;
    }
    conn.transaction(async |conn| {
        let Some(connection) = store(conn, keys, spent, fresh.credentials).await? else {
            return Ok(None);
        };
        if has_failed {
            let kind = events::Kind::CredentialsRecovered;
            events::record(conn, &connection, kind, Some(fresh.operation)).await?;
        }
        if let Some(lease) = fresh.unfinished {
            lease.move_on(conn, connection.credentials_version).await?;
        }
        Ok(Some(connection))
    })
    .await
}

async fn store(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    spent: &Connection,
    fresh: &Credentials,
) -> Result<Option<Connection>, Error> {
    let id = spent.id.to_be_bytes();
    diesel::update(connections::table.find((spent.environment_id, spent.id)))
        .filter(connections::credentials_version.eq(spent.credentials_version))
        .set((
            connections::credentials.eq(keys.seal_json(&credentials_context(&id), fresh)?),
            connections::credentials_version.eq(spent.credentials_version + 1),
            connections::credentials_expire_at.eq(fresh.expires_at()),
            connections::last_refresh_failure_at.eq(None::<DateTime<Utc>>),
            connections::refresh_error_log_id.eq(None::<Uuid>),
            connections::refresh_failure_days.eq(0),
            connections::refresh_failure_counted_on.eq(None::<NaiveDate>),
            connections::updated_at.eq(now),
        ))
        .returning(Row::as_returning())
        .get_result::<Row>(conn)
        .await
        .optional()?
        .map(|row| row.open(keys))
        .transpose()
}

/// Notes that a refresh of these credentials failed now, by the database's
/// clock, and which operation says why. A failure that counts does so once a
/// day (CONTRACT 2.8). The first failure, and the first of each further day that
/// counts, are events.
///
/// # Errors
/// When the database fails.
pub(in crate::connections) async fn note_failure(
    conn: &mut db::Connection,
    connection: &Connection,
    operation: Uuid,
    counts: bool,
) -> Result<(), Error> {
    conn.transaction(async |conn| {
        let Some(days) = fail(conn, connection, operation, counts).await? else {
            return Ok(());
        };
        let is_first = connection.last_refresh_failure_at.is_none();
        if is_first || days > connection.refresh_failure_days {
            let kind = events::Kind::CredentialsFailed;
            events::record(conn, connection, kind, Some(operation)).await?;
        }
        Ok(())
    })
    .await
}

/// Answers the days on which it failed, or nothing if the credentials are others
/// by now.
async fn fail(
    conn: &mut db::Connection,
    connection: &Connection,
    operation: Uuid,
    counts: bool,
) -> Result<Option<i16>, Error> {
    let target = connections::table
        .find((connection.environment_id, connection.id))
        .filter(connections::credentials_version.eq(connection.credentials_version));
    let failure = (
        connections::last_refresh_failure_at.eq(now.into_sql::<Timestamptz>().nullable()),
        connections::refresh_error_log_id.eq(operation),
    );
    let days = connections::refresh_failure_days;
    if !counts {
        let failed = diesel::update(target).set(failure).returning(days);
        return Ok(failed.get_result(conn).await.optional()?);
    }
    let counted = sql::<SmallInt>("CASE WHEN refresh_failure_counted_on IS NOT DISTINCT FROM ")
        .sql("(now() AT TIME ZONE 'UTC')::date THEN refresh_failure_days ELSE ")
        .sql("LEAST(refresh_failure_days + 1, ")
        .bind::<SmallInt, _>(MOST_FAILURE_DAYS)
        .sql(")::smallint END");
    let today = sql::<Nullable<Date>>("(now() AT TIME ZONE 'UTC')::date");
    let failed = diesel::update(target)
        .set((
            failure,
            days.eq(counted),
            connections::refresh_failure_counted_on.eq(today),
        ))
        .returning(days);
    Ok(failed.get_result(conn).await.optional()?)
}

/// Notes that these credentials work after all, which is an event.
///
/// # Errors
/// When the database fails.
pub(in crate::connections) async fn clear_failure(
    conn: &mut db::Connection,
    connection: &Connection,
    operation: Uuid,
) -> Result<(), Error> {
    conn.transaction(async |conn| {
        let target = connections::table
            .find((connection.environment_id, connection.id))
            .filter(connections::credentials_version.eq(connection.credentials_version));
        let cleared = diesel::update(target)
            .set((
                connections::last_refresh_failure_at.eq(None::<DateTime<Utc>>),
                connections::refresh_error_log_id.eq(None::<Uuid>),
                connections::refresh_failure_days.eq(0),
                connections::refresh_failure_counted_on.eq(None::<NaiveDate>),
            ))
            .execute(conn)
            .await?;
        if cleared > 0 {
            let kind = events::Kind::CredentialsRecovered;
            events::record(conn, connection, kind, Some(operation)).await?;
        }
        Ok(())
    })
    .await
}
