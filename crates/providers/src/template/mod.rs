//! The schema of a template (CONTRACT section 4), and reading one.

mod proxy;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use proxy::{Headers, Paginate, Proxy, Retry, Verification};

use crate::field::is_false;
use crate::interpolate::UrlText;
use crate::{AuthMode, Fields, Param, check_slug};

/// How to authenticate with a provider and how to call it.
///
/// Serialises to the template's own keys and its slug as `name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// How it authenticates.
    pub auth_mode: AuthMode,

    /// Where the person's browser is sent to authorise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_url: Option<UrlText>,
    /// Further query parameters of the authorize URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorization_params: BTreeMap<String, Param>,
    /// Where a code is exchanged for tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<UrlText>,
    /// Further parameters of that exchange.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_params: BTreeMap<String, Param>,
    /// Where tokens are refreshed, if not at `token_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_url: Option<UrlText>,
    /// Further parameters of a refresh; without them `token_params` serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_params: Option<BTreeMap<String, Param>>,
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
pub enum BodyFormat {
    Form,
    Json,
    Query,
    Xml,
}

/// How the client authenticates in a token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRequestAuthMethod {
    /// `Authorization: Basic` (RFC 6749 section 2.3.1).
    Basic,
    /// As the body's `username` and `password`.
    Custom,
    /// By a signed assertion (RFC 7523).
    PrivateKeyJwt,
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
    /// Reads a template from YAML.
    ///
    /// # Errors
    /// [`TemplateError`]: the slug or the YAML is malformed, a key is unknown or
    /// missing, a text does not parse, or the auth mode lacks what it requires.
    pub fn parse(slug: &str, yaml: &str) -> Result<Self, TemplateError> {
        let error = |position, message| TemplateError {
            provider: slug.into(),
            position,
            message,
        };
        check_slug(slug).map_err(|invalid| error(None, invalid.to_string()))?;
        let mut template: Self = serde_yaml::from_str(yaml).map_err(|cause| {
            let position = cause.location().map(|place| (place.line(), place.column()));
            error(position, without_position(&cause.to_string()).to_owned())
        })?;
        slug.clone_into(&mut template.slug);
        if let Some(key) = template.missing_key() {
            return Err(error(
                None,
                format!("{key}: required by auth_mode {}", template.auth_mode),
            ));
        }
        Ok(template)
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
        for (group, fields) in [
            ("credentials", &self.credentials),
            ("connection_config", &self.connection_config),
            ("integration_config", &self.integration_config),
        ] {
            for (name, field) in &fields.0 {
                let Some(pattern) = &field.pattern else {
                    continue;
                };
                pattern.is_match("").map_err(|problem| TemplateError {
                    provider: self.slug.clone(),
                    position: None,
                    message: format!("{group}.{name}.pattern: {problem}"),
                })?;
            }
        }
        Ok(())
    }

    fn missing_key(&self) -> Option<&'static str> {
        self.auth_mode
            .required_keys()
            .iter()
            .copied()
            .find(|key| match *key {
                "authorization_url" => self.authorization_url.is_none(),
                "token_url" => self.token_url.is_none(),
                "credentials.apiKey" => !self.credentials.0.contains_key("apiKey"),
                _ => true,
            })
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
