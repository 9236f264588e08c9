//! What happened to connections: rows written in the transaction that made it
//! happen, so that neither is there without the other. Webhooks are made of
//! them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::connections::{Connection, syncing};
use crate::db;
use crate::db::schema::events;
use crate::tenancy::EnvironmentId;

/// How many days events are kept.
const KEPT_DAYS: i32 = 14;

/// What can happen to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was made.
    Created,
    /// It was given new credentials by a person or by the product.
    Replaced,
    /// Its credentials stopped working, or still did not work on another day.
    CredentialsFailed,
    /// Its credentials work again.
    CredentialsRecovered,
}

impl Kind {
    /// The name in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "connection.created",
            Self::Replaced => "connection.replaced",
            Self::CredentialsFailed => "credentials.failed",
            Self::CredentialsRecovered => "credentials.recovered",
        }
    }
}

/// An event.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Event {
    /// Its number, which grows.
    pub id: i64,
    /// The name of its [`Kind`].
    pub kind: String,
    /// The integration.
    pub integration_id: Uuid,
    /// The connection's id when it happened.
    pub connection_id: String,
    /// The log operation that has the details.
    pub operation_id: Option<Uuid>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// Writes an event. To be called in the transaction that changes the connection.
///
/// # Errors
/// When the database fails.
pub(crate) async fn record(
    conn: &mut db::Connection,
    connection: &Connection,
    kind: Kind,
    operation: Option<Uuid>,
) -> Result<(), diesel::result::Error> {
    diesel::insert_into(events::table)
        .values((
            events::environment_id.eq(connection.environment_id),
            events::kind.eq(kind.as_str()),
            events::integration_id.eq(connection.integration_id),
            events::connection.eq(connection.id),
            events::connection_id.eq(&connection.connection_id),
            events::operation_id.eq(operation),
        ))
        .execute(conn)
        .await?;
    if matches!(kind, Kind::Created | Kind::Replaced) {
        syncing::arrange(conn, connection).await?;
    }
    Ok(())
}

/// The events of a connection, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn of_connection(
    conn: &mut db::Connection,
    environment: EnvironmentId,
    connection_id: &str,
) -> Result<Vec<Event>, crate::Error> {
    Ok(events::table
        .filter(events::environment_id.eq(environment))
        .filter(events::connection_id.eq(connection_id))
        .order(events::id)
        .select(Event::as_select())
        .load(conn)
        .await?)
}

/// Deletes events that nobody waits for any more.
///
/// # Errors
/// When the database fails.
pub(crate) async fn sweep(conn: &mut db::Connection) -> Result<usize, crate::Error> {
    let age = diesel::dsl::sql::<diesel::sql_types::Timestamptz>("now() - make_interval(days => ")
        .bind::<diesel::sql_types::Integer, _>(KEPT_DAYS)
        .sql(")");
    Ok(
        diesel::delete(events::table.filter(events::occurred_at.lt(age)))
            .execute(conn)
            .await?,
    )
}
