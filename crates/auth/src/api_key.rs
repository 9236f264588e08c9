//! API_KEY: the person enters a key; the template says where it is sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use linkspan_providers::{FieldError, Template};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Credentials, secret};

const FIELD: &str = "apiKey";

/// A key that a person entered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key.
    #[serde(serialize_with = "secret::expose")]
    pub api_key: SecretString,
}

/// Checks the fields that a person entered against the template's `credentials`.
/// White space around the key, which pasting often adds, is removed.
///
/// # Errors
/// The first field that is missing, unknown or malformed, without its value.
pub fn accept(
    template: &Template,
    fields: &BTreeMap<String, String>,
) -> Result<Credentials, FieldError> {
    let trimmed = |(name, value): (&String, &String)| (name.clone(), value.trim().to_owned());
    let mut fields: BTreeMap<String, String> = fields.iter().map(trimmed).collect();
    template.credentials.check(&fields)?;
    let api_key = fields.remove(FIELD).filter(|key| !key.is_empty());
    let api_key = api_key.ok_or_else(|| FieldError::new(FIELD, "is required"))?;
    if api_key.contains(char::is_control) {
        return Err(FieldError::new(
            FIELD,
            "has line breaks or other control characters",
        ));
    }
    Ok(Credentials::ApiKey(ApiKey {
        api_key: api_key.into(),
    }))
}

impl ApiKey {
    pub(crate) fn to_wire(&self) -> Value {
        json!({ "type": "API_KEY", "apiKey": self.api_key.expose_secret() })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        (name == FIELD).then(|| Cow::Borrowed(self.api_key.expose_secret()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(field: &str, entered: &[(&str, &str)]) -> Result<Value, String> {
        let yaml = format!(
            "display_name: T\ncategories: [other]\nauth_mode: API_KEY\n\
             credentials: {{ apiKey: {{ type: string, title: Key{field} }} }}"
        );
        let template = Template::parse("t", &yaml).unwrap();
        let entered = entered
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        super::accept(&template, &entered)
            .map(|credentials| credentials.to_wire())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn takes_a_key_that_fits_the_template() {
        let wire = json!({ "type": "API_KEY", "apiKey": "key-1" });
        assert_eq!(accept("", &[("apiKey", " key-1\n")]), Ok(wire.clone()));
        assert_eq!(
            accept(", pattern: '^key-\\d+$'", &[("apiKey", "key-1")]),
            Ok(wire)
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for (field, entered, expected) in [
            ("", &[][..], "`apiKey` is required"),
            ("", &[("apiKey", " ")], "`apiKey` is required"),
            (", optional: true", &[], "`apiKey` is required"),
            (
                "",
                &[("apiKey", "a\nb")],
                "`apiKey` has line breaks or other control characters",
            ),
            (
                "",
                &[("apiKey", "a"), ("user", "b")],
                "`user` is not a field of this provider",
            ),
            (
                ", pattern: '^key-\\d+$', example: key-7",
                &[("apiKey", "hush")],
                "`apiKey` does not have the expected form (for example key-7)",
            ),
        ] {
            assert_eq!(accept(field, entered), Err(expected.to_owned()));
        }
    }
}
