//! The token endpoint's answer, as real providers send it: with or without
//! `token_type`, numbers as strings, as a form, nested, with status 201, with an
//! error inside a 200, or as an HTML page.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use http::Response;
use http::header::CONTENT_TYPE;
use linkspan_providers::{ExpiresInUnit, Template};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::Tokens;
use crate::login::answer::untold;
use crate::{Credentials, Error, Finished, quirks};

/// Epoch times above this are milliseconds: as seconds it is the year 5138.
const LARGEST_SECONDS: f64 = 1e11;

/// Longest of a provider's words that we repeat, in characters.
const LONGEST_MESSAGE: usize = 300;

type Object = Map<String, Value>;

/// Reads the answer. `secrets` are what the request held: providers repeat them
/// in error messages.
pub(super) fn read(
    template: &Template,
    response: &Response<Vec<u8>>,
    issued_at: DateTime<Utc>,
    secrets: &[&str],
) -> Result<Finished, Error> {
    let status = response.status().as_u16();
    let Some(mut root) = object(response.body()) else {
        return Err(Error::Unreadable {
            status,
            content_type: content_type(response),
        });
    };
    let quirk = quirks::of(template)?;
    if let Some(quirk) = quirk {
        (quirk.answer)(&mut root);
    }
    let holder = holder(template, &root);
    let says_no = root.get("ok") == Some(&Value::Bool(false));
    let (Some((holder, access_token)), true, false) =
        (holder, response.status().is_success(), says_no)
    else {
        return Err(refusal(&root, status, secrets));
    };
    let tokens = Tokens {
        access_token: SecretString::from(access_token),
        refresh_token: either(holder, &root, |object| text(object, "refresh_token"))
            .map(SecretString::from),
        expires_at: either(holder, &root, |object| {
            expires_at(template, object, issued_at)
        }),
        issued_at,
        raw: Value::Null,
        own_client: None,
        mcp: None,
    };
    let granted_scopes = either(holder, &root, |object| scopes(object, template));
    let metadata = metadata(template, &root);
    let mut tokens = Tokens {
        raw: Value::Object(root),
        ..tokens
    };
    if let Some(quirk) = quirk {
        (quirk.tokens)(&mut tokens);
    }
    Ok(Finished {
        metadata,
        granted_scopes,
        ..Credentials::OAuth2(tokens).into()
    })
}

/// The answer as an object: JSON, or a form that has one of OAuth's keys. The
/// content type is not asked, since it is often wrong.
pub(crate) fn object(body: &[u8]) -> Option<Object> {
    if let Ok(object) = serde_json::from_slice(body) {
        return Some(object);
    }
    let is_known = |name: &str| matches!(name, "access_token" | "error");
    let pairs = url::form_urlencoded::parse(body.trim_ascii());
    let object: Object = pairs
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    object.keys().any(|name| is_known(name)).then_some(object)
}

/// The object that holds the access token, and the token.
fn holder<'a>(template: &Template, root: &'a Object) -> Option<(&'a Object, String)> {
    if let Some(token) = text(root, "access_token") {
        return Some((root, token));
    }
    let path = template.alternate_access_token_response_path.as_ref()?;
    let nested = at(root, path)?.as_object()?;
    Some((nested, text(nested, "access_token")?))
}

fn either<T>(holder: &Object, root: &Object, read: impl Fn(&Object) -> Option<T>) -> Option<T> {
    read(holder).or_else(|| read(root))
}

/// A text that is not empty.
pub(crate) fn text(object: &Object, name: &str) -> Option<String> {
    object
        .get(name)?
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// The value at a dotted path.
pub(crate) fn at<'a>(root: &'a Object, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = root.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// A number, or a text that is one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// When what an answer gives expires: `expires_at`, or `expires_in` from now. A
/// time that is over says only that it expires: it came without its zone, or by
/// another clock, and would have every call ask for a new token.
pub(crate) fn expires_at(
    template: &Template,
    object: &Object,
    issued_at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let unit = match template.expires_in_unit {
        Some(ExpiresInUnit::Milliseconds) => 1.0,
        Some(ExpiresInUnit::Seconds) | None => 1000.0,
    };
    let after = |count: f64| issued_at.checked_add_signed(milliseconds(count * unit)?);
    let absolute = object.get("expires_at").and_then(time);
    let ahead = absolute.filter(|at| *at > issued_at);
    // Zero is how some providers say "never".
    let relative = || {
        object
            .get("expires_in")
            .and_then(number)
            .filter(|seconds| *seconds > 0.0)
    };
    let told = ahead.or_else(|| relative().and_then(after));
    told.or_else(|| absolute.map(|_| untold(template, issued_at)))
}

/// A time as epoch seconds, epoch milliseconds or a date; UTC unless it says.
pub(crate) fn time(value: &Value) -> Option<DateTime<Utc>> {
    if let Some(number) = number(value).filter(|number| *number > 0.0) {
        let factor = if number > LARGEST_SECONDS {
            1.0
        } else {
            1000.0
        };
        return DateTime::UNIX_EPOCH.checked_add_signed(milliseconds(number * factor)?);
    }
    let text = value.as_str()?.trim();
    let zoned = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
    if let Ok(time) = zoned {
        return Some(time.to_utc());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let naive = |format| NaiveDateTime::parse_from_str(text, format).ok();
    formats
        .into_iter()
        .find_map(naive)
        .map(|time| time.and_utc())
}

/// At most about 30,000 years, so that adding it does not overflow.
pub(crate) fn milliseconds(count: f64) -> Option<TimeDelta> {
    // In this range the cast is exact.
    (count.abs() < 1e15).then_some(())?;
    TimeDelta::try_milliseconds(count as i64)
}

fn scopes(object: &Object, template: &Template) -> Option<Vec<String>> {
    let split = |text: &str| {
        let separator = template.scope_separator();
        let is_between = |c: char| c.is_whitespace() || c == ',' || separator.contains(c);
        text.split(is_between)
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()
    };
    match object.get("scope").or_else(|| object.get("scopes"))? {
        Value::String(text) => Some(split(text)),
        Value::Array(list) => Some(
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        ),
        _ => None,
    }
}

/// Texts and booleans only (CONTRACT section 3, OAUTH2).
pub(crate) fn metadata(template: &Template, root: &Object) -> Object {
    let entry = |path: &String| {
        let value = at(root, path).filter(|value| value.is_string() || value.is_boolean())?;
        Some((path.clone(), value.clone()))
    };
    template
        .token_response_metadata
        .iter()
        .filter_map(entry)
        .collect()
}

/// The error that the answer describes, in one of the many ways.
pub(crate) fn refusal(root: &Object, status: u16, secrets: &[&str]) -> Error {
    let as_text = |path: &str| at(root, path)?.as_str().filter(|text| !text.is_empty());
    let first_of = |paths: &[&str]| paths.iter().copied().find_map(as_text);
    let error = first_of(&["error", "error.code", "error.type", "error_code"]);
    let description = first_of(&[
        "error_description",
        "error.message",
        "error.description",
        "error_message",
        "message",
        "detail",
        "errorMessage",
    ]);
    let message = match (error, description) {
        (None, None) if (200..300).contains(&status) => return Error::NoAccessToken { status },
        (None, None) => "without a reason".to_owned(),
        (Some(error), Some(description)) => format!("{error}: {description}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
    };
    Error::Refused {
        status,
        error: error.map(|error| presentable(error, secrets)),
        message: presentable(&message, secrets),
    }
}

/// A provider's words without what must not be shown: secrets, control
/// characters, and more than anybody reads.
pub(crate) fn presentable(words: &str, secrets: &[&str]) -> String {
    let mut words = words.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "[hidden]");
    }
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    words.chars().map(printable).take(LONGEST_MESSAGE).collect()
}

/// The content type that an answer says it has, cut to what anybody reads.
pub(crate) fn content_type(response: &Response<Vec<u8>>) -> String {
    let value = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.map_or_else(
        || "no content type".to_owned(),
        |value| value.chars().take(60).collect(),
    )
}
