//! CUSTOM: an app that is installed in an account, with the tokens of the person
//! who did it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use linkspan_providers::Config;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::oauth2::Tokens;
use crate::redirect::{Begun, Callback, Request};
use crate::{Client, Error, Finished, Login, TokenEndpoint};

/// Both credentials. Without the app's, a webhook has yet to say that it was
/// installed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Custom {
    /// The installed app's.
    pub app: Option<Login>,
    /// The person's.
    pub user: Option<Tokens>,
}

impl Custom {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "type": "CUSTOM",
            "app": self.app.as_ref().map(|app| app.to_wire("APP", Some("access_token"))),
            "user": self.user.as_ref().map(Tokens::to_wire),
            "raw": {},
        })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.app.as_ref()?.field(name)
    }

    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.app.as_ref()?.expires_at
    }

    pub(crate) fn issued_at(&self) -> Option<DateTime<Utc>> {
        Some(self.app.as_ref()?.issued_at)
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
    Err(Error::unsupported(config.template, "CUSTOM"))
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
    Err(Error::unsupported(config.template, "CUSTOM"))
}

/// Buys a new token for the app.
///
/// # Errors
/// [`Error`].
pub(crate) async fn refresh<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    _credentials: &Custom,
    _endpoint: &E,
) -> Result<Finished, Error> {
    Err(Error::unsupported(config.template, "CUSTOM"))
}
