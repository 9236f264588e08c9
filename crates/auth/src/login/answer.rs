//! The answer to a login: JSON, XML or the bare token, read by paths.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use http::Response;
use linkspan_providers::{BodyFormat, ExpirationStrategy, Template, TokenResponse};
use serde_json::{Map, Value};

use super::xml;
use crate::Error;
use crate::oauth2::answer::{content_type, milliseconds, number, presentable, refusal, time};

/// How long before its `exp` a JWT counts as expired (CONTRACT 2.8), but at most
/// a fifth of its life, as for every margin.
const JWT_MARGIN: TimeDelta = TimeDelta::minutes(15);
const LARGEST_PART: i32 = 5;

/// Shorter entries are no secrets, and to hide them would garble every word.
const SHORTEST_SECRET: usize = 4;

/// Longest answer that is taken for a bare token, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Where a provider says what is wrong, besides the places that OAuth's do.
const MESSAGES: [&str; 5] = [
    "errors.0.message",
    "errors.0",
    "0.message",
    "Message",
    "error.message.value",
];

/// Reads a successful answer: an object or list, or a text where the template
/// takes the whole answer for the token (`takes_text`).
///
/// # Errors
/// [`Error::Refused`] with the provider's words less `secrets`, and
/// [`Error::Unreadable`].
pub(crate) fn read(
    response: &Response<Vec<u8>>,
    format: BodyFormat,
    takes_text: bool,
    secrets: &[&str],
) -> Result<Value, Error> {
    let status = response.status().as_u16();
    let body = response.body();
    let parsed = match format {
        BodyFormat::Xml => xml::parse(body),
        _ => serde_json::from_slice(body).ok(),
    };
    let parsed = parsed.filter(|value: &Value| value.is_object() || value.is_array() || takes_text);
    let parsed = parsed.or_else(|| bare(body).filter(|_| takes_text).map(Value::from));
    match parsed {
        Some(answer) if response.status().is_success() => Ok(answer),
        Some(answer) => Err(no_token(&answer, status, secrets)),
        None => Err(Error::Unreadable {
            status,
            content_type: content_type(response),
        }),
    }
}

/// A text that can be a token: one word, and no page.
fn bare(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    (is_word && text.len() <= LONGEST_TOKEN && !text.starts_with(['<', '{', '['])).then_some(text)
}

/// The error for an answer without a token: what it says is wrong, if it does.
pub(crate) fn no_token(answer: &Value, status: u16, secrets: &[&str]) -> Error {
    let nothing = Map::new();
    let secrets = secrets.iter().copied();
    let secrets: Vec<&str> = secrets
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .collect();
    let error = refusal(answer.as_object().unwrap_or(&nothing), status, &secrets);
    let is_told = !matches!(&error, Error::NoAccessToken { .. })
        && !matches!(&error, Error::Refused { error: None, message, .. } if message == "without a reason");
    if is_told {
        return error;
    }
    let known = MESSAGES.iter().find_map(|path| text(answer, path));
    match known.or_else(|| complaint(answer)) {
        Some(message) => Error::Refused {
            status,
            error: None,
            message: presentable(&message, &secrets),
        },
        None => error,
    }
}

/// The texts of the first entry whose name speaks of an error, at any depth.
fn complaint(answer: &Value) -> Option<String> {
    let Value::Object(entries) = answer else {
        return answer.as_array()?.iter().find_map(complaint);
    };
    let speaks = |name: &str| name.to_ascii_lowercase().contains("error");
    if let Some((_, value)) = entries.iter().find(|(name, _)| speaks(name)) {
        let mut texts = Vec::new();
        gather(value, &mut texts);
        if !texts.is_empty() {
            return Some(texts.join(" "));
        }
    }
    entries.values().find_map(complaint)
}

fn gather(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(entries) => entries.values().for_each(|value| gather(value, texts)),
        _ => {}
    }
}

/// The value at a dotted path, whose parts may be indices of lists. A key with
/// dots of its own is found too.
pub(crate) fn at<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(value) = answer.get(path) {
        return Some(value);
    }
    path.split('.').try_fold(answer, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

/// A text that is not empty, or a number as its text.
pub(crate) fn text(answer: &Value, path: &str) -> Option<String> {
    match at(answer, path)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The token that a template names; the whole answer for an empty path.
pub(crate) fn token(answer: &Value, paths: &TokenResponse) -> Option<String> {
    if paths.token.is_empty() {
        return answer
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned);
    }
    text(answer, &paths.token)
}

/// When the token expires: as the answer says, else as the token does, else
/// `token_expires_in_ms` after `issued_at`. Nothing if nobody says. Who names a
/// time that is over says only that it expires.
pub(crate) fn expires_at(
    template: &Template,
    answer: &Value,
    token: &str,
    issued_at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let said = || said_expiry(template.token_response.as_ref()?, answer, issued_at);
    let told = [said(), jwt_expiry(token, issued_at)];
    let mut told = told.into_iter().flatten().peekable();
    let expires = told.peek().is_some();
    told.find(|at| *at > issued_at)
        .or_else(|| expires.then(|| untold(template, issued_at)))
        .or_else(|| template_expiry(template, issued_at))
}

/// When a token expires of which is known only that it does.
pub(crate) fn untold(template: &Template, issued_at: DateTime<Utc>) -> DateTime<Utc> {
    template_expiry(template, issued_at).unwrap_or(issued_at + super::UNTOLD_LIFE)
}

fn said_expiry(
    paths: &TokenResponse,
    answer: &Value,
    issued_at: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let value = at(answer, paths.token_expiration.as_ref()?)?;
    let after = |seconds: f64| issued_at.checked_add_signed(milliseconds(seconds * 1000.0)?);
    let relative = || number(value).filter(|count| *count > 0.0).and_then(after);
    match paths.token_expiration_strategy {
        Some(ExpirationStrategy::ExpireIn) => relative().or_else(|| time(value)),
        // Some say how long in hours, minutes and seconds where a time belongs.
        Some(ExpirationStrategy::ExpireAt) | None => {
            time(value).or_else(|| after(clock(value.as_str()?)?))
        }
    }
}

/// `177:05:38`: the seconds of as many hours, minutes and seconds.
fn clock(text: &str) -> Option<f64> {
    let parts: Vec<u32> = text
        .split(':')
        .map(|part| part.trim().parse().ok())
        .collect::<Option<_>>()?;
    match parts[..] {
        [hours, minutes, seconds] if minutes < 60 && seconds < 60 => {
            Some(f64::from(hours) * 3600.0 + f64::from(minutes * 60 + seconds))
        }
        _ => None,
    }
}

/// A time a little before the `exp` of a token that is a JWT (RFC 7519 section
/// 4.1.4). Its signature is the provider's own business.
fn jwt_expiry(token: &str, issued_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
    let end = time(claims.get("exp")?)?;
    let life = (end - issued_at).max(TimeDelta::zero());
    end.checked_sub_signed(JWT_MARGIN.min(life / LARGEST_PART))
}

fn template_expiry(template: &Template, issued_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let life = i64::try_from(template.token_expires_in_ms?).ok()?;
    match life {
        0 => issued_at.checked_add_signed(super::UNTOLD_LIFE),
        life => issued_at.checked_add_signed(TimeDelta::try_milliseconds(life)?),
    }
}

/// What of the answers belongs in the connection's configuration: texts and
/// booleans, of the last answer that has one.
pub(crate) fn metadata(template: &Template, answers: &[Value]) -> Map<String, Value> {
    let of = |path: &String| {
        let mut latest = answers.iter().rev();
        latest.find_map(|answer| {
            at(answer, path).filter(|value| value.is_string() || value.is_boolean())
        })
    };
    let paths = template.token_response_metadata.iter();
    paths
        .filter_map(|path| Some((path.clone(), of(path)?.clone())))
        .collect()
}
