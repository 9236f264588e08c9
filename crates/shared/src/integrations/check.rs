//! What a request may say of an integration.

use std::collections::BTreeMap;

use linkspan_providers::Template;
use secrecy::SecretString;

use crate::Error;

/// Longest key, in characters; keys stand in URLs.
const LONGEST_KEY: usize = 255;
/// Longest display name, client id and webhook secret, in characters (the
/// contract's limit).
const LONGEST_TEXT: usize = 255;

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

/// An OAuth client, as a request gives it.
pub(super) struct Client<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) scopes: Option<&'a str>,
    pub(super) webhook_secret: Option<&'a str>,
}

pub(super) fn client(template: &Template, client: &Client<'_>) -> Result<(), Error> {
    if !linkspan_auth::has_client(template.auth_mode) {
        let message = format!("provider '{}' has no OAuth client", template.slug);
        return Err(Error::invalid_body(
            "invalid_union",
            message,
            &["credentials"],
        ));
    }
    text(client.id, 1, &["credentials", "client_id"])?;
    if client.secret.is_empty() || client.secret.contains('\0') {
        let message = "must not be empty or contain NUL";
        let path = ["credentials", "client_secret"];
        return Err(Error::invalid_body("invalid_string", message, &path));
    }
    text(
        client.webhook_secret.unwrap_or_default(),
        0,
        &["credentials", "webhook_secret"],
    )?;
    // Scopes are checked for what would break the request that carries them,
    // and no further: providers invent their own forms.
    if client
        .scopes
        .is_some_and(|scopes| scopes.chars().any(char::is_control))
    {
        let message = "must not contain control characters";
        let path = ["credentials", "scopes"];
        return Err(Error::invalid_body("invalid_string", message, &path));
    }
    Ok(())
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
