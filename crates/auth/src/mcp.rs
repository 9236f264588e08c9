//! MCP_OAUTH2 and MCP_OAUTH2_GENERIC: the authorisation of the Model Context
//! Protocol.

use linkspan_providers::Config;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::oauth2::Tokens;
use crate::redirect::{Begun, Callback, Request};
use crate::{Client, Error, Finished, TokenEndpoint, secret};

/// The authorisation server that was found, and the client that this server is
/// there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// The client's identifier.
    pub client_id: String,
    /// The client's secret; a public client has none.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub client_secret: Option<SecretString>,
}

/// Where to send the browser.
///
/// # Errors
/// [`Error`].
pub(crate) async fn begin<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    _request: &Request<'_>,
    _endpoint: &E,
) -> Result<Begun, Error> {
    Err(Error::unsupported(config.template, "MCP_OAUTH2"))
}

/// Takes what the browser brought back.
///
/// # Errors
/// [`Error`].
pub(crate) async fn finish<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    _callback: &Callback<'_>,
    _endpoint: &E,
) -> Result<Finished, Error> {
    Err(Error::unsupported(config.template, "MCP_OAUTH2"))
}

/// Buys new tokens.
///
/// # Errors
/// [`Error`].
pub(crate) async fn refresh<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    _tokens: &Tokens,
    _endpoint: &E,
) -> Result<Finished, Error> {
    Err(Error::unsupported(config.template, "MCP_OAUTH2"))
}
