//! MCP_OAUTH2 and MCP_OAUTH2_GENERIC: OAuth 2.1 as the Model Context Protocol
//! wants it. Both are the code grant with PKCE; what differs is who this server
//! is there (a registered client, a document, or a client that a developer
//! entered), and for the generic mode where “there” is, which is found out.

mod challenge;
mod discovery;
mod document;
mod overlay;
mod register;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use linkspan_providers::{AuthMode, ClientRegistration, Config, Template};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::oauth2::{self, Tokens};
use crate::redirect::{Begun, Callback, Identity, Request};
use crate::{Client, Credentials, Error, Finished, TokenEndpoint, secret};

pub use document::document;
pub use register::register;

/// Where a person says which server is meant.
const SERVER_URL: &str = "mcp_server_url";

/// Who this server is where nothing else is possible: the authorisation server
/// takes neither documents nor registrations, and whoever runs it may know this
/// name.
const FALLBACK_CLIENT: &str = "linkspan";

/// The resource indicator (RFC 8707).
const RESOURCE: &str = "resource";

/// The client that this server is at an authorisation server, and that server
/// where it was found and is not the template's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// The client's identifier.
    pub client_id: String,
    /// The client's secret; a public client has none.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub client_secret: Option<SecretString>,
    /// Whether the secret goes into a header of token requests.
    #[serde(default)]
    pub in_header: bool,
    /// When the secret stops working, if it does.
    #[serde(default)]
    pub secret_expires_at: Option<DateTime<Utc>>,
    /// The callback that it was registered with.
    #[serde(default)]
    pub redirect_uri: String,
    /// The scopes that are asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The server that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
}

/// An authorisation server that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name (RFC 8414 section 2).
    pub issuer: String,
    /// Where the browser goes.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: String,
    /// What tokens are asked for (RFC 8707).
    pub resource: String,
    /// Whether its callbacks say who they are from (RFC 9207).
    #[serde(default)]
    pub names_itself: bool,
}

impl Registration {
    fn new(client_id: impl Into<String>, redirect_uri: &str) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            in_header: false,
            secret_expires_at: None,
            redirect_uri: redirect_uri.to_owned(),
            scopes: Vec::new(),
            server: None,
        }
    }

    /// Whether a new authorisation may begin with it: it is for this callback,
    /// and its secret still works.
    #[must_use]
    pub fn is_usable(&self, redirect_uri: &str, now: DateTime<Utc>) -> bool {
        self.redirect_uri == redirect_uri && self.secret_expires_at.is_none_or(|at| at > now)
    }

    fn client(&self) -> Client {
        Client {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            scopes: self.scopes.clone(),
            ..Client::default()
        }
    }
}

/// Whether this server registers itself with the provider, for an integration
/// that has no client of a developer's.
#[must_use]
pub fn registers(template: &Template) -> bool {
    template.auth_mode == AuthMode::McpOAuth2
        && template.client_registration == Some(ClientRegistration::Dynamic)
}

/// Whether this server may be known to the provider by its document.
#[must_use]
pub fn has_document(template: &Template) -> bool {
    match template.auth_mode {
        AuthMode::McpOAuth2Generic => true,
        AuthMode::McpOAuth2 => template.client_registration == Some(ClientRegistration::Cimd),
        _ => false,
    }
}

/// Where to send the browser. In the generic mode the server is asked first.
///
/// # Errors
/// [`Error::NoClient`]; [`Error::Unusable`] for a server whose metadata do not
/// allow an authorisation; and those of a token request and of
/// [`oauth2::begin`].
pub(crate) async fn begin<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    request: &Request<'_>,
    endpoint: &E,
) -> Result<Begun, Error> {
    let registration = match config.template.auth_mode {
        AuthMode::McpOAuth2Generic => Some(found(client, config, request, endpoint).await?),
        _ => own(client, config.template, request.identity)?,
    };
    let template = overlay::template(config.template, registration.as_ref())?;
    let config = Config {
        template: &template,
        ..*config
    };
    // Which resource tokens are for is not the caller's to say.
    let params: BTreeMap<_, _> = request
        .authorization_params
        .iter()
        .filter(|(name, _)| *name != RESOURCE)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let request = Request {
        authorization_params: &params,
        ..*request
    };
    let registered = registration.as_ref().map(Registration::client);
    let client = registered.as_ref().or(client).ok_or(Error::NoClient)?;
    let mut begun = oauth2::begin(client, &config, &request)?;
    begun.kept.mcp = registration;
    Ok(begun)
}

/// Who this server is to a provider whose template says where it is; nothing if
/// it is the developer's client.
fn own(
    client: Option<&Client>,
    template: &Template,
    identity: Identity<'_>,
) -> Result<Option<Registration>, Error> {
    if client.is_some() {
        return Ok(None);
    }
    let own = match template.client_registration {
        Some(ClientRegistration::Dynamic) => identity.registered.cloned(),
        Some(ClientRegistration::Cimd) => identity
            .document
            .map(|document| Registration::new(document, "")),
        Some(ClientRegistration::Static) | None => None,
    };
    let own = own.ok_or(Error::NoClient)?;
    Ok(Some(Registration {
        scopes: identity.scopes.to_vec(),
        ..own
    }))
}

/// Finds the authorisation server of the person's MCP server, and becomes its
/// client: by a client that the connection brings, by a document, by
/// registering, or by a name of ours.
async fn found<E: TokenEndpoint>(
    brought: Option<&Client>,
    config: &Config<'_>,
    request: &Request<'_>,
    endpoint: &E,
) -> Result<Registration, Error> {
    let found = discovery::find(config, endpoint).await?;
    let document = request.identity.document;
    let document = document.filter(|url| found.takes_document(url));
    let callback = request.redirect_uri;
    let scopes = match request.identity.scopes {
        [] => &found.scopes[..],
        asked => asked,
    };
    let client = match (brought, document, &found.registration_endpoint) {
        (Some(client), _, _) => Registration {
            client_secret: client.client_secret.clone(),
            in_header: found.wants_header(),
            ..Registration::new(&client.client_id, callback)
        },
        (None, Some(document), _) => Registration::new(document, callback),
        (None, None, Some(url)) => {
            let method = register::preferred(&found.auth_methods);
            let params = register::params(callback, scopes, method);
            register::at(url, params, &[], endpoint).await?
        }
        (None, None, None) => Registration::new(FALLBACK_CLIENT, callback),
    };
    Ok(Registration {
        scopes: scopes.to_vec(),
        server: Some(found.server),
        ..client
    })
}

/// Takes what the browser brought back.
///
/// # Errors
/// [`Error::Unusable`] when it comes from another authorisation server than the
/// browser was sent to, and those of [`oauth2::finish`].
pub(crate) async fn finish<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    callback: &Callback<'_>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let registration = callback.kept.mcp.as_ref();
    if let Some(server) = registration.and_then(|registration| registration.server.as_ref()) {
        check_issuer(server, callback)?;
    }
    let template = overlay::template(config.template, registration)?;
    let config = Config {
        template: &template,
        ..*config
    };
    let registered = registration.map(Registration::client);
    let client = registered.as_ref().or(client).ok_or(Error::NoClient)?;
    let mut finished = oauth2::finish(client, &config, callback, endpoint).await?;
    if let Credentials::OAuth2(tokens) = &mut finished.credentials {
        tokens.mcp = registration.cloned().map(Box::new);
    }
    Ok(finished)
}

/// RFC 9207 section 2.4, against an authorisation server that passes on codes of
/// another one.
fn check_issuer(server: &Server, callback: &Callback<'_>) -> Result<(), Error> {
    match callback.get("iss") {
        Some(issuer) if issuer != server.issuer => Err(Error::Unusable(
            "the answer comes from another authorization server than the one that was asked; \
             start again"
                .to_owned(),
        )),
        None if server.names_itself && callback.get("error").is_none() => Err(Error::Unusable(
            "the authorization server did not say who it is, although it promises to; start again"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Buys new tokens, as the client that the old ones were given to, where they
/// were given. Imported tokens of the generic mode do not say where that was, so
/// it is found out.
///
/// # Errors
/// [`Error::NoClient`], and those of [`oauth2::refresh`].
pub(crate) async fn refresh<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    tokens: &Tokens,
    endpoint: &E,
) -> Result<Finished, Error> {
    let own = tokens.own_client.as_ref().map(Client::from);
    let is_generic = config.template.auth_mode == AuthMode::McpOAuth2Generic;
    let registration = match &tokens.mcp {
        None if is_generic => {
            let found = discovery::find(config, endpoint).await?;
            let client = own.as_ref().ok_or(Error::NoClient)?;
            Some(Box::new(Registration {
                client_secret: client.client_secret.clone(),
                in_header: found.wants_header(),
                server: Some(found.server),
                ..Registration::new(&client.client_id, "")
            }))
        }
        known => known.clone(),
    };
    let template = overlay::template(config.template, registration.as_deref())?;
    let config = Config {
        template: &template,
        ..*config
    };
    let registered = registration.as_deref().map(Registration::client);
    let client = registered.as_ref().or(own.as_ref()).or(client);
    let client = client.ok_or(Error::NoClient)?;
    let mut finished = oauth2::refresh(client, &config, tokens, endpoint).await?;
    if let Credentials::OAuth2(fresh) = &mut finished.credentials {
        fresh.mcp = registration;
    }
    Ok(finished)
}

#[cfg(test)]
mod tests;
