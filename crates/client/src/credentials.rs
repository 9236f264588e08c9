//! A connection's credentials.

mod import;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::Object;

pub use import::ImportCredentials;

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
    /// A token that signs calls, of an OAuth 1.0a provider (`OAUTH1`).
    OAuth1 {
        /// Names it.
        token: SecretString,
        /// Signs.
        token_secret: SecretString,
    },
    /// A token that signs calls, as the person entered it (`TBA`).
    Tba {
        /// Names it.
        token_id: SecretString,
        /// Signs.
        token_secret: SecretString,
    },
    /// What the person entered and what it bought: `OAUTH2_CC`, `TWO_STEP`, `JWT`,
    /// `APP`, `BILL`, `SIGNATURE` and `AWS_SIGV4`.
    Login {
        /// The mode: the field `type`.
        kind: String,
        /// What calls carry, where that is one token; a session or the keys of a
        /// role are among the fields.
        token: Option<SecretString>,
        /// When it stops working.
        expires_at: Option<DateTime<Utc>>,
        /// All fields: those that were entered, and those that were bought.
        fields: Object,
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
            Self::OAuth1 { .. } => "OAUTH1",
            Self::Tba { .. } => "TBA",
            Self::Login { kind, .. } => kind,
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
            Self::Login { token, .. } => token.clone(),
            Self::Other { fields, .. } => text(fields, "access_token").map(SecretString::from),
            _ => None,
        }
    }

    fn read(fields: Object) -> Self {
        Self::known(&fields).unwrap_or_else(|| Self::Other {
            kind: text(&fields, "type").unwrap_or_default().to_owned(),
            fields,
        })
    }

    /// Those whose mode is known, with the fields that it must have.
    fn known(fields: &Object) -> Option<Self> {
        let secret = |name| text(fields, name).map(SecretString::from);
        let expires_at = text(fields, "expires_at").and_then(|at| at.parse().ok());
        let known = match text(fields, "type") {
            None => Self::NotShown,
            Some("OAUTH2") => Self::OAuth2 {
                access_token: secret("access_token")?,
                refresh_token: secret("refresh_token"),
                expires_at,
                raw: object(fields, "raw"),
            },
            Some("OAUTH1") => Self::OAuth1 {
                token: secret("oauth_token")?,
                token_secret: secret("oauth_token_secret")?,
            },
            Some("TBA") => Self::Tba {
                token_id: secret("token_id")?,
                token_secret: secret("token_secret")?,
            },
            Some(kind) if LOGINS.contains(&kind) => Self::Login {
                kind: kind.to_owned(),
                token: secret("token").or_else(|| secret("access_token")),
                expires_at,
                fields: fields.clone(),
            },
            Some("API_KEY") => Self::ApiKey(secret("apiKey")?),
            Some("BASIC") => Self::Basic {
                username: text(fields, "username").unwrap_or_default().to_owned(),
                password: secret("password").unwrap_or_default(),
            },
            Some("NONE") => Self::None,
            Some(_) => return None,
        };
        Some(known)
    }
}

/// The modes in which what is entered buys what calls carry.
const LOGINS: &[&str] = &[
    "OAUTH2_CC",
    "TWO_STEP",
    "JWT",
    "APP",
    "BILL",
    "SIGNATURE",
    "AWS_SIGV4",
];

fn object(fields: &Object, name: &str) -> Object {
    let object = fields.get(name).and_then(Value::as_object);
    object.cloned().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

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
        let custom = read(json!({ "type": "CUSTOM", "access_token": "s3cret" }));
        assert!(matches!(&custom, Credentials::Other { kind, .. } if kind == "CUSTOM"));
        let app = read(json!({ "type": "APP", "access_token": "s3cret" }));
        let client = read(json!({
            "type": "OAUTH2_CC", "token": "s3cret", "client_id": "me",
            "expires_at": "2030-01-01T00:00:00Z",
        }));
        let Credentials::Login { fields, .. } = &client else {
            panic!("{client:?}");
        };
        assert_eq!(fields["client_id"], "me");
        for one in [&oauth, &custom, &app, &client] {
            assert_eq!(one.access_token().unwrap().expose_secret(), "s3cret");
        }
        let session = read(json!({ "type": "BILL", "session_id": "s3cret" }));
        let key = read(json!({ "type": "API_KEY", "apiKey": "s3cret" }));
        let basic = read(json!({ "type": "BASIC", "username": "me", "password": "s3cret" }));
        let signing = [
            read(
                json!({ "type": "OAUTH1", "oauth_token": "s3cret", "oauth_token_secret": "s3cret" }),
            ),
            read(json!({ "type": "TBA", "token_id": "s3cret", "token_secret": "s3cret" })),
        ];
        for one in [&session, &key, &basic, &signing[0], &signing[1]] {
            assert!(one.access_token().is_none(), "{one:?}");
        }
        for one in [
            &oauth,
            &custom,
            &app,
            &client,
            &session,
            &key,
            &basic,
            &signing[0],
            &signing[1],
        ] {
            assert!(!format!("{one:?}").contains("s3cret"));
        }
        assert_eq!([signing[0].kind(), signing[1].kind()], ["OAUTH1", "TBA"]);
        assert!(matches!(read(json!({})), Credentials::NotShown));
    }

    #[test]
    fn what_lacks_its_fields_is_read_as_it_is() {
        let half = read(json!({ "type": "OAUTH1", "oauth_token": "s3cret" }));
        assert!(matches!(&half, Credentials::Other { kind, .. } if kind == "OAUTH1"));
    }
}
