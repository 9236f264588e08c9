//! The schema of a template (CONTRACT section 4), and reading one.

mod method;
mod proxy;
mod token;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use proxy::{Headers, Paginate, Proxy, Retry, RetryInBody, RetryStrategy, Verification};
pub use token::{
    Assertion, ExpirationStrategy, Params, Seconds, SecretEncoding, SelfSigned, Signature,
    SignatureProtocol, Step, TokenResponse, TokenUrl, TokenUrls,
};

use crate::field::is_false;
use crate::interpolate::UrlText;
use crate::{AuthMode, Fields, check_slug};

/// How to authenticate with a provider and how to call it.
///
/// Serialises to the template's own keys and its slug as `name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Template {
    /// The file's name; unique in a catalogue.
    #[serde(rename = "name", skip_deserializing)]
    pub slug: String,
    /// Name shown to people.
    pub display_name: String,
    /// What the provider is for, for browsing.
    pub categories: Vec<String>,
    /// Address of our page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// What is known to be wrong with the template, in words, where nobody knows
    /// what is right: a check warns of what would otherwise be an error, and
    /// quotes this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_fault: Option<String>,
    /// The provider whose template this one is laid over, key by key: a key that
    /// both have is this one's, with nothing left of the other's (`proxy` too).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// How it authenticates.
    pub auth_mode: AuthMode,
    /// What this provider needs that no key describes, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quirk: Option<String>,

    /// Where the person's browser is sent to authorise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_url: Option<UrlText>,
    /// Further query parameters of the authorize URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorization_params: Params,
    /// Where a code is exchanged for tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<TokenUrl>,
    /// Further parameters of that exchange.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_params: Params,
    /// Where tokens are refreshed, if not at `token_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<UrlText>,
    /// Further parameters of a refresh; without them `token_params` serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_params: Option<Params>,
    /// Joins scopes in the authorize URL; a space unless set (RFC 6749 section 3.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_separator: Option<String>,
    /// Scopes asked for when the integration has none of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
    /// The provider fails when it is sent PKCE parameters.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disable_pkce: bool,
    /// Where the client's id and secret go in a token request: the body unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_method: Option<AuthorizationMethod>,
    /// Encoding of a token request's body: a form unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_format: Option<BodyFormat>,
    /// How the client authenticates in a token request, if not by
    /// `authorization_method`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_request_auth_method: Option<TokenRequestAuthMethod>,
    /// Dotted paths in the token answer that are copied to the connection's
    /// configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_response_metadata: Vec<String>,
    /// Query parameters of the callback that are copied to the connection's
    /// configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uri_metadata: Vec<String>,
    /// Dotted path of the object that holds `access_token`, when the answer
    /// does not hold it at its top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate_access_token_response_path: Option<String>,
    /// How long before its expiry a token is refreshed, in seconds; 15 minutes
    /// unless set (CONTRACT 2.8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expiration_buffer: Option<u32>,

    /// Texts in the authorize URL that are replaced as a last step, for a
    /// provider with names of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorization_url_replacements: BTreeMap<String, String>,
    /// Parameters of the authorize URL without a value are left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub authorization_url_skip_empty: bool,
    /// Parameters of the authorize URL that are not percent-encoded; `base_url`
    /// is the address itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization_url_skip_encode: Vec<String>,
    /// What follows `#` in the authorize URL, ahead of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_url_fragment: Option<String>,
    /// Query parameter of the callback that holds the code, if not `code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code_param_in_callback: Option<String>,
    /// Dotted path of the code in a webhook that brings it instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code_param_in_webhook: Option<String>,
    /// Who starts an installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// Dotted paths in that webhook that are copied to the connection's
    /// configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhook_response_metadata: Vec<String>,
    /// What `expires_in` counts; seconds unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_unit: Option<ExpiresInUnit>,
    /// Token requests present the integration's client certificate (RFC 8705).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_client_certificate: bool,

    /// Where OAuth 1.0a begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_url: Option<UrlText>,
    /// Further parameters of that request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request_params: Params,
    /// How OAuth 1.0a requests are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_method: Option<SignatureMethod>,

    /// Headers of a login.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub token_headers: Headers,
    /// HTTP method of a login; POST unless set.
    #[serde(default, with = "method", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::HttpMethod>")
    )]
    pub token_request_method: Option<http::Method>,
    /// Where the login's answer holds what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_response: Option<TokenResponse>,
    /// Headers of the login's answer that are kept with the credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_response_headers: Vec<String>,
    /// Milliseconds until a login's token expires, where the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_in_ms: Option<u64>,
    /// Parameters of a refresh, where it is not a login again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refresh_token_params: Params,
    /// Headers of that refresh.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub refresh_token_headers: Headers,
    /// Requests that follow the first one of a login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_steps: Vec<Step>,
    /// A signed statement that a login presents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion: Option<Assertion>,
    /// What a person enters to make that statement; never stored.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub assertion_option: Fields,
    /// How tokens that we make ourselves are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// The token that we make ourselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SelfSigned>,

    /// How this server becomes a client of the provider (MCP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_registration: Option<ClientRegistration>,
    /// Where a client is registered (RFC 7591).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_url: Option<UrlText>,
    /// Further parameters of that registration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registration_params: Params,
    /// The form of the credentials that an installed plugin brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_type: Option<AuthMode>,

    /// Code that runs once a connection is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_connection_script: Option<String>,
    /// Code that runs before a connection is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_connection_deletion_script: Option<String>,
    /// Code that says whether credentials work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_verification_script: Option<String>,
    /// Code that finds a webhook's connections; an empty name turns off what an
    /// alias would inherit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_routing_script: Option<String>,
    /// The developer enters the secret that webhooks are signed with.
    #[serde(default, skip_serializing_if = "is_false")]
    pub webhook_user_defined_secret: bool,
    /// Query parameters of a webhook's address that its code may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhook_allowed_query_params: Vec<String>,

    /// How the API is called. Without it there is no proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// What a person enters to authenticate.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub credentials: Fields,
    /// What a person, or the platform, sets for a connection.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub connection_config: Fields,
    /// What a developer sets for an integration.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub integration_config: Fields,
}

/// Where the client's id and secret go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AuthorizationMethod {
    /// In the body, as `client_id` and `client_secret`.
    Body,
    /// In an `Authorization: Basic` header.
    Header,
}

/// Encoding of a token request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BodyFormat {
    Form,
    Json,
    Query,
    Xml,
}

/// How the client authenticates in a token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenRequestAuthMethod {
    /// `Authorization: Basic` (RFC 6749 section 2.3.1).
    Basic,
    /// As the body's `username` and `password`.
    Custom,
    /// By a signed assertion (RFC 7523).
    PrivateKeyJwt,
}

/// Who starts an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Installation {
    /// The provider's own pages; a webhook tells us.
    Outbound,
}

/// What `expires_in` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ExpiresInUnit {
    Milliseconds,
    Seconds,
}

/// How OAuth 1.0a requests are signed (RFC 5849 section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the RFC's names")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SignatureMethod {
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
    #[serde(rename = "RSA-SHA1")]
    RsaSha1,
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
}

/// How this server becomes a client of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ClientRegistration {
    /// By registering itself (RFC 7591).
    Dynamic,
    /// By a developer who enters a client id.
    Static,
    /// By a document at our own address that says who we are.
    Cimd,
}

/// A template cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The template's slug.
    pub provider: String,
    /// Line and column of the mistake, from 1, where there is one.
    pub position: Option<(usize, usize)>,
    /// What is wrong, beginning with the key: "proxy.base_url: …".
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider `{}`", self.provider)?;
        if let Some((line, column)) = self.position {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Reads a template from YAML, as far as a mistake: a
    /// [`Catalogue`](crate::Catalogue) finds all of them, and reads aliases.
    ///
    /// # Errors
    /// [`TemplateError`]: the slug or the YAML is malformed, a key is unknown or
    /// missing, a text does not parse, or the auth mode lacks what it requires.
    pub fn parse(slug: &str, yaml: &str) -> Result<Self, TemplateError> {
        let template = serde_yaml::from_str(yaml).map_err(|cause| yaml_error(slug, &cause))?;
        finish(slug, template)
    }

    /// Lays `own` over the keys of `parent`, one level deep (CONTRACT section 4).
    ///
    /// # Errors
    /// [`TemplateError`], as for [`Template::parse`].
    pub fn overlay(
        slug: &str,
        own: Map<String, Value>,
        parent: &Self,
    ) -> Result<Self, TemplateError> {
        let parent = serde_json::to_value(parent).map_err(|cause| json_error(slug, &cause))?;
        let mut keys = match parent {
            Value::Object(keys) => keys,
            _ => Map::new(),
        };
        keys.extend(own);
        Self::from_keys(slug, keys)
    }

    /// Reads a template from its keys, as it serialises.
    ///
    /// # Errors
    /// [`TemplateError`], as for [`Template::parse`], without a position.
    pub fn from_keys(slug: &str, mut keys: Map<String, Value>) -> Result<Self, TemplateError> {
        keys.remove("name");
        let template = serde_json::from_value(Value::Object(keys));
        finish(slug, template.map_err(|cause| json_error(slug, &cause))?)
    }

    /// Reads a template as it is shown: its keys after its `name`.
    pub(crate) fn from_json(slug: &str, json: &str) -> Result<Self, TemplateError> {
        let start = format!("{{\"name\":\"{slug}\",");
        let keys = json.strip_prefix(&start).map(|keys| format!("{{{keys}"));
        let template = serde_json::from_str(keys.as_deref().unwrap_or(json));
        finish(slug, template.map_err(|cause| json_error(slug, &cause))?)
    }

    /// What joins scopes in the authorize URL.
    #[must_use]
    pub fn scope_separator(&self) -> &str {
        self.scope_separator.as_deref().unwrap_or(" ")
    }

    /// Compiles every field's pattern, which parsing leaves to first use.
    ///
    /// # Errors
    /// [`TemplateError`] names the field.
    pub fn check_patterns(&self) -> Result<(), TemplateError> {
        if self.known_fault.is_some() {
            return Ok(());
        }
        for (group, fields) in self.groups() {
            for (name, field) in &fields.0 {
                let Some(pattern) = &field.pattern else {
                    continue;
                };
                pattern.check().map_err(|problem| TemplateError {
                    provider: self.slug.clone(),
                    position: None,
                    message: format!(
                        "{group}.{name}.pattern: is not a regular expression: {problem}"
                    ),
                })?;
            }
        }
        Ok(())
    }

    /// The groups of fields, each with its key.
    pub(crate) fn groups(&self) -> [(&'static str, &Fields); 4] {
        [
            ("credentials", &self.credentials),
            ("assertion_option", &self.assertion_option),
            ("connection_config", &self.connection_config),
            ("integration_config", &self.integration_config),
        ]
    }

    /// Keys that the auth mode requires and that are not there.
    pub(crate) fn missing_keys(&self) -> impl Iterator<Item = &'static str> {
        let required = self.auth_mode.required_keys().iter().copied();
        required.filter(|key| !self.has(key))
    }

    fn has(&self, key: &str) -> bool {
        match key {
            // One whose installations begin elsewhere has no way there.
            "authorization_url" => self.authorization_url.is_some() || self.installation.is_some(),
            "auth_type" => self.auth_type.is_some(),
            "client_registration" => self.client_registration.is_some(),
            "connection_config.mcp_server_url" => {
                self.connection_config.0.contains_key("mcp_server_url")
            }
            "credentials.apiKey" => self.credentials.0.contains_key("apiKey"),
            "request_url" => self.request_url.is_some(),
            "signature" => self.signature.is_some(),
            "signature_method" => self.signature_method.is_some(),
            "token" => self.token.is_some(),
            "token_response" => self.token_response.is_some(),
            "token_url" => self.token_url.is_some(),
            _ => false,
        }
    }
}

/// Names the template, and checks what no single key shows.
fn finish(slug: &str, mut template: Template) -> Result<Template, TemplateError> {
    let error = |message| TemplateError {
        provider: slug.into(),
        position: None,
        message,
    };
    check_slug(slug).map_err(|invalid| error(invalid.to_string()))?;
    slug.clone_into(&mut template.slug);
    let missing = template.missing_keys().next();
    match missing {
        Some(key) if template.known_fault.is_none() => Err(error(format!(
            "{key}: required by auth_mode {}",
            template.auth_mode
        ))),
        _ => Ok(template),
    }
}

fn yaml_error(slug: &str, cause: &serde_yaml::Error) -> TemplateError {
    TemplateError {
        provider: slug.into(),
        position: cause.location().map(|place| (place.line(), place.column())),
        message: without_position(&cause.to_string()).to_owned(),
    }
}

fn json_error(slug: &str, cause: &serde_json::Error) -> TemplateError {
    TemplateError {
        provider: slug.into(),
        position: None,
        message: cause.to_string(),
    }
}

/// The YAML parser ends its messages with the position, which we show in front.
fn without_position(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(before, _)| before)
}

#[cfg(test)]
mod tests;
