//! Connections whose credentials come from elsewhere.

use std::sync::Arc;

use chrono::Utc;
use diesel_async::AsyncConnection;
use linkspan_api::FieldError;
use linkspan_api::connections::{ConnectionEndUser, ImportConnection, Object};
use linkspan_auth::{Finished, Imported, SECRET_OVERRIDE, Wrong};
use linkspan_providers::{Config, Template};
use uuid::Uuid;

use super::configuration::{self, Place};
use super::finish::rejected_at;
use super::live::{self, Live, LiveKey};
use super::{NewConnection, begin, metadata, store, verify};
use crate::integrations::{self, Integration};
use crate::logs::{Kind, Level, Operation};
use crate::outbound::Outbound;
use crate::tenancy::EnvironmentId;
use crate::{Core, Error, limits};

/// Stores a connection with credentials that the product has already. One of
/// the same id gets these credentials, labels and end user, and keeps its
/// metadata unless there is new metadata.
///
/// # Errors
/// [`Error::UnknownIntegration`]; [`Error::Invalid`] by the path of what does
/// not fit the integration; [`Error::ConnectionTest`] when the provider refuses
/// the credentials.
pub async fn import(
    core: &Core,
    environment: EnvironmentId,
    request: ImportConnection,
) -> Result<Live, Error> {
    let keys = core.vault.environment(environment).await?;
    let integration = {
        let mut conn = core.db.conn().await?;
        let unique_key = &request.provider_config_key;
        integrations::get(&mut conn, &keys, environment, unique_key).await?
    };
    let template = core.template(&integration.provider)?;
    let metadata = request.metadata.clone();
    let new = checked(core, request, &template, &integration).await?;
    verify(core, &template, &integration, &new).await?;
    let mut conn = core.db.conn().await?;
    let connection = conn
        .transaction(async |conn| {
            let mut stored = store::upsert(conn, &keys, &integration, &template, &new).await?;
            if let Some(metadata) = metadata {
                metadata::set(conn, &keys, environment, stored.id, &metadata).await?;
                stored.metadata = metadata.into();
            }
            Ok::<_, Error>(stored)
        })
        .await?;
    drop(conn);
    let key = LiveKey::new(
        environment,
        &integration.unique_key,
        &connection.connection_id,
    );
    live::forget(core, &key).await;
    core.jobs.wake();
    let mut operation = Operation::begin(environment, Kind::Auth, "import").about(
        &integration.unique_key,
        &integration.provider,
        &connection.connection_id,
    );
    operation.say(Level::Info, "Connection imported");
    core.logs.write(operation);
    Ok(Live {
        integration: Arc::new(integration),
        template,
        connection,
    })
}

/// An access token that has expired cannot be tried; its refresh token is spent
/// at the first use.
async fn verify(
    core: &Core,
    template: &Template,
    integration: &Integration,
    new: &NewConnection,
) -> Result<(), Error> {
    if new
        .credentials
        .expires_at()
        .is_some_and(|at| at <= Utc::now())
    {
        return Ok(());
    }
    let config = Config {
        template,
        connection: &new.connection_config,
        integration: &integration.config,
    };
    let client = begin::client_if_any(integration, &config);
    verify::credentials(core, &config, client.as_ref(), &new.credentials).await
}

async fn checked(
    core: &Core,
    request: ImportConnection,
    template: &Template,
    integration: &Integration,
) -> Result<NewConnection, Error> {
    if let Some(metadata) = &request.metadata {
        limits::metadata(metadata)?;
    }
    limits::webhook_url(request.webhook_url_override.as_deref())?;
    if request.connection_config.contains_key(SECRET_OVERRIDE) {
        let message = "belongs in credentials.config_override, where it is sealed";
        let path = ["connection_config", SECRET_OVERRIDE];
        return Err(Error::invalid_body("custom", message, &path));
    }
    let connection_id = match request.connection_id {
        Some(id) => {
            limits::connection_id(&id)?;
            id
        }
        None => Uuid::new_v4().to_string(),
    };
    let end_user = request.end_user.map(limits::end_user).transpose()?;
    let mut connection_config =
        configuration::given(template, request.connection_config, Place::BODY)?;
    configuration::complete(template, &connection_config, &[], Place::BODY)?;
    let tags = limits::tags(request.tags, &["tags"])?;
    let given = request.credentials;
    let bought = credentials(core, integration, template, given, &connection_config).await?;
    connection_config.extend(bought.metadata);
    Ok(NewConnection {
        connection_id,
        credentials: bought.credentials,
        connection_config,
        tags,
        end_user: end_user.map(|user| ConnectionEndUser {
            id: user.id,
            display_name: user.display_name,
            email: user.email,
            tags: user.tags,
            organization: None,
        }),
        webhook_url_override: request.webhook_url_override,
    })
}

/// Credentials as they came, or the ones that they buy.
async fn credentials(
    core: &Core,
    integration: &Integration,
    template: &Template,
    given: Object,
    connection_config: &Object,
) -> Result<Finished, Error> {
    let imported = linkspan_auth::import(template, given).map_err(wrong)?;
    let entered = match imported {
        Imported::Ready(credentials) => return Ok((*credentials).into()),
        Imported::Entered(entered) => entered,
    };
    let config = Config {
        template,
        connection: connection_config,
        integration: &integration.config,
    };
    let client = begin::client_if_any(integration, &config);
    let provider = Outbound::new(core);
    let finished = linkspan_auth::connect(client.as_ref(), &config, &entered, &provider).await;
    let finished = finished.map_err(|rejected| rejected_at(rejected, &["credentials"]))?;
    configuration::said_by_provider(template, &finished.metadata)?;
    Ok(finished)
}

fn wrong(mistakes: Vec<Wrong>) -> Error {
    let field =
        |wrong: Wrong| FieldError::new(wrong.kind, wrong.message, &["credentials", &wrong.field]);
    Error::Invalid {
        code: linkspan_api::ErrorCode::InvalidBody,
        fields: mistakes.into_iter().map(field).collect(),
    }
}
