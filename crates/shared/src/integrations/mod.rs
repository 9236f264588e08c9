//! Integrations: an environment's use of a provider.

mod check;
mod create;
mod credentials;
mod registration;
mod update;

pub use create::{NewIntegration, create, quickstart};
pub use credentials::credentials;
pub use registration::{document, document_url, registered};
pub use update::update;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_auth::mcp::Registration;
use linkspan_auth::{AppKey, Plugin};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::connections::live;
use crate::connections::syncing::{self, Whose};
use crate::db::Connection;
use crate::db::schema::integrations;
use crate::logs::{Kind, Operation};
use crate::tenancy::EnvironmentId;
use crate::vault::{Context, EnvironmentKeys};
use crate::{Core, Error};

/// An integration with its secrets opened. `Debug` shows none of them.
#[derive(Clone)]
pub struct Integration {
    /// The environment that has it.
    pub environment_id: EnvironmentId,
    /// Internal id.
    pub id: Uuid,
    /// Its key, unique in the environment (`provider_config_key`).
    pub unique_key: String,
    /// The provider's slug.
    pub provider: String,
    /// What people see; the provider's name when absent.
    pub display_name: Option<String>,
    /// The OAuth client's id.
    pub client_id: Option<String>,
    /// What is secret of it.
    pub secrets: Secrets,
    /// Scopes to ask for, comma separated.
    pub scopes: Option<String>,
    /// Values of the template's `integration_config` fields, the secret ones
    /// among them.
    pub config: BTreeMap<String, String>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What is secret of an integration; sealed in one column.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// The OAuth client's secret.
    #[serde(default, serialize_with = "expose")]
    pub client_secret: Option<SecretString>,
    /// The secret that the provider signs webhooks with.
    #[serde(default, serialize_with = "expose")]
    pub webhook_secret: Option<SecretString>,
    /// The app that is installed in accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppKey>,
    /// The plugin that is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Plugin>,
    /// The client that this server registered itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Registration>,
    /// Values of those `integration_config` fields that the template marks
    /// secret.
    #[serde(default, serialize_with = "expose_all")]
    pub config: BTreeMap<String, SecretString>,
}

impl std::fmt::Debug for Integration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Integration")
            .field("unique_key", &self.unique_key)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

fn expose_all<S: Serializer>(
    secrets: &BTreeMap<String, SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(
        secrets
            .iter()
            .map(|(name, value)| (name, value.expose_secret())),
    )
}

fn expose<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(to)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = integrations)]
struct Row {
    environment_id: EnvironmentId,
    id: Uuid,
    unique_key: String,
    provider: String,
    display_name: Option<String>,
    client_id: Option<String>,
    secrets: Vec<u8>,
    scopes: Option<String>,
    config: serde_json::Value,
    forward_webhooks: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn open(self, keys: &EnvironmentKeys) -> Result<Integration, Error> {
        let stored = |source| Error::Stored {
            what: "integration configuration",
            source,
        };
        let secrets: Secrets = keys.open_json(&context(&self.id), &self.secrets)?;
        let mut config: BTreeMap<String, String> =
            serde_json::from_value(self.config).map_err(stored)?;
        let sealed = secrets.config.iter();
        config.extend(sealed.map(|(name, value)| (name.clone(), value.expose_secret().to_owned())));
        Ok(Integration {
            secrets,
            config,
            environment_id: self.environment_id,
            id: self.id,
            unique_key: self.unique_key,
            provider: self.provider,
            display_name: self.display_name,
            client_id: self.client_id,
            scopes: self.scopes,
            forward_webhooks: self.forward_webhooks,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

fn context(id: &Uuid) -> Context<'_> {
    Context {
        table: "integrations",
        column: "secrets",
        row: id.as_bytes(),
    }
}

/// The integration of a key.
///
/// # Errors
/// [`Error::UnknownIntegration`] when the environment has none.
pub async fn get(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    unique_key: &str,
) -> Result<Integration, Error> {
    integrations::table
        .filter(integrations::environment_id.eq(environment))
        .filter(integrations::unique_key.eq(unique_key))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?
        .ok_or_else(|| Error::UnknownIntegration(unique_key.to_owned()))?
        .open(keys)
}

/// The integration of an internal id.
///
/// # Errors
/// [`Error::UnknownIntegration`] when the environment has none.
pub async fn get_by_id(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    id: Uuid,
) -> Result<Integration, Error> {
    integrations::table
        .find((environment, id))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?
        .ok_or_else(|| Error::UnknownIntegration(id.to_string()))?
        .open(keys)
}

/// Every integration of an environment, by key.
///
/// # Errors
/// When the database fails.
pub async fn list(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
) -> Result<Vec<Integration>, Error> {
    integrations::table
        .filter(integrations::environment_id.eq(environment))
        .order(integrations::unique_key)
        .select(Row::as_select())
        .load(conn)
        .await?
        .into_iter()
        .map(|row| row.open(keys))
        .collect()
}

/// The key and the provider of every integration of an environment.
///
/// # Errors
/// When the database fails.
pub async fn providers(
    conn: &mut Connection,
    environment: EnvironmentId,
) -> Result<BTreeMap<String, String>, Error> {
    let pairs: Vec<(String, String)> = integrations::table
        .filter(integrations::environment_id.eq(environment))
        .select((integrations::unique_key, integrations::provider))
        .load(conn)
        .await?;
    Ok(pairs.into_iter().collect())
}

/// Deletes an integration and its connections.
///
/// # Errors
/// [`Error::UnknownIntegration`] when the environment has none with this key.
pub async fn delete(
    core: &Core,
    environment: EnvironmentId,
    unique_key: &str,
) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    let deleted = conn
        .transaction(async |conn| {
            syncing::end(conn, Whose::Integration(environment, unique_key)).await?;
            diesel::delete(integrations::table)
                .filter(integrations::environment_id.eq(environment))
                .filter(integrations::unique_key.eq(unique_key))
                .returning(integrations::provider)
                .get_result::<String>(conn)
                .await
                .optional()?
                .ok_or_else(|| Error::UnknownIntegration(unique_key.to_owned()))
        })
        .await?;
    drop(conn);
    live::forget_integration(core, environment, unique_key);
    log(
        core,
        environment,
        "delete_integration",
        unique_key,
        &deleted,
    );
    Ok(())
}

fn log(
    core: &Core,
    environment: EnvironmentId,
    action: &'static str,
    unique_key: &str,
    provider: &str,
) {
    let mut operation = Operation::begin(environment, Kind::Admin, action);
    operation.integration = Some(unique_key.to_owned());
    operation.provider = Some(provider.to_owned());
    core.logs.write(operation);
}
