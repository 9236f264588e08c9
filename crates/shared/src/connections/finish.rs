//! The second half of an authorisation: credentials are there, and the
//! connection is made.

use std::collections::BTreeMap;

use linkspan_api::connections::ConnectionEndUser;
use linkspan_auth::{Credentials, oauth2};
use linkspan_providers::{AuthMode, Config};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::live::{self, LiveKey};
use super::{Connection, NewConnection, begin, edit, store};
use crate::connect_sessions::{self, ConnectSession};
use crate::integrations::{self, Integration};
use crate::logs::{Kind, Level, Operation};
use crate::oauth_flows::Flow;
use crate::outbound::Outbound;
use crate::{Core, Error};

/// A connection that was made.
#[derive(Debug)]
pub struct Finished {
    /// The integration's key.
    pub integration: String,
    /// The connection's id.
    pub connection_id: String,
}

/// Exchanges the code that a provider's callback brought and stores the
/// connection.
///
/// # Errors
/// When the provider gives no token, or the database fails; nothing is stored
/// then.
pub async fn oauth(core: &Core, flow: &Flow, code: &SecretString) -> Result<Finished, Error> {
    let keys = core.vault.environment(flow.environment_id).await?;
    let integration = {
        let mut conn = core.db.conn().await?;
        integrations::get_by_id(&mut conn, &keys, flow.environment_id, flow.integration_id).await?
    };
    let mut operation = Operation::begin(flow.environment_id, Kind::Auth, "create").about(
        &integration.unique_key,
        &integration.provider,
        &flow.details.connection_id,
    );
    let result = exchange_and_store(core, flow, &integration, code).await;
    log_end(&mut operation, &result);
    core.logs.write(operation);
    result
}

async fn exchange_and_store(
    core: &Core,
    flow: &Flow,
    integration: &Integration,
    code: &SecretString,
) -> Result<Finished, Error> {
    let template = core.template(&integration.provider)?;
    let verifier = flow.details.pkce_verifier.clone().map(SecretString::from);
    let config = Config {
        template: &template,
        connection: &flow.details.connection_config,
        integration: &integration.config,
    };
    let grant = oauth2::CodeGrant {
        code,
        redirect_uri: &flow.details.redirect_uri,
        pkce_verifier: verifier.as_ref(),
    };
    let client = begin::client(integration)?;
    let finished = oauth2::finish(&client, &config, &grant, &Outbound(&core.http)).await?;
    // What the flow was started with holds against what the provider says.
    let mut connection_config = finished.metadata;
    connection_config.extend(flow.details.connection_config.clone());
    make(
        core,
        integration,
        flow.details.connection_id.clone(),
        finished.credentials,
        connection_config,
        &flow.details.session,
    )
    .await
}

/// Stores a connection that typed-in credentials authorise.
///
/// # Errors
/// [`Error::Invalid`] for fields that do not fit the template, and
/// [`Error::WrongMode`] for a provider that takes other ones.
pub async fn fields(
    core: &Core,
    session: &ConnectSession,
    unique_key: &str,
    mode: AuthMode,
    fields: &BTreeMap<String, String>,
    connection_config: Map<String, Value>,
) -> Result<Finished, Error> {
    session.allow(unique_key)?;
    let environment = session.environment_id;
    let keys = core.vault.environment(environment).await?;
    let integration = {
        let mut conn = core.db.conn().await?;
        integrations::get(&mut conn, &keys, environment, unique_key).await?
    };
    let template = core.template(&integration.provider)?;
    if template.auth_mode != mode {
        return Err(Error::WrongMode(integration.provider));
    }
    let connection_id = session.details.connection_id();
    let mut operation = Operation::begin(environment, Kind::Auth, "create").about(
        unique_key,
        &integration.provider,
        &connection_id,
    );
    let result = match linkspan_auth::accept(&template, fields) {
        Ok(credentials) => {
            make(
                core,
                &integration,
                connection_id,
                credentials,
                connection_config,
                &session.details,
            )
            .await
        }
        Err(wrong) => Err(Error::invalid_body(
            "invalid_string",
            wrong.to_string(),
            &[&wrong.field],
        )),
    };
    log_end(&mut operation, &result);
    core.logs.write(operation);
    result
}

fn log_end(operation: &mut Operation, result: &Result<Finished, Error>) {
    match result {
        Ok(_) => operation.say(Level::Info, "Connection created"),
        Err(error) => operation.fail(Some(error.code().as_str()), error.to_string()),
    }
}

async fn make(
    core: &Core,
    integration: &Integration,
    connection_id: String,
    credentials: Credentials,
    connection_config: Map<String, Value>,
    session: &connect_sessions::Details,
) -> Result<Finished, Error> {
    let keys = core.vault.environment(integration.environment_id).await?;
    let new = NewConnection {
        connection_id,
        credentials,
        connection_config,
        tags: session.tags.clone(),
        end_user: end_user(session),
        webhook_url_override: session.webhook_url_override.clone(),
    };
    let mut conn = core.db.conn().await?;
    let reconnects = session.reconnect.as_ref().map(|of| of.number);
    let stored: Connection = match session.may_replace() {
        true => edit::store(&mut conn, &keys, integration, new, reconnects).await?,
        false => store::create(&mut conn, &keys, integration, &new).await?,
    };
    let key = LiveKey::new(
        integration.environment_id,
        &integration.unique_key,
        &stored.connection_id,
    );
    live::forget(core, &key).await;
    Ok(Finished {
        integration: integration.unique_key.clone(),
        connection_id: stored.connection_id,
    })
}

fn end_user(session: &connect_sessions::Details) -> Option<ConnectionEndUser> {
    let user = session.end_user.clone()?;
    Some(ConnectionEndUser {
        id: user.id,
        display_name: user.display_name,
        email: user.email,
        tags: user.tags,
        organization: session.organization.clone(),
    })
}
