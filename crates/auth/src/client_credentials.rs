//! OAUTH2_CC: the client credentials grant of RFC 6749 section 4.4, with a client
//! that the person enters, or else the integration's.

mod client;
mod private_key;

use chrono::{DateTime, TimeDelta, Utc};
use http::header::AUTHORIZATION;
use http::{Method, Request};
use linkspan_providers::{BodyFormat, Config, Template, TokenRequestAuthMethod, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use crate::login::request::{self, Content, Parts};
use crate::login::{UNTOLD_LIFE, answer};
use crate::oauth2::answer as oauth;
use crate::scope::RequestScope;
use crate::{Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint};

use client::Own;

/// Where the token is (CONTRACT section 3).
const TOKEN: [&str; 3] = ["access_token", "data.token", "jwt"];

/// Logs in with what a person entered, or again with what was kept of it.
///
/// # Errors
/// [`Rejected::Field`] for what does not fit the template, and the errors of a
/// token request.
pub(crate) async fn log_in<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    earlier: Option<&Login>,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    let template = config.template;
    let own = Own::of(template, client, &entered.fields, earlier.is_none())?;
    let now = Utc::now();
    let request = request(config, client, &own, now)?;
    let response = endpoint.send(request).await.map_err(Error::from)?;
    let secrets = own.secrets();
    let answer = answer::read(&response, BodyFormat::Json, false, &secrets)?;
    let token = TOKEN.iter().find_map(|path| answer::text(&answer, path));
    let token = token.ok_or_else(|| answer::no_token(&answer, 200, &secrets))?;
    let login = Login {
        entered: own.into_entered(),
        token: token.into(),
        refresh_token: None,
        brought: [].into(),
        expires_at: Some(expires_at(template, &answer, now)),
        issued_at: now,
        raw: match &answer {
            Value::Object(_) => answer.clone(),
            other => json!({ "response": other }),
        },
    };
    Ok(Finished {
        metadata: answer::metadata(template, &[answer]),
        ..Credentials::ClientCredentials(login).into()
    })
}

/// As the answer says, else as the template does, else 55 minutes on.
fn expires_at(template: &Template, answer: &Value, now: DateTime<Utc>) -> DateTime<Utc> {
    let nested = answer.get("data").and_then(Value::as_object);
    let objects = answer.as_object().into_iter().chain(nested);
    let said = objects
        .filter_map(|object| oauth::expires_at(template, object, now))
        .next();
    let fixed = || {
        let life = template.token_expires_in_ms.filter(|life| *life > 0)?;
        let life = TimeDelta::try_milliseconds(i64::try_from(life).ok()?)?;
        now.checked_add_signed(life)
    };
    said.or_else(fixed).unwrap_or(now + UNTOLD_LIFE)
}

fn request(
    config: &Config<'_>,
    client: Option<&Client>,
    own: &Own,
    now: DateTime<Utc>,
) -> Result<Request<Vec<u8>>, Error> {
    let template = config.template;
    let as_client = own.as_client();
    let scope = RequestScope::new(config, Some(&as_client), None);
    let url = template.token_url.as_ref().map(TokenUrl::oauth2);
    let url = url.ok_or_else(|| Error::Template {
        provider: template.slug.clone(),
        key: "token_url",
    })?;
    let url = url.to_url(&scope)?;
    let mut params = request::params(template, &template.token_params, &scope)?;
    if let Some(scopes) = scopes(config, client) {
        params.insert("scope".to_owned(), scopes.into());
    }
    let mut headers = request::headers(template, &template.token_headers, &scope)?;
    match template.token_request_auth_method {
        Some(TokenRequestAuthMethod::PrivateKeyJwt) => {
            private_key::add(own, url.as_str(), now, &mut params)?;
        }
        Some(TokenRequestAuthMethod::Custom) => own.add(&mut params, "username", "password"),
        _ if own.in_header(template) => {
            headers.insert(AUTHORIZATION, own.basic()?);
        }
        _ => own.add(&mut params, "client_id", "client_secret"),
    }
    let parts = Parts {
        method: template
            .token_request_method
            .clone()
            .unwrap_or(Method::POST),
        url,
        headers,
        params: Content::Map(params),
        format: template.body_format.unwrap_or(BodyFormat::Form),
    };
    let mut request = parts.build(&scope)?;
    if let Some(certificate) = certificate(template, |name| own.get(name))? {
        request.extensions_mut().insert(certificate);
    }
    Ok(request)
}

/// The certificate that calls with these credentials present, where the template
/// asks for one.
///
/// # Errors
/// [`Error::NoCertificate`] if the person has entered none, as by an import.
pub fn client_certificate(
    template: &Template,
    credentials: &Credentials,
) -> Result<Option<ClientCertificate>, Error> {
    let Credentials::ClientCredentials(login) = credentials else {
        return Ok(None);
    };
    certificate(template, |name| {
        login.entered.get(name).map(ExposeSecret::expose_secret)
    })
}

/// What is presented, where the template asks for it, of what was entered.
fn certificate<'a>(
    template: &Template,
    entered: impl Fn(&str) -> Option<&'a str>,
) -> Result<Option<ClientCertificate>, Error> {
    if !template.require_client_certificate {
        return Ok(None);
    }
    let get = |name| entered(name).ok_or(Error::NoCertificate(name));
    Ok(Some(ClientCertificate {
        certificate_pem: get(client::CERTIFICATE)?.to_owned(),
        key_pem: get(client::PRIVATE_KEY)?.into(),
    }))
}

/// The scopes to ask for, joined as the provider wants them: the connection's,
/// else the integration's, else the template's. Nothing leaves the template's own
/// `scope` parameter as it is.
fn scopes(config: &Config<'_>, client: Option<&Client>) -> Option<String> {
    let template = config.template;
    let of_connection = config.connection.value("oauth_scopes");
    let is_between = |c: char| c == ',' || c.is_whitespace();
    let own: Vec<String> = of_connection
        .iter()
        .flat_map(|scopes| scopes.split(is_between))
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    let of_client = client.map(|client| &client.scopes[..]).unwrap_or_default();
    let asked = [&own, of_client, &template.default_scopes];
    let first = asked.into_iter().find(|scopes| !scopes.is_empty())?;
    Some(first.join(template.scope_separator()))
}

/// A certificate that a token request (RFC 8705 section 2) or a call presents. A
/// request has it in its extensions: the [`TokenEndpoint`] gives it to the
/// connection, which is used for nothing else.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority (PEM).
    pub certificate_pem: String,
    /// Its private key (PEM).
    pub key_pem: SecretString,
}

/// The parameters of a request, by name.
type ParamMap = Map<String, Value>;

#[cfg(test)]
mod tests;
