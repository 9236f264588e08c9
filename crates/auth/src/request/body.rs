//! What a template adds to the bodies of calls.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Prepare;
use crate::Error;
use crate::scope::{RequestScope, unless_unset};

/// The methods whose bodies a template adds to (CONTRACT 2.7).
const METHODS: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Whether the template may add to this call's body, as far as can be said before
/// the body is there: it has entries with values, and the body is not described as
/// something other than JSON.
///
/// # Errors
/// As [`body`].
pub fn may_add(call: &Prepare<'_>) -> Result<bool, Error> {
    let Some(proxy) = &call.config.template.proxy else {
        return Ok(false);
    };
    if proxy.body.is_empty() || !takes_entries(call) {
        return Ok(false);
    }
    let scope = RequestScope::new(call.config, call.client, Some(call.credentials));
    for entry in proxy.body.values() {
        if unless_unset(call.config.template, entry.evaluate(&scope))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a body of this call can be a JSON object, or is none.
fn takes_entries(call: &Prepare<'_>) -> bool {
    let kind = call.headers.get(CONTENT_TYPE);
    let kind = kind.or_else(|| call.body_headers.get(CONTENT_TYPE));
    METHODS.contains(call.method) && kind.is_none_or(is_json)
}

fn is_json(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

/// The caller's body with the template's entries (CONTRACT 2.7). They are added
/// to the JSON object of a POST, PUT, PATCH or DELETE, where the caller has none of
/// the name, and make one where there is no body. Nothing where the body stays as it is: other bodies have no
/// place for entries.
///
/// # Errors
/// [`Error::Unsupported`] and [`Error::Unusable`] for an entry whose function
/// cannot be computed.
pub fn body(call: &Prepare<'_>, body: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let template = call.config.template;
    let Some(proxy) = &template.proxy else {
        return Ok(None);
    };
    if proxy.body.is_empty() || !takes_entries(call) {
        return Ok(None);
    }
    let Some(given) = object(body) else {
        return Ok(None);
    };
    let scope = RequestScope::new(call.config, call.client, Some(call.credentials));
    let mut added = Map::new();
    for (name, entry) in &proxy.body {
        if given.contains_key(name) {
            continue;
        }
        // One that names a value the connection lacks is left out.
        if let Some(value) = unless_unset(template, entry.evaluate(&scope))? {
            added.insert(name.clone(), value);
        }
    }
    if added.is_empty() {
        return Ok(None);
    }
    let mut merged = Value::Object(added).to_string().into_bytes();
    if !given.is_empty() {
        // The caller's own text, since parsing would change its numbers.
        merged.pop();
        merged.push(b',');
        merged.extend_from_slice(body.trim_ascii_start().get(1..).unwrap_or_default());
    }
    Ok(Some(merged))
}

/// The entries of a JSON object. No body is one without entries.
fn object(body: &[u8]) -> Option<BTreeMap<String, &RawValue>> {
    if body.trim_ascii().is_empty() {
        return Some(BTreeMap::new());
    }
    serde_json::from_slice(body).ok()
}
