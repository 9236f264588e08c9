//! Changing an integration.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_api::integrations::UpdateIntegration;
use linkspan_providers::Template;
use uuid::Uuid;

use super::credentials::Own;
use super::{Integration, Row, Secrets, check, context};
use crate::connections::live;
use crate::db::schema::{connections, integrations};
use crate::db::{Connection, Error as DbError};
use crate::tenancy::EnvironmentId;
use crate::vault::EnvironmentKeys;
use crate::{Core, Error};

/// Changes what a request names of an integration and leaves the rest. Two
/// changes at once happen one after the other.
///
/// # Errors
/// [`Error::UnknownIntegration`], [`Error::Invalid`] for a change that does not
/// fit the template, and [`Error::DuplicateIntegration`] for a key that another
/// integration has.
pub async fn update(
    core: &Core,
    environment: EnvironmentId,
    unique_key: &str,
    request: UpdateIntegration,
) -> Result<Integration, Error> {
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let updated = conn
        .transaction(async |conn| {
            let current = lock(conn, &keys, environment, unique_key).await?;
            let template = core.template(&current.provider)?;
            let changed = changed(current, request, &template)?;
            if changed.unique_key != unique_key {
                check_unused(conn, &changed).await?;
            }
            store(conn, &keys, &template, changed).await
        })
        .await?;
    live::forget_integration(core, environment, unique_key);
    super::log(
        core,
        environment,
        "update_integration",
        &updated.unique_key,
        &updated.provider,
    );
    Ok(updated)
}

async fn lock(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    unique_key: &str,
) -> Result<Integration, Error> {
    integrations::table
        .filter(integrations::environment_id.eq(environment))
        .filter(integrations::unique_key.eq(unique_key))
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()?
        .ok_or_else(|| Error::UnknownIntegration(unique_key.to_owned()))?
        .open(keys)
}

/// The integration, until the transaction ends nobody else's to change.
///
/// # Errors
/// [`Error::UnknownIntegration`] when it is gone.
pub(super) async fn lock_by_id(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    id: Uuid,
) -> Result<Integration, Error> {
    integrations::table
        .find((environment, id))
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()?
        .ok_or_else(|| Error::UnknownIntegration(id.to_string()))?
        .open(keys)
}

fn changed(
    mut integration: Integration,
    request: UpdateIntegration,
    template: &Template,
) -> Result<Integration, Error> {
    if let Some(key) = request.unique_key {
        check::key(&key)?;
        integration.unique_key = key;
    }
    check::display_name(request.display_name.as_deref())?;
    integration.display_name = request.display_name.or(integration.display_name);
    if let Some(forward) = request.forward_webhooks {
        integration.forward_webhooks = forward;
    }
    if !request.custom.is_empty() || !request.integration_config.is_empty() {
        integration.config.extend(request.custom);
        integration.config.extend(request.integration_config);
        check::config(template, &integration.config)?;
    }
    if let Some(credentials) = request.credentials {
        let own = Own {
            client_id: &mut integration.client_id,
            scopes: &mut integration.scopes,
            secrets: &mut integration.secrets,
        };
        own.set(credentials, template)?;
    }
    Ok(integration)
}

/// The product names connections by their integration's key, so one that has
/// connections keeps it.
async fn check_unused(conn: &mut Connection, integration: &Integration) -> Result<(), Error> {
    let used: Option<i64> = connections::table
        .filter(connections::environment_id.eq(integration.environment_id))
        .filter(connections::integration_id.eq(integration.id))
        .select(connections::id)
        .first(conn)
        .await
        .optional()?;
    match used {
        Some(_) => {
            let message = "an integration that has connections keeps its key";
            Err(Error::invalid_body("custom", message, &["unique_key"]))
        }
        None => Ok(()),
    }
}

async fn store(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    template: &Template,
    integration: Integration,
) -> Result<Integration, Error> {
    let (plain, sealed): (BTreeMap<_, _>, _) = check::split(template, integration.config);
    let secrets = Secrets {
        config: sealed,
        ..integration.secrets
    };
    let config = serde_json::to_value(&plain).map_err(|source| Error::Stored {
        what: "integration configuration",
        source,
    })?;
    diesel::update(integrations::table.find((integration.environment_id, integration.id)))
        .set((
            integrations::unique_key.eq(&integration.unique_key),
            integrations::display_name.eq(&integration.display_name),
            integrations::client_id.eq(&integration.client_id),
            integrations::secrets.eq(keys.seal_json(&context(&integration.id), &secrets)?),
            integrations::scopes.eq(&integration.scopes),
            integrations::config.eq(config),
            integrations::forward_webhooks.eq(integration.forward_webhooks),
            integrations::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Row::as_returning())
        .get_result(conn)
        .await
        .map_err(DbError::from)
        .map_err(|error| match error.is_unique_violation() {
            true => Error::DuplicateIntegration(integration.unique_key.clone()),
            false => error.into(),
        })?
        .open(keys)
}
