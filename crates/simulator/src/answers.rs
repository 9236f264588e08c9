//! Answers that refuse, each in the shape that its endpoint owes.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::json;
use url::Url;

use crate::pages;

/// A request that is not carried out. Its reason is answered and, unless
/// [`Refused::unrecorded`], kept in the journal; it must hold no secret.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    shape: Shape,
    reason: String,
    recorded: bool,
}

#[derive(Debug)]
enum Shape {
    /// For a person.
    Page,
    /// `{error, error_description}`, as RFC 6749 section 5.2 has it.
    Json(&'static str),
    /// The same with a `www-authenticate` header (RFC 6750 section 3).
    Bearer(&'static str),
    /// Back to the client (RFC 6749 section 4.1.2.1).
    Redirect(Url),
}

/// Left in a response for the observer that writes the journal.
#[derive(Clone, Debug)]
pub(crate) struct RefusalReason(pub(crate) String);

impl Refused {
    fn new(status: StatusCode, shape: Shape, reason: impl fmt::Display) -> Self {
        Self {
            status,
            shape,
            reason: reason.to_string(),
            recorded: true,
        }
    }

    pub(crate) fn page(reason: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Shape::Page, reason)
    }

    pub(crate) fn json(status: StatusCode, code: &'static str, reason: impl fmt::Display) -> Self {
        Self::new(status, Shape::Json(code), reason)
    }

    pub(crate) fn bad_request(reason: impl fmt::Display) -> Self {
        Self::json(StatusCode::BAD_REQUEST, "invalid_request", reason)
    }

    pub(crate) fn bearer(reason: impl fmt::Display) -> Self {
        let shape = Shape::Bearer("invalid_token");
        Self::new(StatusCode::UNAUTHORIZED, shape, reason)
    }

    pub(crate) fn redirect(target: Url, reason: impl fmt::Display) -> Self {
        Self::new(StatusCode::FOUND, Shape::Redirect(target), reason)
    }

    /// For answers that a well-behaved caller can meet too.
    pub(crate) fn unrecorded(mut self) -> Self {
        self.recorded = false;
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let description = quotable(&self.reason);
        let mut answer = HttpResponse::build(self.status);
        answer.insert_header((CACHE_CONTROL, "no-store"));
        let response = match &self.shape {
            Shape::Page => pages::respond(answer, pages::refused(&self.reason)),
            Shape::Json(code) => error_json(answer, code, &description),
            Shape::Bearer(code) => {
                let challenge = format!(
                    r#"Bearer realm="demo", error="{code}", error_description="{description}""#
                );
                answer.insert_header((WWW_AUTHENTICATE, challenge));
                error_json(answer, code, &description)
            }
            Shape::Redirect(target) => answer.insert_header((LOCATION, target.as_str())).finish(),
        };
        self.marked(response)
    }
}

impl Refused {
    fn marked(&self, mut response: HttpResponse) -> HttpResponse {
        if self.recorded {
            let reason = RefusalReason(self.reason.clone());
            response.extensions_mut().insert(reason);
        }
        response
    }
}

fn error_json(mut answer: HttpResponseBuilder, code: &str, description: &str) -> HttpResponse {
    answer.json(json!({ "error": code, "error_description": description }))
}

/// The characters that RFC 6749 section 4.1.2.1 allows in `error_description`;
/// others, which only a caller's own parameter names can bring, become `?`.
pub(crate) fn quotable(text: &str) -> String {
    let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    text.chars()
        .map(|c| if allowed(c) { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_keep_to_the_characters_of_the_rfc() {
        assert_eq!(quotable("a \"b\\\r\né~"), "a ?b????~");
    }
}
