//! A connection's credentials.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::Object;

/// The credentials of a connection. `Debug` hides them.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// Tokens of an OAuth 2.0 provider (`OAUTH2`).
    OAuth2 {
        /// Authorises calls.
        access_token: SecretString,
        /// Gets the next access token.
        refresh_token: Option<SecretString>,
        /// When the access token stops working.
        expires_at: Option<DateTime<Utc>>,
        /// The provider's last answer to a token request, as it was. It holds
        /// the tokens too.
        raw: Object,
    },
    /// A key that the person entered (`API_KEY`).
    ApiKey(SecretString),
    /// A user name and a password (`BASIC`).
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// The connection needs none (`NONE`).
    None,
    /// There is nothing to see: the API key lacks the scope
    /// `environment:connections:read_credentials`, or the connection is one
    /// without credentials, which servers show in the same way.
    NotShown,
    /// Those of another mode, as the server sent them.
    Other {
        /// The mode: the field `type`.
        kind: String,
        /// All fields.
        fields: Object,
    },
}

impl Credentials {
    /// The auth mode as it is on the wire, or `""` when they are not shown.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::OAuth2 { .. } => "OAUTH2",
            Self::ApiKey(_) => "API_KEY",
            Self::Basic { .. } => "BASIC",
            Self::None => "NONE",
            Self::NotShown => "",
            Self::Other { kind, .. } => kind,
        }
    }

    /// The access token, where the mode has one.
    #[must_use]
    pub fn access_token(&self) -> Option<SecretString> {
        match self {
            Self::OAuth2 { access_token, .. } => Some(access_token.clone()),
            Self::Other { fields, .. } => text(fields, "access_token").map(SecretString::from),
            _ => None,
        }
    }

    fn read(fields: Object) -> Self {
        let secret = |name| text(&fields, name).map(SecretString::from);
        let known = match text(&fields, "type") {
            None => Some(Self::NotShown),
            Some("OAUTH2") => secret("access_token").map(|access_token| Self::OAuth2 {
                access_token,
                refresh_token: secret("refresh_token"),
                expires_at: text(&fields, "expires_at").and_then(|at| at.parse().ok()),
                raw: fields
                    .get("raw")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
            }),
            Some("API_KEY") => secret("apiKey").map(Self::ApiKey),
            Some("BASIC") => Some(Self::Basic {
                username: text(&fields, "username").unwrap_or_default().to_owned(),
                password: secret("password").unwrap_or_default(),
            }),
            Some("NONE") => Some(Self::None),
            Some(_) => None,
        };
        known.unwrap_or_else(|| Self::Other {
            kind: text(&fields, "type").unwrap_or_default().to_owned(),
            fields,
        })
    }
}

fn text<'f>(fields: &'f Object, name: &str) -> Option<&'f str> {
    fields.get(name)?.as_str()
}

impl<'de> Deserialize<'de> for Credentials {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Object::deserialize(from).map(Self::read)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, hidden)", self.kind())
    }
}

/// Credentials that a connection is imported with. `Debug` hides them.
#[derive(Clone)]
pub struct ImportCredentials(pub(crate) Object);

impl ImportCredentials {
    /// Tokens of an OAuth 2.0 provider. Without a refresh token and an end of
    /// validity the access token is used until the provider refuses it.
    pub fn oauth2(access_token: &SecretString) -> Self {
        Self::of("OAUTH2").with_secret("access_token", access_token)
    }

    /// A key.
    pub fn api_key(key: &SecretString) -> Self {
        // The contract's own spelling.
        Self::of("API_KEY").with_secret("apiKey", key)
    }

    /// A user name and a password.
    pub fn basic(username: &str, password: &SecretString) -> Self {
        Self::of("BASIC")
            .with("username", json!(username))
            .with_secret("password", password)
    }

    /// None: for providers that need no credentials.
    #[must_use]
    pub fn none() -> Self {
        Self::of("NONE")
    }

    /// Those of any mode, by its name on the wire; add its fields by
    /// [`with`](Self::with) and [`with_secret`](Self::with_secret).
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self(Object::from_iter([("type".to_owned(), json!(kind))]))
    }

    /// Adds a refresh token.
    #[must_use]
    pub fn refresh_token(self, token: &SecretString) -> Self {
        self.with_secret("refresh_token", token)
    }

    /// Says when the access token stops working.
    #[must_use]
    pub fn expires_at(self, at: DateTime<Utc>) -> Self {
        self.with("expires_at", json!(at))
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Adds a field that is a secret.
    #[must_use]
    pub fn with_secret(self, name: &str, secret: &SecretString) -> Self {
        self.with(name, json!(secret.expose_secret()))
    }
}

impl std::fmt::Debug for ImportCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImportCredentials(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Credentials {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn each_mode_is_read_and_hidden() {
        let oauth = read(json!({
            "type": "OAUTH2", "access_token": "s3cret", "expires_at": "2030-01-01T00:00:00Z", "raw": {},
        }));
        assert!(matches!(
            &oauth,
            Credentials::OAuth2 {
                expires_at: Some(_),
                refresh_token: None,
                ..
            }
        ));
        let jwt = read(json!({ "type": "OAUTH2_CC", "access_token": "s3cret" }));
        assert!(matches!(&jwt, Credentials::Other { kind, .. } if kind == "OAUTH2_CC"));
        for one in [&oauth, &jwt] {
            assert_eq!(one.access_token().unwrap().expose_secret(), "s3cret");
        }
        let key = read(json!({ "type": "API_KEY", "apiKey": "s3cret" }));
        let basic = read(json!({ "type": "BASIC", "username": "me", "password": "s3cret" }));
        for one in [&oauth, &jwt, &key, &basic] {
            assert!(!format!("{one:?}").contains("s3cret"));
        }
        assert!(key.access_token().is_none() && basic.access_token().is_none());
        assert!(matches!(read(json!({})), Credentials::NotShown));
    }
}
