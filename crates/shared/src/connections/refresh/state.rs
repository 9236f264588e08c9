//! What a refresh leaves in the table of connections.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::{now, sql};
use diesel::prelude::*;
use diesel::sql_types::{Date, Nullable, SmallInt, Timestamptz};
use diesel_async::RunQueryDsl;
use linkspan_auth::Credentials;
use uuid::Uuid;

use super::MOST_FAILURE_DAYS;
use crate::connections::Connection;
use crate::connections::store::{Row, credentials_context};
use crate::db::schema::connections;
use crate::vault::EnvironmentKeys;
use crate::{Error, db};

/// Stores refreshed credentials if the ones that the refresh spent are still
/// the stored ones, and clears what earlier failures left. Answers the
/// connection as it is then, or nothing if they were not.
///
/// # Errors
/// When the credentials cannot be sealed, or the database fails.
pub(super) async fn replace_credentials(
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
/// day (CONTRACT 2.8).
///
/// # Errors
/// When the database fails.
pub(in crate::connections) async fn note_failure(
    conn: &mut db::Connection,
    connection: &Connection,
    operation: Uuid,
    counts: bool,
) -> Result<(), Error> {
    let target = connections::table
        .find((connection.environment_id, connection.id))
        .filter(connections::credentials_version.eq(connection.credentials_version));
    let failure = (
        connections::last_refresh_failure_at.eq(now.into_sql::<Timestamptz>().nullable()),
        connections::refresh_error_log_id.eq(operation),
    );
    if !counts {
        diesel::update(target).set(failure).execute(conn).await?;
        return Ok(());
    }
    let days = sql::<SmallInt>("CASE WHEN refresh_failure_counted_on IS NOT DISTINCT FROM ")
        .sql("(now() AT TIME ZONE 'UTC')::date THEN refresh_failure_days ELSE ")
        .sql("LEAST(refresh_failure_days + 1, ")
        .bind::<SmallInt, _>(MOST_FAILURE_DAYS)
        .sql(")::smallint END");
    let today = sql::<Nullable<Date>>("(now() AT TIME ZONE 'UTC')::date");
    diesel::update(target)
        .set((
            failure,
            connections::refresh_failure_days.eq(days),
            connections::refresh_failure_counted_on.eq(today),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that these credentials work after all.
///
/// # Errors
/// When the database fails.
pub(in crate::connections) async fn clear_failure(
    conn: &mut db::Connection,
    connection: &Connection,
) -> Result<(), Error> {
    diesel::update(connections::table.find((connection.environment_id, connection.id)))
        .filter(connections::credentials_version.eq(connection.credentials_version))
        .set((
            connections::last_refresh_failure_at.eq(None::<DateTime<Utc>>),
            connections::refresh_error_log_id.eq(None::<Uuid>),
            connections::refresh_failure_days.eq(0),
            connections::refresh_failure_counted_on.eq(None::<NaiveDate>),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
