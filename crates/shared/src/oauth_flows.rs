//! Authorisations under way: stored when a browser is sent to the provider,
//! taken once when it comes back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_auth::redirect;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::connect_sessions;
use crate::db::Connection;
use crate::db::schema::oauth_flows;
use crate::tenancy::EnvironmentId;
use crate::vault::{Context, EnvironmentKeys, Vault};
use crate::{Error, token};

/// What the callback needs to go on; sealed.
#[derive(Serialize, Deserialize)]
pub struct Details {
    /// The integration's key.
    pub unique_key: String,
    /// The id that the connection will have.
    pub connection_id: String,
    /// The address that the provider was told to come back to.
    pub redirect_uri: String,
    /// What the mode keeps until the browser comes back.
    #[serde(flatten)]
    pub kept: redirect::Kept,
    /// The websocket that waits for the result.
    pub ws_client_id: Option<String>,
    /// The origin of the page that waits there, if its browser named it.
    #[serde(default)]
    pub origin: Option<String>,
    /// Values of the template's `connection_config` fields.
    pub connection_config: serde_json::Map<String, serde_json::Value>,
    /// What the connect session was created with.
    pub session: connect_sessions::Details,
}

/// A flow that was taken.
pub struct Flow {
    /// The environment that it belongs to.
    pub environment_id: EnvironmentId,
    /// Names the flow in the browser's cookie.
    pub id: Uuid,
    /// The integration that is connected.
    pub integration_id: Uuid,
    /// What the callback needs.
    pub details: Details,
}

fn context(id: &Uuid) -> Context<'_> {
    Context {
        table: "oauth_flows",
        column: "details",
        row: id.as_bytes(),
    }
}

/// Stores a flow under the hash of its state.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    integration_id: Uuid,
    state: &SecretString,
    details: &Details,
    life: Duration,
) -> Result<Uuid, Error> {
    let id = Uuid::new_v4();
    diesel::insert_into(oauth_flows::table)
        .values((
            oauth_flows::environment_id.eq(environment),
            oauth_flows::id.eq(id),
            oauth_flows::integration_id.eq(integration_id),
            oauth_flows::state_hash.eq(token::hash(state.expose_secret())),
            oauth_flows::details.eq(keys.seal_json(&context(&id), details)?),
            oauth_flows::expires_at.eq(Utc::now() + life),
        ))
        .execute(conn)
        .await?;
    Ok(id)
}

/// Takes the flow of a state: a second call with the same state finds nothing.
/// One of the queries that find the environment rather than take it.
///
/// # Errors
/// When the database fails.
pub async fn take(
    conn: &mut Connection,
    vault: &Vault,
    state: &SecretString,
) -> Result<Option<Flow>, Error> {
    type Row = (EnvironmentId, Uuid, Uuid, Vec<u8>, DateTime<Utc>);
    let row: Option<Row> = diesel::delete(oauth_flows::table)
        .filter(oauth_flows::state_hash.eq(token::hash(state.expose_secret())))
        .returning((
            oauth_flows::environment_id,
            oauth_flows::id,
            oauth_flows::integration_id,
            oauth_flows::details,
            oauth_flows::expires_at,
        ))
        .get_result(conn)
        .await
        .optional()?;
    let Some((environment_id, id, integration_id, details, expires_at)) = row else {
        return Ok(None);
    };
    if expires_at <= Utc::now() {
        return Ok(None);
    }
    let keys = vault.environment(environment_id).await?;
    Ok(Some(Flow {
        environment_id,
        id,
        integration_id,
        details: keys.open_json(&context(&id), &details)?,
    }))
}

/// Deletes flows and connect sessions that can no longer be used.
///
/// # Errors
/// When the database fails.
pub async fn sweep(conn: &mut Connection) -> Result<usize, Error> {
    use crate::db::schema::connect_sessions;
    let flows = diesel::delete(oauth_flows::table)
        .filter(oauth_flows::expires_at.lt(diesel::dsl::now))
        .execute(conn)
        .await?;
    let sessions = diesel::delete(connect_sessions::table)
        .filter(connect_sessions::expires_at.lt(diesel::dsl::now))
        .execute(conn)
        .await?;
    Ok(flows + sessions)
}
