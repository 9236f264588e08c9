//! The parts of a template that say how tokens are asked for, read and made.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{BodyFormat, Headers, method};
use crate::Param;
use crate::interpolate::{Text, UrlText};

/// Parameters by name.
pub type Params = BTreeMap<String, Param>;

/// Where tokens are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TokenUrl {
    /// One address.
    One(UrlText),
    /// One for the person's tokens and one for the installation's (CUSTOM).
    PerMode(TokenUrls),
}

/// The addresses of a provider that gives two kinds of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenUrls {
    /// Of the tokens that act for the person.
    #[serde(rename = "OAUTH2")]
    pub oauth2: UrlText,
    /// Of the tokens that act for the installed app.
    #[serde(rename = "APP")]
    pub app: UrlText,
}

impl TokenUrl {
    /// Where a person's code is exchanged.
    #[must_use]
    pub fn oauth2(&self) -> &UrlText {
        match self {
            Self::One(url) => url,
            Self::PerMode(urls) => &urls.oauth2,
        }
    }

    /// Where an installed app asks for its token.
    #[must_use]
    pub fn app(&self) -> &UrlText {
        match self {
            Self::One(url) => url,
            Self::PerMode(urls) => &urls.app,
        }
    }
}

impl<'de> Deserialize<'de> for TokenUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TokenUrlVisitor)
    }
}

/// A visitor, and not an untagged enum, so that errors say what is wrong.
struct TokenUrlVisitor;

impl<'de> de::Visitor<'de> for TokenUrlVisitor {
    type Value = TokenUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a map of OAUTH2 and APP to URLs")
    }

    fn visit_str<E: de::Error>(self, source: &str) -> Result<TokenUrl, E> {
        source.parse().map(TokenUrl::One).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, entries: A) -> Result<TokenUrl, A::Error> {
        let entries = de::value::MapAccessDeserializer::new(entries);
        TokenUrls::deserialize(entries).map(TokenUrl::PerMode)
    }
}

/// Where a login's answer holds what (dotted paths).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenResponse {
    /// The token; the whole answer where it is empty.
    pub token: String,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expiration: Option<String>,
    /// How `token_expiration` is to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expiration_strategy: Option<ExpirationStrategy>,
    /// What buys the next token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// How an expiry is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ExpirationStrategy {
    /// As a time.
    ExpireAt,
    /// As seconds from now.
    ExpireIn,
}

/// A further request of a login in several steps; its texts may name the
/// answers of the steps before it (`step1.…`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// Where it goes.
    pub token_url: UrlText,
    /// HTTP method; POST unless set.
    #[serde(default, with = "method", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::HttpMethod>")
    )]
    pub token_request_method: Option<http::Method>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_params: Params,
    /// Its headers.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub token_headers: Headers,
    /// Encoding of its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_format: Option<BodyFormat>,
}

/// A signed statement about who asks for a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Assertion {
    /// A JSON Web Token (RFC 7523).
    Jwt {
        /// The private key, PEM.
        key: Text,
        /// Seconds until it expires.
        lifetime_in_seconds: Seconds,
        /// The token's header.
        header: Params,
        /// The token's claims.
        payload: Params,
    },
    /// A SAML 2.0 assertion (RFC 7522).
    Saml {
        /// The private key, PEM.
        key: Text,
        /// Seconds until it expires.
        lifetime_in_seconds: Seconds,
        /// `Issuer`.
        issuer: Text,
        /// `Audience`.
        audiences: Text,
        /// `Recipient`.
        recipient: Text,
        /// `NameID`.
        name_identifier: Text,
        /// `SessionIndex`.
        session_index: Text,
        /// Further attributes.
        attributes: Params,
    },
}

/// A number of seconds, which a template may also write as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Seconds(pub u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl de::Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        Ok(Seconds(seconds))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
        text.parse().map(Seconds).map_err(E::custom)
    }
}

/// How the tokens that we sign ourselves are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signature {
    /// The kind of key.
    pub protocol: SignatureProtocol,
    /// How the shared secret of HMAC is written; hexadecimal unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_secret_encoding: Option<SecretEncoding>,
}

/// How a token that we make ourselves is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SignatureProtocol {
    /// RS256.
    RSA,
    /// ES256.
    EC,
    /// HS256.
    HMAC,
    /// The web services security username token, with a digest of the password.
    WSSE,
}

/// How a shared secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SecretEncoding {
    /// As bytes in hexadecimal.
    Hex,
    /// As text.
    Utf8,
}

/// The token that we make ourselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SelfSigned {
    /// What it is signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<Text>,
    /// Milliseconds until it expires.
    pub expires_in_ms: u64,
    /// Its header.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: Params,
    /// Its claims; `iat` and `exp` are added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payload: Params,
}
