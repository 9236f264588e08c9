//! BILL: a login for a session, which calls carry beside the developer's key.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use http::{HeaderMap, HeaderName, Method};
use linkspan_providers::{BodyFormat, Config, FieldError, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::login::answer;
use crate::login::request::{Content, Parts, value};
use crate::scope::RequestScope;
use crate::{Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint};

/// A session ends when it was idle for this long (CONTRACT 2.8); the provider
/// does not say when.
const LIFE: TimeDelta = TimeDelta::minutes(35);

/// What a person enters, and its name in the login.
const FIELDS: [(&str, &str); 4] = [
    ("username", "username"),
    ("password", "password"),
    ("organization_id", "organizationId"),
    ("dev_key", "devKey"),
];

/// What the answer brings, and its name in the credentials.
const BROUGHT: [(&str, &str); 2] = [("sessionId", "session_id"), ("userId", "user_id")];

/// Logs in with what a person entered, or again with what was kept of it.
///
/// # Errors
/// [`Rejected::Field`] for what does not fit the template, and the errors of a
/// token request.
pub(crate) async fn log_in<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    _earlier: Option<&Login>,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    let fields = checked(&entered.fields)?;
    let request = {
        let scope = RequestScope::new(config, None, None);
        let url = config.template.token_url.as_ref().map(TokenUrl::oauth2);
        let url = url.ok_or_else(|| Error::Template {
            provider: config.template.slug.clone(),
            key: "token_url",
        })?;
        let param = |(field, name): (&str, &str)| (name.to_owned(), fields[field].as_str().into());
        let parts = Parts {
            method: Method::POST,
            url: url.to_url(&scope).map_err(Error::from)?,
            headers: HeaderMap::new(),
            params: Content::Map(FIELDS.map(param).into_iter().collect::<Map<_, Value>>()),
            format: BodyFormat::Json,
        };
        parts.build(&scope)?
    };
    let issued_at = Utc::now();
    let response = endpoint.send(request).await.map_err(Error::from)?;
    let secrets = [&*fields["password"], &*fields["dev_key"]];
    let answer = answer::read(&response, BodyFormat::Json, false, &secrets)?;
    let text = |name: &str| answer::text(&answer, name);
    let session = text("sessionId").ok_or_else(|| answer::no_token(&answer, 200, &secrets))?;
    let brought = BROUGHT
        .into_iter()
        .filter_map(|(name, ours)| Some((ours.to_owned(), text(name)?.into())));
    let login = Login {
        token: session.into(),
        refresh_token: None,
        brought: brought.collect(),
        expires_at: Some(issued_at + LIFE),
        issued_at,
        raw: answer.clone(),
        entered: fields
            .into_iter()
            .map(|(name, text)| (name, text.into()))
            .collect(),
    };
    Ok(Credentials::Bill(login).into())
}

/// All fields, and no others.
fn checked(entered: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, FieldError> {
    let is_known = |name: &String| FIELDS.iter().any(|(known, _)| name == known);
    if let Some(unknown) = entered.keys().find(|name| !is_known(name)) {
        return Err(FieldError::new(unknown, "is not a field of this provider"));
    }
    let field = |(name, _): (&str, &str)| {
        let text = entered.get(name).map(|text| text.trim());
        match text.filter(|text| !text.is_empty()) {
            Some(text) => Ok((name.to_owned(), text.to_owned())),
            None => Err(FieldError::new(name, "is required")),
        }
    };
    FIELDS.into_iter().map(field).collect()
}

/// What a call carries, unless the template or the caller says otherwise.
///
/// # Errors
/// [`Error::Header`].
pub(crate) fn add(login: &Login, headers: &mut HeaderMap) -> Result<(), Error> {
    let dev_key = login.entered.get("dev_key");
    let values: [(&'static str, Option<&SecretString>); 2] =
        [("devkey", dev_key), ("sessionid", Some(&login.token))];
    for (name, secret) in values {
        let name = HeaderName::from_static(name);
        if let Some(secret) = secret
            && !headers.contains_key(&name)
        {
            let value = value(&name, secret.expose_secret())?;
            headers.insert(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
