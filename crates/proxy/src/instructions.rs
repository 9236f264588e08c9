//! What a caller says in headers.

use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use linkspan_api::FieldError;

use crate::options::{OPTIONS, Options};

/// Headers with this prefix are for the API; it is removed.
const PREFIX: &[u8] = b"nango-proxy-";

/// What describes a body goes with it.
const BODY_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE];

/// What a caller of the proxy says in headers (CONTRACT 2.7). `Debug` shows no
/// header for the API, since those may carry secrets.
#[derive(Clone, Default)]
pub struct Instructions {
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id.
    pub connection_id: String,
    /// How the call deviates from the usual.
    pub options: Options,
    /// Headers for the API, their prefix removed.
    pub headers: HeaderMap,
    /// Headers that describe the caller's body, and go with it.
    pub body_headers: HeaderMap,
}

impl Instructions {
    /// Reads a request's headers, in one pass. All headers that are not for the
    /// proxy or the API are passed over.
    ///
    /// # Errors
    /// Each header that is missing or malformed, by its name in lower case.
    pub fn read<'a>(
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut reading = Reading::default();
        for (name, value) in headers {
            if let Err((code, message)) = reading.header(name, value) {
                let name = name.to_ascii_lowercase();
                reading.wrong.push(FieldError::new(code, message, &[&name]));
            }
        }
        reading.finish()
    }
}

#[derive(Default)]
struct Reading {
    integration: Option<String>,
    connection: Option<String>,
    rest: Instructions,
    wrong: Vec<FieldError>,
}

type Mistake = (&'static str, &'static str);

impl Reading {
    fn header(&mut self, name: &str, value: &[u8]) -> Result<(), Mistake> {
        if let Some(name) = without_prefix(name) {
            let name = HeaderName::from_bytes(name).map_err(|_| malformed("Not a header name"))?;
            self.rest.headers.append(name, header_value(value)?);
            return Ok(());
        }
        if is(name, "provider-config-key") {
            return once(&mut self.integration, value);
        }
        if is(name, "connection-id") {
            return once(&mut self.connection, value);
        }
        if let Some(header) = BODY_HEADERS.iter().find(|header| is(name, header.as_str())) {
            self.rest.body_headers.append(header, header_value(value)?);
            return Ok(());
        }
        let Some((_, set)) = OPTIONS.iter().find(|(option, _)| is(name, option)) else {
            return Ok(());
        };
        match text(value)? {
            // The published client sends options that are not set as empty texts.
            "" => Ok(()),
            text => set(&mut self.rest.options, text).map_err(malformed),
        }
    }

    fn finish(mut self) -> Result<Instructions, Vec<FieldError>> {
        for (name, value) in [
            ("provider-config-key", &self.integration),
            ("connection-id", &self.connection),
        ] {
            let is_reported = self.wrong.iter().any(|wrong| wrong.path == [name]);
            if value.is_none() && !is_reported {
                self.wrong
                    .push(FieldError::new("invalid_type", "Required", &[name]));
            }
        }
        match (self.integration, self.connection) {
            (Some(provider_config_key), Some(connection_id)) if self.wrong.is_empty() => {
                Ok(Instructions {
                    provider_config_key,
                    connection_id,
                    ..self.rest
                })
            }
            _ => Err(self.wrong),
        }
    }
}

fn is(name: &str, expected: &str) -> bool {
    name.eq_ignore_ascii_case(expected)
}

fn without_prefix(name: &str) -> Option<&[u8]> {
    let (prefix, rest) = name.as_bytes().split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(rest)
}

fn malformed(message: &'static str) -> Mistake {
    ("invalid_string", message)
}

fn text(value: &[u8]) -> Result<&str, Mistake> {
    std::str::from_utf8(value)
        .map(str::trim)
        .map_err(|_| malformed("Not UTF-8"))
}

fn header_value(value: &[u8]) -> Result<HeaderValue, Mistake> {
    HeaderValue::from_bytes(value).map_err(|_| malformed("Not a header value"))
}

/// Whoever sends two keys or ids may get another connection than the one that
/// something in between has checked.
fn once(slot: &mut Option<String>, value: &[u8]) -> Result<(), Mistake> {
    let value = text(value)?;
    if value.is_empty() {
        return Ok(());
    }
    match slot.replace(value.to_owned()) {
        None => Ok(()),
        Some(_) => Err(malformed("Given more than once")),
    }
}

impl std::fmt::Debug for Instructions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instructions")
            .field("provider_config_key", &self.provider_config_key)
            .field("connection_id", &self.connection_id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<Instructions, Vec<FieldError>> {
        Instructions::read(
            headers
                .iter()
                .map(|&(name, value)| (name, value.as_bytes())),
        )
    }

    #[test]
    fn only_prefixed_headers_and_those_of_the_body_go_on() {
        let read = read(&[
            ("authorization", "Bearer ours"),
            ("cookie", "a=1"),
            ("accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("user-agent", "client/1"),
            ("Provider-Config-Key", "github"),
            ("CONNECTION-ID", "c1"),
            ("Nango-Proxy-X-One", "1"),
            ("nango-proxy-x-one", "2"),
            ("NANGO-PROXY-Authorization", "theirs"),
            ("nango-activity-log-id", "x"),
            ("nango-is-sync", "true"),
            ("Content-Type", "application/json"),
            ("content-length", "2"),
        ])
        .unwrap();
        assert_eq!(read.provider_config_key, "github");
        assert_eq!(read.connection_id, "c1");
        assert_eq!(read.options, Options::default());
        let mut headers: Vec<_> = read
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        headers.sort_unstable();
        assert_eq!(
            headers,
            [("authorization", "theirs"), ("x-one", "1"), ("x-one", "2")]
        );
        assert_eq!(read.body_headers.len(), 1);
        assert_eq!(read.body_headers["content-type"], "application/json");
        assert!(!format!("{read:?}").contains("theirs"));
    }

    #[test]
    fn options_are_read_and_empty_ones_are_absent() {
        let keys = [("provider-config-key", "github"), ("connection-id", "c1")];
        let with = |more: &[(&str, &str)]| read(&[&keys[..], more].concat());
        let full = with(&[
            ("Retries", "3"),
            ("Retry-On", "429,503"),
            ("Base-Url-Override", "https://api.example.com"),
            ("Decompress", "true"),
            ("Forward-Headers-On-Redirect", "true"),
        ]);
        assert_eq!(
            full.unwrap().options,
            Options {
                retries: 3,
                retry_on: vec![429, 503],
                base_url_override: Some("https://api.example.com".parse().unwrap()),
                forward_headers_on_redirect: true,
                decompress: true,
            }
        );
        let empty = with(&[
            ("Retries", ""),
            ("Retry-On", ""),
            ("Base-Url-Override", ""),
            ("Decompress", ""),
        ]);
        assert_eq!(empty.unwrap().options, Options::default());
    }

    #[test]
    fn each_mistake_is_named_by_its_header() {
        let wrong = read(&[
            ("Connection-Id", "c1"),
            ("Connection-Id", "c2"),
            ("Retries", "many"),
            ("Retry-On", "5xx"),
            ("Base-Url-Override", "example"),
            ("Decompress", "yes"),
            ("nango-proxy-", "x"),
        ]);
        let paths: Vec<_> = wrong
            .unwrap_err()
            .into_iter()
            .map(|wrong| wrong.path.concat())
            .collect();
        assert_eq!(
            paths,
            [
                "connection-id",
                "retries",
                "retry-on",
                "base-url-override",
                "decompress",
                "nango-proxy-",
                "provider-config-key",
            ]
        );
        let missing = read(&[("provider-config-key", ""), ("host", "x")]).unwrap_err();
        assert_eq!(missing.len(), 2);
        assert_eq!(
            missing[0],
            FieldError::new("invalid_type", "Required", &["provider-config-key"])
        );
    }
}
