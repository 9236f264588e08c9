//! Reading a template.

use std::fmt;

use serde_json::{Map, Value};

use super::Template;
use crate::{Fields, check_slug};

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
