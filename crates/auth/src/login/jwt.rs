//! JSON Web Tokens that a login presents: assertions (RFC 7523).

use chrono::{DateTime, TimeDelta, Utc};
use linkspan_providers::interpolate::{Scope, Text};
use linkspan_providers::{Params, Template};
use serde_json::Value;

use super::request::params;
use crate::Error;
use crate::sign::PrivateKey;
use crate::sign::jwt::{Algorithm, Key, sign};

/// A token as a template describes it.
pub(crate) struct Statement<'a> {
    pub(crate) key: &'a Text,
    pub(crate) header: &'a Params,
    pub(crate) payload: &'a Params,
    pub(crate) life: TimeDelta,
}

impl Statement<'_> {
    /// Signs it by the algorithm that its header names, RS256 unless it does.
    /// Claims without a value are left out; `iat` and `exp` are added.
    ///
    /// # Errors
    /// [`Error::Url`] where the key has no value, [`Error::Sign`].
    pub(crate) fn sign<S: Scope + ?Sized>(
        &self,
        template: &Template,
        scope: &S,
        now: DateTime<Utc>,
    ) -> Result<String, Error> {
        let key = PrivateKey::from_pem(&self.key.evaluate(scope)?)?;
        let header = params(template, self.header, scope)?;
        let mut claims = params(template, self.payload, scope)?;
        let end = now.checked_add_signed(self.life);
        let end = end.unwrap_or(DateTime::<Utc>::MAX_UTC);
        for (name, at) in [("iat", now), ("exp", end)] {
            claims.entry(name).or_insert_with(|| at.timestamp().into());
        }
        let algorithm = match header.get("alg").and_then(Value::as_str) {
            Some(name) => name.parse()?,
            None => Algorithm::Rs256,
        };
        Ok(sign(algorithm, Key::Private(&key), &header, &claims)?)
    }
}
