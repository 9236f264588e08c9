//! What a template adds to the bodies of calls.

use std::collections::BTreeMap;

use linkspan_providers::Template;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Prepare;
use crate::Error;
use crate::scope::{RequestScope, unless_unset};

/// Whether the template adds to the bodies of calls. Such a body is needed
/// whole, and may hold the credentials.
#[must_use]
pub fn has_body(template: &Template) -> bool {
    let proxy = template.proxy.as_ref();
    proxy.is_some_and(|proxy| !proxy.body.is_empty())
}

/// The caller's body with the template's entries (CONTRACT 2.7). They are added
/// to a JSON object, where the caller has none of the name, and make one where
/// there is no body. Nothing where the body stays as it is: other bodies have no
/// place for entries.
///
/// # Errors
/// [`Error::Unsupported`] and [`Error::Unusable`] for an entry whose function
/// cannot be computed.
pub fn body(call: &Prepare<'_>, body: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let template = call.config.template;
    let Some(proxy) = template.proxy.as_ref().filter(|_| has_body(template)) else {
        return Ok(None);
    };
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
