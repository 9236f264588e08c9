//! The second half of an authorisation: credentials are there, and the
//! connection is made.

use std::collections::BTreeMap;

use linkspan_api::connections::ConnectionEndUser;
use linkspan_auth::{Credentials, Entered, Entry, Rejected, redirect};
use linkspan_providers::{AuthMode, Config};
use serde_json::{Map, Value};

use super::configuration::{self, Place};
use super::live::{self, LiveKey};
use super::{Connection, NewConnection, begin, edit, store, verify};
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
    /// Scopes that were asked for and not granted, as far as the provider says.
    pub missing_scopes: Vec<String>,
    /// Whether a webhook has to come before the connection can be used.
    pub is_pending: bool,
}

/// Keys of a connection's configuration, each a list of scopes.
const GRANTED_SCOPES: &str = "oauth_granted_scopes";
const MISSING_SCOPES: &str = "oauth_missing_scopes";

/// Exchanges what a provider's callback brought, and stores the connection.
///
/// # Errors
/// [`Error::ProviderValue`], [`Error::ConnectionTest`], and
/// when the provider gives no token or the database fails; nothing is stored
/// then.
pub async fn oauth(
    core: &Core,
    flow: &Flow,
    callback: &BTreeMap<String, String>,
) -> Result<Finished, Error> {
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
    let result = exchange_and_store(core, flow, &integration, callback).await;
    if let Ok(finished) = &result
        && !finished.missing_scopes.is_empty()
    {
        let missing = finished.missing_scopes.join(", ");
        operation.say(
            Level::Warn,
            format!("The provider did not grant: {missing}"),
        );
    }
    log_end(&mut operation, &result);
    core.logs.write(operation);
    result
}

async fn exchange_and_store(
    core: &Core,
    flow: &Flow,
    integration: &Integration,
    callback: &BTreeMap<String, String>,
) -> Result<Finished, Error> {
    let template = core.template(&integration.provider)?;
    let config = Config {
        template: &template,
        connection: &flow.details.connection_config,
        integration: &integration.config,
    };
    let mut connection_config = redirect::callback_metadata(&template, callback);
    configuration::said_by_provider(&template, &connection_config)?;
    let client = begin::client(integration, &config)?;
    let back = redirect::Callback {
        query: callback,
        redirect_uri: &flow.details.redirect_uri,
        kept: &flow.details.kept,
    };
    let provider = Outbound::new(core);
    let finished = linkspan_auth::finish(client.as_ref(), &config, &back, &provider).await?;
    configuration::said_by_provider(&template, &finished.metadata)?;
    connection_config.extend(finished.metadata.clone());
    keep_what_was_given(flow, &mut connection_config);
    configuration::finished(&template, &connection_config)?;
    note_scopes(&finished, &mut connection_config);
    let made = make(
        core,
        integration,
        flow.details.connection_id.clone(),
        finished.credentials,
        connection_config,
        &flow.details.session,
    )
    .await?;
    Ok(Finished {
        missing_scopes: finished.missing_scopes,
        ..made
    })
}

/// What the flow was started with holds against what the provider says, unless it
/// is empty, or only what the provider said the last time.
fn keep_what_was_given(flow: &Flow, connection_config: &mut Map<String, Value>) {
    let details = &flow.details;
    let had = details.session.reconnect.as_ref();
    for (name, value) in &details.connection_config {
        let is_old = had.is_some_and(|of| of.connection_config.get(name) == Some(value));
        if *value != "" && !(is_old && connection_config.contains_key(name)) {
            connection_config.insert(name.clone(), value.clone());
        }
    }
}

/// Writes down which scopes the provider says it granted, and which of those
/// asked for it did not.
fn note_scopes(finished: &linkspan_auth::Finished, connection_config: &mut Map<String, Value>) {
    connection_config.remove(GRANTED_SCOPES);
    connection_config.remove(MISSING_SCOPES);
    if let Some(granted) = &finished.granted_scopes {
        connection_config.insert(GRANTED_SCOPES.to_owned(), granted.clone().into());
    }
    if !finished.missing_scopes.is_empty() {
        let missing = finished.missing_scopes.clone();
        connection_config.insert(MISSING_SCOPES.to_owned(), missing.into());
    }
}

/// Stores a connection that typed-in credentials authorise, or one that a webhook
/// has yet to complete.
///
/// # Errors
/// [`Error::Invalid`] for fields and a configuration that do not fit the template,
/// [`Error::WrongMode`] for a provider that takes other ones, and
/// [`Error::ConnectionTest`] when the provider does not take them.
pub async fn fields(
    core: &Core,
    session: &ConnectSession,
    unique_key: &str,
    mode: AuthMode,
    entered: &Entered,
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
    if template.auth_mode != mode || linkspan_auth::entry(&template) == Entry::Redirect {
        return Err(Error::WrongMode(integration.provider));
    }
    let connection_id = session.details.connection_id();
    let connection_config =
        begin::connection_config(session, unique_key, &template, connection_config)?;
    configuration::complete(&template, &connection_config, &[], Place::PARAMS)?;
    let mut operation = Operation::begin(environment, Kind::Auth, "create").about(
        unique_key,
        &integration.provider,
        &connection_id,
    );
    let result = log_in(
        core,
        session,
        &integration,
        connection_id,
        entered,
        connection_config,
    )
    .await;
    log_end(&mut operation, &result);
    core.logs.write(operation);
    result
}

async fn log_in(
    core: &Core,
    session: &ConnectSession,
    integration: &Integration,
    connection_id: String,
    entered: &Entered,
    mut connection_config: Map<String, Value>,
) -> Result<Finished, Error> {
    let template = core.template(&integration.provider)?;
    let config = Config {
        template: &template,
        connection: &connection_config,
        integration: &integration.config,
    };
    let client = begin::client_if_any(integration, &config);
    let provider = Outbound::new(core);
    let finished = linkspan_auth::connect(client.as_ref(), &config, entered, &provider).await;
    let finished = finished.map_err(|rejected| rejected_at(rejected, &[]))?;
    configuration::said_by_provider(&template, &finished.metadata)?;
    connection_config.extend(finished.metadata);
    make(
        core,
        integration,
        connection_id,
        finished.credentials,
        connection_config,
        &session.details,
    )
    .await
}

/// The API's error for what was entered; the field is under `path` in the body.
pub(super) fn rejected_at(rejected: Rejected, path: &[&str]) -> Error {
    match rejected {
        Rejected::Field(wrong) => {
            let path: Vec<&str> = path.iter().copied().chain([wrong.field.as_str()]).collect();
            Error::invalid_body("invalid_string", wrong.to_string(), &path)
        }
        Rejected::Auth(error) => error.into(),
    }
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
    mut connection_config: Map<String, Value>,
    session: &connect_sessions::Details,
) -> Result<Finished, Error> {
    // The credentials have it, sealed.
    connection_config.remove(linkspan_auth::SECRET_OVERRIDE);
    let template = core.template(&integration.provider)?;
    let config = Config {
        template: &template,
        connection: &connection_config,
        integration: &integration.config,
    };
    let is_pending = credentials.is_pending();
    if !is_pending {
        let client = begin::client_if_any(integration, &config);
        verify::credentials(core, &config, client.as_ref(), &credentials).await?;
    }
    begin::note_pending(is_pending, &mut connection_config);
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
        true => edit::store(&mut conn, &keys, integration, &template, new, reconnects).await?,
        false => store::create(&mut conn, &keys, integration, &template, &new).await?,
    };
    let key = LiveKey::new(
        integration.environment_id,
        &integration.unique_key,
        &stored.connection_id,
    );
    live::forget(core, &key).await;
    core.jobs.wake();
    Ok(Finished {
        integration: integration.unique_key.clone(),
        // Others may have stayed in place of pending ones.
        is_pending: stored.credentials.is_pending(),
        connection_id: stored.connection_id,
        missing_scopes: Vec::new(),
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
