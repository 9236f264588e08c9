//! What a request may say of an integration.

use std::collections::BTreeMap;

use linkspan_providers::Template;
use secrecy::SecretString;
use url::Url;

use crate::Error;

/// Longest key, in characters; keys stand in URLs.
const LONGEST_KEY: usize = 255;
/// Longest display name, client id and webhook secret, in characters (the
/// contract's limit).
const LONGEST_TEXT: usize = 255;
/// Longest address, in bytes.
const LONGEST_LINK: usize = 2048;

/// A key stands in URLs and headers, so it keeps to characters that need no
/// escaping there.
pub(super) fn key(key: &str) -> Result<(), Error> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "~:.@ _-".contains(c);
    let is_long = key.chars().count() > LONGEST_KEY;
    if key.is_empty() || is_long || !key.chars().all(is_allowed) || key.trim() != key {
        let message = "must be 1 to 255 letters, digits or one of ~ : . @ _ - and space, \
                       no space at either end";
        return Err(Error::invalid_body(
            "invalid_string",
            message,
            &["unique_key"],
        ));
    }
    Ok(())
}

pub(super) fn display_name(name: Option<&str>) -> Result<(), Error> {
    match name {
        Some(name) => text(name, 1, &["display_name"]),
        None => Ok(()),
    }
}

fn text(value: &str, least: usize, path: &[&str]) -> Result<(), Error> {
    let length = value.chars().count();
    if length < least || length > LONGEST_TEXT || value.contains('\0') {
        let message = format!("must be {least} to {LONGEST_TEXT} characters, without NUL");
        return Err(Error::invalid_body("invalid_string", message, path));
    }
    Ok(())
}

/// The credentials that a request gives are those of the template's mode.
pub(super) fn kind(template: &Template, given: &str) -> Result<(), Error> {
    let slug = &template.slug;
    let Some(mode) = linkspan_auth::own_kind(template.auth_mode) else {
        let message = format!("provider '{slug}' has no OAuth client");
        return Err(Error::invalid_body(
            "invalid_union",
            message,
            &["credentials"],
        ));
    };
    if given != mode.as_str() {
        let message = format!("provider '{slug}' takes credentials of type {mode}");
        let path = ["credentials", "type"];
        return Err(Error::invalid_body("invalid_union", message, &path));
    }
    Ok(())
}

pub(super) fn client_id(id: &str) -> Result<(), Error> {
    text(id, 1, &["credentials", "client_id"])
}

pub(super) fn app_id(id: &str) -> Result<(), Error> {
    text(id, 1, &["credentials", "app_id"])
}

/// A secret is taken as it is.
pub(super) fn secret(secret: &str, field: &str) -> Result<(), Error> {
    if secret.is_empty() || secret.contains('\0') {
        let message = "must not be empty or contain NUL";
        let path = ["credentials", field];
        return Err(Error::invalid_body("invalid_string", message, &path));
    }
    Ok(())
}

pub(super) fn webhook_secret(secret: Option<&String>) -> Result<(), Error> {
    match secret {
        Some(secret) => text(secret, 0, &["credentials", "webhook_secret"]),
        None => Ok(()),
    }
}

/// Scopes are checked for what would break the request that carries them, and no
/// further: providers invent their own forms.
pub(super) fn scopes(scopes: Option<&String>) -> Result<(), Error> {
    if scopes.is_some_and(|scopes| scopes.chars().any(char::is_control)) {
        let message = "must not contain control characters";
        let path = ["credentials", "scopes"];
        return Err(Error::invalid_body("invalid_string", message, &path));
    }
    Ok(())
}

/// A browser is sent there.
pub(super) fn link(link: &str) -> Result<(), Error> {
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
    if link.len() > LONGEST_LINK || !Url::parse(link).is_ok_and(|url| is_web(&url)) {
        let message = "must be an address that begins with https:// or http://";
        let path = ["credentials", "app_link"];
        return Err(Error::invalid_body("invalid_string", message, &path));
    }
    Ok(())
}

pub(super) fn private_key(key: &str) -> Result<(), Error> {
    linkspan_auth::check_app_key(key).map_err(|reason| {
        let path = ["credentials", "private_key"];
        Error::invalid_body("invalid_string", reason, &path)
    })
}

/// What a plugin's calls carry: both or neither, in a form that a header can.
pub(super) fn plugin_user(username: Option<&str>, password: Option<&str>) -> Result<(), Error> {
    let wrong = |field: &str, message: &str| {
        Error::invalid_body("invalid_string", message, &["credentials", field])
    };
    for (field, value) in [("username", username), ("password", password)] {
        if value.is_some_and(|value| value.is_empty() || value.contains(char::is_control)) {
            return Err(wrong(
                field,
                "must not be empty or contain control characters",
            ));
        }
    }
    match (username, password) {
        (Some(_), None) => Err(wrong("password", "is needed with `username`")),
        (None, Some(_)) => Err(wrong("username", "is needed with `password`")),
        _ => Ok(()),
    }
}

pub(super) fn config(template: &Template, values: &BTreeMap<String, String>) -> Result<(), Error> {
    template.integration_config.check(values).map_err(|wrong| {
        let path = ["integration_config", &wrong.field];
        Error::invalid_body("invalid_string", wrong.to_string(), &path)
    })
}

/// Parts the values that are stored as they are from those that are sealed.
pub(super) fn split(
    template: &Template,
    values: BTreeMap<String, String>,
) -> (BTreeMap<String, String>, BTreeMap<String, SecretString>) {
    let is_secret = |name: &String| {
        let field = template.integration_config.0.get(name);
        field.is_some_and(|field| field.secret)
    };
    let (secret, plain): (BTreeMap<_, _>, _) =
        values.into_iter().partition(|(name, _)| is_secret(name));
    let sealed = secret.into_iter().map(|(name, value)| (name, value.into()));
    (plain, sealed.collect())
}
