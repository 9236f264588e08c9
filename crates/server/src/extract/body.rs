//! JSON bodies, read strictly: what is wrong is named by its path.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use linkspan_api::{ErrorCode, FieldError};
use serde::de::DeserializeOwned;
use serde_json::Value;

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
            let message = without_value(&without_position(&inner.to_string()));
            let mut path: Vec<_> = error.path().iter().map(ToString::to_string).collect();
            path.extend(missing(&message).map(str::to_owned));
            let field = FieldError {
                code: kind(&message).to_owned(),
                message,
                path,
            };
            Failure::fields(ErrorCode::InvalidBody, vec![field])
        } else {
            invalid_json(inner)
        }
    })?;
    reader.end().map_err(|error| invalid_json(&error))?;
    refuse_nul(bytes)?;
    Ok(value)
}

/// Postgres' texts and documents have no NUL, so that a body cannot have one
/// either. It can only stand in JSON as an escape, which is rare enough to look
/// for it before reading the body once more.
fn refuse_nul(bytes: &[u8]) -> Result<(), Failure> {
    const ESCAPE: &[u8] = b"\\u0000";
    if !bytes.windows(ESCAPE.len()).any(|part| part == ESCAPE) {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|error| invalid_json(&error))?;
    let Some(mut path) = way_to_nul(&value) else {
        return Ok(());
    };
    path.reverse();
    let field = FieldError {
        code: "invalid_string".to_owned(),
        message: "must not contain NUL".to_owned(),
        path,
    };
    Err(Failure::fields(ErrorCode::InvalidBody, vec![field]))
}

/// The way to the first text with a NUL, from its end; to the object, where it
/// is in a field's name.
fn way_to_nul(value: &Value) -> Option<Vec<String>> {
    let within = |name: String, value| {
        let mut way = way_to_nul(value)?;
        way.push(name);
        Some(way)
    };
    match value {
        Value::String(text) if text.contains('\0') => Some(Vec::new()),
        Value::Array(list) => {
            let mut each = list.iter().enumerate();
            each.find_map(|(at, value)| within(at.to_string(), value))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                return Some(Vec::new());
            }
            within(name.clone(), value)
        }),
        _ => None,
    }
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

/// The field that is missing: the path ends at what it is missing in.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

fn without_position(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}

/// serde quotes what it did not expect, and that may be a secret in the wrong
/// place: `invalid type: string "…", expected a boolean`. It also names our
/// types, which are objects to the caller.
fn without_value(message: &str) -> String {
    let Some(end) = message.rfind(", expected ") else {
        return message.to_owned();
    };
    let (said, expected) = message.split_at(end);
    let expected = match expected.strip_prefix(", expected struct ") {
        Some(_) => ", expected an object",
        None => expected,
    };
    let said = match said.split_once(": ") {
        Some((what @ ("invalid type" | "invalid value"), value)) => {
            let kind = value.split(['"', '`']).next().unwrap_or_default();
            format!("{what}: {}", kind.trim_end())
        }
        _ if said.starts_with("unknown variant") => "unknown variant".to_owned(),
        _ => said.to_owned(),
    };
    said + expected
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
    fn what_is_missing_is_named_where_it_belongs() {
        let path = |body: &str| {
            let failure = parse::<CreateIntegration>(body.as_bytes()).unwrap_err();
            format!("{failure:?}")
        };
        let root = path(r#"{"unique_key":"a"}"#);
        assert!(root.contains(r#"path: ["provider"]"#), "{root}");
        let inner = path(
            r#"{"unique_key":"a","provider":"b","credentials":{"type":"OAUTH2","client_id":"i"}}"#,
        );
        let expected = r#"path: ["credentials", "client_secret"]"#;
        assert!(inner.contains(expected), "{inner}");
    }

    #[test]
    fn a_nul_is_named_where_it_stands() {
        for (body, path) in [
            (r#"{"a":"\u0000"}"#, Some(r#"path: ["a"]"#)),
            (
                r#"{"a":["x",{"b":"c\u0000"}]}"#,
                Some(r#"path: ["a", "1", "b"]"#),
            ),
            (r#"{"a":{"\u0000":1}}"#, Some(r#"path: ["a"]"#)),
            (r#"{"a":"\\u0000"}"#, None),
            (r#"{"a":"\u00000"}"#, Some(r#"path: ["a"]"#)),
        ] {
            let found = parse::<Value>(body.as_bytes()).err();
            let shown = format!("{found:?}");
            assert_eq!(found.is_some(), path.is_some(), "{body}: {shown}");
            assert!(shown.contains(path.unwrap_or_default()), "{body}: {shown}");
        }
    }

    #[test]
    fn a_mistake_does_not_repeat_what_was_sent() {
        for (said, shown) in [
            (
                r#"invalid type: string "s, expected e", expected a boolean"#,
                "invalid type: string, expected a boolean",
            ),
            (
                "invalid type: integer `7`, expected a string",
                "invalid type: integer, expected a string",
            ),
            (
                r#"invalid type: string "s", expected struct Basic"#,
                "invalid type: string, expected an object",
            ),
            (
                "unknown variant `s`, expected `OAUTH2`",
                "unknown variant, expected `OAUTH2`",
            ),
            (
                "unknown field `a`, expected one of `b`, `c`",
                "unknown field `a`, expected one of `b`, `c`",
            ),
            ("missing field `a`", "missing field `a`"),
        ] {
            assert_eq!(without_value(said), shown);
        }
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
