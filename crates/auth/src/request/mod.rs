//! A call to a provider's API, prepared: where it goes and which headers it
//! has (CONTRACT 2.7, "URL" and "Headers"). Pure, and on the hot path: what can
//! be parsed beforehand is parsed in the template.

mod body;
mod headers;
mod outgoing;
mod target;
mod verification;

use std::fmt;

use chrono::{DateTime, Utc};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use linkspan_providers::Config;
use url::Url;
use uuid::Uuid;

use crate::scope::RequestScope;
use crate::{Client, Credentials, Error};

pub use body::{body, may_add};
pub(crate) use outgoing::is_form;
pub use outgoing::{BodyForSigning, ToSign, is_signed, needs_body};
pub use verification::verification;

/// What a call is made of.
#[derive(Debug, Clone, Copy)]
pub struct Prepare<'a> {
    /// The template, and the connection's and integration's configuration.
    pub config: &'a Config<'a>,
    /// The integration's OAuth client, for templates that send its id.
    pub client: Option<&'a Client>,
    /// Fresh credentials.
    pub credentials: &'a Credentials,
    /// Stands in for the template's base URL.
    pub base_url_override: Option<&'a Url>,
    /// What follows the base URL; the base URL itself in front is removed.
    pub path_and_query: &'a str,
    /// The method of the call.
    pub method: &'a Method,
    /// Headers that the caller wants, without our own prefix.
    pub headers: &'a HeaderMap,
    /// What is sent, with what the template adds to it ([`body`]).
    pub body: BodyForSigning<'a>,
    /// What describes the body, such as its content type: for want of a word of
    /// the template or the caller.
    pub body_headers: &'a HeaderMap,
}

/// A call that can be sent. `Debug` shows neither query nor header values.
#[derive(Clone)]
pub struct Prepared {
    /// Where it goes; without a fragment.
    pub url: Url,
    /// All headers but those that the HTTP client writes itself (host, content
    /// length, and the connection's).
    pub headers: HeaderMap,
}

/// Prepares a call.
///
/// # Errors
/// [`Error::Template`] without a base URL, [`Error::Url`] when the base URL
/// lacks a value, [`Error::Path`], [`Error::Header`]; [`Error::Unusable`] and
/// [`Error::Sign`] for what cannot be signed.
pub fn prepare(call: &Prepare<'_>) -> Result<Prepared, Error> {
    let scope = RequestScope::new(call.config, call.client, Some(call.credentials));
    prepare_in(call, scope)
}

/// [`prepare`] at a given time, with what is random given, so that it comes out
/// the same.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_at(call: &Prepare<'_>, now: DateTime<Utc>, random: Uuid) -> Result<Prepared, Error> {
    let scope = RequestScope::new(call.config, call.client, Some(call.credentials));
    prepare_in(call, scope.at(now, random))
}

/// The headers that a call has at this address, to which a redirect leads.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_for(call: &Prepare<'_>, url: &Url) -> Result<HeaderMap, Error> {
    let scope = RequestScope::new(call.config, call.client, Some(call.credentials));
    outgoing::check(call.config, call.body)?;
    signed_headers(call, url, &scope)
}

fn prepare_in(call: &Prepare<'_>, scope: RequestScope<'_>) -> Result<Prepared, Error> {
    outgoing::check(call.config, call.body)?;
    let url = target::url(call, &scope)?;
    let headers = signed_headers(call, &url, &scope)?;
    Ok(Prepared { url, headers })
}

fn signed_headers(
    call: &Prepare<'_>,
    url: &Url,
    scope: &RequestScope<'_>,
) -> Result<HeaderMap, Error> {
    let mut headers = headers::headers(call, url, scope)?;
    // A caller who brings an `Authorization` wants that one.
    if !call.headers.contains_key(AUTHORIZATION) {
        call.credentials.sign(ToSign {
            config: call.config,
            client: call.client,
            method: call.method,
            url,
            body: call.body,
            headers: &mut headers,
            scope,
        })?;
    }
    Ok(headers)
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
