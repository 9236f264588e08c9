//! The way to the provider: the authorize URL.

use std::collections::BTreeMap;

use linkspan_providers::{Config, Param, Template};
use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::pkce;
use crate::scope::RequestScope;
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
/// [`Error::Template`] without an authorization URL, [`Error::Url`], [`Error::Random`].
pub fn begin(client: &Client, config: &Config<'_>, request: &Request<'_>) -> Result<Begun, Error> {
    let template = config.template;
    let scope = RequestScope::new(config, Some(client), None);
    let text = template
        .authorization_url
        .as_ref()
        .ok_or_else(|| Error::Template {
            provider: template.slug.clone(),
            key: "authorization_url",
        })?;
    let mut url = text.to_url(&scope)?;

    let mut params = vec![("response_type".to_owned(), "code".to_owned())];
    let mut set =
        |name: &str, value: String| match params.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => params.push((name.to_owned(), value)),
        };
    for (name, value) in url.query_pairs() {
        set(&name, value.into_owned());
    }
    if let Some(scopes) = scopes(template, client) {
        set("scope", scopes);
    }
    for (name, value) in resolved(&template.authorization_params, &scope) {
        set(&name, plain(value));
    }
    for (name, value) in request.authorization_params {
        if !RESERVED.contains(&name.as_str()) {
            set(name, value.clone());
        }
    }
    set("client_id", client.client_id.clone());
    set("redirect_uri", request.redirect_uri.to_owned());
    set("state", request.state.to_owned());
    let verifier = if template.disable_pkce {
        None
    } else {
        Some(pkce::verifier()?)
    };
    if let Some(verifier) = &verifier {
        set("code_challenge", pkce::challenge(verifier));
        set("code_challenge_method", "S256".to_owned());
    }
    url.query_pairs_mut().clear().extend_pairs(&params);
    Ok(Begun {
        authorize_url: url,
        pkce_verifier: verifier.map(SecretString::from),
    })
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

fn scopes(template: &Template, client: &Client) -> Option<String> {
    let scopes = if client.scopes.is_empty() {
        &template.default_scopes
    } else {
        &client.scopes
    };
    (!scopes.is_empty()).then(|| scopes.join(template.scope_separator()))
}

/// The parameters whose placeholders all have values.
pub(super) fn resolved(
    params: &BTreeMap<String, Param>,
    scope: &RequestScope<'_>,
) -> Map<String, Value> {
    let entry =
        |(name, param): (&String, &Param)| Some((name.clone(), param.evaluate(scope).ok()?));
    params.iter().filter_map(entry).collect()
}

/// A parameter as a query or form spells it.
pub(super) fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
