//! The table of connections.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_api::connect::Tags;
use linkspan_api::connections::ConnectionEndUser;
use linkspan_auth::Credentials;
use linkspan_providers::Template;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::configuration;
use super::syncing::{self, Whose};
use crate::db::schema::connections;
use crate::db::{self};
use crate::integrations::Integration;
use crate::tenancy::EnvironmentId;
use crate::vault::{Context, EnvironmentKeys};
use crate::{Error, events};

/// A connection with its secrets opened. `Debug` shows none of them.
#[derive(Clone)]
pub struct Connection {
    /// The environment that has it.
    pub environment_id: EnvironmentId,
    /// Internal number.
    pub id: i64,
    /// The integration that it authorises.
    pub integration_id: Uuid,
    /// Its id, unique in the integration.
    pub connection_id: String,
    /// The credentials as they were stored last.
    pub credentials: Credentials,
    /// Counts the changes of the credentials, for compare-and-set.
    pub credentials_version: i64,
    /// Values that the template's URLs and headers use, the secret ones among
    /// them.
    pub connection_config: Map<String, Value>,
    /// What the product stored with it.
    pub metadata: Value,
    /// Labels.
    pub tags: Tags,
    /// Who connected.
    pub end_user: Option<ConnectionEndUser>,
    /// Where webhooks about it go instead of the environment's address.
    pub webhook_url_override: Option<String>,
    /// When a refresh last failed, unless one succeeded since.
    pub last_refresh_failure_at: Option<DateTime<Utc>>,
    /// The operation that says why it failed.
    pub refresh_error_log_id: Option<Uuid>,
    /// On how many days (UTC) refreshes failed since the last that succeeded.
    pub refresh_failure_days: i16,
    /// When its credentials were last asked for.
    pub last_fetched_at: DateTime<Utc>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("connection_id", &self.connection_id)
            .field("credentials_version", &self.credentials_version)
            .finish_non_exhaustive()
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = connections)]
pub(super) struct Row {
    pub(super) environment_id: EnvironmentId,
    pub(super) id: i64,
    pub(super) integration_id: Uuid,
    pub(super) connection_id: String,
    pub(super) credentials: Vec<u8>,
    pub(super) credentials_version: i64,
    pub(super) connection_config: Value,
    pub(super) metadata: Vec<u8>,
    pub(super) tags: Value,
    pub(super) end_user: Option<Value>,
    pub(super) last_refresh_failure_at: Option<DateTime<Utc>>,
    pub(super) refresh_error_log_id: Option<Uuid>,
    pub(super) refresh_failure_days: i16,
    pub(super) last_fetched_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) webhook_url_override: Option<String>,
    pub(super) config_secrets: Option<Vec<u8>>,
}

impl Row {
    pub(super) fn open(self, keys: &EnvironmentKeys) -> Result<Connection, Error> {
        let id = self.id.to_be_bytes();
        let mut connection_config: Map<String, Value> = match &self.config_secrets {
            Some(sealed) => keys.open_json(&config_context(&id), sealed)?,
            None => Map::new(),
        };
        // A secret in plain sight was written by a server of an older version,
        // after the sealed one.
        let plain: Map<String, Value> = read("connection configuration", self.connection_config)?;
        connection_config.extend(plain);
        Ok(Connection {
            connection_config,
            credentials: keys.open_json(&credentials_context(&id), &self.credentials)?,
            metadata: keys.open_json(&metadata_context(&id), &self.metadata)?,
            tags: read("tags", self.tags)?,
            end_user: self.end_user.map(|v| read("end user", v)).transpose()?,
            environment_id: self.environment_id,
            id: self.id,
            integration_id: self.integration_id,
            connection_id: self.connection_id,
            credentials_version: self.credentials_version,
            last_refresh_failure_at: self.last_refresh_failure_at,
            refresh_error_log_id: self.refresh_error_log_id,
            refresh_failure_days: self.refresh_failure_days,
            last_fetched_at: self.last_fetched_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            webhook_url_override: self.webhook_url_override,
        })
    }
}

pub(super) fn read<T: serde::de::DeserializeOwned>(
    what: &'static str,
    value: Value,
) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|source| Error::Stored { what, source })
}

pub(super) fn write<T: serde::Serialize>(what: &'static str, value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|source| Error::Stored { what, source })
}

pub(super) fn credentials_context(id: &[u8; 8]) -> Context<'_> {
    Context {
        table: "connections",
        column: "credentials",
        row: id,
    }
}

pub(super) fn metadata_context(id: &[u8; 8]) -> Context<'_> {
    Context {
        table: "connections",
        column: "metadata",
        row: id,
    }
}

fn config_context(id: &[u8; 8]) -> Context<'_> {
    Context {
        table: "connections",
        column: "config_secrets",
        row: id,
    }
}

/// The secret part of a configuration, sealed; nothing where there is none.
pub(super) fn seal_config(
    keys: &EnvironmentKeys,
    id: i64,
    secrets: &Map<String, Value>,
) -> Result<Option<Vec<u8>>, Error> {
    if secrets.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        keys.seal_json(&config_context(&id.to_be_bytes()), secrets)?,
    ))
}

/// A connection to be made, or to take the place of one with the same id.
/// `Debug` shows no secrets.
pub struct NewConnection {
    /// Its id, unique in the integration.
    pub connection_id: String,
    /// The credentials.
    pub credentials: Credentials,
    /// Values that the template's URLs and headers use.
    pub connection_config: Map<String, Value>,
    /// Labels.
    pub tags: Tags,
    /// Who connected.
    pub end_user: Option<ConnectionEndUser>,
    /// Where webhooks about it go instead of the environment's address.
    pub webhook_url_override: Option<String>,
}

impl std::fmt::Debug for NewConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewConnection")
            .field("connection_id", &self.connection_id)
            .finish_non_exhaustive()
    }
}

/// Stores a connection. One with the same id in the integration gets the new
/// credentials and keeps its metadata. What `template` marks secret in the
/// configuration is sealed.
///
/// # Errors
/// When the database fails; nothing is stored then.
pub async fn upsert(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    integration: &Integration,
    template: &Template,
    new: &NewConnection,
) -> Result<Connection, Error> {
    conn.transaction(async |conn| {
        let id = reserve(conn, integration, new).await?;
        fill(conn, keys, template, (integration.environment_id, id), new).await
    })
    .await
}

/// Stores a connection whose id is not taken.
///
/// # Errors
/// [`Error::ReplaceNeedsHmac`] when it is, or when the database fails; nothing
/// is stored then.
pub async fn create(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    integration: &Integration,
    template: &Template,
    new: &NewConnection,
) -> Result<Connection, Error> {
    conn.transaction(async |conn| {
        // Of two that come at once the second waits here for the first.
        let id: Option<i64> = diesel::insert_into(connections::table)
            .values(Reserved::new(integration, &new.connection_id))
            .on_conflict_do_nothing()
            .returning(connections::id)
            .get_result(conn)
            .await
            .optional()?;
        let id = id.ok_or_else(|| taken(integration, &new.connection_id))?;
        fill(conn, keys, template, (integration.environment_id, id), new).await
    })
    .await
}

/// Refuses an id that a connection of the integration has.
///
/// # Errors
/// [`Error::ReplaceNeedsHmac`], or when the database fails.
pub(super) async fn refuse_taken(
    conn: &mut db::Connection,
    integration: &Integration,
    connection_id: &str,
) -> Result<(), Error> {
    let of_this_id = connections::table
        .filter(connections::environment_id.eq(integration.environment_id))
        .filter(connections::integration_id.eq(integration.id))
        .filter(connections::connection_id.eq(connection_id));
    match diesel::select(diesel::dsl::exists(of_this_id))
        .get_result(conn)
        .await?
    {
        true => Err(taken(integration, connection_id)),
        false => Ok(()),
    }
}

fn taken(integration: &Integration, connection_id: &str) -> Error {
    Error::ReplaceNeedsHmac {
        integration: integration.unique_key.clone(),
        connection: connection_id.to_owned(),
    }
}

/// A row that is there and holds nothing yet.
#[derive(Insertable)]
#[diesel(table_name = connections)]
struct Reserved<'a> {
    environment_id: EnvironmentId,
    integration_id: Uuid,
    connection_id: &'a str,
    credentials: Vec<u8>,
    credentials_version: i64,
    metadata: Vec<u8>,
}

impl<'a> Reserved<'a> {
    fn new(integration: &Integration, connection_id: &'a str) -> Self {
        Self {
            environment_id: integration.environment_id,
            integration_id: integration.id,
            connection_id,
            credentials: Vec::new(),
            credentials_version: 0,
            metadata: Vec::new(),
        }
    }
}

/// Writes what a reserved row is to hold.
async fn fill(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    template: &Template,
    (environment, id): (EnvironmentId, i64),
    new: &NewConnection,
) -> Result<Connection, Error> {
    let row = id.to_be_bytes();
    let target = connections::table.find((environment, id));
    let (plain, secrets) = configuration::split(template, &new.connection_config);
    let row = diesel::update(target)
        .set((
            connections::credentials
                .eq(keys.seal_json(&credentials_context(&row), &new.credentials)?),
            connections::credentials_version.eq(connections::credentials_version + 1),
            connections::credentials_expire_at.eq(new.credentials.expires_at()),
            connections::connection_config.eq(write("connection configuration", &plain)?),
            connections::config_secrets.eq(seal_config(keys, id, &secrets)?),
            connections::tags.eq(write("tags", &new.tags)?),
            connections::end_user.eq(new
                .end_user
                .as_ref()
                .map(|user| write("end user", user))
                .transpose()?),
            connections::webhook_url_override.eq(&new.webhook_url_override),
            connections::last_refresh_failure_at.eq(None::<DateTime<Utc>>),
            connections::refresh_error_log_id.eq(None::<Uuid>),
            connections::refresh_failure_days.eq(0),
            connections::refresh_failure_counted_on.eq(None::<NaiveDate>),
            connections::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Row::as_returning())
        .get_result::<Row>(conn)
        .await?;
    let is_new = row.metadata.is_empty();
    let row = match is_new {
        true => set_metadata(conn, keys, row).await?,
        false => row,
    };
    let connection = row.open(keys)?;
    let kind = if is_new {
        events::Kind::Created
    } else {
        events::Kind::Replaced
    };
    events::record(conn, &connection, kind, None).await?;
    Ok(connection)
}

/// The connection's number: what is sealed for a row is bound to it, so the row
/// must be there first. It is seen by nobody before the transaction commits.
async fn reserve(
    conn: &mut db::Connection,
    integration: &Integration,
    new: &NewConnection,
) -> Result<i64, Error> {
    Ok(diesel::insert_into(connections::table)
        .values(Reserved::new(integration, &new.connection_id))
        .on_conflict((
            connections::environment_id,
            connections::integration_id,
            connections::connection_id,
        ))
        .do_update()
        .set(connections::updated_at.eq(diesel::dsl::now))
        .returning(connections::id)
        .get_result(conn)
        .await?)
}

async fn set_metadata(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    row: Row,
) -> Result<Row, Error> {
    let id = row.id.to_be_bytes();
    let sealed = keys.seal_json(&metadata_context(&id), &Map::new())?;
    Ok(
        diesel::update(connections::table.find((row.environment_id, row.id)))
            .set(connections::metadata.eq(sealed))
            .returning(Row::as_returning())
            .get_result(conn)
            .await?,
    )
}

/// The connection of an id.
///
/// # Errors
/// [`Error::UnknownConnection`] when the integration has none.
pub async fn get(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    integration: &Integration,
    connection_id: &str,
) -> Result<Connection, Error> {
    connections::table
        .filter(connections::environment_id.eq(integration.environment_id))
        .filter(connections::integration_id.eq(integration.id))
        .filter(connections::connection_id.eq(connection_id))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?
        .ok_or_else(|| unknown(integration, connection_id))?
        .open(keys)
}

pub(super) fn unknown(integration: &Integration, connection_id: &str) -> Error {
    Error::UnknownConnection {
        integration: integration.unique_key.clone(),
        connection: connection_id.to_owned(),
    }
}

/// Deletes a connection, and with it its syncs: they are cancelled, and their
/// records are deleted a little later.
///
/// # Errors
/// [`Error::UnknownConnection`] when the integration has none of this id.
pub async fn delete(
    conn: &mut db::Connection,
    integration: &Integration,
    connection_id: &str,
) -> Result<(), Error> {
    let environment = integration.environment_id;
    conn.transaction(async |conn| {
        let whose = Whose::Connection(environment, connection_id, integration.id);
        syncing::end(conn, whose).await?;
        let deleted = diesel::delete(connections::table)
            .filter(connections::environment_id.eq(environment))
            .filter(connections::integration_id.eq(integration.id))
            .filter(connections::connection_id.eq(connection_id))
            .execute(conn)
            .await?;
        match deleted {
            0 => Err(unknown(integration, connection_id)),
            _ => Ok(()),
        }
    })
    .await
}
