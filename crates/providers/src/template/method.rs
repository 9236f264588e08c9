//! HTTP methods of a template.

use std::borrow::Cow;

use http::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[expect(clippy::ref_option, reason = "serde passes a reference")]
pub(super) fn serialize<S: Serializer>(method: &Option<Method>, to: S) -> Result<S::Ok, S::Error> {
    method.as_ref().map(Method::as_str).serialize(to)
}

/// Any of RFC 9110 section 9 that a template can mean.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Method>, D::Error> {
    const KNOWN: [Method; 6] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
    ];
    let name = Cow::<'de, str>::deserialize(from)?;
    match KNOWN.into_iter().find(|known| known.as_str() == name) {
        Some(method) => Ok(Some(method)),
        None => Err(de::Error::custom(format_args!(
            "unknown HTTP method `{name}`"
        ))),
    }
}
