//! Secrets on their way to the server and back.

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;

/// Writes a secret into a request's body, which goes to the server alone.
pub(crate) fn exposed<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

/// [`exposed`], for a secret that may be absent.
pub(crate) fn exposed_if<S: Serializer>(
    secret: &Option<SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => exposed(secret, to),
        None => to.serialize_none(),
    }
}
