//! A strict provider of OAUTH2_CC (RFC 6749 section 4.4): one client, which has
//! to prove itself by the one way that the provider knows, and to ask in the one
//! form. Its tokens are good until they are replaced.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio_rustls::rustls::ServerConfig;
use url::form_urlencoded;

use super::{Answer, Refused, Strict};
use crate::journal::SeenRequest;

/// The one client.
pub const CLIENT_ID: &str = "cc-client";
/// Its secret.
pub const CLIENT_SECRET: &str = "cc-secret-planted";

/// How a token request must look. Paths begin with the provider's host.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// The path of the token endpoint.
    pub path: &'static str,
    /// The client in a Basic header, or in the body by these names.
    pub names: Option<(&'static str, &'static str)>,
    /// `application/json`, or else a form.
    pub is_json: bool,
    /// The grant type that it must name, if any.
    pub grant_type: Option<&'static str>,
    /// Where the answer has the token, a dotted path.
    pub token: &'static str,
}

/// Serves these endpoints; every other path is an API behind the tokens.
///
/// # Errors
/// There is no free port.
pub async fn start(endpoints: &'static [Endpoint]) -> io::Result<Strict> {
    let issued = Arc::<Mutex<Option<String>>>::default();
    Strict::start(move |request| answer(endpoints, &issued, request)).await
}

/// The same over TLS, which may ask for a client certificate.
///
/// # Errors
/// There is no free port.
pub async fn start_tls(tls: ServerConfig, endpoints: &'static [Endpoint]) -> io::Result<Strict> {
    let issued = Arc::<Mutex<Option<String>>>::default();
    Strict::start_tls(tls, move |request| answer(endpoints, &issued, request)).await
}

fn answer(
    endpoints: &[Endpoint],
    issued: &Mutex<Option<String>>,
    request: &SeenRequest,
) -> Result<Answer, Refused> {
    let mut issued = issued.lock().unwrap_or_else(PoisonError::into_inner);
    let endpoint = endpoints.iter().find(|known| known.path == request.path);
    let Some(endpoint) = endpoint else {
        let expected = issued.as_ref().map(|token| format!("Bearer {token}"));
        return match request.header("authorization") {
            Some(given) if expected.as_deref() == Some(given) => {
                Ok(Answer::json(&json!({ "ok": true })))
            }
            _ => Err(Refused::call("the access token is not good")),
        };
    };
    check(endpoint, request)?;
    let token = format!("cc-{}", uuid::Uuid::new_v4());
    *issued = Some(token.clone());
    let mut body = Value::String(token);
    for part in endpoint.token.rsplit('.') {
        body = json!({ part: body });
    }
    Ok(Answer::json(&body))
}

fn check(endpoint: &Endpoint, request: &SeenRequest) -> Result<(), Refused> {
    if request.method != "POST" {
        return Err(Refused::request("a token is asked for by POST"));
    }
    let params = params(endpoint.is_json, request)?;
    let text = |name: &str| params.get(name).and_then(Value::as_str);
    if text("grant_type") != endpoint.grant_type {
        return Err(Refused::request("grant_type is wrong"));
    }
    let basic = format!("{CLIENT_ID}:{CLIENT_SECRET}");
    let basic = format!("Basic {}", STANDARD.encode(basic));
    let is_known = match endpoint.names {
        None => {
            let in_body = params.contains_key("client_id") || params.contains_key("client_secret");
            if in_body {
                return Err(Refused::request("the client authenticates twice"));
            }
            request.header("authorization") == Some(&basic)
        }
        Some((id, secret)) => {
            if request.header("authorization").is_some() {
                return Err(Refused::request("the client authenticates twice"));
            }
            text(id) == Some(CLIENT_ID) && text(secret) == Some(CLIENT_SECRET)
        }
    };
    match is_known {
        true => Ok(()),
        false => Err(Refused::client("this client is unknown")),
    }
}

/// The body's parameters, each once, in this form and no other.
pub(super) fn params(is_json: bool, request: &SeenRequest) -> Result<Map<String, Value>, Refused> {
    let content_type = request.header("content-type").unwrap_or_default();
    let expected = match is_json {
        true => "application/json",
        false => "application/x-www-form-urlencoded",
    };
    if content_type != expected {
        return Err(Refused::request("the content type is wrong"));
    }
    if is_json {
        return serde_json::from_slice(&request.body)
            .map_err(|_| Refused::request("the body is not a JSON object"));
    }
    let mut params = Map::new();
    for (name, value) in form_urlencoded::parse(&request.body) {
        let name = name.into_owned();
        if params.insert(name, value.into_owned().into()).is_some() {
            return Err(Refused::request("a parameter is repeated"));
        }
    }
    Ok(params)
}
