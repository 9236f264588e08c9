//! The tokens of a connection.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, OwnClient, mcp, secret};

/// The tokens of a connection. `Debug` hides them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    /// What a call to the API carries.
    #[serde(serialize_with = "secret::expose")]
    pub access_token: SecretString,
    /// What buys the next access token.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub refresh_token: Option<SecretString>,
    /// When the access token stops working, where the provider says so.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub issued_at: DateTime<Utc>,
    /// The provider's whole answer.
    pub raw: Value,
    /// The client that they were given to, if it is not the integration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_client: Option<OwnClient>,
    /// The client that this server was for them, and where, if neither was the
    /// integration's or the template's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Box<mcp::Registration>>,
}

impl Tokens {
    pub(crate) fn to_wire(&self) -> Value {
        let mut wire = json!({
            "type": "OAUTH2",
            "access_token": self.access_token.expose_secret(),
            "raw": self.raw,
        });
        if let Some(refresh_token) = &self.refresh_token {
            wire["refresh_token"] = refresh_token.expose_secret().into();
        }
        if let Some(expires_at) = self.expires_at {
            wire["expires_at"] = expires_at
                .to_rfc3339_opts(SecondsFormat::Millis, true)
                .into();
        }
        wire
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let secret = match name {
            "accessToken" | "access_token" => &self.access_token,
            "refreshToken" | "refresh_token" => self.refresh_token.as_ref()?,
            _ => return None,
        };
        Some(Cow::Borrowed(secret.expose_secret()))
    }

    /// RFC 6750 section 2.1.
    pub(crate) fn bearer(&self) -> Result<HeaderValue, Error> {
        HeaderValue::try_from(format!("Bearer {}", self.access_token.expose_secret()))
            .map_err(|_| Error::Header(AUTHORIZATION.to_string()))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("expires_at", &self.expires_at)
            .field("issued_at", &self.issued_at)
            .field("has_refresh_token", &self.refresh_token.is_some())
            .finish_non_exhaustive()
    }
}
