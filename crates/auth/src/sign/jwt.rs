//! JSON Web Tokens, signed (RFC 7515, compact serialisation).

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature as rsa;
use serde_json::{Map, Value};

use super::{Error, PrivateKey};

/// How a token is signed: the `alg` of its header (RFC 7518 section 3.1,
/// RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the registry's")]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    EdDsa,
}

/// The names of all algorithms.
pub(super) const NAMES: [&str; 11] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "EdDSA",
];

const ALL: [Algorithm; 11] = [
    Algorithm::Hs256,
    Algorithm::Hs384,
    Algorithm::Hs512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::EdDsa,
];

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let at = NAMES.iter().position(|known| *known == name);
        at.map(|at| ALL[at])
            .ok_or_else(|| Error::Algorithm(name.chars().take(20).collect()))
    }
}

impl Algorithm {
    /// The name, for the header's `alg`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// What a token is signed with.
#[derive(Clone, Copy)]
pub enum Key<'a> {
    /// The bytes of a secret, for HMAC.
    Secret(&'a [u8]),
    /// A private key.
    Private(&'a PrivateKey),
}

/// The bytes of a secret that is written in hexadecimal.
///
/// # Errors
/// [`Error::Hex`].
pub fn hex_secret(text: &str) -> Result<Vec<u8>, Error> {
    let text = text.trim().as_bytes();
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return Err(Error::Hex);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.chunks_exact(2)
        .map(|pair| {
            let byte = digit(pair[0])? << 4 | digit(pair[1])?;
            u8::try_from(byte).ok()
        })
        .collect::<Option<_>>()
        .ok_or(Error::Hex)
}

/// Signs `claims` under `header`, whose `alg` is set to the algorithm.
///
/// # Errors
/// [`Error::WrongKey`], [`Error::Key`], [`Error::Random`].
pub fn sign(
    algorithm: Algorithm,
    key: Key<'_>,
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
) -> Result<String, Error> {
    let mut header = header.clone();
    header.insert("alg".to_owned(), algorithm.as_str().into());
    let text = |map: &Map<String, Value>| serde_json::to_vec(map).unwrap_or_default();
    sign_bytes(algorithm, key, &text(&header), &text(claims))
}

fn sign_bytes(
    algorithm: Algorithm,
    key: Key<'_>,
    header: &[u8],
    payload: &[u8],
) -> Result<String, Error> {
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = signature(algorithm, key, token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

fn signature(algorithm: Algorithm, key: Key<'_>, message: &[u8]) -> Result<Vec<u8>, Error> {
    let name = algorithm.as_str();
    let encoding: &'static dyn rsa::RsaEncoding = match (algorithm, key) {
        (Algorithm::Hs256, Key::Secret(secret)) => {
            return Ok(mac(hmac::HMAC_SHA256, secret, message));
        }
        (Algorithm::Hs384, Key::Secret(secret)) => {
            return Ok(mac(hmac::HMAC_SHA384, secret, message));
        }
        (Algorithm::Hs512, Key::Secret(secret)) => {
            return Ok(mac(hmac::HMAC_SHA512, secret, message));
        }
        (Algorithm::Es256, Key::Private(key)) => return key.sign_es256(message),
        (Algorithm::EdDsa, Key::Private(key)) => return key.sign_ed25519(message),
        (Algorithm::Rs256, _) => &rsa::RSA_PKCS1_SHA256,
        (Algorithm::Rs384, _) => &rsa::RSA_PKCS1_SHA384,
        (Algorithm::Rs512, _) => &rsa::RSA_PKCS1_SHA512,
        (Algorithm::Ps256, _) => &rsa::RSA_PSS_SHA256,
        (Algorithm::Ps384, _) => &rsa::RSA_PSS_SHA384,
        (Algorithm::Ps512, _) => &rsa::RSA_PSS_SHA512,
        (Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512, Key::Private(_)) => {
            return Err(wrong(name, "a shared secret"));
        }
        (Algorithm::Es256 | Algorithm::EdDsa, Key::Secret(_)) => {
            return Err(wrong(name, "a private key"));
        }
    };
    match key {
        Key::Private(key) => key.sign_rsa(name, encoding, message),
        Key::Secret(_) => Err(wrong(name, "an RSA private key")),
    }
}

fn mac(algorithm: hmac::Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, secret);
    hmac::sign(&key, message).as_ref().to_vec()
}

fn wrong(algorithm: &'static str, wanted: &'static str) -> Error {
    Error::WrongKey { algorithm, wanted }
}

#[cfg(test)]
mod tests;
