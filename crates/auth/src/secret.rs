//! Secrets in the sealed storage form. Only the types of this crate that are
//! stored use these: a `SecretString` does not serialise by itself.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

pub(crate) fn expose<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

pub(crate) fn expose_option<S: Serializer>(
    secret: &Option<SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(to)
}

pub(crate) fn expose_all<S: Serializer>(
    secrets: &BTreeMap<String, SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let exposed = secrets
        .iter()
        .map(|(name, secret)| (name, secret.expose_secret()));
    to.collect_map(exposed)
}
