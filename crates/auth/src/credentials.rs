//! What a connection authenticates with.

use serde::{Deserialize, Serialize};

use crate::api_key::ApiKey;
use crate::basic::Basic;
use crate::oauth2::Tokens;

/// What a connection authenticates with, by mode. `Debug` hides all secrets.
///
/// Serialising exposes them: it is the form that is sealed for storage, and
/// must not go anywhere else. [`Credentials::to_wire`] is the API's form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Credentials {
    /// Tokens of an OAuth 2.0 provider.
    #[serde(rename = "OAUTH2")]
    OAuth2(Tokens),
    /// A key that the person entered.
    #[serde(rename = "API_KEY")]
    ApiKey(ApiKey),
    /// A name and a password that the person entered.
    #[serde(rename = "BASIC")]
    Basic(Basic),
    /// Nothing: the API is open, or only sends webhooks.
    #[serde(rename = "NONE")]
    None,
}
