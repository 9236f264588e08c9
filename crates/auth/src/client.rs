//! The OAuth client of an integration, or of one connection.

use std::borrow::Cow;

use linkspan_providers::Config;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::secret;

/// Keys of a connection's configuration that stand in for the integration's.
const ID_OVERRIDE: &str = "oauth_client_id_override";
const SCOPES_OVERRIDE: &str = "oauth_scopes_override";

/// The key of a connection's configuration that holds a client secret of its
/// own while an authorisation is under way. It must not be stored there: the
/// credentials keep it, sealed ([`OwnClient`]).
pub const SECRET_OVERRIDE: &str = "oauth_client_secret_override";

/// What the provider knows the integration as (RFC 6749 section 2).
#[derive(Debug, Clone)]
pub struct Client {
    /// The client's identifier.
    pub client_id: String,
    /// The client's secret; a public client has none.
    pub client_secret: Option<SecretString>,
    /// Scopes to ask for; the template's defaults when empty.
    pub scopes: Vec<String>,
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
            scopes: Vec::new(),
        }
    }
}

impl Client {
    /// The client that a connection's configuration brings, for an integration
    /// that has none; its scopes are the integration's.
    #[must_use]
    pub fn brought(config: &Config<'_>, scopes: Vec<String>) -> Option<Self> {
        let own = Self {
            client_id: String::new(),
            client_secret: None,
            scopes,
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
                scopes: self.scopes.clone(),
            })
        })
    }
}
