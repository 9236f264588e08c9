//! OAuth 1.0 request signatures (RFC 5849 section 3).

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use ring::hmac;
use url::{Url, form_urlencoded};

use super::{Error, PrivateKey, escape, escaped};

/// How a request is signed (RFC 5849 section 3.4; HMAC-SHA256 is NetSuite's and
/// others' successor of HMAC-SHA1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's")]
pub enum SignatureMethod {
    HmacSha1,
    HmacSha256,
    RsaSha1,
    Plaintext,
}

impl SignatureMethod {
    /// The value of `oauth_signature_method`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::RsaSha1 => "RSA-SHA1",
            Self::Plaintext => "PLAINTEXT",
        }
    }
}

impl FromStr for SignatureMethod {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [
            Self::HmacSha1,
            Self::HmacSha256,
            Self::RsaSha1,
            Self::Plaintext,
        ]
        .into_iter()
        .find(|method| method.as_str() == name)
        .ok_or_else(|| Error::Algorithm(name.chars().take(20).collect()))
    }
}

/// A token and its secret: of a temporary or of lasting credentials.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    /// `oauth_token`.
    pub key: &'a str,
    /// Its secret, which is never sent (but with PLAINTEXT).
    pub secret: &'a str,
}

/// Who signs, and how.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// `oauth_consumer_key`: the client's id.
    pub consumer_key: &'a str,
    /// The client's secret.
    pub consumer_secret: &'a str,
    /// None for the first request of a login.
    pub token: Option<Token<'a>>,
    /// With what.
    pub method: SignatureMethod,
    /// For RSA-SHA1.
    pub private_key: Option<&'a PrivateKey>,
    /// The header's realm, which is not signed.
    pub realm: Option<&'a str>,
}

/// What must never be used twice together (RFC 5849 section 3.3).
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Random, of characters that need no escaping.
    pub nonce: &'a str,
    /// Seconds since 1970.
    pub timestamp: i64,
}

impl Signer<'_> {
    /// The `Authorization` header for a request to `url`, whose query is signed
    /// with it. `form` is the body where its content type is
    /// `application/x-www-form-urlencoded`, and empty otherwise (RFC 5849 section
    /// 3.4.1.3.1). `extra` are further parameters of the header, such as
    /// `oauth_callback`, `oauth_verifier` or `oauth_version`.
    ///
    /// # Errors
    /// [`Error::WrongKey`] for RSA-SHA1 without an RSA key, [`Error::Header`]
    /// for a realm that no header can carry.
    pub fn authorization(
        &self,
        http_method: &Method,
        url: &Url,
        form: &[u8],
        extra: &[(&str, &str)],
        stamp: Stamp<'_>,
    ) -> Result<HeaderValue, Error> {
        let timestamp = stamp.timestamp.to_string();
        let mut own = vec![
            ("oauth_consumer_key", self.consumer_key),
            ("oauth_nonce", stamp.nonce),
            ("oauth_signature_method", self.method.as_str()),
            ("oauth_timestamp", &timestamp),
        ];
        own.extend(self.token.map(|token| ("oauth_token", token.key)));
        own.extend(extra);
        own.sort_unstable();
        let base = base_string(http_method, url, form, &own);
        let signature = self.signature(&base)?;
        let mut header = "OAuth ".to_owned();
        if let Some(realm) = self.realm {
            let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
            header.push_str(&format!("realm=\"{realm}\", "));
        }
        own.push(("oauth_signature", &signature));
        for (index, (name, value)) in own.iter().enumerate() {
            if index > 0 {
                header.push_str(", ");
            }
            header.push_str(name);
            header.push_str("=\"");
            escape(value, &mut header);
            header.push('"');
        }
        let mut header = HeaderValue::try_from(header).map_err(|_| Error::Header("the realm"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    fn signature(&self, base: &str) -> Result<String, Error> {
        let algorithm = match self.method {
            SignatureMethod::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            SignatureMethod::HmacSha256 => hmac::HMAC_SHA256,
            SignatureMethod::Plaintext => return Ok(self.secrets()),
            SignatureMethod::RsaSha1 => {
                let key = self.private_key.ok_or(Error::WrongKey {
                    algorithm: "RSA-SHA1",
                    wanted: "an RSA private key",
                })?;
                return Ok(STANDARD.encode(key.sign_rsa_sha1(base.as_bytes())?));
            }
        };
        let key = hmac::Key::new(algorithm, self.secrets().as_bytes());
        Ok(STANDARD.encode(hmac::sign(&key, base.as_bytes())))
    }

    /// Both secrets, escaped and joined (RFC 5849 section 3.4.2).
    fn secrets(&self) -> String {
        let mut key = escaped(self.consumer_secret);
        key.push('&');
        escape(self.token.map_or("", |token| token.secret), &mut key);
        key
    }
}

/// What is signed (RFC 5849 section 3.4.1): method, URL without its query, and
/// all parameters, sorted.
fn base_string(method: &Method, url: &Url, form: &[u8], own: &[(&str, &str)]) -> String {
    let query = form_urlencoded::parse(url.query().unwrap_or_default().as_bytes());
    let mut pairs: Vec<(String, String)> = query
        .chain(form_urlencoded::parse(form))
        .map(|(name, value)| (escaped(&name), escaped(&value)))
        .chain(
            own.iter()
                .map(|(name, value)| (escaped(name), escaped(value))),
        )
        .collect();
    pairs.sort_unstable();
    let mut parameters = String::new();
    for (name, value) in &pairs {
        if !parameters.is_empty() {
            parameters.push('&');
        }
        parameters.push_str(name);
        parameters.push('=');
        parameters.push_str(value);
    }
    let mut address = url.clone();
    address.set_query(None);
    address.set_fragment(None);
    let mut base = method.as_str().to_ascii_uppercase();
    base.push('&');
    escape(address.as_str(), &mut base);
    base.push('&');
    escape(&parameters, &mut base);
    base
}

#[cfg(test)]
mod tests;
