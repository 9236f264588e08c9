//! A strict provider of OAUTH1 (RFC 5849), and how it verifies a signature.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use ring::hmac;
use serde_json::json;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::{Answer, Refused};
use crate::journal::SeenRequest;

/// How far a timestamp may be off, in seconds.
const MOST_SKEW: i64 = 300;

/// How requests are to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum Method {
    HmacSha1,
    HmacSha256,
    Plaintext,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::Plaintext => "PLAINTEXT",
        }
    }
}

/// The client that a provider knows, and how it signs.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// `oauth_consumer_key`.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// How it signs.
    pub method: Method,
    /// The realm that its headers name.
    pub realm: Option<String>,
}

/// Verifies signatures; a nonce is good once.
#[derive(Debug)]
pub struct Verifier {
    consumer: Consumer,
    nonces: Mutex<HashSet<String>>,
}

/// The parameters of a header whose signature is good.
pub type Signed = BTreeMap<String, String>;

impl Verifier {
    /// A verifier of this client's signatures.
    #[must_use]
    pub fn new(consumer: Consumer) -> Self {
        let nonces = Mutex::default();
        Self { consumer, nonces }
    }

    /// The parameters of the header, if everything about it is right. `secret`
    /// gives the secret of a token, or none for one that is unknown.
    ///
    /// # Errors
    /// The first rule that the request breaks.
    pub fn verify(
        &self,
        request: &SeenRequest,
        secret: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Signed, Refused> {
        let header = request.header("authorization");
        let header = header.ok_or_else(|| Refused::call("there is no Authorization header"))?;
        let mut signed = parse(header)?;
        if signed.remove("realm") != self.consumer.realm {
            return Err(Refused::call("the realm is another"));
        }
        let signature = signed.remove("oauth_signature");
        let signature = signature.ok_or_else(|| Refused::call("oauth_signature is missing"))?;
        self.check(&signed)?;
        let token_secret = match signed.get("oauth_token") {
            Some(token) => secret(token).ok_or_else(|| Refused::call("the token is unknown"))?,
            None => String::new(),
        };
        let wanted = self.signature(request, &signed, &token_secret)?;
        if wanted != signature {
            return Err(Refused::call("the signature is not valid"));
        }
        Ok(signed)
    }

    fn check(&self, signed: &Signed) -> Result<(), Refused> {
        let get = |name: &str| signed.get(name).map_or("", String::as_str);
        let exact = [
            ("oauth_consumer_key", self.consumer.key.as_str()),
            ("oauth_signature_method", self.consumer.method.name()),
            ("oauth_version", "1.0"),
        ];
        for (name, wanted) in exact {
            if get(name) != wanted {
                return Err(Refused::call(format!("{name} is not what it must be")));
            }
        }
        let timestamp: Option<i64> = get("oauth_timestamp").parse().ok();
        let is_now = timestamp.is_some_and(|at| (Utc::now().timestamp() - at).abs() < MOST_SKEW);
        if !is_now {
            return Err(Refused::call("oauth_timestamp is not now"));
        }
        let nonce = get("oauth_nonce").to_owned();
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        match nonce.len() >= 16 && nonces.insert(nonce) {
            true => Ok(()),
            false => Err(Refused::call("oauth_nonce is short or came before")),
        }
    }

    fn signature(
        &self,
        request: &SeenRequest,
        signed: &Signed,
        token_secret: &str,
    ) -> Result<String, Refused> {
        let key = format!("{}&{}", escape(&self.consumer.secret), escape(token_secret));
        let algorithm = match self.consumer.method {
            Method::Plaintext => return Ok(key),
            Method::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Method::HmacSha256 => hmac::HMAC_SHA256,
        };
        let base = base_string(request, signed)?;
        let key = hmac::Key::new(algorithm, key.as_bytes());
        Ok(STANDARD.encode(hmac::sign(&key, base.as_bytes())))
    }
}

/// RFC 5849 section 3.4.1.
fn base_string(request: &SeenRequest, signed: &Signed) -> Result<String, Refused> {
    let host = request.header("host");
    let host = host.ok_or_else(|| Refused::request("there is no Host header"))?;
    let mut pairs: Vec<(String, String)> = request.query.clone();
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        pairs.extend(form_urlencoded::parse(&request.body).into_owned());
    }
    pairs.extend(signed.clone());
    let mut pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.sort();
    let address = format!("http://{}{}", host.to_lowercase(), request.path);
    Ok(format!(
        "{}&{}&{}",
        request.method,
        escape(&address),
        escape(&pairs.join("&"))
    ))
}

/// RFC 5849 section 3.6.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn unescape(text: &str) -> String {
    // No `+` for a space in headers.
    let form = format!("x={}", text.replace('+', "%2B"));
    let mut pairs = form_urlencoded::parse(form.as_bytes());
    pairs
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// RFC 5849 section 3.5.1.
fn parse(header: &str) -> Result<Signed, Refused> {
    let list = header.strip_prefix("OAuth ");
    let list = list.ok_or_else(|| Refused::call("the Authorization header is not OAuth's"))?;
    let mut signed = Signed::new();
    for part in list.split(',') {
        let pair = part.trim().split_once('=');
        let quoted = pair
            .and_then(|(name, value)| Some((name, value.strip_prefix('"')?.strip_suffix('"')?)));
        let (name, value) =
            quoted.ok_or_else(|| Refused::call("a parameter of the header is malformed"))?;
        if signed.insert(unescape(name), unescape(value)).is_some() {
            return Err(Refused::call("a parameter of the header is repeated"));
        }
    }
    Ok(signed)
}

/// Where a provider does what, by path.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Temporary credentials are asked for.
    pub request: &'static str,
    /// The person allows.
    pub authorize: &'static str,
    /// They are exchanged.
    pub access: &'static str,
    /// The beginning of the API's.
    pub api: &'static str,
}

/// A provider: temporary credentials, the person's page, which allows at once,
/// token credentials, and an API that takes signed calls.
#[derive(Debug)]
pub struct Provider {
    verifier: Verifier,
    paths: Paths,
    /// The form that a request for temporary credentials must have.
    request_form: Vec<(String, String)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Temporary credentials: secret, callback, verifier once allowed.
    pending: HashMap<String, (String, String, Option<String>)>,
    tokens: HashMap<String, String>,
}

impl Provider {
    /// A provider that knows one client.
    #[must_use]
    pub fn new(consumer: Consumer, paths: Paths, request_form: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            verifier: Verifier::new(consumer),
            paths,
            request_form: request_form.iter().map(own).collect(),
            state: Mutex::default(),
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match request.path.as_str() {
            path if path == self.paths.request => self.request(request, &mut state),
            path if path == self.paths.authorize => authorize(request, &mut state),
            path if path == self.paths.access => self.access(request, &mut state),
            path if path.starts_with(self.paths.api) => {
                let known = |token: &str| state.tokens.get(token).cloned();
                let signed = self.verifier.verify(request, known)?;
                match signed.contains_key("oauth_token") {
                    true => Ok(Answer::json(&json!({ "path": path }))),
                    false => Err(Refused::call("oauth_token is missing")),
                }
            }
            _ => Err(Refused::path()),
        }
    }

    fn request(&self, request: &SeenRequest, state: &mut State) -> Result<Answer, Refused> {
        let signed = self.verifier.verify(request, |_| None)?;
        let form: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
        if request.method != "POST" || form != self.request_form {
            return Err(Refused::request("it is not a POST with the right form"));
        }
        let callback = signed.get("oauth_callback");
        let callback = callback.filter(|callback| Url::parse(callback).is_ok());
        let callback = callback.ok_or_else(|| Refused::request("oauth_callback is no URL"))?;
        let (token, secret) = (random(), random());
        let answer = format!(
            "oauth_token={}&oauth_token_secret={}&oauth_callback_confirmed=true\n",
            escape(&token),
            escape(&secret)
        );
        let entry = (secret, callback.clone(), None);
        state.pending.insert(token, entry);
        Ok(Answer::new(
            200,
            "application/x-www-form-urlencoded",
            answer,
        ))
    }

    fn access(&self, request: &SeenRequest, state: &mut State) -> Result<Answer, Refused> {
        let known = |token: &str| state.pending.get(token).map(|(secret, ..)| secret.clone());
        let signed = self.verifier.verify(request, known)?;
        let get = |name: &str| signed.get(name).cloned().unwrap_or_default();
        let token = get("oauth_token");
        let (_, _, verifier) = state.pending.remove(&token).unwrap_or_default();
        if verifier.is_none_or(|verifier| verifier != get("oauth_verifier")) {
            return Err(Refused::client(
                "the token was not allowed, or by another verifier",
            ));
        }
        let (token, secret) = (random(), random());
        let (key, value) = (escape(&token), escape(&secret));
        let answer = format!("oauth_token={key}&oauth_token_secret={value}&user_id=7");
        state.tokens.insert(token, secret);
        Ok(Answer::new(200, "text/html; charset=utf-8", answer))
    }
}

/// The person's page.
fn authorize(request: &SeenRequest, state: &mut State) -> Result<Answer, Refused> {
    let param = |name: &str| {
        let found = request.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let token = param("oauth_token");
    let entry = state.pending.get_mut(&token);
    let (_, callback, verifier) = entry.ok_or_else(|| Refused::request("the token is unknown"))?;
    if param("oauth_callback") != *callback {
        return Err(Refused::request("oauth_callback is another"));
    }
    let given = verifier.insert(random()).clone();
    let mut back = Url::parse(callback).map_err(Refused::request)?;
    back.query_pairs_mut()
        .append_pair("oauth_token", &token)
        .append_pair("oauth_verifier", &given);
    let page = Answer::new(302, "text/plain", "");
    Ok(page.with_header("location", back.as_str()))
}

fn random() -> String {
    // What needs escaping shows who forgets to.
    format!("{}/+=", Uuid::new_v4().simple())
}
