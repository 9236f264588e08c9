//! BASIC: the person enters a name and a password, which go into the
//! `Authorization` header (RFC 7617) unless the template says otherwise.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use linkspan_providers::{Field, FieldError, Template};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Credentials, Error, secret};

const USERNAME: &str = "username";
const PASSWORD: &str = "password";

/// A name and a password. Some APIs take a key in either place, so the name is
/// kept as secret as the password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Basic {
    /// The name.
    #[serde(serialize_with = "secret::expose")]
    pub username: SecretString,
    /// The password.
    #[serde(serialize_with = "secret::expose")]
    pub password: SecretString,
}

/// Checks the fields that a person entered against the template's `credentials`.
/// Either may be empty if the template asks for no particular form of it, but
/// not both.
///
/// # Errors
/// The first field that is missing, unknown or malformed, without its value.
pub fn accept(
    template: &Template,
    fields: &BTreeMap<String, String>,
) -> Result<Credentials, FieldError> {
    let is_known = |name: &str| matches!(name, USERNAME | PASSWORD);
    if let Some(unknown) = fields.keys().find(|name| !is_known(name)) {
        return Err(FieldError::new(unknown, "is not a field of this provider"));
    }
    let username = value(template, fields, USERNAME)?;
    let password = value(template, fields, PASSWORD)?;
    if username.is_empty() && password.is_empty() {
        return Err(FieldError::new(USERNAME, "is required, or a password"));
    }
    Ok(Credentials::Basic(Basic {
        username: username.into(),
        password: password.into(),
    }))
}

/// What was entered, or else the field's default.
fn value(
    template: &Template,
    fields: &BTreeMap<String, String>,
    name: &str,
) -> Result<String, FieldError> {
    let field = template.credentials.0.get(name);
    let entered = fields.get(name).map(|value| value.trim());
    let value = match entered.filter(|value| !value.is_empty()) {
        Some(value) => value,
        None => return absent(field).map_err(|message| FieldError::new(name, message)),
    };
    if value.contains(char::is_control) {
        return Err(FieldError::new(
            name,
            "has line breaks or other control characters",
        ));
    }
    match field.map(|field| field.check(value)) {
        Some(Err(message)) => Err(FieldError::new(name, message)),
        _ => Ok(value.to_owned()),
    }
}

fn absent(field: Option<&Field>) -> Result<String, &'static str> {
    let Some(field) = field else {
        return Ok(String::new());
    };
    let has_form = field.pattern.is_some() || field.format.is_some() || !field.choices.is_empty();
    match &field.default_value {
        Some(default) => Ok(default.clone()),
        None if has_form && !field.optional => Err("is required"),
        None => Ok(String::new()),
    }
}

impl Basic {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "type": "BASIC",
            "username": self.username.expose_secret(),
            "password": self.password.expose_secret(),
        })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let secret = match name {
            USERNAME => &self.username,
            PASSWORD => &self.password,
            _ => return None,
        };
        Some(Cow::Borrowed(secret.expose_secret()))
    }

    /// RFC 7617 section 2.
    pub(crate) fn authorization(&self) -> Result<HeaderValue, Error> {
        let pair = format!(
            "{}:{}",
            self.username.expose_secret(),
            self.password.expose_secret()
        );
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|_| Error::Header(AUTHORIZATION.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use linkspan_providers::Catalogue;

    use super::*;

    fn accept(slug: &str, entered: &[(&str, &str)]) -> Result<Value, String> {
        let catalogue = Catalogue::builtin().unwrap();
        let entered = entered
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        super::accept(catalogue.get(slug).unwrap(), &entered)
            .map(|credentials| credentials.to_wire())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn either_may_be_empty_where_nothing_is_said_of_its_form() {
        let wire = |username: &str, password: &str| json!({ "type": "BASIC", "username": username, "password": password });
        let both = [("username", " ann\n"), ("password", "p:w")];
        assert_eq!(accept("private-api-basic", &both), Ok(wire("ann", "p:w")));
        assert_eq!(accept("private-api-basic", &both[..1]), Ok(wire("ann", "")));
        let only_password = [("username", ""), ("password", "x")];
        assert_eq!(
            accept("private-api-basic", &only_password),
            Ok(wire("", "x"))
        );
        let key = [("username", "rk_test_0123456789abcdefghijkl")];
        assert_eq!(
            accept("stripe-api-key", &key),
            Ok(wire("rk_test_0123456789abcdefghijkl", ""))
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for (slug, entered, expected) in [
            (
                "private-api-basic",
                &[][..],
                "`username` is required, or a password",
            ),
            (
                "private-api-basic",
                &[("user", "x")],
                "`user` is not a field of this provider",
            ),
            (
                "private-api-basic",
                &[("username", "a\r\nb")],
                "`username` has line breaks or other control characters",
            ),
            (
                "stripe-api-key",
                &[("password", "x")],
                "`username` is required",
            ),
        ] {
            assert_eq!(accept(slug, entered), Err(expected.to_owned()));
        }
        let wrong = accept("stripe-api-key", &[("username", "hush")]).unwrap_err();
        assert!(wrong.starts_with("`username` does not have the expected form"));
        assert!(!wrong.contains("hush"), "{wrong}");
    }

    #[test]
    fn the_header_is_that_of_rfc_7617() {
        let basic = Basic {
            username: "Aladdin".into(),
            password: "open sesame".into(),
        };
        let header = basic.authorization().unwrap();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!format!("{basic:?}").contains("sesame"));
    }
}
