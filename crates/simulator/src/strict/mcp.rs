//! A strict provider of MCP_OAUTH2 and MCP_OAUTH2_GENERIC: an authorisation
//! server of OAuth 2.1 with registration (RFC 7591), and the server that its
//! tokens are for. Hosts and paths are the template's: what an endpoint is for is
//! the last word of its path. `/generic.test/mcp` is a server that says where its
//! authorisation server is (RFC 9728).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::{Answer, Refused, Strict};
use crate::journal::SeenRequest;

/// The server that a person names in the generic mode, by its path.
pub const SERVER: &str = "/generic.test/mcp";
const ISSUER: &str = "/auth.test";
const RESOURCE_DOCUMENT: &str = "/described.test/resource";
const ISSUER_DOCUMENT: &str = "/.well-known/oauth-authorization-server/auth.test";

/// How the provider is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A client that was registered by hand: its id and secret.
    pub known: (String, String),
    /// Whether clients that register get a secret, which they must then send.
    pub gives_secrets: bool,
    /// Whether it takes clients by their document.
    pub takes_documents: bool,
    /// Whether the generic mode's server takes registrations.
    pub takes_registrations: bool,
    /// How long access tokens last.
    pub life: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            known: ("known-client".to_owned(), "known-secret".to_owned()),
            gives_secrets: false,
            takes_documents: true,
            takes_registrations: true,
            life: Duration::from_secs(3600),
        }
    }
}

#[derive(Default)]
struct State {
    /// Secrets and callbacks of registered clients.
    clients: BTreeMap<String, (Option<String>, String)>,
    codes: BTreeMap<String, Grant>,
    refresh_tokens: BTreeMap<String, Grant>,
    access_tokens: BTreeMap<String, Instant>,
    spent: BTreeSet<String>,
}

#[derive(Clone)]
struct Grant {
    client_id: String,
    redirect_uri: String,
    challenge: String,
    resource: Option<String>,
}

type Params = BTreeMap<String, String>;

/// Starts one.
///
/// # Errors
/// There is no free port.
pub async fn start(settings: Settings) -> io::Result<Strict> {
    let state = Arc::new(Mutex::new(State::default()));
    Strict::start(move |request| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = request.path.rsplit('/').next().unwrap_or_default();
        match (request.method.as_str(), place) {
            ("POST", "register") => state.register(&settings, request),
            ("GET", "authorize" | "oauth_authorize") => state.authorize(&settings, request),
            ("POST", "token" | "oauth_token") => state.token(&settings, request),
            _ => match request.path.as_str() {
                RESOURCE_DOCUMENT => Ok(resource_document(request)),
                ISSUER_DOCUMENT => Ok(issuer_document(&settings, request)),
                path if path.starts_with("/.well-known/") => Err(Refused::path()),
                _ => state.call(request),
            },
        }
    })
    .await
}

fn home(request: &SeenRequest) -> String {
    format!("http://{}", request.header("host").unwrap_or_default())
}

fn resource_document(request: &SeenRequest) -> Answer {
    let home = home(request);
    Answer::json(&json!({
        "resource": format!("{home}{SERVER}"),
        "authorization_servers": [format!("{home}{ISSUER}")],
        "scopes_supported": ["tools"],
    }))
}

fn issuer_document(settings: &Settings, request: &SeenRequest) -> Answer {
    let issuer = format!("{}{ISSUER}", home(request));
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": settings.takes_documents,
        "authorization_response_iss_parameter_supported": true,
    });
    if settings.takes_registrations {
        document["registration_endpoint"] = format!("{issuer}/register").into();
    }
    Answer::json(&document)
}

impl State {
    fn register(&mut self, settings: &Settings, request: &SeenRequest) -> Result<Answer, Refused> {
        if request.header("content-type") != Some("application/json") {
            return Err(Refused::request("a registration is JSON"));
        }
        let asked: Value = serde_json::from_slice(&request.body)
            .map_err(|_| Refused::request("a registration is JSON"))?;
        let callback = match asked["redirect_uris"].as_array().map(Vec::as_slice) {
            Some([Value::String(callback)]) => callback.clone(),
            _ => return Err(Refused::request("redirect_uris is not one address")),
        };
        let grants = json!(["authorization_code", "refresh_token"]);
        if asked["grant_types"] != grants || asked["response_types"] != json!(["code"]) {
            return Err(Refused::request("grant_types or response_types is wrong"));
        }
        if asked["client_name"].as_str().is_none_or(str::is_empty) {
            return Err(Refused::request("client_name is missing"));
        }
        let id = Uuid::new_v4().to_string();
        let secret = settings.gives_secrets.then(|| Uuid::new_v4().to_string());
        let mut answer = json!({ "client_id": id, "redirect_uris": [callback] });
        if let Some(secret) = &secret {
            answer["client_secret"] = secret.as_str().into();
            answer["client_secret_expires_at"] = 0.into();
            answer["token_endpoint_auth_method"] = "client_secret_basic".into();
        }
        self.clients.insert(id, (secret, callback));
        Ok(Answer {
            status: 201,
            ..Answer::json(&answer)
        })
    }

    /// Lets everybody in who asks as they must.
    fn authorize(&mut self, settings: &Settings, request: &SeenRequest) -> Result<Answer, Refused> {
        let asked = once(request.query.iter().cloned())?;
        let get = |name: &str| need(&asked, name);
        if get("response_type")? != "code" || get("code_challenge_method")? != "S256" {
            return Err(Refused::request(
                "response_type or code_challenge_method is wrong",
            ));
        }
        if asked.contains_key("client_secret") {
            return Err(Refused::request("a secret has no place in a browser"));
        }
        let (client_id, redirect_uri) = (get("client_id")?, get("redirect_uri")?);
        let is_document = settings.takes_documents && client_id.contains("/oauth/client-metadata/");
        let is_known = is_document || client_id == settings.known.0;
        match self.clients.get(&client_id) {
            Some((_, callback)) if *callback != redirect_uri => {
                return Err(Refused::request("redirect_uri is not the registered one"));
            }
            None if !is_known => return Err(Refused::client("client_id is unknown")),
            _ => {}
        }
        let code = Uuid::new_v4().to_string();
        let mut back = url::Url::parse(&redirect_uri)
            .map_err(|_| Refused::request("redirect_uri is not an address"))?;
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &get("state")?);
        if request.path.starts_with(ISSUER) {
            let issuer = format!("{}{ISSUER}", home(request));
            back.query_pairs_mut().append_pair("iss", &issuer);
        }
        let grant = Grant {
            client_id,
            redirect_uri,
            challenge: get("code_challenge")?,
            resource: asked.get("resource").cloned(),
        };
        self.codes.insert(code, grant);
        let answer = Answer::new(302, "text/plain", "");
        Ok(answer.with_header("location", back.as_str()))
    }

    fn token(&mut self, settings: &Settings, request: &SeenRequest) -> Result<Answer, Refused> {
        if request.header("content-type") != Some("application/x-www-form-urlencoded") {
            return Err(Refused::request("a token request is a form"));
        }
        let asked = once(form_urlencoded::parse(&request.body).into_owned())?;
        let grant = match need(&asked, "grant_type")?.as_str() {
            "authorization_code" => {
                let grant = self.codes.remove(&need(&asked, "code")?);
                let grant = grant.ok_or_else(|| Refused::request("code is unknown or spent"))?;
                let verifier = need(&asked, "code_verifier")?;
                let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
                if challenge != grant.challenge {
                    return Err(Refused::request("code_verifier is wrong"));
                }
                if need(&asked, "redirect_uri")? != grant.redirect_uri {
                    return Err(Refused::request("redirect_uri is another one"));
                }
                grant
            }
            "refresh_token" => {
                let token = need(&asked, "refresh_token")?;
                let grant = self.refresh_tokens.remove(&token);
                if !self.spent.insert(token) {
                    return Err(Refused::request("refresh_token was spent before"));
                }
                grant.ok_or_else(|| Refused::request("refresh_token is unknown"))?
            }
            _ => return Err(Refused::request("grant_type is unknown")),
        };
        if asked.get("resource") != grant.resource.as_ref() {
            return Err(Refused::request("resource is another one"));
        }
        self.check_client(settings, request, &asked, &grant)?;
        let (access, refresh) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let until = Instant::now() + settings.life;
        self.access_tokens.insert(access.clone(), until);
        self.refresh_tokens.insert(refresh.clone(), grant);
        Ok(Answer::json(&json!({
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": settings.life.as_secs(),
        })))
    }

    /// A client with a secret sends it, in one place; one without sends none.
    fn check_client(
        &self,
        settings: &Settings,
        request: &SeenRequest,
        asked: &Params,
        grant: &Grant,
    ) -> Result<(), Refused> {
        let id = &grant.client_id;
        let registered = self.clients.get(id).map(|(secret, _)| secret.clone());
        let header = request.header("authorization");
        let in_body = asked.get("client_secret").map(String::as_str);
        let is_right = if *id == settings.known.0 {
            header.is_none()
                && in_body == Some(&settings.known.1)
                && asked.get("client_id") == Some(id)
        } else if let Some(Some(secret)) = registered {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
            header == Some(&format!("Basic {pair}")) && in_body.is_none()
        } else {
            header.is_none() && in_body.is_none() && asked.get("client_id") == Some(id)
        };
        match is_right {
            true => Ok(()),
            false => Err(Refused::client(
                "the client did not say who it is as it should",
            )),
        }
    }

    fn call(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        let bearer = request.header("authorization");
        let Some(bearer) = bearer.and_then(|value| value.strip_prefix("Bearer ")) else {
            if request.path == SERVER {
                let place = format!("{}{RESOURCE_DOCUMENT}", home(request));
                let value = format!("Bearer resource_metadata=\"{place}\"");
                let answer = Answer::new(401, "text/plain", "");
                return Ok(answer.with_header("www-authenticate", &value));
            }
            return Err(Refused::call("a call has no token"));
        };
        let until = self.access_tokens.get(bearer);
        let until = until.ok_or_else(|| Refused::call("the token is unknown"))?;
        if *until <= Instant::now() {
            return Err(Refused::call("the token has expired"));
        }
        Ok(Answer::json(&json!({ "ok": true })))
    }
}

fn once(pairs: impl Iterator<Item = (String, String)>) -> Result<Params, Refused> {
    let mut params = Params::new();
    for (name, value) in pairs {
        if params.insert(name.clone(), value).is_some() {
            return Err(Refused::request(format!("{name} is there twice")));
        }
    }
    Ok(params)
}

fn need(params: &Params, name: &str) -> Result<String, Refused> {
    let value = params.get(name).filter(|value| !value.is_empty());
    value
        .cloned()
        .ok_or_else(|| Refused::request(format!("{name} is missing")))
}
