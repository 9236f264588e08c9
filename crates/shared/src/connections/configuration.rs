//! What a connection's configuration may hold, and what of it is secret.
//!
//! Values come from a browser, a connect session, an import, a reconnected
//! connection and the provider, and all of them pass through here. Keys that
//! belong to no field of the template are kept as they are (CONTRACT 2.4, 2.6):
//! products keep things of their own there, and some mean something to the
//! platform, such as `oauth_scopes_override`.

use linkspan_api::{ErrorCode, FieldError};
use linkspan_auth::{SECRET_OVERRIDE, quirks};
use linkspan_providers::Template;
use serde_json::{Map, Value};

use super::Live;
use crate::{Error, limits};

/// How templates and older callers write a key.
const PREFIX: &str = "connectionConfig.";
/// Keys with a meaning of their own, whatever the template.
const OVERRIDES: [&str; 3] = [
    "oauth_client_id_override",
    SECRET_OVERRIDE,
    "oauth_scopes_override",
];
/// What stands for a secret where it is not shown, so that a form can see that
/// there is a value.
const MASK: &str = "********";

/// Where values were given: how a mistake in them is told.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The code of a mistake there.
    pub(crate) code: ErrorCode,
    /// The path of the values.
    pub(crate) path: &'a [&'a str],
}

impl Place<'_> {
    /// The `params[…]` of a browser.
    pub(crate) const PARAMS: Place<'static> = Place {
        code: ErrorCode::InvalidQueryParams,
        path: &["params"],
    };
    /// `connection_config` of a body.
    pub(crate) const BODY: Place<'static> = Place {
        code: ErrorCode::InvalidBody,
        path: &["connection_config"],
    };

    fn mistake(&self, kind: &str, name: &str, message: String) -> FieldError {
        FieldError::new(kind, message, &[self.path, &[name]].concat())
    }

    fn refuse(&self, fields: Vec<FieldError>) -> Result<(), Error> {
        match fields.is_empty() {
            true => Ok(()),
            false => Err(Error::Invalid {
                code: self.code,
                fields,
            }),
        }
    }
}

/// The key that a value is stored under, of the name that it was given by.
pub(crate) fn key(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Checks values as they were given, and gives them as they are stored: under
/// their keys alone, and without the fields that were left empty.
///
/// # Errors
/// [`Error::Invalid`] with every value that does not fit, by its path.
pub(crate) fn given(
    template: &Template,
    values: Map<String, Value>,
    place: Place<'_>,
) -> Result<Map<String, Value>, Error> {
    limits::connection_config(&values, place.code, place.path)?;
    let fields = &template.connection_config;
    let mut mistakes = Vec::new();
    let mut kept = Map::new();
    for (name, value) in values {
        let key = key(&name);
        if OVERRIDES.contains(&key) && !value.is_string() {
            mistakes.push(place.mistake("invalid_type", &name, "must be a string".to_owned()));
        } else if let Err(wrong) = fields.check_value(key, &value) {
            let kind = if value.is_string() {
                "invalid_string"
            } else {
                "invalid_type"
            };
            mistakes.push(place.mistake(kind, &name, wrong.to_string()));
        } else if value != "" || !fields.0.contains_key(key) {
            kept.insert(key.to_owned(), value);
        }
    }
    place.refuse(mistakes)?;
    Ok(kept)
}

/// Refuses a configuration that lacks a value which nothing else will bring.
/// `later` names what the provider will bring.
///
/// # Errors
/// [`Error::Invalid`] with every field that is missing, by its path.
pub(crate) fn complete(
    template: &Template,
    values: &Map<String, Value>,
    later: &[String],
    place: Place<'_>,
) -> Result<(), Error> {
    let missing = template.connection_config.missing(values);
    let missing = missing.filter(|name| !later.iter().any(|later| later == name));
    place.refuse(
        missing
            .map(|name| place.mistake("invalid_type", name, format!("`{name}` is required")))
            .collect(),
    )
}

/// What the provider itself brings to a configuration.
pub(crate) fn brought_later(template: &Template) -> Vec<String> {
    let callback = template.redirect_uri_metadata.iter();
    callback
        .chain(&template.token_response_metadata)
        .cloned()
        .collect()
}

/// Checks what the provider said, in its callback or its token answer: a host
/// name that it names is called with credentials later.
///
/// # Errors
/// [`Error::ProviderValue`].
pub(crate) fn said_by_provider(
    template: &Template,
    values: &Map<String, Value>,
) -> Result<(), Error> {
    for (name, value) in values {
        // An answer may well have a flag where the template has text.
        let value = match value {
            Value::Bool(flag) => Value::String(flag.to_string()),
            value => value.clone(),
        };
        let fields = &template.connection_config;
        fields
            .check_value(name, &value)
            .map_err(|wrong| Error::ProviderValue(wrong.to_string()))?;
    }
    Ok(())
}

/// Refuses a connection that lacks a value after the provider had its say.
///
/// # Errors
/// [`Error::ProviderValue`].
pub(crate) fn finished(template: &Template, values: &Map<String, Value>) -> Result<(), Error> {
    match template.connection_config.missing(values).next() {
        Some(name) => Err(Error::ProviderValue(format!("`{name}` is required"))),
        None => Ok(()),
    }
}

/// The keys under which a template's secrets are. A field may be named by a path,
/// and a value under the path's beginning holds it too.
pub(crate) fn secret_keys(template: &Template) -> Vec<String> {
    let fields = template.connection_config.0.iter();
    let marked = fields.filter(|(_, field)| field.secret);
    let names = marked
        .map(|(name, _)| name.as_str())
        .chain(quirks::secret_config(template).iter().copied());
    let mut keys: Vec<String> = names
        .flat_map(|name| {
            let beginnings = name.match_indices('.').map(|(at, _)| name[..at].to_owned());
            beginnings.chain([name.to_owned()])
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn is_secret(keys: &[String], name: &str) -> bool {
    name == SECRET_OVERRIDE || keys.binary_search_by(|key| key.as_str().cmp(name)).is_ok()
}

/// Parts what is stored as it is from what is sealed.
pub(crate) fn split(
    template: &Template,
    values: &Map<String, Value>,
) -> (Map<String, Value>, Map<String, Value>) {
    let keys = secret_keys(template);
    values
        .clone()
        .into_iter()
        .partition(|(name, _)| !is_secret(&keys, name))
}

/// A connection's configuration as a caller may see it: without the secrets,
/// unless the caller may read credentials.
#[must_use]
pub fn shown(live: &Live, with_credentials: bool) -> Map<String, Value> {
    let all = &live.connection.connection_config;
    match with_credentials {
        true => all.clone(),
        false => split(&live.template, all).0,
    }
}

/// A session's values as its browser may see them: a secret's place is kept, so
/// that a form need not ask for it. A client's secret has no place in a form.
pub(crate) fn masked(template: Option<&Template>, values: &mut Map<String, Value>) {
    let keys = template.map(secret_keys).unwrap_or_default();
    values.remove(SECRET_OVERRIDE);
    for (name, value) in values.iter_mut() {
        // Of a provider that is gone nobody can say what is secret.
        if template.is_none() || is_secret(&keys, name) {
            *value = MASK.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(more: &str) -> Template {
        let yaml = format!(
            "display_name: T\ncategories: [other]\nauth_mode: OAUTH2\n\
             authorization_url: https://t.com/a\ntoken_url: https://t.com/t\n{more}"
        );
        Template::parse("t", &yaml).unwrap()
    }

    fn fields() -> Template {
        template(
            "connection_config:\n  \
             host: { type: string, title: H, format: hostname }\n  \
             key: { type: string, title: K, secret: true, optional: true }\n  \
             url: { type: string, title: U, automated: true, pattern: '^https://' }\n  \
             installation.token: { type: string, title: I, secret: true, optional: true }\n  \
             realm: { type: string, title: R }\n\
             redirect_uri_metadata: [realm]\n",
        )
    }

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    fn paths(refused: Result<impl std::fmt::Debug, Error>) -> Vec<String> {
        let error = refused.unwrap_err();
        let fields = error.fields().iter();
        fields.map(|field| field.path.join(".")).collect()
    }

    #[test]
    fn values_are_checked_by_their_fields_and_others_kept() {
        let template = fields();
        let values = json!({ "connectionConfig.host": "a.example", "key": "",
            "own": { "a": [1] }, "empty": "" });
        let kept = given(&template, map(values), Place::BODY).unwrap();
        let expected = json!({ "host": "a.example", "own": { "a": [1] }, "empty": "" });
        assert_eq!(Value::Object(kept), expected);
        let wrong = json!({ "host": "a/b", "key": 7, "url": "ftp://x", "own": 1,
            "oauth_scopes_override": ["a"] });
        let refused = paths(given(&template, map(wrong.clone()), Place::BODY));
        let names = ["host", "key", "oauth_scopes_override", "url"];
        assert_eq!(
            refused,
            names.map(|name| format!("connection_config.{name}"))
        );
        let refused = given(&template, map(wrong), Place::PARAMS).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidQueryParams);
        for nul in [json!({ "a\u{0}": 1 }), json!({ "a": [{ "b": "\u{0}" }] })] {
            assert!(given(&template, map(nul), Place::BODY).is_err());
        }
        let large = json!({ "a": "x".repeat(64 * 1024) });
        assert!(given(&template, map(large), Place::BODY).is_err());
    }

    #[test]
    fn what_is_missing_is_what_nobody_else_brings() {
        let template = fields();
        let later = brought_later(&template);
        let missing = |values: Value, later: &[String]| {
            complete(&template, &map(values), later, Place::PARAMS)
        };
        assert_eq!(paths(missing(json!({}), &later)), ["params.host"]);
        assert_eq!(
            paths(missing(json!({}), &[])),
            ["params.host", "params.realm"]
        );
        assert!(missing(json!({ "host": "a" }), &later).is_ok());
        assert!(finished(&template, &map(json!({ "host": "a" }))).is_err());
    }

    #[test]
    fn a_provider_is_not_believed_everything() {
        let template = fields();
        let said = |values: Value| said_by_provider(&template, &map(values));
        assert!(said(json!({ "url": "https://x", "realm": true, "own": 1 })).is_ok());
        let error = said(json!({ "url": "file:///planted" })).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidCredentials);
        assert!(!error.to_string().contains("planted"), "{error}");
    }

    #[test]
    fn secrets_are_found_by_field_by_quirk_and_under_a_path() {
        let values = map(
            json!({ "host": "a", "key": "s1", "installation": { "token": "s2" },
            "installation.token": "s3", "oauth_client_secret_override": "s4",
            "incoming_webhook.url": "s5", "own": "b" }),
        );
        let (plain, secret) = split(&fields(), &values);
        let names = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&plain), ["host", "incoming_webhook.url", "own"]);
        assert_eq!(secret.len(), 4);
        let (plain, _) = split(&template("quirk: slack\n"), &values);
        assert!(!names(&plain).contains(&"incoming_webhook.url".to_owned()));
    }

    #[test]
    fn a_browser_sees_that_there_is_a_secret_and_not_which() {
        let values = json!({ "host": "a", "key": "planted", "oauth_client_secret_override": "x" });
        let mut shown = map(values);
        masked(Some(&fields()), &mut shown);
        assert_eq!(
            Value::Object(shown.clone()),
            json!({ "host": "a", "key": MASK })
        );
        masked(None, &mut shown);
        assert_eq!(Value::Object(shown), json!({ "host": MASK, "key": MASK }));
    }
}
