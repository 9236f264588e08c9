//! Dynamic client registration (RFC 7591).

use chrono::{DateTime, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use linkspan_providers::Config;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::Registration;
use crate::oauth2::{error_of, read_object, resolved};
use crate::scope::RequestScope;
use crate::{Error, TokenEndpoint};

/// What people read on consent pages.
pub(super) const CLIENT_NAME: &str = "Linkspan";

/// Characters of the shortest text that is hidden.
const SHORTEST_SECRET: usize = 4;

const METHOD: &str = "token_endpoint_auth_method";
const NONE: &str = "none";
const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";

type Object = Map<String, Value>;

/// Registers this server with a template's provider, at its
/// `registration_url` and with its `registration_params`. A client without a
/// secret is asked for, which is what MCP servers know; one that refuses that is
/// asked for one with a secret.
///
/// # Errors
/// [`Error::Template`] without a registration URL, [`Error::Refused`] with the
/// provider's words, and the others of a token request.
pub async fn register<E: TokenEndpoint>(
    config: &Config<'_>,
    redirect_uri: &str,
    endpoint: &E,
) -> Result<Registration, Error> {
    let template = config.template;
    let scope = RequestScope::new(config, None, None);
    let url = template.registration_url.as_ref();
    let url = url.ok_or_else(|| Error::Template {
        provider: template.slug.clone(),
        key: "registration_url",
    })?;
    let url = url.to_url(&scope)?;
    let own = resolved(template, &template.registration_params, &scope)?;
    let ask = |method| {
        let mut params = params(redirect_uri, &template.default_scopes, method);
        params.extend(own.clone());
        params
    };
    let says_method = template.registration_params.contains_key(METHOD);
    // They may be of the integration's configuration.
    let secrets = texts(&own);
    let answer = at(url.as_str(), ask(NONE), &secrets, endpoint).await;
    match answer {
        Err(Error::Refused {
            error: Some(error), ..
        }) if error == "invalid_client_metadata" && !says_method => {
            at(url.as_str(), ask(POST), &secrets, endpoint).await
        }
        answer => answer,
    }
}

/// The way in which this server authenticates, of those that the other one takes:
/// not at all, or else with the secret in the body, or else in a header. Without
/// a list it is anybody's guess (RFC 8414's default has a secret in a header,
/// which many servers without a list do not know).
pub(super) fn preferred(offered: &[String]) -> &'static str {
    let is_offered = |method: &&str| offered.iter().any(|known| known == method);
    if offered.is_empty() {
        return NONE;
    }
    let ours = [NONE, POST, BASIC];
    ours.into_iter().find(is_offered).unwrap_or(POST)
}

/// RFC 7591 section 2.
pub(super) fn params(redirect_uri: &str, scopes: &[String], method: &str) -> Object {
    let mut params = Object::new();
    params.insert("client_name".into(), CLIENT_NAME.into());
    params.insert("redirect_uris".into(), json!([redirect_uri]));
    let grants = json!(["authorization_code", "refresh_token"]);
    params.insert("grant_types".into(), grants);
    params.insert("response_types".into(), json!(["code"]));
    params.insert(METHOD.into(), method.into());
    if !scopes.is_empty() {
        params.insert("scope".into(), scopes.join(" ").into());
    }
    params
}

/// The texts in some parameters that are long enough to be secret: to hide
/// shorter ones would make any message unreadable.
fn texts(params: &Object) -> Vec<&str> {
    let mut found = Vec::new();
    let mut values: Vec<_> = params.values().collect();
    while let Some(value) = values.pop() {
        match value {
            Value::String(text) if text.chars().count() >= SHORTEST_SECRET => found.push(&**text),
            Value::Array(list) => values.extend(list),
            Value::Object(object) => values.extend(object.values()),
            _ => {}
        }
    }
    // One may be a part of another, which must not stay in part.
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found
}

/// Registers with these parameters. A refusal is told without `secrets`.
pub(super) async fn at<E: TokenEndpoint>(
    url: &str,
    params: Object,
    secrets: &[&str],
    endpoint: &E,
) -> Result<Registration, Error> {
    let asked = params
        .get(METHOD)
        .and_then(Value::as_str)
        .unwrap_or(NONE)
        .to_owned();
    let uris = params.get("redirect_uris").and_then(Value::as_array);
    let redirect_uri = uris.and_then(|uris| uris.first()).and_then(Value::as_str);
    let redirect_uri = redirect_uri.unwrap_or_default().to_owned();
    let mut request = Request::new(Value::Object(params).to_string().into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::try_from(url).map_err(|error| Error::Path(error.to_string()))?;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json.clone());
    request.headers_mut().insert(CONTENT_TYPE, json);
    let answer = endpoint.send(request).await?;
    let status = answer.status().as_u16();
    let object = read_object(&answer)?;
    let text = |name: &str| {
        let text = object.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let client_id = text("client_id").filter(|_| answer.status().is_success());
    let Some(client_id) = client_id else {
        return Err(match error_of(&object, status, secrets) {
            Error::NoAccessToken { status } => Error::Refused {
                status,
                error: None,
                message: "the answer to the registration has no client_id".to_owned(),
            },
            error => error,
        });
    };
    let method = text(METHOD).unwrap_or(asked);
    let secret = text("client_secret").filter(|_| method != NONE || text(METHOD).is_none());
    Ok(Registration {
        in_header: method == BASIC,
        secret_expires_at: object.get("client_secret_expires_at").and_then(time),
        client_secret: secret.map(SecretString::from),
        ..Registration::new(client_id, &redirect_uri)
    })
}

/// Seconds since 1970; zero stands for never (RFC 7591 section 3.2.1).
fn time(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = value.as_i64().filter(|seconds| *seconds > 0)?;
    DateTime::from_timestamp(seconds, 0)
}
