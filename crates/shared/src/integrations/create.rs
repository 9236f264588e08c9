//! Creating an integration.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_api::integrations::{CreateIntegration, QuickstartIntegration};
use linkspan_providers::Template;
use uuid::Uuid;

use super::credentials::Own;
use super::{Integration, Row, Secrets, check, context, registered};
use crate::db::schema::integrations;
use crate::db::{Connection, Error as DbError};
use crate::tenancy::EnvironmentId;
use crate::vault::EnvironmentKeys;
use crate::{Core, Error};

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
    /// Values of those `integration_config` fields that are not secret.
    pub config: BTreeMap<String, String>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: bool,
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

    /// A request as what is stored of it, checked against its template.
    fn of(request: CreateIntegration, template: &Template) -> Result<Self, Error> {
        check::key(&request.unique_key)?;
        check::display_name(request.display_name.as_deref())?;
        let mut values = request.custom;
        values.extend(request.integration_config);
        check::config(template, &values)?;
        let (config, sealed) = check::split(template, values);
        let mut new = Self {
            unique_key: request.unique_key,
            provider: request.provider,
            display_name: request.display_name,
            client_id: None,
            secrets: Secrets {
                config: sealed,
                ..Secrets::default()
            },
            scopes: None,
            config,
            forward_webhooks: request.forward_webhooks.unwrap_or(true),
        };
        if let Some(credentials) = request.credentials {
            let own = Own {
                client_id: &mut new.client_id,
                scopes: &mut new.scopes,
                secrets: &mut new.secrets,
            };
            own.set(credentials, template)?;
        }
        Ok(new)
    }
}

/// Checks a request against its provider's template and stores the integration.
///
/// # Errors
/// [`Error::Invalid`] for a body that does not fit the template, and
/// [`Error::DuplicateIntegration`]; those of [`registered`], where this server
/// registers with the provider: nothing is stored then.
pub async fn create(
    core: &Core,
    environment: EnvironmentId,
    request: CreateIntegration,
) -> Result<Integration, Error> {
    let template = core.catalogue.get(&request.provider).ok_or_else(|| {
        let message = format!("there is no provider '{}'", request.provider);
        Error::invalid_body("invalid_string", message, &["provider"])
    })?;
    let new = NewIntegration::of(request, &template)?;
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let created = new.insert(&mut conn, &keys, environment).await?;
    // Whoever has the key registers, so that no two do.
    drop(conn);
    if let Err(error) = registered(core, &created, &template).await {
        remove(core, &created).await?;
        return Err(error);
    }
    super::log(
        core,
        environment,
        "create_integration",
        &created.unique_key,
        &created.provider,
    );
    Ok(created)
}

async fn remove(core: &Core, created: &Integration) -> Result<(), Error> {
    diesel::delete(integrations::table.find((created.environment_id, created.id)))
        .execute(&mut core.db.conn().await?)
        .await?;
    Ok(())
}

/// Creates an integration that is ready to connect without an OAuth client of
/// the caller's own.
///
/// # Errors
/// As [`create`], and [`Error::NoSharedClient`] for a provider that needs a
/// client: this server has none to share.
pub async fn quickstart(
    core: &Core,
    environment: EnvironmentId,
    request: QuickstartIntegration,
) -> Result<Integration, Error> {
    if let Some(template) = core.catalogue.get(&request.provider)
        && linkspan_auth::needs_client(&template)
    {
        return Err(Error::NoSharedClient(request.provider));
    }
    create(core, environment, request.into()).await
}
