//! RSA private keys as JSON Web Keys (RFC 7517, RFC 7518 section 6.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::BoxedUint;
use rsa::pkcs8::EncodePrivateKey as _;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Error, PrivateKey};

/// A key with its name.
#[derive(Debug)]
pub(crate) struct Jwk {
    /// `kid`.
    pub(crate) id: Option<String>,
    /// The key.
    pub(crate) key: PrivateKey,
}

#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: Option<String>,
    n: String,
    e: String,
    #[serde(default)]
    d: SecretString,
    #[serde(default)]
    p: SecretString,
    #[serde(default)]
    q: SecretString,
}

/// Reads an RSA private key. The other members that RFC 7518 has (`dp`, `dq`,
/// `qi`) follow from these; without `p` and `q` the primes do, too.
///
/// # Errors
/// [`Error::Key`] says what is wrong, and never shows the key.
pub(crate) fn parse(text: &str) -> Result<Jwk, Error> {
    let members: Members = serde_json::from_str(text)
        .map_err(|_| Error::Key("it is not a JSON Web Key with kty, n and e"))?;
    if members.kty != "RSA" {
        return Err(Error::Key("its kty is not RSA"));
    }
    let [d, p, q] = [&members.d, &members.p, &members.q].map(ExposeSecret::expose_secret);
    if d.is_empty() {
        return Err(Error::Key("it has no `d`, so it is the public half"));
    }
    let primes = match p.is_empty() || q.is_empty() {
        true => Vec::new(),
        false => vec![number(p)?, number(q)?],
    };
    let [n, e, d] = [&members.n, &members.e, d].map(number);
    let key = rsa::PrivateKey::from_components(n?, e?, d?, primes)
        .map_err(|_| Error::Key("its numbers do not make an RSA key"))?;
    let der = key
        .to_pkcs8_der()
        .map_err(|_| Error::Key("it cannot be written as PKCS#8"))?;
    Ok(Jwk {
        id: members.kid,
        key: PrivateKey::from_pkcs8(der.to_bytes())?,
    })
}

fn number(text: &str) -> Result<BoxedUint, Error> {
    let text = text.trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| Error::Key("its numbers are not in base64url"))?;
    Ok(BoxedUint::from_be_slice_vartime(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515 appendix A.2.1.
    const KEY: &str = include_str!("vectors/rfc7515-a2.jwk.json");

    #[test]
    fn the_key_of_the_specification_is_read() {
        let pem = PrivateKey::from_pem(include_str!("vectors/rfc7515-a2-pkcs8.pem")).unwrap();
        let message = b"eyJhbGciOiJSUzI1NiJ9";
        let expected = pem.sign_rs256(message);
        let full: serde_json::Value = serde_json::from_str(KEY).unwrap();
        let mut short = full.clone();
        for member in ["p", "q", "dp", "dq", "qi"] {
            short.as_object_mut().unwrap().remove(member);
        }
        short["kid"] = "k1".into();
        for (key, id) in [(full, None), (short, Some("k1"))] {
            let read = parse(&key.to_string()).unwrap();
            assert_eq!(read.id.as_deref(), id);
            assert_eq!(read.key.sign_rs256(message), expected);
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_a_reason() {
        let full: serde_json::Value = serde_json::from_str(KEY).unwrap();
        let with = |name: &str, value: &str| {
            let mut key = full.clone();
            key[name] = value.into();
            key.to_string()
        };
        for (text, reason) in [
            ("{}".to_owned(), "not a JSON Web Key"),
            (with("kty", "EC"), "kty"),
            (with("d", ""), "public half"),
            (with("n", "!"), "base64url"),
            (with("n", "AQAB"), "do not make"),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
