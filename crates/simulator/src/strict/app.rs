//! A strict provider of APP: it gives tokens of an installation to an app that
//! says who it is by a token which it signs.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{SecondsFormat, TimeDelta, Utc};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Refused};
use crate::journal::SeenRequest;

/// An app that a provider knows.
#[derive(Debug, Clone)]
pub struct App {
    /// Its id.
    pub id: String,
    /// Its public key: PKCS#1, DER.
    pub public_key: Vec<u8>,
    /// The installations that it has.
    pub installations: Vec<String>,
    /// How long tokens live, in seconds.
    pub token_life: i64,
}

/// Gives tokens to an app, and answers calls that carry one.
#[derive(Debug)]
pub struct Provider {
    app: App,
    /// What stands around an installation's id in the path of a token request.
    around: (&'static str, &'static str),
    api: &'static str,
    tokens: Mutex<BTreeSet<String>>,
}

impl Provider {
    /// A provider that knows one app. Tokens are asked for at `around` an
    /// installation's id; the API's paths begin with `api`.
    #[must_use]
    pub fn new(app: App, around: (&'static str, &'static str), api: &'static str) -> Self {
        let tokens = Mutex::default();
        Self {
            app,
            around,
            api,
            tokens,
        }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn answer(&self, request: &SeenRequest) -> Result<Answer, Refused> {
        let installation = request.path.strip_prefix(self.around.0);
        let installation = installation.and_then(|path| path.strip_suffix(self.around.1));
        if let Some(installation) = installation {
            return self.token(request, installation);
        }
        if !request.path.starts_with(self.api) {
            return Err(Refused::path());
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        match tokens.contains(bearer(request)?) {
            true => Ok(Answer::json(&json!({ "path": request.path }))),
            false => Err(Refused::call("the token is unknown")),
        }
    }

    /// Forgets every token that it gave.
    pub fn forget_tokens(&self) {
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn token(&self, request: &SeenRequest, installation: &str) -> Result<Answer, Refused> {
        if request.method != "POST" || !request.body.is_empty() {
            return Err(Refused::request("it is not a POST without a body"));
        }
        self.verify(bearer(request)?)?;
        if !self.app.installations.iter().any(|id| id == installation) {
            let body = json!({ "message": "Not Found" });
            return Ok(Answer {
                status: 404,
                ..Answer::json(&body)
            });
        }
        let token = format!("ghs_{}", Uuid::new_v4().simple());
        let expires_at = Utc::now() + TimeDelta::seconds(self.app.token_life);
        let body = json!({
            "token": token,
            "expires_at": expires_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "permissions": { "issues": "write" },
        });
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(token);
        Ok(Answer {
            status: 201,
            ..Answer::json(&body)
        })
    }

    fn verify(&self, jwt: &str) -> Result<(), Refused> {
        let wrong = |reason: &str| Refused::client(reason.to_owned());
        let (signed, signature) = jwt.rsplit_once('.').ok_or_else(|| wrong("it is no JWT"))?;
        let (header, claims) = signed
            .split_once('.')
            .ok_or_else(|| wrong("it is no JWT"))?;
        let bytes = |part: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|_| wrong("a part of the JWT is not base64url"))
        };
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.app.public_key)
            .verify(signed.as_bytes(), &bytes(signature)?)
            .map_err(|_| wrong("the JWT's signature is not valid"))?;
        let read = |part: &str| -> Result<Value, Refused> {
            serde_json::from_slice(&bytes(part)?).map_err(|_| wrong("a part of it is not JSON"))
        };
        let (header, claims) = (read(header)?, read(claims)?);
        let number = |name: &str| claims[name].as_i64().unwrap_or_default();
        let now = Utc::now().timestamp();
        let (iat, exp) = (number("iat"), number("exp"));
        if header["alg"] != "RS256" || claims["iss"] != self.app.id {
            return Err(wrong("alg or iss is not what it must be"));
        }
        match iat <= now - 30 && exp > now && exp - iat <= 600 {
            true => Ok(()),
            false => Err(wrong("iat and exp are not ten minutes around now")),
        }
    }
}

fn bearer(request: &SeenRequest) -> Result<&str, Refused> {
    let header = request.header("authorization").unwrap_or_default();
    header
        .strip_prefix("Bearer ")
        .ok_or_else(|| Refused::call("there is no bearer token"))
}
