//! What a strict provider answers.

use std::fmt;

use bytes::Bytes;
use serde_json::{Value, json};

/// One answer, as it goes out.
#[derive(Clone)]
pub struct Answer {
    /// HTTP status; one that HTTP does not have becomes 500.
    pub status: u16,
    /// Headers in order, repetitions kept.
    pub headers: Vec<(String, String)>,
    /// The body as sent.
    pub body: Bytes,
}

impl Answer {
    /// A body of this content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into(),
        }
    }

    /// 200 with JSON.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::new(200, "application/json", body.to_string())
    }

    /// 200 with a page that no client of an API can use.
    #[must_use]
    pub fn garbage() -> Self {
        Self::new(
            200,
            "text/html",
            "<!doctype html><title>Maintenance</title>",
        )
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Without the values of headers and the body, which carry tokens.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A request that broke a rule. The reason is answered and kept, so it names
/// parameters and never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    status: u16,
    code: &'static str,
    reason: String,
}

impl Refused {
    /// 400 `invalid_request`: what was sent is malformed.
    pub fn request(reason: impl fmt::Display) -> Self {
        Self::new(400, "invalid_request", reason)
    }

    /// 401 `invalid_client`: a login with credentials that are not good.
    pub fn client(reason: impl fmt::Display) -> Self {
        Self::new(401, "invalid_client", reason)
    }

    /// 400 `invalid_grant`: a code or refresh token that is not good.
    pub fn grant(reason: impl fmt::Display) -> Self {
        Self::new(400, "invalid_grant", reason)
    }

    /// 401 `invalid_token`: a call whose token or signature is not good.
    pub fn call(reason: impl fmt::Display) -> Self {
        Self::new(401, "invalid_token", reason)
    }

    /// 404 `not_found`: no such endpoint.
    pub fn path() -> Self {
        Self::new(404, "not_found", "there is no such endpoint")
    }

    fn new(status: u16, code: &'static str, reason: impl fmt::Display) -> Self {
        let reason = reason.to_string();
        Self {
            status,
            code,
            reason,
        }
    }

    /// What was wrong.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// In the shape of RFC 6749 section 5.2.
    pub(super) fn answer(&self) -> Answer {
        let body = json!({ "error": self.code, "error_description": self.reason });
        Answer {
            status: self.status,
            ..Answer::json(&body)
        }
    }
}
