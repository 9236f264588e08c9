//! Integrations: an environment's use of a provider.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_api::integrations::{CreateIntegration, IntegrationCredentials};
use linkspan_auth::Entry;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::db::schema::integrations;
use crate::db::{Connection, Error as DbError};
use crate::logs::{Kind, Operation};
use crate::tenancy::EnvironmentId;
use crate::vault::{Context, EnvironmentKeys};
use crate::{Core, Error};

/// An integration with its secrets opened.
#[derive(Debug, Clone)]
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
    /// Values of the template's `integration_config` fields.
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
}

fn expose<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(to)
}

/// A new integration.
#[derive(Debug)]
pub struct NewIntegration {
    /// Its key, unique in the environment.
    pub unique_key: String,
    /// The provider's slug.
    pub provider: String,
    /// What people see.
    pub display_name: Option<String>,
    /// The OAuth client's id.
    pub client_id: Option<String>,
    /// What is secret of it.
    pub secrets: Secrets,
    /// Scopes to ask for, comma separated.
    pub scopes: Option<String>,
    /// Values of the template's `integration_config` fields.
    pub config: BTreeMap<String, String>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: bool,
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
        Ok(Integration {
            secrets: keys.open_json(&context(&self.id), &self.secrets)?,
            config: serde_json::from_value(self.config).map_err(stored)?,
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

impl NewIntegration {
    /// Stores the integration.
    ///
    /// # Errors
    /// [`Error::DuplicateIntegration`] when the environment has one with this
    /// key.
    pub async fn insert(
        &self,
        conn: &mut Connection,
        keys: &EnvironmentKeys,
        environment: EnvironmentId,
    ) -> Result<Integration, Error> {
        let id = Uuid::now_v7();
        let config = serde_json::to_value(&self.config).map_err(|source| Error::Stored {
            what: "integration configuration",
            source,
        })?;
        let row = diesel::insert_into(integrations::table)
            .values((
                integrations::environment_id.eq(environment),
                integrations::id.eq(id),
                integrations::unique_key.eq(&self.unique_key),
                integrations::provider.eq(&self.provider),
                integrations::display_name.eq(&self.display_name),
                integrations::client_id.eq(&self.client_id),
                integrations::secrets.eq(keys.seal_json(&context(&id), &self.secrets)?),
                integrations::scopes.eq(&self.scopes),
                integrations::config.eq(config),
                integrations::forward_webhooks.eq(self.forward_webhooks),
            ))
            .returning(Row::as_returning())
            .get_result(conn)
            .await
            .map_err(DbError::from)
            .map_err(|error| match error.is_unique_violation() {
                true => Error::DuplicateIntegration(self.unique_key.clone()),
                false => error.into(),
            })?;
        row.open(keys)
    }
}

/// Longest key, in characters; keys stand in URLs.
const LONGEST_KEY: usize = 255;

/// Checks a request against its provider's template and stores the integration.
///
/// # Errors
/// [`Error::Invalid`] for a body that does not fit the template, and
/// [`Error::DuplicateIntegration`].
pub async fn create(
    core: &Core,
    environment: EnvironmentId,
    request: CreateIntegration,
) -> Result<Integration, Error> {
    check_key(&request.unique_key)?;
    let template = core.catalogue.get(&request.provider).ok_or_else(|| {
        let message = format!("there is no provider '{}'", request.provider);
        Error::invalid_body("invalid_string", message, &["provider"])
    })?;
    let is_redirect = linkspan_auth::entry(template.auth_mode) == Some(Entry::Redirect);
    if request.credentials.is_some() && !is_redirect {
        let message = format!("provider '{}' has no OAuth client", request.provider);
        return Err(Error::invalid_body(
            "invalid_union",
            message,
            &["credentials"],
        ));
    }
    template
        .integration_config
        .check(&request.integration_config)
        .map_err(|wrong| {
            let path = ["integration_config", &wrong.field];
            Error::invalid_body("invalid_string", wrong.to_string(), &path)
        })?;
    let new = NewIntegration::from(request);
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let created = new.insert(&mut conn, &keys, environment).await?;
    let mut operation = Operation::begin(environment, Kind::Admin, "create_integration");
    operation.integration = Some(created.unique_key.clone());
    operation.provider = Some(created.provider.clone());
    core.logs.write(operation);
    Ok(created)
}

/// A key stands in URLs and headers, so it keeps to characters that need no
/// escaping there.
fn check_key(key: &str) -> Result<(), Error> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "~:.@ _-".contains(c);
    if key.is_empty() || key.chars().count() > LONGEST_KEY || !key.chars().all(is_allowed) {
        let message = "must be 1 to 255 letters, digits or one of ~ : . @ _ - and space";
        return Err(Error::invalid_body(
            "invalid_string",
            message,
            &["unique_key"],
        ));
    }
    Ok(())
}

impl From<CreateIntegration> for NewIntegration {
    fn from(request: CreateIntegration) -> Self {
        let mut new = Self {
            unique_key: request.unique_key,
            provider: request.provider,
            display_name: request.display_name,
            client_id: None,
            secrets: Secrets::default(),
            scopes: None,
            config: request.integration_config,
            forward_webhooks: request.forward_webhooks.unwrap_or(true),
        };
        if let Some(IntegrationCredentials::OAuth2 {
            client_id,
            client_secret,
            scopes,
            webhook_secret,
        }) = request.credentials
        {
            new.client_id = Some(client_id);
            new.secrets.client_secret = Some(client_secret.into());
            new.secrets.webhook_secret = webhook_secret.map(SecretString::from);
            new.scopes = scopes;
        }
        new
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

/// The keys of every integration of an environment.
///
/// # Errors
/// When the database fails.
pub async fn keys(conn: &mut Connection, environment: EnvironmentId) -> Result<Vec<String>, Error> {
    Ok(integrations::table
        .filter(integrations::environment_id.eq(environment))
        .select(integrations::unique_key)
        .load(conn)
        .await?)
}

/// Deletes an integration and its connections.
///
/// # Errors
/// [`Error::UnknownIntegration`] when the environment has none with this key.
pub async fn delete(
    conn: &mut Connection,
    environment: EnvironmentId,
    unique_key: &str,
) -> Result<(), Error> {
    let deleted = diesel::delete(integrations::table)
        .filter(integrations::environment_id.eq(environment))
        .filter(integrations::unique_key.eq(unique_key))
        .execute(conn)
        .await?;
    match deleted {
        0 => Err(Error::UnknownIntegration(unique_key.to_owned())),
        _ => Ok(()),
    }
}
