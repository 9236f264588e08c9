//! The headers of a call.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use linkspan_providers::interpolate::Uses;
use url::Url;

use super::Prepare;
use super::outgoing::{Outgoing, OutgoingScope};
use crate::Error;
use crate::scope::{RequestScope, unless_unset};
use crate::sign::aws_sigv4::CONTENT_HASH;

/// The mode's header, then the template's, then the caller's, each replacing
/// the ones before it; but a `User-Agent` that the template sets stays. What
/// describes the body fills gaps. The template's signatures come last: they need
/// all other headers, or the body.
pub(super) fn headers(
    call: &Prepare<'_>,
    url: &Url,
    scope: &RequestScope<'_>,
) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::with_capacity(call.headers.len() + 4);
    if let Some(mut value) = call.credentials.authorization()? {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let template = Templated { call, url, scope };
    let is_plain = |uses: Uses| uses == Uses::default();
    template.add(&mut headers, is_plain)?;
    add_callers(call, &mut headers);
    for (name, value) in call.body_headers {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    template.add(&mut headers, |uses| uses.body && !uses.headers)?;
    template.add(&mut headers, |uses| uses.headers)?;
    Ok(headers)
}

fn add_callers(call: &Prepare<'_>, headers: &mut HeaderMap) {
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
}

/// The template's headers.
struct Templated<'a> {
    call: &'a Prepare<'a>,
    url: &'a Url,
    scope: &'a RequestScope<'a>,
}

impl Templated<'_> {
    /// Adds those headers of the template that need what `is_one` says, and whose
    /// values are set. Those that the caller brings are left to them.
    fn add(&self, headers: &mut HeaderMap, is_one: impl Fn(Uses) -> bool) -> Result<(), Error> {
        let template = self.call.config.template;
        let Some(proxy) = &template.proxy else {
            return Ok(());
        };
        for (name, text) in proxy.headers.iter().filter(|(_, text)| is_one(text.uses())) {
            if name != USER_AGENT && self.call.headers.contains_key(name) {
                continue;
            }
            let scope = OutgoingScope::new(self.scope, self.outgoing(headers), text);
            let value = unless_unset(template, text.evaluate(&scope))?;
            let content_hash = scope.into_content_hash();
            if let Some(value) = value {
                headers.insert(name, sensitive(name, value)?);
            }
            if let Some(hash) = content_hash {
                headers.insert(CONTENT_HASH, hash);
            }
        }
        Ok(())
    }

    fn outgoing<'a>(&'a self, headers: &'a HeaderMap) -> Outgoing<'a> {
        Outgoing {
            method: self.call.method,
            url: self.url,
            body: self.call.body,
            headers,
        }
    }
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
