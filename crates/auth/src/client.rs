//! The OAuth client of an integration, or of one connection.

use std::borrow::Cow;

use linkspan_providers::Config;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{modes, secret};

/// Keys of a connection's configuration that stand in for the integration's.
const ID_OVERRIDE: &str = "oauth_client_id_override";
const SCOPES_OVERRIDE: &str = "oauth_scopes_override";

/// The key of a connection's configuration that holds a client secret of its
/// own while an authorisation is under way. It must not be stored there: the
/// credentials keep it, sealed ([`OwnClient`]).
pub const SECRET_OVERRIDE: &str = "oauth_client_secret_override";

/// What the provider knows the integration as: an OAuth client (RFC 6749 section
/// 2, RFC 5849 section 1.1), an app, a plugin, or a client with an app.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The client's identifier; empty where there is only an app or a plugin.
    pub client_id: String,
    /// The client's secret; a public client has none.
    pub client_secret: Option<SecretString>,
    /// Scopes to ask for; the template's defaults when empty.
    pub scopes: Vec<String>,
    /// The app, in the modes whose app asks for tokens by a key of its own.
    pub app: Option<AppKey>,
    /// The plugin, in the mode that installs one.
    pub plugin: Option<Plugin>,
}

/// An app of the developer's that people install in their accounts. `Debug`
/// hides its key; serialising exposes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppKey {
    /// The app's identifier, which it signs with.
    pub app_id: String,
    /// The app's public page, from which it is installed.
    pub app_link: String,
    /// RSA, PEM.
    #[serde(serialize_with = "secret::expose")]
    pub private_key: SecretString,
}

/// A plugin of the developer's that people install. `Debug` hides what is secret
/// of it; serialising exposes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plugin {
    /// The page from which it is installed.
    pub app_link: String,
    /// The name that its calls carry.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub username: Option<SecretString>,
    /// The password that they carry.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub password: Option<SecretString>,
}

/// A client that one connection brought, stored with its tokens: they can be
/// refreshed by nobody else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnClient {
    /// The client's identifier.
    pub client_id: String,
    /// The client's secret; a public client has none.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub client_secret: Option<SecretString>,
}

impl From<&OwnClient> for Client {
    fn from(own: &OwnClient) -> Self {
        Self {
            client_id: own.client_id.clone(),
            client_secret: own.client_secret.clone(),
            ..Self::default()
        }
    }
}

impl Client {
    /// The client that a connection's configuration brings, for an integration
    /// that has none; its scopes are the integration's. Nothing in modes whose
    /// credentials do not keep it: they could be made and never refreshed.
    #[must_use]
    pub fn brought(config: &Config<'_>, scopes: Vec<String>) -> Option<Self> {
        if !modes::keeps_brought_client(config.template.auth_mode) {
            return None;
        }
        let own = Self {
            scopes,
            ..Self::default()
        };
        let brought = own.of_connection(config).into_owned();
        (!brought.client_id.is_empty()).then_some(brought)
    }

    /// The client with what the connection's configuration has in its place:
    /// `oauth_client_id_override` with `oauth_client_secret_override` (a client
    /// is both or neither: another client's id with our secret works nowhere),
    /// and `oauth_scopes_override`, separated by commas.
    pub(crate) fn of_connection(&self, config: &Config<'_>) -> Cow<'_, Self> {
        let set = |key: &str| {
            let value = config.connection.value(key);
            value.filter(|value| !value.is_empty()).map(Cow::into_owned)
        };
        let (id, scopes) = (set(ID_OVERRIDE), set(SCOPES_OVERRIDE));
        if id.is_none() && scopes.is_none() {
            return Cow::Borrowed(self);
        }
        let (client_id, client_secret) = match id {
            Some(id) => (id, set(SECRET_OVERRIDE).map(SecretString::from)),
            None => (self.client_id.clone(), self.client_secret.clone()),
        };
        let split = |scopes: String| -> Vec<String> {
            let words = scopes.split(',').map(str::trim);
            words
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect()
        };
        Cow::Owned(Self {
            client_id,
            client_secret,
            scopes: scopes.map_or_else(|| self.scopes.clone(), split),
            app: self.app.clone(),
            plugin: self.plugin.clone(),
        })
    }

    /// What is to be stored of a client that the connection brought.
    pub(crate) fn own(&self, config: &Config<'_>) -> Option<OwnClient> {
        config
            .connection
            .value(ID_OVERRIDE)
            .filter(|id| !id.is_empty())?;
        Some(OwnClient {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
        })
    }

    /// The client with the stored one in its place.
    pub(crate) fn or_own(&self, own: Option<&OwnClient>) -> Cow<'_, Self> {
        own.map_or(Cow::Borrowed(self), |own| {
            Cow::Owned(Self {
                client_id: own.client_id.clone(),
                client_secret: own.client_secret.clone(),
                ..self.clone()
            })
        })
    }
}
