//! The way to the provider: the authorize URL.

use std::collections::BTreeMap;

use linkspan_providers::{Config, Param, Template};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{authorize_url, pkce};
use crate::quirks::{self, Quirk};
use crate::redirect::{Begun, Kept, Request};
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
        kept: Kept {
            pkce_verifier: verifier.map(SecretString::from),
            ..Kept::default()
        },
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
pub(super) fn code_param(template: &Template) -> &str {
    template
        .authorization_code_param_in_callback
        .as_deref()
        .unwrap_or("code")
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
pub(crate) fn resolved(
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
pub(crate) fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
