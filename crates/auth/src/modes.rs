//! The table of modes: everything that depends on the auth mode is chosen here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::HeaderValue;
use linkspan_providers::{AuthMode, Config, FieldError, Template};
use serde_json::Value;

use crate::client::OwnClient;
use crate::oauth2::Finished;
use crate::{Client, Credentials, Error, TokenEndpoint, api_key, basic, oauth2};

/// How a person connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The browser is sent to the provider and comes back to the callback.
    Redirect,
    /// The person enters the fields of the template's `credentials`, which may
    /// be none.
    Fields,
}

/// How a person connects in this mode, or nothing if it is not supported yet.
#[must_use]
pub fn entry(mode: AuthMode) -> Option<Entry> {
    match mode {
        AuthMode::OAuth2 => Some(Entry::Redirect),
        AuthMode::ApiKey | AuthMode::Basic | AuthMode::None => Some(Entry::Fields),
        _ => None,
    }
}

/// Makes credentials of the fields that a person entered.
///
/// # Errors
/// The first field that is missing, unknown or malformed; `type` if the mode
/// takes no fields.
pub fn accept(
    template: &Template,
    fields: &BTreeMap<String, String>,
) -> Result<Credentials, FieldError> {
    match template.auth_mode {
        AuthMode::ApiKey => api_key::accept(template, fields),
        AuthMode::Basic => basic::accept(template, fields),
        AuthMode::None => match fields.keys().next() {
            None => Ok(Credentials::None),
            Some(unknown) => Err(FieldError::new(unknown, "is not a field of this provider")),
        },
        mode => Err(FieldError::new(
            "type",
            format!("takes no fields in auth mode {mode}"),
        )),
    }
}

/// Gets new credentials from the provider in place of those that expire.
///
/// # Errors
/// [`Error::WrongMode`] for credentials that do not expire, and those of the mode.
pub async fn refresh<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    credentials: &Credentials,
    endpoint: &E,
) -> Result<Finished, Error> {
    match credentials {
        Credentials::OAuth2(tokens) => oauth2::refresh(client, config, tokens, endpoint).await,
        Credentials::ApiKey(_) | Credentials::Basic(_) | Credentials::None => {
            Err(Error::WrongMode(AuthMode::OAuth2))
        }
    }
}

impl Credentials {
    /// The mode they belong to.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        match self {
            Self::OAuth2(_) => AuthMode::OAuth2,
            Self::ApiKey(_) => AuthMode::ApiKey,
            Self::Basic(_) => AuthMode::Basic,
            Self::None => AuthMode::None,
        }
    }

    /// The API's form (CONTRACT 2.6), secrets included:
    /// `{"type": "OAUTH2", "access_token", "refresh_token"?, "expires_at"?, "raw"}`,
    /// `{"type": "API_KEY", "apiKey"}`, `{"type": "BASIC", "username",
    /// "password"}`, `{}`.
    #[must_use]
    pub fn to_wire(&self) -> Value {
        match self {
            Self::OAuth2(tokens) => tokens.to_wire(),
            Self::ApiKey(key) => key.to_wire(),
            Self::Basic(basic) => basic.to_wire(),
            Self::None => Value::Object(serde_json::Map::new()),
        }
    }

    /// When they stop working, if they do and the provider said so.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::OAuth2(tokens) => tokens.expires_at,
            Self::ApiKey(_) | Self::Basic(_) | Self::None => None,
        }
    }

    /// When the provider gave them out, if they expire.
    #[must_use]
    pub fn issued_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::OAuth2(tokens) => Some(tokens.issued_at),
            Self::ApiKey(_) | Self::Basic(_) | Self::None => None,
        }
    }

    /// Whether [`refresh`] has what it needs.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        match self {
            Self::OAuth2(tokens) => tokens.refresh_token.is_some(),
            Self::ApiKey(_) | Self::Basic(_) | Self::None => false,
        }
    }

    /// Whether they stay what a person entered, until the provider takes them
    /// back.
    #[must_use]
    pub const fn is_static(&self) -> bool {
        matches!(self, Self::ApiKey(_) | Self::Basic(_))
    }

    /// The OAuth client that the connection brought, in place of the
    /// integration's.
    #[must_use]
    pub fn own_client(&self) -> Option<&OwnClient> {
        match self {
            Self::OAuth2(tokens) => tokens.own_client.as_ref(),
            Self::ApiKey(_) | Self::Basic(_) | Self::None => None,
        }
    }

    /// The value of a placeholder: `credentials.<name>` or a bare name.
    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::OAuth2(tokens) => tokens.field(name),
            Self::ApiKey(key) => key.field(name),
            Self::Basic(basic) => basic.field(name),
            Self::None => None,
        }
    }

    /// The `Authorization` header that the mode adds by itself.
    ///
    /// # Errors
    /// [`Error::Header`].
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        match self {
            Self::OAuth2(tokens) => tokens.bearer().map(Some),
            Self::Basic(basic) => basic.authorization().map(Some),
            Self::ApiKey(_) | Self::None => Ok(None),
        }
    }
}
