//! The headers of a call.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Prepare;
use crate::Error;
use crate::scope::{RequestScope, unless_unset};

/// The mode's header, then the template's, then the caller's, each replacing
/// the ones before it; but a `User-Agent` that the template sets stays.
pub(super) fn headers(call: &Prepare<'_>, scope: &RequestScope<'_>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(call.headers.len() + 4);
    if let Some(mut value) = call.credentials.authorization()? {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(proxy) = &call.config.template.proxy {
        for (name, text) in proxy.headers.iter() {
            // One that names a value the connection lacks is left out.
            let Some(text) = unless_unset(call.config.template, text.evaluate(scope))? else {
                continue;
            };
            headers.insert(name, sensitive(name, text)?);
        }
    }
    for name in call.headers.keys() {
        if is_ours(name) || (name == USER_AGENT && headers.contains_key(USER_AGENT)) {
            continue;
        }
        let mut values = call.headers.get_all(name).iter().cloned();
        if let Some(first) = values.next() {
            headers.insert(name, first);
        }
        for value in values {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

pub(super) fn sensitive(name: &HeaderName, text: String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Error::Header(name.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Headers that belong to one connection (RFC 9110 section 7.6.1) or say where
/// and how much: the HTTP client writes them, or nobody does.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 9] = [
        CONNECTION,
        CONTENT_LENGTH,
        HOST,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    OURS.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}
