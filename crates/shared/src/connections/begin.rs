//! The first half of an authorisation: off to the provider.

use std::collections::BTreeMap;

use linkspan_auth::{Client, Entry, oauth2};
use linkspan_providers::{Config, Template};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::store;
use crate::connect_sessions::ConnectSession;
use crate::integrations::{self, Integration};
use crate::oauth_flows::{self, Details};
use crate::{Core, Error, token};

/// The parameter for scopes of the person, beside those of the app. Providers
/// that know none are not sent it.
const USER_SCOPE: &str = "user_scope";

/// What the browser brings along.
#[derive(Debug, Default)]
pub struct Request {
    /// The websocket that waits for the result.
    pub ws_client_id: Option<String>,
    /// The origin of the page that waits there.
    pub origin: Option<String>,
    /// Further parameters of the authorisation URL.
    pub authorization_params: BTreeMap<String, String>,
    /// Values of the template's `connection_config` fields.
    pub connection_config: Map<String, Value>,
}

/// Where to send the browser.
#[derive(Debug)]
pub struct Begun {
    /// The provider's page.
    pub authorize_url: Url,
    /// Names the flow in the browser's cookie.
    pub flow_id: Uuid,
}

/// The address that every provider comes back to.
#[must_use]
pub fn redirect_uri(public_url: &Url) -> String {
    format!(
        "{}/oauth/callback",
        public_url.as_str().trim_end_matches('/')
    )
}

/// Stores a flow and gives the provider's address for it.
///
/// # Errors
/// When the session does not allow the integration, the integration is
/// incomplete or not of this mode, or the database fails.
pub async fn oauth(
    core: &Core,
    session: &ConnectSession,
    unique_key: &str,
    request: Request,
) -> Result<Begun, Error> {
    session.allow(unique_key)?;
    let environment = session.environment_id;
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let integration = integrations::get(&mut conn, &keys, environment, unique_key).await?;
    let template = core.template(&integration.provider)?;
    if linkspan_auth::entry(template.auth_mode) != Some(Entry::Redirect) {
        return Err(Error::WrongMode(integration.provider));
    }

    let connection_id = session.details.connection_id();
    if !session.details.may_replace() {
        // The callback decides; this spares the end user the way there.
        store::refuse_taken(&mut conn, &integration, &connection_id).await?;
    }
    let state: SecretString = token::random_hex::<32>()?.into();
    let redirect_uri = redirect_uri(&core.settings.public_url);
    let defaults = session.details.defaults.get(unique_key);
    let connection_config =
        connection_config(session, unique_key, &template, request.connection_config);
    let mut authorization_params = request.authorization_params;
    authorization_params.extend(
        defaults
            .into_iter()
            .flat_map(|defaults| defaults.authorization_params.clone()),
    );
    let user_scopes = defaults.and_then(|defaults| defaults.user_scopes.clone());
    authorization_params.extend(user_scopes.map(|scopes| (USER_SCOPE.to_owned(), scopes)));
    let config = Config {
        template: &template,
        connection: &connection_config,
        integration: &integration.config,
    };
    let begun = oauth2::begin(
        &client(&integration)?,
        &config,
        &oauth2::Request {
            redirect_uri: &redirect_uri,
            state: state.expose_secret(),
            authorization_params: &authorization_params,
        },
    )?;
    let details = Details {
        unique_key: unique_key.to_owned(),
        connection_id,
        redirect_uri,
        pkce_verifier: begun
            .pkce_verifier
            .map(|verifier| verifier.expose_secret().to_owned()),
        ws_client_id: request.ws_client_id,
        origin: request.origin,
        connection_config,
        session: session.details.clone(),
    };
    let flow_id = oauth_flows::insert(
        &mut conn,
        &keys,
        environment,
        integration.id,
        &state,
        &details,
        core.settings.flow_life,
    )
    .await?;
    Ok(Begun {
        authorize_url: begun.authorize_url,
        flow_id,
    })
}

/// The configuration that a connection starts with: what the session says, over
/// what the browser says, over what the connection had before. A browser does not
/// say what the platform finds out, such as where the API is.
pub(super) fn connection_config(
    session: &ConnectSession,
    unique_key: &str,
    template: &Template,
    mut from_browser: Map<String, Value>,
) -> Map<String, Value> {
    let fields = &template.connection_config.0;
    from_browser.retain(|name, _| !fields.get(name).is_some_and(|field| field.automated));
    let details = &session.details;
    let had = details.reconnect.as_ref();
    let had = had.map(|of| of.connection_config.clone());
    let set = details.defaults.get(unique_key);
    merged(
        merged(had.unwrap_or_default(), Some(&from_browser)),
        set.map(|defaults| &defaults.connection_config),
    )
}

/// The integration's OAuth client.
pub(super) fn client(integration: &Integration) -> Result<Client, Error> {
    match (&integration.client_id, &integration.secrets.client_secret) {
        (Some(id), Some(secret)) => Ok(Client {
            client_id: id.clone(),
            client_secret: Some(secret.clone()),
            scopes: scopes(integration),
        }),
        _ => Err(Error::MissingClient(integration.unique_key.clone())),
    }
}

fn scopes(integration: &Integration) -> Vec<String> {
    integration
        .scopes
        .iter()
        .flat_map(|list| list.split(','))
        .map(|scope| scope.trim().to_owned())
        .filter(|scope| !scope.is_empty())
        .collect()
}

/// What is on top holds against what is below: the backend against the browser,
/// and the browser against what a connection had before.
fn merged(below: Map<String, Value>, on_top: Option<&Map<String, Value>>) -> Map<String, Value> {
    let mut config = below;
    config.extend(on_top.cloned().unwrap_or_default());
    config
}
