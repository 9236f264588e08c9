//! What a connection authenticates with.

use serde::{Deserialize, Serialize};

use crate::Login;
use crate::api_key::ApiKey;
use crate::basic::Basic;
use crate::custom::Custom;
use crate::oauth1::Token;
use crate::oauth2::Tokens;
use crate::tba::Tba;

/// What a connection authenticates with, by mode. `Debug` hides all secrets.
///
/// Serialising exposes them: it is the form that is sealed for storage, and
/// must not go anywhere else. [`Credentials::to_wire`] is the API's form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Credentials {
    /// A token of an OAuth 1.0a provider.
    #[serde(rename = "OAUTH1")]
    OAuth1(Token),
    /// Tokens of an OAuth 2.0 provider, or of an MCP server.
    #[serde(rename = "OAUTH2")]
    OAuth2(Tokens),
    /// A client that the person entered, and the token that it bought.
    #[serde(rename = "OAUTH2_CC")]
    ClientCredentials(Login),
    /// A key that the person entered.
    #[serde(rename = "API_KEY")]
    ApiKey(ApiKey),
    /// A name and a password that the person entered.
    #[serde(rename = "BASIC")]
    Basic(Basic),
    /// A login by the template's own steps.
    #[serde(rename = "TWO_STEP")]
    TwoStep(Login),
    /// A token that this server signs.
    #[serde(rename = "JWT")]
    Jwt(Login),
    /// A token of an installed app.
    #[serde(rename = "APP")]
    App(Login),
    /// An installed app's token with a person's.
    #[serde(rename = "CUSTOM")]
    Custom(Custom),
    /// A token that the person entered and that signs every call.
    #[serde(rename = "TBA")]
    Tba(Tba),
    /// A session.
    #[serde(rename = "BILL")]
    Bill(Login),
    /// A token made of a password and the time.
    #[serde(rename = "SIGNATURE")]
    Signature(Login),
    /// Temporary keys that sign every call.
    #[serde(rename = "AWS_SIGV4")]
    AwsSigV4(Login),
    /// None yet: a webhook of the provider has to bring what buys them.
    #[serde(rename = "PENDING")]
    Pending,
    /// Nothing: the API is open, or only sends webhooks.
    #[serde(rename = "NONE")]
    None,
}
