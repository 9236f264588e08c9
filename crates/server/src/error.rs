//! The one place where a failure becomes an HTTP answer, and where the cause of
//! a 5xx is logged.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use linkspan_api::error::ErrorDetail;
use linkspan_api::{ErrorBody, ErrorCode, FieldError};
use uuid::Uuid;

/// A failure with its code, as handlers return it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: ErrorCode,
    message: String,
    fields: Vec<FieldError>,
    payload: Option<serde_json::Value>,
    status: u16,
    retry_after: Option<u32>,
}

impl Failure {
    /// A failure whose message says no more than its code.
    pub(crate) fn of(code: ErrorCode) -> Self {
        Self::new(code, code.meaning())
    }

    /// A failure with a message of its own.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            fields: Vec::new(),
            payload: None,
            status: code.status(),
            retry_after: None,
        }
    }

    /// A failure of one or more fields.
    pub(crate) fn fields(code: ErrorCode, fields: Vec<FieldError>) -> Self {
        Self {
            fields,
            ..Self::of(code)
        }
    }

    /// A query parameter that is missing or wrong.
    pub(crate) fn query(kind: &str, message: impl Into<String>, name: &str) -> Self {
        let field = FieldError::new(kind, message, &[name]);
        Self::fields(ErrorCode::InvalidQueryParams, vec![field])
    }

    /// The same failure with a status of its own: the contract answers some
    /// codes differently on different routes.
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same failure with a `Retry-After` of so many seconds.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// The same failure with what a program may want to know.
    pub(crate) fn with_payload(self, payload: serde_json::Value) -> Self {
        Self {
            payload: Some(payload),
            ..self
        }
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The message, and of fields that are wrong which and why, for where there
    /// is only one text.
    pub(crate) fn told(&self) -> String {
        if self.fields.is_empty() {
            return self.message.clone();
        }
        let fields = self.fields.iter();
        let each = fields.map(|field| format!("{}: {}", field.path.join("."), field.message));
        each.collect::<Vec<_>>().join("; ")
    }

    /// A failure of the server itself: the cause goes to the log, under an id
    /// that the caller gets instead.
    fn internal(cause: &dyn std::fmt::Display) -> Self {
        let id = Uuid::now_v7();
        tracing::error!(request_id = %id, error = %cause, "request failed");
        Self {
            payload: Some(serde_json::json!({ "id": id })),
            ..Self::of(ErrorCode::GenericErrorSupport)
        }
    }
}

impl From<linkspan_shared::Error> for Failure {
    fn from(error: linkspan_shared::Error) -> Self {
        let code = error.code();
        if code == ErrorCode::GenericErrorSupport {
            return Self::internal(&error);
        }
        match error.fields() {
            [] => Self::new(code, error.to_string()),
            fields => Self::fields(code, fields.to_vec()),
        }
    }
}

impl From<linkspan_records::Error> for Failure {
    fn from(error: linkspan_records::Error) -> Self {
        match error.code() {
            ErrorCode::GenericErrorSupport => Self::internal(&error),
            code => Self::new(code, error.to_string()),
        }
    }
}

impl From<linkspan_syncs::Error> for Failure {
    fn from(error: linkspan_syncs::Error) -> Self {
        match error {
            linkspan_syncs::Error::Core(error) => error.into(),
            linkspan_syncs::Error::Records(error) => error.into(),
            error => match error.code() {
                ErrorCode::GenericErrorSupport => Self::internal(&error),
                code => Self::new(code, error.to_string()),
            },
        }
    }
}

impl From<linkspan_shared::db::Error> for Failure {
    fn from(error: linkspan_shared::db::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<linkspan_shared::vault::Error> for Failure {
    fn from(error: linkspan_shared::vault::Error) -> Self {
        Self::internal(&error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        answer.json(ErrorBody {
            error: ErrorDetail {
                code: self.code.as_str().to_owned(),
                message: Some(self.message.clone()),
                errors: self.fields.clone(),
                payload: self.payload.clone(),
            },
        })
    }
}
