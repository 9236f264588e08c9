//! JSON bodies, read strictly: what is wrong is named by its path.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use linkspan_api::{ErrorCode, FieldError};
use serde::de::DeserializeOwned;

use crate::error::Failure;

/// A body that is not read yet: a handler reads it when the caller is known to
/// be allowed, since actix runs a handler's extractors side by side.
pub(crate) struct Body {
    request: HttpRequest,
    payload: Payload,
}

impl FromRequest for Body {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self {
            request: request.clone(),
            payload: payload.take(),
        }))
    }
}

impl Body {
    /// Reads the body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(mut self) -> Result<T, Failure> {
        let bytes = web::Bytes::from_request(&self.request, &mut self.payload)
            .await
            .map_err(|error| unread(&error))?;
        parse(&bytes)
    }
}

fn unread(error: &actix_web::Error) -> Failure {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => Failure::of(ErrorCode::PayloadTooLarge),
        _ => Failure::new(
            ErrorCode::InvalidBody,
            "The body ended before it was complete.",
        ),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let inner = error.inner();
        if inner.is_data() {
            let path = error.path().iter().map(ToString::to_string).collect();
            Failure::fields(
                ErrorCode::InvalidBody,
                vec![FieldError {
                    code: kind(&inner.to_string()).to_owned(),
                    message: without_position(&inner.to_string()),
                    path,
                }],
            )
        } else {
            invalid_json(inner)
        }
    })?;
    reader.end().map_err(|error| invalid_json(&error))?;
    Ok(value)
}

fn invalid_json(error: &serde_json::Error) -> Failure {
    Failure::new(
        ErrorCode::InvalidJson,
        format!("The body is not JSON: {error}"),
    )
}

/// The contract's name for a mistake that serde describes in words.
fn kind(message: &str) -> &'static str {
    if message.starts_with("unknown field") {
        "unrecognized_keys"
    } else if message.starts_with("unknown variant") {
        "invalid_union"
    } else {
        "invalid_type"
    }
}

fn without_position(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use linkspan_api::integrations::CreateIntegration;

    use super::*;

    #[test]
    fn a_mistake_is_named_by_its_path() {
        let body = br#"{"unique_key":"a","provider":"b","credentials":{"type":"OAUTH2","client_id":1,"client_secret":"s"}}"#;
        let failure = parse::<CreateIntegration>(body).unwrap_err();
        assert_eq!(failure.code(), ErrorCode::InvalidBody);
        let body = format!("{failure:?}");
        assert!(body.contains(r#"path: ["credentials""#), "{body}");
    }

    #[test]
    fn what_is_not_json_is_told_from_what_is_wrong_json() {
        for (body, code) in [
            (&b"{"[..], ErrorCode::InvalidJson),
            (b"{} x", ErrorCode::InvalidBody),
            (b"", ErrorCode::InvalidJson),
            (b"[]", ErrorCode::InvalidBody),
            (
                br#"{"unique_key":"a","provider":"b","x":1}"#,
                ErrorCode::InvalidBody,
            ),
            (
                br#"{"unique_key":"a","provider":"b"} x"#,
                ErrorCode::InvalidJson,
            ),
        ] {
            let failure = parse::<CreateIntegration>(body).unwrap_err();
            assert_eq!(failure.code(), code, "{}", String::from_utf8_lossy(body));
        }
    }
}
