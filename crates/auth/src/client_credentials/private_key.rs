//! A client that proves itself by a signed assertion (RFC 7523 section 2.2).

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::ParamMap;
use super::client::{Own, PRIVATE_KEY};
use crate::Error;
use crate::sign::jwt::{Algorithm, Key, sign};
use crate::sign::{PrivateKey, jwk};

const LIFE: TimeDelta = TimeDelta::minutes(5);

/// Adds the assertion: the client says of itself, to the token endpoint, that it
/// is who it is.
///
/// # Errors
/// [`Error::Sign`] for a key that is none, or not RSA.
pub(super) fn add(
    own: &Own,
    audience: &str,
    now: DateTime<Utc>,
    params: &mut ParamMap,
) -> Result<(), Error> {
    let text = own.get(PRIVATE_KEY).unwrap_or_default();
    let mut header = Map::from_iter([("typ".to_owned(), Value::from("JWT"))]);
    let key = if text.starts_with('{') {
        let jwk = jwk::parse(text)?;
        header.extend(jwk.id.map(|id| ("kid".to_owned(), id.into())));
        jwk.key
    } else {
        PrivateKey::from_pem(text)?
    };
    let claims = Map::from_iter(
        [
            ("iss", Value::from(own.id.as_str())),
            ("sub", own.id.as_str().into()),
            ("aud", audience.into()),
            ("jti", Uuid::new_v4().to_string().into()),
            ("iat", now.timestamp().into()),
            ("exp", (now + LIFE).timestamp().into()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let assertion = sign(Algorithm::Rs256, Key::Private(&key), &header, &claims)?;
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    params.insert("client_assertion_type".to_owned(), kind.into());
    params.insert("client_assertion".to_owned(), assertion.into());
    Ok(())
}
