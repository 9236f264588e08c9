//! The fields that a person fills in: credentials and configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::{ConfigValues, Pattern};

/// One field (CONTRACT section 4, "field schema").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Field {
    /// The value's type. Every known field is a string.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Label shown above the input.
    pub title: String,
    /// Help shown beside the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Placeholder shown in the empty input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    /// What the value must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// May be left empty.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// A well-known form that the value must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FieldFormat>,
    /// Position in the form; fields without one come last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i32>,
    /// Used where no value is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value: Option<String>,
    /// Not shown to the person.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Shown before the input, not part of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Shown after the input, not part of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Anchor in the provider's guide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_section: Option<String>,
    /// Sealed at rest and masked in the form.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
    /// Written by the platform, never asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub automated: bool,
    /// The only values allowed, if any are listed.
    #[serde(rename = "enum", default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Shown, and asked for, only while another field has a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_when: Option<VisibleWhen>,
}

/// The type of a [`Field`]'s value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FieldType {
    /// Text.
    String,
}

/// A well-known form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "JSON Schema's names")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FieldFormat {
    Hostname,
    Uri,
    Uuid,
    Email,
}

/// A condition on another field of the same form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VisibleWhen {
    /// The other field.
    pub field: String,
    /// The value it must have.
    pub equals: String,
}

/// Fields by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fields(pub BTreeMap<String, Field>);

/// A value does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {message}")]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong, without the value: "is required".
    pub message: String,
}

impl FieldError {
    /// An error of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl Fields {
    /// Nothing to fill in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the values that a person gave: every one belongs to a field and
    /// fits it, and none is missing that is asked for and has no default. An
    /// empty value counts as missing.
    ///
    /// # Errors
    /// The first [`FieldError`], in the fields' alphabetical order.
    pub fn check(&self, values: &BTreeMap<String, String>) -> Result<(), FieldError> {
        if let Some(unknown) = values.keys().find(|name| !self.0.contains_key(*name)) {
            return Err(FieldError::new(unknown, "is not a field of this provider"));
        }
        for (name, field) in &self.0 {
            let checked = match values.get(name).filter(|value| !value.is_empty()) {
                Some(value) => field.check(value),
                None if self.is_asked_for(field, values) => Err("is required".to_owned()),
                None => Ok(()),
            };
            checked.map_err(|message| FieldError::new(name, message))?;
        }
        Ok(())
    }

    /// Checks one value of a connection's configuration: a text that fits its
    /// field. One that belongs to no field is nobody's to judge, and an empty one
    /// stands for none.
    ///
    /// # Errors
    /// [`FieldError`], without the value.
    pub fn check_value(&self, name: &str, value: &Value) -> Result<(), FieldError> {
        let Some(field) = self.0.get(name) else {
            return Ok(());
        };
        let checked = match value {
            Value::String(text) if text.is_empty() => Ok(()),
            Value::String(text) => field.check(text),
            _ => Err("must be a string".to_owned()),
        };
        checked.map_err(|message| FieldError::new(name, message))
    }

    /// The fields that a person is asked for and that have no value, in
    /// alphabetical order.
    pub fn missing<'a>(&'a self, values: &'a dyn ConfigValues) -> impl Iterator<Item = &'a str> {
        let is_empty = |name: &str| values.value(name).is_none_or(|value| value.is_empty());
        self.0
            .iter()
            .filter(move |(name, field)| is_empty(name) && self.is_asked_for(field, values))
            .map(|(name, _)| name.as_str())
    }

    fn is_asked_for(&self, field: &Field, values: &dyn ConfigValues) -> bool {
        let is_visible = field.visible_when.as_ref().is_none_or(|condition| {
            let default = || self.0.get(&condition.field)?.default_value.as_deref();
            let value = values.value(&condition.field);
            value.as_deref().or_else(default) == Some(condition.equals.as_str())
        });
        is_visible
            && !field.optional
            && !field.automated
            && !field.hidden
            && field.default_value.is_none()
    }
}

impl Field {
    /// Checks one value that is not empty; the error is what
    /// [`FieldError::message`] holds.
    ///
    /// # Errors
    /// What the value should look like, without the value.
    pub fn check(&self, value: &str) -> Result<(), String> {
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == value) {
            return Err(format!("must be one of: {}", self.choices.join(", ")));
        }
        if let Some(format) = self.format.filter(|format| !format.is_match(value)) {
            return Err(format!("must be {}", format.description()));
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(value)? => Err(match &self.example {
                Some(example) => format!("does not have the expected form (for example {example})"),
                None => format!("does not have the expected form ({})", pattern.as_str()),
            }),
            _ => Ok(()),
        }
    }
}

impl FieldFormat {
    fn description(self) -> &'static str {
        match self {
            Self::Hostname => "a host name",
            Self::Uri => "an http(s) URL",
            Self::Uuid => "a UUID",
            Self::Email => "an e-mail address",
        }
    }

    fn is_match(self, value: &str) -> bool {
        match self {
            Self::Hostname => is_hostname(value),
            Self::Uri => {
                Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
            }
            Self::Uuid => {
                let parts = value.split('-').map(str::len);
                parts.eq([8, 4, 4, 4, 12])
                    && value
                        .bytes()
                        .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
            }
            Self::Email => value.split_once('@').is_some_and(|(user, host)| {
                !user.is_empty() && !value.contains(char::is_whitespace) && is_hostname(host)
            }),
        }
    }
}

/// Labels of letters, digits and hyphens, joined by dots (RFC 1123).
fn is_hostname(value: &str) -> bool {
    value.len() <= 253
        && value.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
        })
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(yaml: &str) -> Fields {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn check(fields: &Fields, values: &[(&str, &str)]) -> Result<(), String> {
        let values = values
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        fields.check(&values).map_err(|error| error.to_string())
    }

    #[test]
    fn required_optional_default_and_unknown() {
        let fields = fields(
            "a: { type: string, title: A }
b: { type: string, title: B, optional: true }
c: { type: string, title: C, default_value: x }
d: { type: string, title: D, automated: true }
e: { type: string, title: E, visible_when: { field: c, equals: y } }",
        );
        assert_eq!(check(&fields, &[("a", "1")]), Ok(()));
        assert_eq!(check(&fields, &[]), Err("`a` is required".into()));
        assert_eq!(check(&fields, &[("a", "")]), Err("`a` is required".into()));
        let with_y = [("a", "1"), ("c", "y")];
        assert_eq!(check(&fields, &with_y), Err("`e` is required".into()));
        let unknown = [("a", "1"), ("z", "1")];
        assert_eq!(
            check(&fields, &unknown),
            Err("`z` is not a field of this provider".into())
        );
    }

    #[test]
    fn a_configuration_is_checked_value_by_value() {
        let fields = fields(
            "a: { type: string, title: A, pattern: ^x+$ }
b: { type: string, title: B, visible_when: { field: a, equals: xx } }
c: { type: string, title: C, automated: true, format: uri }",
        );
        let check = |name: &str, value: serde_json::Value| {
            let checked = fields.check_value(name, &value);
            checked.map_err(|error| error.to_string())
        };
        let json = |text: &str| serde_json::from_str(text).unwrap();
        for good in [("a", "\"x\""), ("a", "\"\""), ("z", "{\"y\":1}")] {
            assert_eq!(check(good.0, json(good.1)), Ok(()), "{good:?}");
        }
        for wrong in ["7", "null", "[\"x\"]"] {
            let said = check("a", json(wrong)).unwrap_err();
            assert_eq!(said, "`a` must be a string", "{wrong}");
        }
        assert_eq!(
            check("a", "secret".into()).unwrap_err(),
            "`a` does not have the expected form (^x+$)"
        );
        assert!(check("c", "nowhere".into()).is_err(), "automated ones too");
        let missing = |values: &[(&str, &str)]| {
            let pairs = values.iter();
            let values: serde_json::Map<String, serde_json::Value> =
                pairs.map(|&(k, v)| (k.to_owned(), v.into())).collect();
            let missing: Vec<_> = fields.missing(&values).map(str::to_owned).collect();
            missing
        };
        assert_eq!(missing(&[("a", "")]), ["a"]);
        assert_eq!(missing(&[("a", "x")]), [""; 0]);
        assert_eq!(missing(&[("a", "xx"), ("b", "")]), ["b"]);
    }

    #[test]
    fn formats_patterns_and_choices() {
        for (schema, good, bad) in [
            ("format: hostname", "a-1.example.com", "a.example.com/x"),
            ("format: uri", "https://x.com/a", "x.com"),
            (
                "format: uuid",
                "5ab87915-2deb-429c-a1e2-8b0495900f45",
                "5ab87915-2deb",
            ),
            ("format: email", "a@example.com", "a@"),
            ("enum: [eu, us]", "eu", "EU"),
            ("pattern: '^[A-Za-z0-9-_]+$'", "a-_1", "a b"),
            ("pattern: 'b'", "abc", "ac"),
            ("pattern: '^(?!evil\\.)[a-z.]+$'", "good.com", "evil.com"),
            ("pattern: '^https:\\/\\/x$'", "https://x", "http://x"),
        ] {
            let fields = fields(&format!("a: {{ type: string, title: A, {schema} }}"));
            assert_eq!(check(&fields, &[("a", good)]), Ok(()), "{schema}");
            let error = check(&fields, &[("a", bad)]).unwrap_err();
            assert!(
                !error.contains(bad) && error.starts_with("`a` "),
                "{schema}: {error}"
            );
        }
        let broken = fields("a: { type: string, title: A, pattern: '(' }");
        assert!(broken.0["a"].pattern.as_ref().unwrap().check().is_err());
        assert_eq!(check(&broken, &[("a", "x")]), Ok(()), "it cannot judge");
    }
}
