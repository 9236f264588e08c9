//! A strict provider of JWT: the APIs of the four templates there are, each with
//! the key that a test names.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::{Answer, Refused, Strict};
use crate::journal::SeenRequest;

/// How far a clock may be ahead, in seconds.
const AHEAD: i64 = 5;

/// The keys that calls must be signed by.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The point of a P-256 key, uncompressed; `api.appstoreconnect.apple.com`.
    pub ec_point: Vec<u8>,
    /// Modulus and exponent; `*.snowflakecomputing.com`.
    pub rsa: (Vec<u8>, Vec<u8>),
    /// The id and the bytes of a secret; `mock.ghost.io`.
    pub ghost: (String, Vec<u8>),
    /// The secret's text; `api.heymarket.com`.
    pub heymarket: String,
}

/// A token, taken apart.
struct Token<'a> {
    header: Value,
    claims: Value,
    message: &'a [u8],
    signature: Vec<u8>,
}

/// Starts one.
///
/// # Errors
/// There is no free port.
pub async fn start(keys: Keys) -> io::Result<Strict> {
    Strict::start(move |request| {
        let mut parts = request.path.trim_start_matches('/').splitn(2, '/');
        match parts.next().unwrap_or_default() {
            "api.appstoreconnect.apple.com" => apple(request, &keys)?,
            "mock.ghost.io" => ghost(request, &keys)?,
            "api.heymarket.com" => heymarket(request, &keys)?,
            host if host.ends_with(".snowflakecomputing.com") => snowflake(request, &keys)?,
            _ => return Err(Refused::path()),
        }
        Ok(Answer::json(&json!({ "ok": true })))
    })
    .await
}

fn apple(request: &SeenRequest, keys: &Keys) -> Result<(), Refused> {
    let token = token(request, "Bearer ", "ES256", 20 * 60)?;
    if token.claims["aud"] != "appstoreconnect-v1" || !token.header["kid"].is_string() {
        return Err(Refused::call("aud or kid is wrong"));
    }
    if !token.claims["scope"].is_null() && !token.claims["scope"].is_array() {
        return Err(Refused::call("scope is no list"));
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &keys.ec_point)
        .verify(token.message, &token.signature)
        .map_err(|_| Refused::call("the signature is wrong"))
}

fn ghost(request: &SeenRequest, keys: &Keys) -> Result<(), Refused> {
    let token = token(request, "Ghost ", "HS256", 5 * 60)?;
    if request.header("accept-version").is_none() {
        return Err(Refused::call("accept-version is missing"));
    }
    if token.header["kid"] != keys.ghost.0 || token.claims["aud"] != "/admin/" {
        return Err(Refused::call("kid or aud is wrong"));
    }
    token.verify_hmac(&keys.ghost.1)
}

fn heymarket(request: &SeenRequest, keys: &Keys) -> Result<(), Refused> {
    let token = token(request, "Bearer ", "HS256", 5 * 60)?;
    token.verify_hmac(keys.heymarket.as_bytes())
}

fn snowflake(request: &SeenRequest, keys: &Keys) -> Result<(), Refused> {
    let token = token(request, "Bearer ", "RS256", 60 * 60)?;
    if request.header("x-snowflake-authorization-token-type") != Some("KEYPAIR_JWT") {
        return Err(Refused::call("the token's type is missing"));
    }
    let issuer = token.claims["iss"].as_str().unwrap_or_default();
    let subject = token.claims["sub"].as_str().unwrap_or_default();
    let fingerprint = issuer.strip_prefix(subject).unwrap_or_default();
    if subject.is_empty() || !fingerprint.starts_with(".SHA256:") {
        return Err(Refused::call("iss is not sub and the key's fingerprint"));
    }
    let (n, e) = &keys.rsa;
    RsaPublicKeyComponents { n, e }
        .verify(&RSA_PKCS1_2048_8192_SHA256, token.message, &token.signature)
        .map_err(|_| Refused::call("the signature is wrong"))
}

impl Token<'_> {
    fn verify_hmac(&self, secret: &[u8]) -> Result<(), Refused> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::verify(&key, self.message, &self.signature)
            .map_err(|_| Refused::call("the signature is wrong"))
    }
}

/// The token of a call, of this algorithm, good now and for no longer than `life`
/// seconds.
fn token<'a>(
    request: &'a SeenRequest,
    scheme: &str,
    algorithm: &str,
    life: i64,
) -> Result<Token<'a>, Refused> {
    let header = request.header("authorization").unwrap_or_default();
    let text = header.strip_prefix(scheme);
    let token = text.and_then(parse);
    let token = token.ok_or_else(|| Refused::call("authorization is no token"))?;
    if token.header["alg"] != algorithm {
        return Err(Refused::call("alg is wrong"));
    }
    let (issued, expires) = (token.claims["iat"].as_i64(), token.claims["exp"].as_i64());
    let (Some(issued), Some(expires)) = (issued, expires) else {
        return Err(Refused::call("iat or exp is missing"));
    };
    let now = Utc::now().timestamp();
    if issued > now + AHEAD || expires <= now || expires - issued > life {
        return Err(Refused::call("the token has expired, or lasts too long"));
    }
    Ok(token)
}

fn parse(text: &str) -> Option<Token<'_>> {
    let (message, signature) = text.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let json = |part: &str| serde_json::from_slice(&bytes(part)?).ok();
    Some(Token {
        header: json(header)?,
        claims: json(claims)?,
        message: message.as_bytes(),
        signature: bytes(signature)?,
    })
}
