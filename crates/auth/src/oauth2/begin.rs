//! The way to the provider: the authorize URL.

use std::collections::BTreeMap;

use linkspan_providers::{Config, Param, Template};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::{authorize_url, pkce};
use crate::quirks::{self, Quirk};
use crate::scope::{RequestScope, unless_unset};
use crate::{Client, Error};

/// Parameters that the caller's extras may not set: they belong to the flow.
const RESERVED: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

/// One authorisation's part of the authorize URL.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where the provider sends the browser back to, exactly as registered.
    pub redirect_uri: &'a str,
    /// What the provider hands back with the code; unguessable.
    pub state: &'a str,
    /// Further parameters that the caller wants; reserved ones are ignored.
    pub authorization_params: &'a BTreeMap<String, String>,
}

/// What to do next, and what to keep until the browser comes back.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub authorize_url: Url,
    /// To be kept secret, and given to [`super::finish`].
    pub pkce_verifier: Option<SecretString>,
}

/// Builds the authorize URL (RFC 6749 section 4.1.1). Later parameters replace
/// earlier ones: the URL's own, the template's, the caller's, the flow's; except
/// that the template may set `response_type` and `scope`.
///
/// # Errors
/// [`Error::Template`] without an authorization URL, [`Error::Url`],
/// [`Error::Unsupported`], [`Error::Random`].
pub fn begin(client: &Client, config: &Config<'_>, request: &Request<'_>) -> Result<Begun, Error> {
    let template = config.template;
    let client = &*client.of_connection(config);
    let scope = RequestScope::new(config, Some(client), None);
    let text = template
        .authorization_url
        .as_ref()
        .ok_or_else(|| Error::Template {
            provider: template.slug.clone(),
            key: "authorization_url",
        })?;
    let url = text.to_url(&scope)?;
    let quirk = quirks::of(template)?;

    let mut params = authorize_url::Params::new("code");
    params.extend(url.query_pairs());
    let scopes = asked(template, client);
    if !scopes.is_empty() {
        params.set("scope", scopes.join(template.scope_separator()));
    }
    for (name, value) in resolved(template, &template.authorization_params, &scope)? {
        params.set(&name, plain(value));
    }
    for (name, value) in request.authorization_params {
        if may_set(quirk, name) {
            params.set(name, value.clone());
        }
    }
    params.set("client_id", client.client_id.clone());
    params.set("redirect_uri", request.redirect_uri.to_owned());
    params.set("state", request.state.to_owned());
    let verifier = if template.disable_pkce {
        None
    } else {
        Some(pkce::verifier()?)
    };
    if let Some(verifier) = &verifier {
        params.set("code_challenge", pkce::challenge(verifier));
        params.set("code_challenge_method", "S256".to_owned());
    }
    Ok(Begun {
        authorize_url: params.into_url(template, quirk, url),
        pkce_verifier: verifier.map(SecretString::from),
    })
}

/// Whether a caller may set this parameter.
fn may_set(quirk: Option<&Quirk>, name: &str) -> bool {
    let is_quirks_own = quirk.is_some_and(|quirk| quirk.authorize_params.contains(&name));
    is_quirks_own
        || !RESERVED
            .iter()
            .copied()
            .chain(quirks::reserved_params())
            .any(|r| r == name)
}

/// The callback's query parameter that holds the code.
#[must_use]
pub fn code_param(template: &Template) -> &str {
    template
        .authorization_code_param_in_callback
        .as_deref()
        .unwrap_or("code")
}

/// The callback's query parameters that the template's `redirect_uri_metadata`
/// names; for the connection's configuration.
#[must_use]
pub fn callback_metadata(
    template: &Template,
    query: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let entry = |name: &String| Some((name.clone(), query.get(name)?.clone().into()));
    template
        .redirect_uri_metadata
        .iter()
        .filter_map(entry)
        .collect()
}

/// The scopes to ask for.
pub(super) fn asked<'a>(template: &'a Template, client: &'a Client) -> &'a [String] {
    if client.scopes.is_empty() {
        &template.default_scopes
    } else {
        &client.scopes
    }
}

/// The parameters whose placeholders all have values.
///
/// # Errors
/// [`Error::Unsupported`] for a function that nothing computes.
pub(super) fn resolved(
    template: &Template,
    params: &BTreeMap<String, Param>,
    scope: &RequestScope<'_>,
) -> Result<Map<String, Value>, Error> {
    let mut resolved = Map::new();
    for (name, param) in params {
        if let Some(value) = unless_unset(template, param.evaluate(scope))? {
            resolved.insert(name.clone(), value);
        }
    }
    Ok(resolved)
}

/// A parameter as a query or form spells it.
pub(super) fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
