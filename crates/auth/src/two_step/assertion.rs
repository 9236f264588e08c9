//! The signed statements that a login presents, and whether they can be made
//! again.

use chrono::{DateTime, TimeDelta, Utc};
use linkspan_providers::interpolate::{Unresolved, UrlError};
use linkspan_providers::{Assertion, Seconds, Template};

use super::saml::{self, Saml};
use super::scope::LoginScope;
use crate::login::jwt::Statement;
use crate::sign::PrivateKey;
use crate::{Error, login};

/// The field that templates send it by.
pub(super) const FIELD: &str = "assertion";

const OPTION: &str = "assertionOption.";

/// Makes what the template says is to be signed: `${token}`, and the assertion
/// as `${credentials.assertion}`. True if the assertion was made of what is not
/// stored, so that it has to be.
///
/// # Errors
/// [`Error::Sign`], [`Error::Unusable`].
pub(super) fn add(
    template: &Template,
    scope: &mut LoginScope<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    if let (Some(_), Some(token)) = (&template.signature, &template.token) {
        let key = token.signing_key.as_ref();
        let statement = Statement {
            key: key.ok_or_else(|| super::lacks(template, "token.signing_key"))?,
            header: &token.header,
            payload: &token.payload,
            life: milliseconds(token.expires_in_ms),
        };
        let token = statement.sign(template, scope, now)?;
        scope.set_token(token);
    }
    let Some(assertion) = &template.assertion else {
        return Ok(false);
    };
    match made(template, assertion, scope, now) {
        Ok(text) => {
            scope.set_field(FIELD, text);
            Ok(!template.assertion_option.is_empty())
        }
        // What made it is gone; it was kept itself.
        Err(Error::Url(UrlError::Unresolved(Unresolved::Unset { path })))
            if path.starts_with(OPTION) && !scope.field(FIELD).is_empty() =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn made(
    template: &Template,
    assertion: &Assertion,
    scope: &LoginScope<'_>,
    now: DateTime<Utc>,
) -> Result<String, Error> {
    match assertion {
        Assertion::Jwt {
            key,
            lifetime_in_seconds,
            header,
            payload,
        } => Statement {
            key,
            header,
            payload,
            life: seconds(*lifetime_in_seconds),
        }
        .sign(template, scope, now),
        Assertion::Saml {
            key,
            lifetime_in_seconds,
            issuer,
            audiences,
            recipient,
            name_identifier,
            session_index,
            attributes,
        } => {
            let key = PrivateKey::from_pem(&key.evaluate(scope)?)?;
            let attributes = login::request::params(template, attributes, scope)?;
            let life = seconds(*lifetime_in_seconds);
            let statement = Saml {
                id: saml::id()?,
                issuer: issuer.evaluate(scope)?,
                audience: audiences.evaluate(scope)?,
                recipient: recipient.evaluate(scope)?,
                name_id: name_identifier.evaluate(scope)?,
                session_index: session_index.evaluate(scope)?,
                attributes: attributes
                    .into_iter()
                    .map(|(name, value)| (name, crate::oauth2::begin::plain(value)))
                    .collect(),
                now,
                ends: now
                    .checked_add_signed(life)
                    .unwrap_or(DateTime::<Utc>::MAX_UTC),
            };
            statement.sign(&key)
        }
    }
}

fn seconds(life: Seconds) -> TimeDelta {
    let seconds = i64::try_from(life.0).ok();
    seconds
        .and_then(TimeDelta::try_seconds)
        .unwrap_or(TimeDelta::MAX)
}

fn milliseconds(life: u64) -> TimeDelta {
    let life = i64::try_from(life).ok();
    life.and_then(TimeDelta::try_milliseconds)
        .unwrap_or(TimeDelta::MAX)
}
