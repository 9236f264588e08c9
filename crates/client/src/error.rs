//! What can go wrong.

use http::StatusCode;
use linkspan_api::{ErrorBody, ErrorCode, FieldError};

/// Why a call failed. No variant holds the API key or a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused the call, or failed at it.
    #[error("{status}: {code}: {message}{}", fields(.errors))]
    Api {
        /// The HTTP status.
        status: StatusCode,
        /// A code of the error table; see [`Error::code`]. Empty when
        /// something in front of the server answered.
        code: String,
        /// One sentence for a person.
        message: String,
        /// For the `invalid_…` codes, each field that is wrong.
        errors: Vec<FieldError>,
        /// The id under which the server logged the cause, where it did.
        request_id: Option<String>,
    },
    /// A proxied API answered with an error
    /// ([`ProxyResponse::error_for_status`](crate::ProxyResponse::error_for_status)).
    #[error("the API answered {status}")]
    Upstream {
        /// The API's HTTP status.
        status: StatusCode,
        /// The API's answer.
        body: bytes::Bytes,
    },
    /// No answer came, or not all of it.
    #[error("no answer: {}", causes(.0))]
    Transport(#[source] reqwest::Error),
    /// No answer came in time.
    #[error("no answer in time")]
    Timeout,
    /// The answer is not what the API promises.
    #[error("unexpected answer: {0}")]
    Decode(#[source] serde_json::Error),
    /// The call cannot be made: its message says what is wrong with it.
    #[error("{0}")]
    Request(String),
    /// The client cannot be set up: its message says why.
    #[error("{0}")]
    Setup(String),
    /// The connection's credentials have no access token.
    #[error("credentials of type {0} have no access token")]
    NoAccessToken(String),
}

impl Error {
    /// The error's code, if the server sent one that this version knows.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        let Self::Api { code, .. } = self else {
            return None;
        };
        known(code)
    }

    /// The HTTP status that was answered, if any.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Api { status, .. } | Self::Upstream { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server says that what was asked for does not exist: 404, or
    /// one of the codes that say so with another status.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        let codes = [
            ErrorCode::NotFound,
            ErrorCode::UnknownConnection,
            ErrorCode::UnknownProviderConfig,
        ];
        matches!(
            self,
            Self::Api {
                status: StatusCode::NOT_FOUND,
                ..
            }
        ) || self.code().is_some_and(|code| codes.contains(&code))
    }

    /// The error that an answer of the server stands for.
    pub(crate) fn answered(status: StatusCode, request_id: Option<String>, body: &[u8]) -> Self {
        let Ok(ErrorBody { error }) = serde_json::from_slice(body) else {
            return Self::Api {
                status,
                code: String::new(),
                message: "The answer does not come from Linkspan.".to_owned(),
                errors: Vec::new(),
                request_id,
            };
        };
        let id = || Some(error.payload.as_ref()?.get("id")?.as_str()?.to_owned());
        Self::Api {
            status,
            request_id: id().or(request_id),
            code: error.code,
            message: error.message.unwrap_or_default(),
            errors: error.errors,
        }
    }
}

impl From<reqwest::Error> for Error {
    /// Leaves the address out: a proxied call's may hold what is secret.
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::Transport(error.without_url())
    }
}

pub(crate) fn known(code: &str) -> Option<ErrorCode> {
    ErrorCode::ALL
        .iter()
        .copied()
        .find(|known| known.as_str() == code)
}

fn fields(errors: &[FieldError]) -> String {
    let each = errors
        .iter()
        .map(|error| format!(" [{}: {}]", error.path.join("."), error.message));
    each.collect()
}

/// reqwest's own text names the first cause only, which says little.
fn causes(error: &reqwest::Error) -> String {
    let first: &dyn std::error::Error = error;
    let texts: Vec<String> = std::iter::successors(Some(first), |error| error.source())
        .map(ToString::to_string)
        .collect();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_becomes_a_typed_error() {
        let body = br#"{"error":{"code":"invalid_body","message":"Bad.","errors":[{"code":"invalid_type","message":"Required","path":["end_user","id"]}]}}"#;
        let error = Error::answered(StatusCode::BAD_REQUEST, None, body);
        assert_eq!(error.code(), Some(ErrorCode::InvalidBody));
        assert_eq!(
            error.to_string(),
            "400 Bad Request: invalid_body: Bad. [end_user.id: Required]"
        );
    }

    #[test]
    fn an_id_of_the_body_wins_and_another_server_is_noticed() {
        let body = br#"{"error":{"code":"generic_error_support","payload":{"id":"a"}}}"#;
        let error = Error::answered(StatusCode::INTERNAL_SERVER_ERROR, Some("b".into()), body);
        assert!(matches!(error, Error::Api { request_id: Some(id), .. } if id == "a"));
        let error = Error::answered(StatusCode::BAD_GATEWAY, Some("b".into()), b"<html>");
        assert_eq!(error.code(), None);
        assert!(
            matches!(error, Error::Api { request_id: Some(id), code, .. } if id == "b" && code.is_empty())
        );
    }
}
