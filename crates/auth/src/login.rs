//! What a person entered, and the token that it bought: the credentials of all
//! modes that log in.

pub(crate) mod answer;
pub(crate) mod jwt;
pub(crate) mod request;
#[cfg(test)]
pub(crate) mod scripted;
pub(crate) mod xml;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, secret};

/// How long a token lasts of which nobody says how long (CONTRACT 2.8), where it
/// is known to expire.
pub(crate) const UNTOLD_LIFE: TimeDelta = TimeDelta::minutes(55);

/// What a person entered, and the token that it bought. The same entries buy
/// the next one. `Debug` hides everything but the times.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// What the person entered, by the template's field.
    #[serde(default, serialize_with = "secret::expose_all")]
    pub entered: BTreeMap<String, SecretString>,
    /// What a call to the API carries.
    #[serde(serialize_with = "secret::expose")]
    pub token: SecretString,
    /// What buys the next token, where it is not the entries alone.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub refresh_token: Option<SecretString>,
    /// What else the answer brought that calls or refreshes need, by the name
    /// that templates give it.
    #[serde(default, serialize_with = "secret::expose_all")]
    pub brought: BTreeMap<String, SecretString>,
    /// When the token stops working, where that is known.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub issued_at: DateTime<Utc>,
    /// The provider's whole answer; null where we made the token ourselves.
    #[serde(default)]
    pub raw: Value,
}

impl Login {
    /// The API's form: the entries and what else was brought beside the token,
    /// which has the name that the mode gives it.
    pub(crate) fn to_wire(&self, kind: &str, token: Option<&str>) -> Value {
        let mut wire = Map::new();
        for (name, value) in self.entered.iter().chain(&self.brought) {
            wire.insert(name.clone(), value.expose_secret().into());
        }
        wire.insert("type".to_owned(), kind.into());
        if let Some(name) = token {
            wire.insert(name.to_owned(), self.token.expose_secret().into());
        }
        if let Some(refresh_token) = &self.refresh_token {
            let refresh_token = refresh_token.expose_secret();
            wire.insert("refresh_token".to_owned(), refresh_token.into());
        }
        if let Some(expires_at) = self.expires_at {
            let text = expires_at.to_rfc3339_opts(SecondsFormat::Millis, true);
            wire.insert("expires_at".to_owned(), text.into());
        }
        if !self.raw.is_null() {
            wire.insert("raw".to_owned(), self.raw.clone());
        }
        Value::Object(wire)
    }

    /// The value of a placeholder.
    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(path) = name.strip_prefix("raw.") {
            return scalar(&self.raw, path);
        }
        let secret = match name {
            "token" | "accessToken" | "access_token" => &self.token,
            "refreshToken" | "refresh_token" => self.refresh_token.as_ref()?,
            name => match self.brought.get(name).or_else(|| self.entered.get(name)) {
                Some(secret) => secret,
                None => return self.half(name),
            },
        };
        Some(Cow::Borrowed(secret.expose_secret()))
    }

    /// `<field>.id` and `<field>.secret`: what stands before and after the first
    /// colon of what was entered in one piece.
    fn half(&self, name: &str) -> Option<Cow<'_, str>> {
        let (field, half) = name.rsplit_once('.')?;
        let (id, secret) = self.entered.get(field)?.expose_secret().split_once(':')?;
        match half {
            "id" => Some(Cow::Borrowed(id)),
            "secret" => Some(Cow::Borrowed(secret)),
            _ => None,
        }
    }

    /// RFC 6750 section 2.1.
    pub(crate) fn bearer(&self) -> Result<HeaderValue, Error> {
        HeaderValue::try_from(format!("Bearer {}", self.token.expose_secret()))
            .map_err(|_| Error::Header(AUTHORIZATION.to_string()))
    }
}

/// The text, number or boolean at a dotted path.
fn scalar<'a>(answer: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    match path
        .split('.')
        .try_fold(answer, |value, key| value.get(key))?
    {
        Value::String(text) => Some(Cow::Borrowed(text)),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("expires_at", &self.expires_at)
            .field("issued_at", &self.issued_at)
            .finish_non_exhaustive()
    }
}
