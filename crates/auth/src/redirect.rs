//! What all modes share whose way leads through the person's browser.

use std::collections::BTreeMap;

use linkspan_providers::Template;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::oauth1::RequestToken;
use crate::{mcp, secret};

/// One authorisation, before the browser leaves.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where the provider sends the browser back to, exactly as registered.
    pub redirect_uri: &'a str,
    /// What the provider hands back; unguessable.
    pub state: &'a str,
    /// Further parameters that the caller wants; reserved ones are ignored.
    pub authorization_params: &'a BTreeMap<String, String>,
    /// Who this server is where no developer has entered a client.
    pub identity: Identity<'a>,
}

/// Who this server is to a provider for which no developer has entered a client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity<'a> {
    /// The address of its document ([`mcp::document`]).
    pub document: Option<&'a str>,
    /// The client that it registered for the integration ([`mcp::register`]).
    pub registered: Option<&'a mcp::Registration>,
    /// The integration's scopes.
    pub scopes: &'a [String],
}

/// What to do next, and what to keep until the browser comes back.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub authorize_url: Url,
    /// To be kept secret, and given back with the callback.
    pub kept: Kept,
}

/// What is kept between the two halves of an authorisation; sealed. `Debug`
/// hides what is secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Kept {
    /// RFC 7636 section 4.1.
    #[serde(default, serialize_with = "secret::expose_option")]
    pub pkce_verifier: Option<SecretString>,
    /// RFC 5849 section 2.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_token: Option<RequestToken>,
    /// The authorisation server that was found, and the client that this server
    /// is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<mcp::Registration>,
}

/// What the browser brought back.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// The query of the callback.
    pub query: &'a BTreeMap<String, String>,
    /// The same as in [`Request`].
    pub redirect_uri: &'a str,
    /// What was kept.
    pub kept: &'a Kept,
}

impl Callback<'_> {
    /// A parameter that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.query.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// What the provider says of why there is no code (RFC 6749, 4.1.2.1).
    pub(crate) fn refusal(&self) -> String {
        let said = REFUSAL_PARAMS.iter().filter_map(|name| self.get(name));
        let mut said = said.collect::<Vec<_>>().join(": ");
        if said.is_empty() {
            return "The provider gave neither a code nor an error.".to_owned();
        }
        said.truncate(said.floor_char_boundary(500));
        format!("The provider refused: {said}")
    }
}

/// Where providers say why there is no code, in the order in which it reads
/// best.
const REFUSAL_PARAMS: [&str; 6] = [
    "error",
    "status_code",
    "error_description",
    "error_reason",
    "error_message",
    "error_uri",
];

/// The callback's query parameters that the template's `redirect_uri_metadata`
/// names; for the connection's configuration.
#[must_use]
pub fn callback_metadata(
    template: &Template,
    query: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let entry = |name: &String| Some((name.clone(), query.get(name)?.clone().into()));
    let names = template.redirect_uri_metadata.iter();
    names.filter_map(entry).collect()
}
