//! The part of a template that says how the API is called.

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Params, method};
use crate::Param;
use crate::field::is_false;
use crate::interpolate::{Text, UrlText};

/// How the API is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proxy {
    /// What the caller's path is appended to.
    pub base_url: UrlText,
    /// Headers of every call; one with an unset placeholder is left out.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// Query parameters of every call; one with an unset placeholder is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Text>,
    /// Merged into every JSON body; an entry with an unset placeholder is left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub body: Params,
    /// The configuration values that calls use, each under its own name. Says
    /// what a hook has to provide; no call depends on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connection_config: BTreeMap<String, Text>,
    /// Which answers are retried, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How to get from one page to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paginate: Option<Paginate>,
    /// Answers are decompressed before they are passed on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decompress: bool,
    /// Headers also go to the host that a redirect names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forward_headers_on_redirect: bool,
    /// A call that shows whether credentials work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
}

/// Header names and their texts, in alphabetical order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, Text)>);

/// Which answers are retried, and when (CONTRACT 2.7, "Retry").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Retry {
    /// Headers that hold the time from which to retry: epoch seconds or
    /// milliseconds, or a date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<String>,
    /// Headers that hold the seconds to wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Header that holds the calls left; `0` means retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<String>,
    /// Statuses to retry: `403`, `5xx` or `500-502`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_code: Vec<String>,
    /// Where the body says when to retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_body: Option<RetryInBody>,
}

/// Where the body of an answer says when to retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetryInBody {
    /// Dotted path of a text in the body.
    pub path: String,
    /// A regular expression between slashes whose first group is the time.
    pub value: String,
    /// How the time is to be read.
    pub strategy: RetryStrategy,
}

/// How a time to retry is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RetryStrategy {
    /// As a time.
    At,
    /// As seconds from now.
    After,
}

/// How to get from one page to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Paginate {
    /// The answer names the next page's URL.
    Link {
        /// `rel` of the entry in the `Link` header (RFC 8288).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link_rel_in_response_header: Option<String>,
        /// Or the dotted path of the URL in the body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link_path_in_response_body: Option<String>,
        /// Query parameter for the page's size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_name_in_request: Option<String>,
        /// Dotted path of the items in the body; the body itself unless set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_path: Option<String>,
    },
    /// The answer holds a cursor for the next request.
    Cursor {
        /// Query parameter for the cursor. Pages cannot be followed without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor_name_in_request: Option<String>,
        /// Dotted path of the cursor in the body. Pages cannot be followed
        /// without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor_path_in_response: Option<String>,
        /// Has no meaning here: one known template says the cursor's name so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset_name_in_request: Option<String>,
        /// Query parameter for the page's size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_name_in_request: Option<String>,
        /// Dotted path of the items in the body; the body itself unless set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_path: Option<String>,
    },
    /// The request counts items or pages.
    Offset {
        /// Query parameter for the offset.
        offset_name_in_request: String,
        /// The first offset; 0 unless set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset_start_value: Option<u64>,
        /// Query parameter for the page's size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_name_in_request: Option<String>,
        /// Dotted path of the items in the body; the body itself unless set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response_path: Option<String>,
    },
}

/// A call that shows whether credentials work: any 2xx does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verification {
    /// HTTP method; GET unless set.
    #[serde(default, with = "method", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::HttpMethod>")
    )]
    pub method: Option<http::Method>,
    /// Paths, tried in order.
    pub endpoints: Vec<Text>,
    /// Headers of this call only.
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// JSON body of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Param>,
    /// Stands in for the proxy's base URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url_override: Option<UrlText>,
}

impl Headers {
    /// No header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names with their texts.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &Text)> {
        self.0.iter().map(|(name, text)| (name, text))
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name.as_str(), text)))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

/// Checks names while it visits them, so that YAML errors name the key.
struct HeadersVisitor;

impl<'de> de::Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of header names to texts")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Headers, A::Error> {
        let mut headers: Vec<(HeaderName, Text)> = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| de::Error::custom(format_args!("`{name}` is not a header name")))?;
            if headers.iter().any(|(known, _)| *known == parsed) {
                return Err(de::Error::custom(format_args!("`{name}` is given twice")));
            }
            headers.push((parsed, entries.next_value()?));
        }
        headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        Ok(Headers(headers))
    }
}
