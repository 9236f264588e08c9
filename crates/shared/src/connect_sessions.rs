//! Connect sessions: what a product's backend allows one end user's browser to
//! do for half an hour (CONTRACT 2.4).

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_api::connect::{
    ConfigDefaults, CreateConnectSession, EndUser, Organization, Overrides, ReconnectSession, Tags,
};
use linkspan_api::{ErrorCode, FieldError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::connections::configuration::{self, Place};
use crate::db::Connection;
use crate::db::schema::connect_sessions;
use crate::public_key::Named;
use crate::tenancy::EnvironmentId;
use crate::vault::{Context, EnvironmentKeys, Vault};
use crate::{Core, Error, connections, integrations, limits, token};

/// What every session token starts with; 64 hexadecimal digits follow.
pub const TOKEN_PREFIX: &str = "nango_connect_session_";

/// Whether a text has the form of a session token.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.strip_prefix(TOKEN_PREFIX)
        .is_some_and(|rest| rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What a session was created with; sealed, since configuration defaults can
/// carry a client's secret.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Details {
    /// Who will connect.
    pub end_user: Option<EndUser>,
    /// The organisation of the end user.
    pub organization: Option<Organization>,
    /// Per integration, what a flow starts with.
    pub defaults: BTreeMap<String, ConfigDefaults>,
    /// Labels for the connections that are made.
    pub tags: Tags,
    /// Per integration, what its connect form shows otherwise.
    pub overrides: BTreeMap<String, Overrides>,
    /// Where webhooks about the connections that are made go instead.
    pub webhook_url_override: Option<String>,
    /// The connection that gets new credentials, instead of a new one.
    #[serde(default)]
    pub reconnect: Option<Reconnect>,
    /// The connection that a browser with a public key named itself.
    #[serde(default)]
    pub named: Option<Named>,
}

/// A connection that a session gives new credentials.
#[derive(Clone, Serialize, Deserialize)]
pub struct Reconnect {
    /// Its internal number: another connection of the same id is another one.
    pub number: i64,
    /// Its id.
    pub connection_id: String,
    /// What its configuration was: its owner need not enter it again.
    pub connection_config: serde_json::Map<String, serde_json::Value>,
}

impl std::fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconnect")
            .field("connection_id", &self.connection_id)
            .finish_non_exhaustive()
    }
}

impl Details {
    /// The id of the connection that this session makes now.
    #[must_use]
    pub fn connection_id(&self) -> String {
        let reconnected = self.reconnect.as_ref().map(|of| of.connection_id.clone());
        let named = || {
            self.named
                .as_ref()
                .and_then(|named| named.connection_id.clone())
        };
        reconnected
            .or_else(named)
            .unwrap_or_else(|| Uuid::new_v4().to_string())
    }

    /// Whether a connection of the same id gives way to the new one.
    pub(crate) fn may_replace(&self) -> bool {
        self.named.as_ref().is_none_or(|named| named.may_replace)
    }
}

/// A session that is valid now.
#[derive(Clone)]
pub struct ConnectSession {
    /// The environment that it belongs to.
    pub environment_id: EnvironmentId,
    /// Internal id.
    pub id: Uuid,
    /// Keys of the integrations that may be connected; all when absent.
    pub allowed_integrations: Option<Vec<String>>,
    /// What it was created with.
    pub details: Details,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
}

impl ConnectSession {
    /// Refuses an integration that the session does not allow.
    ///
    /// # Errors
    /// [`Error::IntegrationNotAllowed`].
    pub fn allow(&self, unique_key: &str) -> Result<(), Error> {
        match &self.allowed_integrations {
            Some(allowed) if !allowed.iter().any(|key| key == unique_key) => {
                Err(Error::IntegrationNotAllowed(unique_key.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for ConnectSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectSession")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn context(id: &Uuid) -> Context<'_> {
    Context {
        table: "connect_sessions",
        column: "details",
        row: id.as_bytes(),
    }
}

/// Checks a request and creates a session.
///
/// # Errors
/// [`Error::Invalid`] for a body that names nobody, has too many labels, or
/// names an integration that the environment does not have.
pub async fn open(
    core: &Core,
    environment: EnvironmentId,
    request: CreateConnectSession,
) -> Result<(SecretString, DateTime<Utc>), Error> {
    if request.end_user.is_none() && request.tags.is_empty() {
        let message = "end_user is required when there are no tags";
        return Err(Error::invalid_body("invalid_type", message, &["end_user"]));
    }
    let mut details = Details {
        end_user: request.end_user.map(limits::end_user).transpose()?,
        organization: request.organization.map(limits::organization).transpose()?,
        defaults: request.integrations_config_defaults,
        tags: limits::tags(request.tags, &["tags"])?,
        overrides: request.overrides,
        webhook_url_override: request.webhook_url_override,
        reconnect: None,
        named: None,
    };
    limits::webhook_url(details.webhook_url_override.as_deref())?;
    limits::overrides(&details.overrides)?;
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let allowed = request.allowed_integrations;
    let known = integrations::providers(&mut conn, environment).await?;
    check_integrations(core, &known, allowed.as_deref(), &details)?;
    make_up(core, &known, allowed.as_deref(), &mut details);
    let life = core.settings.connect_session_life;
    create(&mut conn, &keys, environment, allowed, details, life).await
}

/// Checks a request and creates a session that gives a connection new
/// credentials.
///
/// # Errors
/// [`Error::Invalid`] when there is no such connection, and as [`open`].
pub async fn reopen(
    core: &Core,
    environment: EnvironmentId,
    request: ReconnectSession,
) -> Result<(SecretString, DateTime<Utc>), Error> {
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let connection =
        match integrations::get(&mut conn, &keys, environment, &request.integration_id).await {
            Ok(integration) => {
                connections::get(&mut conn, &keys, &integration, &request.connection_id).await
            }
            Err(error) => Err(error),
        };
    let connection = connection.map_err(|error| match error {
        Error::UnknownIntegration(_) => named("integration_id", &error),
        Error::UnknownConnection { .. } => named("connection_id", &error),
        error => error,
    })?;
    let mut details = Details {
        end_user: request.end_user.map(limits::end_user).transpose()?,
        organization: request.organization.map(limits::organization).transpose()?,
        defaults: request.integrations_config_defaults,
        tags: limits::tags(request.tags, &["tags"])?,
        overrides: request.overrides,
        webhook_url_override: request.webhook_url_override,
        reconnect: Some(Reconnect {
            number: connection.id,
            connection_id: connection.connection_id,
            connection_config: connection.connection_config,
        }),
        named: None,
    };
    limits::webhook_url(details.webhook_url_override.as_deref())?;
    limits::overrides(&details.overrides)?;
    let known = integrations::providers(&mut conn, environment).await?;
    check_integrations(core, &known, None, &details)?;
    let allowed = Some(vec![request.integration_id]);
    make_up(core, &known, allowed.as_deref(), &mut details);
    let life = core.settings.connect_session_life;
    create(&mut conn, &keys, environment, allowed, details, life).await
}

fn named(field: &str, error: &Error) -> Error {
    Error::invalid_body("custom", error.to_string(), &[field])
}

/// Refuses integrations that the environment does not have, of those that are
/// `known` with their providers, and defaults that do not fit their templates.
fn check_integrations(
    core: &Core,
    known: &BTreeMap<String, String>,
    allowed: Option<&[String]>,
    details: &Details,
) -> Result<(), Error> {
    let allowed = allowed.into_iter().flatten().enumerate();
    let mut fields: Vec<FieldError> = allowed
        .filter(|(_, key)| !known.contains_key(*key))
        .map(|(at, key)| {
            let path = ["allowed_integrations", &at.to_string()];
            FieldError::new("custom", format!("Integration {key} does not exist"), &path)
        })
        .collect();
    let defaults = details.defaults.keys();
    let overrides = details.overrides.keys();
    let named = defaults
        .map(|key| ("integrations_config_defaults", key))
        .chain(overrides.map(|key| ("overrides", key)));
    fields.extend(
        named
            .filter(|(_, key)| !known.contains_key(*key))
            .map(|(field, key)| {
                let message = format!("Integration {key} does not exist");
                FieldError::new("custom", message, &[field, key])
            }),
    );
    if !fields.is_empty() {
        return Err(Error::Invalid {
            code: ErrorCode::InvalidBody,
            fields,
        });
    }
    for (key, defaults) in &details.defaults {
        let template = known.get(key).map(|provider| core.template(provider));
        // What a provider that is gone would take, nobody can say.
        let Some(Ok(template)) = template else {
            continue;
        };
        let place = Place {
            path: &["integrations_config_defaults", key, "connection_config"],
            ..Place::BODY
        };
        configuration::given(&template, defaults.connection_config.clone(), place)?;
    }
    Ok(())
}

/// Adds the values that connections need which this server makes up, unless the
/// request or the connection that is reconnected has them.
fn make_up(
    core: &Core,
    known: &BTreeMap<String, String>,
    allowed: Option<&[String]>,
    details: &mut Details,
) {
    let had = details.reconnect.as_ref().map(|of| &of.connection_config);
    let is_allowed = |key: &String| allowed.is_none_or(|allowed| allowed.contains(key));
    for (key, provider) in known.iter().filter(|(key, _)| is_allowed(key)) {
        let Ok(template) = core.template(provider) else {
            continue;
        };
        for name in linkspan_auth::made_up(template.auth_mode) {
            if had.is_some_and(|had| had.contains_key(*name)) {
                continue;
            }
            let defaults = details.defaults.entry(key.clone()).or_default();
            defaults
                .connection_config
                .entry(*name)
                .or_insert_with(|| Uuid::new_v4().to_string().into());
        }
    }
}

/// What flows of a session start with, as its browser may see it: a secret's
/// place is kept and a client's secret is left out.
///
/// # Errors
/// When the database fails.
pub async fn shown_defaults(
    core: &Core,
    session: &ConnectSession,
) -> Result<BTreeMap<String, ConfigDefaults>, Error> {
    let mut defaults = session.details.defaults.clone();
    if defaults.is_empty() {
        return Ok(defaults);
    }
    let mut conn = core.db.conn().await?;
    let known = integrations::providers(&mut conn, session.environment_id).await?;
    for (key, defaults) in &mut defaults {
        let template = known
            .get(key)
            .and_then(|provider| core.template(provider).ok());
        configuration::masked(template.as_deref(), &mut defaults.connection_config);
    }
    Ok(defaults)
}

/// Creates a session. Its token is returned here and nowhere else.
///
/// # Errors
/// When the database or the system's randomness fails.
async fn create(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    allowed_integrations: Option<Vec<String>>,
    details: Details,
    life: Duration,
) -> Result<(SecretString, DateTime<Utc>), Error> {
    let id = Uuid::now_v7();
    let text = format!("{TOKEN_PREFIX}{}", token::random_hex::<32>()?);
    let expires_at = Utc::now() + life;
    diesel::insert_into(connect_sessions::table)
        .values((
            connect_sessions::environment_id.eq(environment),
            connect_sessions::id.eq(id),
            connect_sessions::token_hash.eq(token::hash(&text)),
            connect_sessions::allowed_integrations.eq(allowed_integrations),
            connect_sessions::details.eq(keys.seal_json(&context(&id), &details)?),
            connect_sessions::expires_at.eq(expires_at),
        ))
        .execute(conn)
        .await?;
    Ok((text.into(), expires_at))
}

/// The session of a token, if it is still valid. One of the queries that find
/// the environment rather than take it.
///
/// # Errors
/// When the database fails.
pub async fn find(
    conn: &mut Connection,
    vault: &Vault,
    text: &SecretString,
) -> Result<Option<ConnectSession>, Error> {
    type Row = (
        EnvironmentId,
        Uuid,
        Option<Vec<String>>,
        Vec<u8>,
        DateTime<Utc>,
    );
    let row: Option<Row> = connect_sessions::table
        .filter(connect_sessions::token_hash.eq(token::hash(text.expose_secret())))
        .filter(connect_sessions::expires_at.gt(diesel::dsl::now))
        .select((
            connect_sessions::environment_id,
            connect_sessions::id,
            connect_sessions::allowed_integrations,
            connect_sessions::details,
            connect_sessions::expires_at,
        ))
        .first(conn)
        .await
        .optional()?;
    let Some((environment_id, id, allowed, details, expires_at)) = row else {
        return Ok(None);
    };
    let keys = vault.environment(environment_id).await?;
    Ok(Some(ConnectSession {
        environment_id,
        id,
        allowed_integrations: allowed,
        details: keys.open_json(&context(&id), &details)?,
        expires_at,
    }))
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub async fn delete(
    conn: &mut Connection,
    environment: EnvironmentId,
    id: Uuid,
) -> Result<(), Error> {
    diesel::delete(connect_sessions::table.find((environment, id)))
        .execute(conn)
        .await?;
    Ok(())
}
