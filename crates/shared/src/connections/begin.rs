//! The first half of an authorisation: off to the provider.

use std::collections::BTreeMap;

use linkspan_auth::{Client, Credentials, Entry, redirect};
use linkspan_providers::{Config, Template};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::configuration::{self, Place};
use super::store;
use crate::connect_sessions::ConnectSession;
use crate::integrations::{self, Integration};
use crate::oauth_flows::{self, Details};
use crate::outbound::Outbound;
use crate::{Core, Error, token};

/// The parameter for scopes of the person, beside those of the app. Providers
/// that know none are not sent it.
const USER_SCOPE: &str = "user_scope";

/// What the browser brings along.
#[derive(Default)]
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

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
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
/// incomplete or not of this mode, the configuration does not fit the template,
/// or the database fails.
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
    if linkspan_auth::entry(&template) != Entry::Redirect {
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
        connection_config(session, unique_key, &template, request.connection_config)?;
    let later = configuration::brought_later(&template);
    configuration::complete(&template, &connection_config, &later, Place::PARAMS)?;
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
    let client = client(&integration, &config)?;
    // A provider may have to be asked first, and no connection waits for one.
    drop(conn);
    let registered = match &client {
        Some(_) => None,
        None => integrations::registered(core, &integration, &template).await?,
    };
    let document = integrations::document_url(core, &integration, &template);
    let begun = linkspan_auth::begin(
        client.as_ref(),
        &config,
        &redirect::Request {
            redirect_uri: &redirect_uri,
            state: state.expose_secret(),
            authorization_params: &authorization_params,
            identity: redirect::Identity {
                document: document.as_ref().map(Url::as_str),
                registered: registered.as_ref(),
                scopes: &scopes(&integration),
            },
        },
        &Outbound::new(core),
    )
    .await?;
    let details = Details {
        unique_key: unique_key.to_owned(),
        connection_id,
        redirect_uri,
        kept: begun.kept,
        ws_client_id: request.ws_client_id,
        origin: request.origin,
        connection_config,
        session: session.details.clone(),
    };
    let mut conn = core.db.conn().await?;
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

/// What only the platform writes.
const PLATFORMS: [&str; 3] = ["oauth_granted_scopes", "oauth_missing_scopes", PENDING];

/// Set in a connection's configuration until a webhook has completed it.
const PENDING: &str = "pending";

/// Marks a connection that a webhook has yet to complete, and unmarks the others.
pub(super) fn note_pending(is_pending: bool, connection_config: &mut Map<String, Value>) {
    if is_pending {
        connection_config.insert(PENDING.to_owned(), true.into());
    } else {
        connection_config.remove(PENDING);
    }
}

/// The configuration that a connection starts with: what the session says, over
/// what the browser says, over what the connection had before. A browser does not
/// say what the platform finds out, such as where the API is; nor what the session
/// says already, of which it may know no more than that it does.
///
/// # Errors
/// [`Error::Invalid`] for what does not fit the template.
pub(super) fn connection_config(
    session: &ConnectSession,
    unique_key: &str,
    template: &Template,
    mut from_browser: Map<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let details = &session.details;
    let defaults = details.defaults.get(unique_key);
    let set = defaults.map(|defaults| defaults.connection_config.clone());
    let place = Place {
        path: &[
            "integrations_config_defaults",
            unique_key,
            "connection_config",
        ],
        ..Place::BODY
    };
    let set = configuration::given(template, set.unwrap_or_default(), place)?;
    let fields = &template.connection_config.0;
    from_browser.retain(|name, _| {
        let key = configuration::key(name);
        let is_automated = fields.get(key).is_some_and(|field| field.automated);
        let is_backends =
            PLATFORMS.contains(&key) || linkspan_auth::backends(template.auth_mode).contains(&key);
        !is_automated && !set.contains_key(key) && !is_backends
    });
    let from_browser = configuration::given(template, from_browser, Place::PARAMS)?;
    let had = details.reconnect.as_ref();
    let mut config = had
        .map(|of| of.connection_config.clone())
        .unwrap_or_default();
    config.extend(from_browser);
    config.extend(set);
    Ok(config)
}

/// The integration's client, or the one that the connection's configuration
/// brings where the integration has none. Nothing in modes that have none.
///
/// # Errors
/// [`Error::MissingClient`] in modes that need one.
pub(super) fn client(
    integration: &Integration,
    config: &Config<'_>,
) -> Result<Option<Client>, Error> {
    needed(
        integration,
        config.template,
        client_if_any(integration, config),
    )
}

/// The same, for modes whose person may bring a client.
pub(super) fn client_if_any(integration: &Integration, config: &Config<'_>) -> Option<Client> {
    own(integration).or_else(|| Client::brought(config, scopes(integration)))
}

/// The client that credentials are refreshed by: the integration's, or the one
/// that they were given to.
///
/// # Errors
/// [`Error::MissingClient`] in modes that need one.
pub(super) fn client_of(
    integration: &Integration,
    template: &Template,
    credentials: &Credentials,
) -> Result<Option<Client>, Error> {
    let client = own(integration).or_else(|| credentials.own_client().map(Client::from));
    needed(integration, template, client)
}

fn needed(
    integration: &Integration,
    template: &Template,
    client: Option<Client>,
) -> Result<Option<Client>, Error> {
    if client.is_none() && linkspan_auth::needs_client(template) {
        return Err(Error::MissingClient(integration.unique_key.clone()));
    }
    Ok(client)
}

fn own(integration: &Integration) -> Option<Client> {
    let secrets = &integration.secrets;
    let has_some =
        integration.client_id.is_some() || secrets.app.is_some() || secrets.plugin.is_some();
    has_some.then(|| Client {
        client_id: integration.client_id.clone().unwrap_or_default(),
        client_secret: secrets.client_secret.clone(),
        scopes: scopes(integration),
        app: secrets.app.clone(),
        plugin: secrets.plugin.clone(),
    })
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
