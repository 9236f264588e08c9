//! TBA: NetSuite's token-based authentication, which is OAuth 1.0a with a realm
//! and tokens that a person enters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::header::AUTHORIZATION;
use linkspan_providers::interpolate::Unresolved;
use linkspan_providers::{Config, FieldError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::oauth1;
use crate::request::ToSign;
use crate::sign::oauth1::{Stamp, Token};
use crate::{Client, Credentials, Entered, Error, OwnClient, Rejected, secret};

/// The name of the account in a connection's configuration.
const ACCOUNT: &str = "accountId";

const TOKEN_ID: &str = "token_id";
const TOKEN_SECRET: &str = "token_secret";
const CLIENT_ID: &str = "oauth_client_id_override";
const CLIENT_SECRET: &str = "oauth_client_secret_override";

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
/// The first field that is missing, unknown or malformed, without its value;
/// [`Error::NoClient`] if neither the integration nor the person has a client.
pub(crate) fn accept(client: Option<&Client>, entered: &Entered) -> Result<Credentials, Rejected> {
    let known = [TOKEN_ID, TOKEN_SECRET, CLIENT_ID, CLIENT_SECRET];
    if let Some(unknown) = entered
        .fields
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        return Err(FieldError::new(unknown, "is not a field of this provider").into());
    }
    let token_id = required(entered, TOKEN_ID)?;
    let token_secret = required(entered, TOKEN_SECRET)?;
    let own_client = match (given(entered, CLIENT_ID), given(entered, CLIENT_SECRET)) {
        (None, None) => None,
        _ => Some(OwnClient {
            client_id: required(entered, CLIENT_ID)?.to_owned(),
            client_secret: Some(required(entered, CLIENT_SECRET)?.into()),
        }),
    };
    let has_client = client.is_some_and(|client| client.client_secret.is_some());
    if own_client.is_none() && !has_client {
        return Err(Error::NoClient.into());
    }
    Ok(Credentials::Tba(Tba {
        token_id: token_id.into(),
        token_secret: token_secret.into(),
        own_client,
    }))
}

fn given<'a>(entered: &'a Entered, name: &str) -> Option<&'a str> {
    let value = entered.fields.get(name).map(|value| value.trim());
    value.filter(|value| !value.is_empty())
}

fn required<'a>(entered: &'a Entered, name: &str) -> Result<&'a str, FieldError> {
    match given(entered, name) {
        None => Err(FieldError::new(name, "is required")),
        Some(value) if value.contains(char::is_control) => {
            let message = "has line breaks or other control characters";
            Err(FieldError::new(name, message))
        }
        Some(value) => Ok(value),
    }
}

/// A token that was checked elsewhere.
pub(crate) fn import(
    fields: &mut BTreeMap<String, String>,
    own_client: Option<OwnClient>,
) -> Credentials {
    let mut secret = |name: &str| SecretString::from(fields.remove(name).unwrap_or_default());
    Credentials::Tba(Tba {
        token_id: secret(TOKEN_ID),
        token_secret: secret(TOKEN_SECRET),
        own_client,
    })
}

impl Tba {
    pub(crate) fn to_wire(&self) -> Value {
        let own = self.own_client.as_ref();
        let own = own.map_or_else(
            || json!({}),
            |own| {
                let secret = own.client_secret.as_ref().map(ExposeSecret::expose_secret);
                json!({ "client_id": own.client_id, "client_secret": secret })
            },
        );
        json!({
            "type": "TBA",
            "token_id": self.token_id.expose_secret(),
            "token_secret": self.token_secret.expose_secret(),
            "config_override": own,
        })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let secret = match name {
            TOKEN_ID => &self.token_id,
            TOKEN_SECRET => &self.token_secret,
            _ => return None,
        };
        Some(Cow::Borrowed(secret.expose_secret()))
    }

    /// Signs a call, with the account as its realm.
    ///
    /// # Errors
    /// [`Error::Url`] without an account, [`Error::NoClient`], [`Error::Sign`], and
    /// [`Error::Unusable`] for a form that nobody has seen.
    pub(crate) fn sign(&self, call: ToSign<'_>) -> Result<(), Error> {
        let realm = realm(call.config)?;
        let client = oauth1::client(call.client, self.own_client.as_ref())?;
        let token = Token {
            key: self.token_id.expose_secret(),
            secret: self.token_secret.expose_secret(),
        };
        let stamp = Stamp {
            nonce: call.random(),
            timestamp: call.now().timestamp(),
        };
        let header = oauth1::hmac_sha256(&client, token, &realm).authorization(
            call.method,
            call.url,
            call.form()?,
            oauth1::VERSION,
            stamp,
        )?;
        call.headers.insert(AUTHORIZATION, header);
        Ok(())
    }
}

/// The account as NetSuite writes it there: `123456_SB1` for `123456-sb1`.
fn realm(config: &Config<'_>) -> Result<String, Error> {
    let account = config.connection.value(ACCOUNT);
    let account = account.filter(|account| !account.is_empty());
    let account = account.ok_or_else(|| Unresolved::Unset {
        path: format!("connectionConfig.{ACCOUNT}"),
    })?;
    Ok(account.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests;
