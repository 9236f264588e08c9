//! The configuration values that a template's placeholders may name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::interpolate::{Path, Root, Scope};
use crate::{Fields, Template};

/// A connection's and its integration's configuration, seen through a template:
/// a field that is not set has its `default_value`.
///
/// As a [`Scope`] it resolves `connectionConfig.*` and `integrationConfig.*`.
/// `Debug` hides the values, since fields may be secret.
#[derive(Clone, Copy)]
pub struct Config<'a> {
    /// Says which fields there are, and their defaults.
    pub template: &'a Template,
    /// The connection's values.
    pub connection: &'a (dyn ConfigValues + Sync),
    /// The integration's values.
    pub integration: &'a (dyn ConfigValues + Sync),
}

/// Configuration values by key.
pub trait ConfigValues {
    /// The text, number or boolean under `key`, which may be a dotted path.
    fn value(&self, key: &str) -> Option<Cow<'_, str>>;
}

impl ConfigValues for BTreeMap<String, String> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).map(|value| Cow::Borrowed(value.as_str()))
    }
}

impl ConfigValues for Map<String, Value> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        find(self, key)
    }
}

impl fmt::Debug for Config<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("template", &self.template.slug)
            .finish_non_exhaustive()
    }
}

impl Scope for Config<'_> {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        let (values, fields) = match path.root() {
            Root::ConnectionConfig => (self.connection, &self.template.connection_config),
            Root::IntegrationConfig => (self.integration, &self.template.integration_config),
            Root::Credentials | Root::AssertionOption | Root::Step(_) | Root::Bare => return None,
        };
        values
            .value(path.key())
            .or_else(|| default_value(fields, path.key()))
    }
}

fn default_value<'a>(fields: &'a Fields, key: &str) -> Option<Cow<'a, str>> {
    fields
        .0
        .get(key)?
        .default_value
        .as_deref()
        .map(Cow::Borrowed)
}

/// The scalar under `key`, which is a key as it stands or a dotted path:
/// answers' metadata is stored under its path (`team.id`), quirks nest.
fn find<'a>(values: &'a Map<String, Value>, key: &str) -> Option<Cow<'a, str>> {
    let value = match values.get(key) {
        Some(value) => value,
        None => {
            let mut parts = key.split('.');
            let first = values.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))?
        }
    };
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::interpolate::Text;

    const TEMPLATE: &str = "
display_name: T
categories: [other]
auth_mode: NONE
connection_config:
  region: { type: string, title: Region, default_value: eu }
";

    #[test]
    fn finds_values_by_key_by_path_and_by_default() {
        let template = Template::parse("t", TEMPLATE).unwrap();
        let connection = json!({
            "team.id": "T1", "installation": { "uuid": "u-1" }, "port": 8443, "on": true, "list": [],
        });
        let integration = BTreeMap::from([("baseUrl".to_owned(), "http://x".to_owned())]);
        let config = Config {
            template: &template,
            connection: connection.as_object().unwrap(),
            integration: &integration,
        };
        let value = |path: &str| {
            Text::parse(&format!("${{{path}}}"))
                .unwrap()
                .evaluate(&config)
                .ok()
        };
        for (path, expected) in [
            ("connectionConfig.team.id", Some("T1")),
            ("connectionConfig.installation.uuid", Some("u-1")),
            ("connectionConfig.installation", None),
            ("connectionConfig.port", Some("8443")),
            ("connectionConfig.on", Some("true")),
            ("connectionConfig.list", None),
            ("connectionConfig.region", Some("eu")),
            ("connectionConfig.none", None),
            ("integrationConfig.baseUrl", Some("http://x")),
            ("integrationConfig.region", None),
            ("credentials.region", None),
        ] {
            assert_eq!(value(path).as_deref(), expected, "{path}");
        }
        let connection = json!({ "region": "us" });
        let config = Config {
            connection: connection.as_object().unwrap(),
            ..config
        };
        let region = Text::parse("${connectionConfig.region}")
            .unwrap()
            .evaluate(&config);
        assert_eq!(region.as_deref(), Ok("us"));
    }
}
