//! A strict provider of OAUTH2 (RFC 6749 section 4.1, RFC 7636): one client, which
//! has to ask as the one template says and to prove itself in the one way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::client_credentials::params;
use super::{Answer, Refused};
use crate::journal::SeenRequest;

/// The one client.
pub const CLIENT_ID: &str = "client 1";
/// Its secret, which a Basic header has to encode.
pub const CLIENT_SECRET: &str = "planted:client+secret";

/// How a provider is. Paths begin with its host.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The person's page, which allows at once.
    pub authorize: &'static str,
    /// What the page's address must have beside the flow's own parameters.
    pub asked: &'static [(&'static str, &'static str)],
    /// Whether there must be a challenge by S256, or must not.
    pub has_pkce: bool,
    /// Codes are exchanged.
    pub token: &'static str,
    /// Refresh tokens are spent.
    pub refresh: &'static str,
    /// The client in a Basic header, or else in the body.
    pub is_header: bool,
    /// `application/json`, or else a form.
    pub is_json: bool,
    /// A refresh token is good once, and each answer brings the next; or else it
    /// stays.
    pub rotates: bool,
    /// The beginning of the API's paths.
    pub api: &'static str,
}

/// A provider: the person's page, a token endpoint, and an API that takes the
/// access token that was given out last.
#[derive(Debug)]
pub struct Provider {
    shape: Shape,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By code: the redirect address and the challenge that it was asked with.
    codes: HashMap<String, (String, Option<String>)>,
    access: Option<String>,
    refresh: Option<String>,
}

impl Provider {
    /// A provider that has given nothing out.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let state = Mutex::default();
        Self { shape, state }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, shape) = (request.path.as_str(), &self.shape);
        if path == shape.authorize {
            return shape.authorize(request, &mut state);
        }
        if path == shape.token || path == shape.refresh {
            return shape.grant(request, &mut state);
        }
        if !path.starts_with(shape.api) {
            return Err(Refused::path());
        }
        let expected = state.access.as_ref().map(|token| format!("Bearer {token}"));
        match request.header("authorization") {
            Some(given) if expected.as_deref() == Some(given) => {
                Ok(Answer::json(&json!({ "ok": true })))
            }
            _ => Err(Refused::call("the access token is not good")),
        }
    }
}

impl Shape {
    /// RFC 6749 section 4.1.1 and RFC 7636 section 4.3.
    fn authorize(&self, request: &SeenRequest, state: &mut State) -> Result<Answer, Refused> {
        let mut query = HashMap::new();
        for (name, value) in &request.query {
            if query.insert(name.as_str(), value.as_str()).is_some() {
                return Err(Refused::request("a parameter is repeated"));
            }
        }
        let mut take = |name: &str| query.remove(name).unwrap_or_default();
        let own = [("response_type", "code"), ("client_id", CLIENT_ID)];
        for (name, wanted) in own.iter().chain(self.asked) {
            if take(name) != *wanted {
                return Err(Refused::request(format!("{name} is not what it must be")));
            }
        }
        let challenge = match self.has_pkce {
            false => None,
            true if take("code_challenge_method") == "S256" => Some(take("code_challenge")),
            true => return Err(Refused::request("code_challenge_method is not S256")),
        };
        // SHA-256 in Base64 without padding.
        if challenge.is_some_and(|challenge| challenge.len() != 43) {
            return Err(Refused::request("code_challenge is no digest"));
        }
        let (redirect, given) = (take("redirect_uri"), take("state"));
        let mut back =
            Url::parse(redirect).map_err(|_| Refused::request("redirect_uri is no URL"))?;
        if given.is_empty() || request.method != "GET" {
            return Err(Refused::request("it is not a GET with a state"));
        }
        if !query.is_empty() {
            return Err(Refused::request("there is a parameter too many"));
        }
        let code = random("code");
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", given);
        let kept = (redirect.to_owned(), challenge.map(str::to_owned));
        state.codes.insert(code, kept);
        Ok(Answer::new(302, "text/plain", "").with_header("location", back.as_str()))
    }

    /// RFC 6749 sections 4.1.3 and 6.
    fn grant(&self, request: &SeenRequest, state: &mut State) -> Result<Answer, Refused> {
        // Some providers answer with a form unless they are told.
        let is_json = request.header("accept") == Some("application/json");
        if request.method != "POST" || !is_json || !request.query.is_empty() {
            return Err(Refused::request("it is not a POST that takes JSON"));
        }
        let mut params = params(self.is_json, request)?;
        self.authenticate(request, &mut params)?;
        let kind = take(&mut params, "grant_type");
        let path = request.path.as_str();
        match kind.as_str() {
            "authorization_code" if path == self.token => exchange(&mut params, state)?,
            "refresh_token" if path == self.refresh => {
                let given = take(&mut params, "refresh_token");
                if state.refresh.as_ref() != Some(&given) {
                    return Err(Refused::grant("the refresh token is not good"));
                }
            }
            _ => return Err(Refused::request("grant_type is wrong here")),
        }
        if !params.is_empty() {
            return Err(Refused::request("there is a parameter too many"));
        }
        Ok(Answer::json(&self.issue(state, kind == "refresh_token")))
    }

    /// RFC 6749 section 2.3: by one method only.
    fn authenticate(
        &self,
        request: &SeenRequest,
        params: &mut Map<String, Value>,
    ) -> Result<(), Refused> {
        let header = request.header("authorization");
        let (id, secret) = match (self.is_header, header) {
            (true, Some(header)) => basic(header).unwrap_or_default(),
            (false, None) => (take(params, "client_id"), take(params, "client_secret")),
            _ => return Err(Refused::request("the client authenticates elsewhere")),
        };
        match id == CLIENT_ID && secret == CLIENT_SECRET {
            true => Ok(()),
            false => Err(Refused::client("this client is unknown")),
        }
    }

    fn issue(&self, state: &mut State, is_refresh: bool) -> Value {
        let access = random("access");
        state.access = Some(access.clone());
        let mut answer = json!({
            "access_token": access, "token_type": "bearer", "expires_in": 3600,
            "workspace_id": "w-7",
        });
        if self.rotates || !is_refresh {
            let refresh = random("refresh");
            state.refresh = Some(refresh.clone());
            answer["refresh_token"] = refresh.into();
        }
        answer
    }
}

/// A code is spent by the first request that names it, whatever else it says.
fn exchange(params: &mut Map<String, Value>, state: &mut State) -> Result<(), Refused> {
    let kept = state.codes.remove(&take(params, "code"));
    let (redirect, challenge) = kept.ok_or_else(|| Refused::grant("the code is not good"))?;
    if take(params, "redirect_uri") != redirect {
        return Err(Refused::grant("redirect_uri is another"));
    }
    // Without a challenge a verifier is left over, and refused as such.
    let Some(challenge) = challenge else {
        return Ok(());
    };
    let verifier = take(params, "code_verifier");
    let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
    match (43..=128).contains(&verifier.len()) && URL_SAFE_NO_PAD.encode(digest) == challenge {
        true => Ok(()),
        false => Err(Refused::grant("code_verifier is not the challenge's")),
    }
}

/// The parameter, or nothing when it is missing or no text.
fn take(params: &mut Map<String, Value>, name: &str) -> String {
    match params.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// Both parts are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decode = |part: &str| {
        let form = format!("x={part}");
        let mut pairs = form_urlencoded::parse(form.as_bytes());
        pairs.next().map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

fn random(kind: &str) -> String {
    // What needs escaping shows who forgets to.
    format!("{kind}-{}/+=", Uuid::new_v4().simple())
}
