//! Temporary credentials, those of calls, and how calls are signed with them.

use std::borrow::Cow;
use std::fmt;

use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::request;
use crate::request::ToSign;
use crate::sign::oauth1::{Signer, Stamp};
use crate::{Error, OwnClient, secret, sign};

/// Temporary credentials, until the person has allowed the access (RFC 5849
/// section 2.1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestToken {
    /// Names them.
    pub token: String,
    /// Signs with the client's secret.
    #[serde(serialize_with = "secret::expose")]
    pub token_secret: SecretString,
}

/// Token credentials; they do not expire (RFC 5849 section 2.3). `Debug` hides
/// them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Token {
    /// Names them.
    #[serde(serialize_with = "secret::expose")]
    pub token: SecretString,
    /// Signs with the client's secret.
    #[serde(serialize_with = "secret::expose")]
    pub token_secret: SecretString,
    /// The provider's whole answer.
    pub raw: Value,
    /// The client that they were given to, if it is not the integration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_client: Option<OwnClient>,
}

impl Token {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "type": "OAUTH1",
            "oauth_token": self.token.expose_secret(),
            "oauth_token_secret": self.token_secret.expose_secret(),
            "raw": self.raw,
        })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let secret = match name {
            "oauth_token" | "accessToken" => &self.token,
            "oauth_token_secret" => &self.token_secret,
            _ => return None,
        };
        Some(Cow::Borrowed(secret.expose_secret()))
    }

    /// Signs a call by the client that the token was given to (RFC 5849 section
    /// 3): its method, address, query, and the body if that is a form.
    ///
    /// # Errors
    /// [`Error::NoClient`], [`Error::Sign`], and [`Error::Unusable`] for a form
    /// that nobody has seen.
    pub(crate) fn sign(&self, call: ToSign<'_>) -> Result<(), Error> {
        let client = request::client(call.client, self.own_client.as_ref())?;
        let key = request::key(call.config.template, &client)?;
        let token = sign::oauth1::Token {
            key: self.token.expose_secret(),
            secret: self.token_secret.expose_secret(),
        };
        let signer = Signer {
            token: Some(token),
            ..key.signer(&client)
        };
        let stamp = Stamp {
            nonce: call.random(),
            timestamp: call.now().timestamp(),
        };
        let form = call.form()?;
        let header = signer.authorization(call.method, call.url, form, request::VERSION, stamp)?;
        call.headers.insert(AUTHORIZATION, header);
        Ok(())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}
