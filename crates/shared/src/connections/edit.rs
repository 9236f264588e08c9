//! Changing what is known of a connection, and giving it new credentials.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_api::connect::EndUser;
use linkspan_api::connections::{ConnectionEndUser, UpdateConnection};
use linkspan_providers::Template;
use serde_json::Value;
use uuid::Uuid;

use super::live::{self, LiveKey};
use super::store::{self, Row, credentials_context, read, seal_config, unknown, write};
use super::{Connection, NewConnection, begin, configuration};
use crate::db::schema::connections;
use crate::integrations::{self, Integration};
use crate::tenancy::EnvironmentId;
use crate::vault::EnvironmentKeys;
use crate::{Core, Error, db, events, limits};

/// Changes what a request names of a connection and leaves the rest.
///
/// # Errors
/// [`Error::UnknownIntegration`], [`Error::UnknownConnection`], or
/// [`Error::Invalid`] for labels, an end user or an address that cannot be.
pub async fn update(
    core: &Core,
    environment: EnvironmentId,
    unique_key: &str,
    connection_id: &str,
    request: UpdateConnection,
) -> Result<(), Error> {
    let tags = request
        .tags
        .map(|tags| limits::tags(tags, &["tags"]))
        .transpose()?;
    let tags = tags.map(|tags| write("tags", &tags)).transpose()?;
    let end_user = match request.end_user {
        Some(Some(user)) => Some(Some(limits::end_user(user)?)),
        other => other,
    };
    limits::webhook_url(
        request
            .webhook_url_override
            .iter()
            .flatten()
            .map(String::as_str)
            .next(),
    )?;
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let integration = integrations::get(&mut conn, &keys, environment, unique_key).await?;
    conn.transaction(async |conn| {
        let (id, stored) = lock(conn, &integration, connection_id).await?;
        let end_user = end_user.map(|user| in_place_of(stored, user)).transpose()?;
        diesel::update(connections::table.find((environment, id)))
            .set((
                tags.map(|tags| connections::tags.eq(tags)),
                end_user.map(|user| connections::end_user.eq(user)),
                request
                    .webhook_url_override
                    .map(|url| connections::webhook_url_override.eq(url)),
                connections::updated_at.eq(diesel::dsl::now),
            ))
            .execute(conn)
            .await?;
        Ok::<_, Error>(())
    })
    .await?;
    drop(conn);
    live::forget(core, &LiveKey::new(environment, unique_key, connection_id)).await;
    Ok(())
}

async fn lock(
    conn: &mut db::Connection,
    integration: &Integration,
    connection_id: &str,
) -> Result<(i64, Option<Value>), Error> {
    connections::table
        .filter(connections::environment_id.eq(integration.environment_id))
        .filter(connections::integration_id.eq(integration.id))
        .filter(connections::connection_id.eq(connection_id))
        .select((connections::id, connections::end_user))
        .for_update()
        .first(conn)
        .await
        .optional()?
        .ok_or_else(|| unknown(integration, connection_id))
}

/// A request cannot name the organisation, so the stored one stays.
fn in_place_of(stored: Option<Value>, user: Option<EndUser>) -> Result<Option<Value>, Error> {
    let Some(user) = user else { return Ok(None) };
    let stored: Option<ConnectionEndUser> =
        stored.map(|stored| read("end user", stored)).transpose()?;
    let user = ConnectionEndUser {
        id: user.id,
        display_name: user.display_name,
        email: user.email,
        tags: user.tags,
        organization: stored.and_then(|stored| stored.organization),
    };
    write("end user", &user).map(Some)
}

/// Gives a connection new credentials; pending ones do not take the place of ones
/// that work ([`linkspan_auth::Credentials::in_place_of`]). It keeps its id and metadata, its
/// labels, end user and webhook address unless there are new ones, and of its
/// configuration what the new one does not name.
///
/// # Errors
/// [`Error::UnknownConnection`] when it was deleted meanwhile, and
/// [`Error::WouldWait`] for pending credentials that cannot be used beside others.
pub(super) async fn reconnect(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    integration: &Integration,
    template: &Template,
    id: i64,
    new: NewConnection,
) -> Result<Connection, Error> {
    conn.transaction(async |conn| {
        let stored = connections::table
            .find((integration.environment_id, id))
            .filter(connections::integration_id.eq(integration.id))
            .select(Row::as_select())
            .for_update()
            .first::<Row>(conn)
            .await
            .optional()?
            .ok_or_else(|| unknown(integration, &new.connection_id))?
            .open(keys)?;
        let credentials = new.credentials.in_place_of(&stored.credentials);
        let credentials = credentials.ok_or(Error::WouldWait(stored.connection_id))?;
        let mut config = stored.connection_config;
        config.extend(new.connection_config);
        begin::note_pending(credentials.is_pending(), &mut config);
        let (plain, secrets) = configuration::split(template, &config);
        let tags = if new.tags.is_empty() {
            stored.tags
        } else {
            new.tags
        };
        let end_user = new.end_user.or(stored.end_user);
        let sealed = keys.seal_json(&credentials_context(&id.to_be_bytes()), &credentials)?;
        let target = connections::table.find((integration.environment_id, id));
        let connection = diesel::update(target)
            .set((
                connections::credentials.eq(sealed),
                connections::credentials_version.eq(connections::credentials_version + 1),
                connections::credentials_expire_at.eq(credentials.expires_at()),
                connections::connection_config.eq(write("connection configuration", &plain)?),
                connections::config_secrets.eq(seal_config(keys, id, &secrets)?),
                connections::tags.eq(write("tags", &tags)?),
                connections::end_user.eq(end_user
                    .as_ref()
                    .map(|user| write("end user", user))
                    .transpose()?),
                connections::webhook_url_override
                    .eq(new.webhook_url_override.or(stored.webhook_url_override)),
                connections::last_refresh_failure_at.eq(None::<DateTime<Utc>>),
                connections::refresh_error_log_id.eq(None::<Uuid>),
                connections::refresh_failure_days.eq(0),
                connections::refresh_failure_counted_on.eq(None::<NaiveDate>),
                connections::updated_at.eq(diesel::dsl::now),
            ))
            .returning(Row::as_returning())
            .get_result::<Row>(conn)
            .await?
            .open(keys)?;
        events::record(conn, &connection, events::Kind::Replaced, None).await?;
        Ok(connection)
    })
    .await
}

/// The connection that has the new one's id.
async fn taken(
    conn: &mut db::Connection,
    integration: &Integration,
    new: &NewConnection,
) -> Result<Option<i64>, Error> {
    match lock(conn, integration, &new.connection_id).await {
        Ok((id, _)) => Ok(Some(id)),
        Err(Error::UnknownConnection { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores the connection of a session: a new one, or new credentials for the
/// one that the session reconnects.
pub(super) async fn store(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    integration: &Integration,
    template: &Template,
    new: NewConnection,
    reconnects: Option<i64>,
) -> Result<Connection, Error> {
    let id = match reconnects {
        None if new.credentials.is_pending() => taken(conn, integration, &new).await?,
        known => known,
    };
    match id {
        Some(id) => reconnect(conn, keys, integration, template, id, new).await,
        None => store::upsert(conn, keys, integration, template, &new).await,
    }
}
