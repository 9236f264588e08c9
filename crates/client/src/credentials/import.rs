//! Credentials that a connection is imported with.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::Object;

/// Credentials that a connection is imported with. `Debug` hides them.
#[derive(Clone)]
pub struct ImportCredentials(pub(crate) Object);

impl ImportCredentials {
    /// Tokens of an OAuth 2.0 provider. Without a refresh token and an end of
    /// validity the access token is used until the provider refuses it.
    pub fn oauth2(access_token: &SecretString) -> Self {
        Self::of("OAUTH2").with_secret("access_token", access_token)
    }

    /// The token and the token's secret of an OAuth 1.0a provider.
    pub fn oauth1(token: &SecretString, token_secret: &SecretString) -> Self {
        Self::of("OAUTH1")
            .with_secret("oauth_token", token)
            .with_secret("oauth_token_secret", token_secret)
    }

    /// The id and the secret of an OAuth 2.0 client that buys tokens for itself.
    pub fn client(client_id: &str, client_secret: &SecretString) -> Self {
        Self::of("OAUTH2_CC")
            .with("client_id", json!(client_id))
            .with_secret("client_secret", client_secret)
    }

    /// A key.
    pub fn api_key(key: &SecretString) -> Self {
        // The contract's own spelling.
        Self::of("API_KEY").with_secret("apiKey", key)
    }

    /// A user name and a password.
    pub fn basic(username: &str, password: &SecretString) -> Self {
        Self::of("BASIC").user(username, password)
    }

    /// A user name and a password that sign a token, which calls carry.
    pub fn signature(username: &str, password: &SecretString) -> Self {
        Self::of("SIGNATURE").user(username, password)
    }

    /// A token of the integration's client that signs calls. For a token of
    /// another client add [`own_client`](Self::own_client).
    pub fn tba(token_id: &SecretString, token_secret: &SecretString) -> Self {
        Self::of("TBA")
            .with_secret("token_id", token_id)
            .with_secret("token_secret", token_secret)
            .with("config_override", json!({}))
    }

    /// The installation of the integration's app.
    #[must_use]
    pub fn app(installation_id: &str) -> Self {
        Self::of("APP").with("installation_id", json!(installation_id))
    }

    /// The role of an AWS account, and the region where the integration names none.
    #[must_use]
    pub fn aws_role(role_arn: &str, region: Option<&str>) -> Self {
        let role = Self::of("AWS_SIGV4").with("role_arn", json!(role_arn));
        match region {
            Some(region) => role.with("region", json!(region)),
            None => role,
        }
    }

    /// None: for providers that need no credentials.
    #[must_use]
    pub fn none() -> Self {
        Self::of("NONE")
    }

    /// Those of any mode, by its name on the wire, such as `TWO_STEP`, `JWT` and
    /// `BILL`, whose fields are the provider's; add them by [`with`](Self::with)
    /// and [`with_secret`](Self::with_secret).
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

    /// Names the client that the tokens were given to, if it is not the
    /// integration's: of `OAUTH2`, `OAUTH1` and `TBA`.
    #[must_use]
    pub fn own_client(self, client_id: &str, client_secret: &SecretString) -> Self {
        let client_secret = client_secret.expose_secret();
        let client = json!({ "client_id": client_id, "client_secret": client_secret });
        self.with("config_override", client)
    }

    fn user(self, username: &str, password: &SecretString) -> Self {
        self.with("username", json!(username))
            .with_secret("password", password)
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
