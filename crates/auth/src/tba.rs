//! TBA: NetSuite's token-based authentication, which is OAuth 1.0a with a realm
//! and tokens that a person enters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use linkspan_providers::Template;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Credentials, Entered, Error, OwnClient, Rejected, secret};

/// A token that a person entered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tba {
    /// Names it.
    #[serde(serialize_with = "secret::expose")]
    pub token_id: SecretString,
    /// Signs with the client's secret.
    #[serde(serialize_with = "secret::expose")]
    pub token_secret: SecretString,
    /// The client that it was given to, if it is not the integration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_client: Option<OwnClient>,
}

/// Checks what a person entered.
///
/// # Errors
/// The first field that is missing, unknown or malformed, without its value.
pub(crate) fn accept(template: &Template, _entered: &Entered) -> Result<Credentials, Rejected> {
    Err(Error::unsupported(template, "TBA").into())
}

/// A token that was checked elsewhere.
pub(crate) fn import(
    fields: &mut BTreeMap<String, String>,
    own_client: Option<OwnClient>,
) -> Credentials {
    let mut secret = |name: &str| SecretString::from(fields.remove(name).unwrap_or_default());
    Credentials::Tba(Tba {
        token_id: secret("token_id"),
        token_secret: secret("token_secret"),
        own_client,
    })
}

impl Tba {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "type": "TBA",
            "token_id": self.token_id.expose_secret(),
            "token_secret": self.token_secret.expose_secret(),
            "config_override": {},
        })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let secret = match name {
            "token_id" => &self.token_id,
            "token_secret" => &self.token_secret,
            _ => return None,
        };
        Some(Cow::Borrowed(secret.expose_secret()))
    }
}
