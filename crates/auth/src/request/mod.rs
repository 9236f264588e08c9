//! A call to a provider's API, prepared: where it goes and which headers it
//! has (CONTRACT 2.7, "URL" and "Headers"). Pure, and on the hot path: what can
//! be parsed beforehand is parsed in the template.

mod body;
mod headers;
mod target;
mod verification;

use std::fmt;

use http::HeaderMap;
use linkspan_providers::Config;
use url::Url;

use crate::scope::RequestScope;
use crate::{Client, Credentials, Error};

pub use body::{body, has_body};
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
    /// Headers that the caller wants, without our own prefix.
    pub headers: &'a HeaderMap,
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
/// lacks a value, [`Error::Path`], [`Error::Header`].
pub fn prepare(call: &Prepare<'_>) -> Result<Prepared, Error> {
    let scope = RequestScope::new(call.config, call.client, Some(call.credentials));
    Ok(Prepared {
        url: target::url(call, &scope)?,
        headers: headers::headers(call, &scope)?,
    })
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
