//! OAUTH1: OAuth 1.0a (RFC 5849).

use std::borrow::Cow;

use linkspan_providers::Config;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::redirect::{Begun, Callback, Request};
use crate::{Client, Error, Finished, TokenEndpoint, secret};

/// Temporary credentials, until the person has allowed the access (RFC 5849
/// section 2.1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestToken {
    /// Names them.
    pub token: String,
    /// Signs with the client's secret.
    #[serde(serialize_with = "secret::expose")]
    pub token_secret: SecretString,
}

/// Token credentials; they do not expire (RFC 5849 section 2.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// Names them.
    #[serde(serialize_with = "secret::expose")]
    pub token: SecretString,
    /// Signs with the client's secret.
    #[serde(serialize_with = "secret::expose")]
    pub token_secret: SecretString,
    /// The provider's whole answer.
    pub raw: Value,
}

impl Token {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "type": "OAUTH1",
            "oauth_token": self.token.expose_secret(),
            "oauth_token_secret": self.token_secret.expose_secret(),
            "raw": self.raw,
        })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let secret = match name {
            "oauth_token" | "accessToken" => &self.token,
            "oauth_token_secret" => &self.token_secret,
            _ => return None,
        };
        Some(Cow::Borrowed(secret.expose_secret()))
    }
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
    Err(Error::unsupported(config.template, "OAUTH1"))
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
    Err(Error::unsupported(config.template, "OAUTH1"))
}
