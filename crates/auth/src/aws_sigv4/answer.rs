//! What comes back: AWS' XML, or a developer's JSON.

use http::Response;
use serde_json::{Map, Value};

use super::{Fault, Keys};
use crate::oauth2::answer::time;
use crate::oauth2::presentable;

/// The answer to AssumeRole. Its form is fixed, and a reader of XML would be of
/// no more use than looking for its elements.
pub(super) fn of_aws(response: &Response<Vec<u8>>, secrets: &[&str]) -> Result<Keys, Fault> {
    let status = response.status().as_u16();
    let text = String::from_utf8_lossy(response.body());
    let refused = |message: &str| Fault::Refused {
        status,
        message: presentable(message, secrets),
    };
    if !response.status().is_success() {
        let words: Vec<_> = ["Code", "Message"]
            .iter()
            .filter_map(|name| element(&text, name))
            .collect();
        return Err(match words.is_empty() {
            true => refused("without a reason"),
            false => refused(&words.join(": ")),
        });
    }
    let keys = between(&text, "Credentials").and_then(|keys| {
        Some(Keys {
            access_key: element(keys, "AccessKeyId")?,
            secret_key: element(keys, "SecretAccessKey")?.into(),
            session_token: Some(element(keys, "SessionToken")?.into()),
            expires_at: element(keys, "Expiration").and_then(|at| time(&at.into())),
        })
    });
    keys.ok_or_else(|| refused("the answer holds no keys"))
}

/// The answer of a developer's service: the keys, or an object `credentials` of
/// them, in either spelling. When they expire is a time as texts have it, or the
/// seconds or milliseconds since 1970.
pub(super) fn of_service(response: &Response<Vec<u8>>, secrets: &[&str]) -> Result<Keys, Fault> {
    let status = response.status().as_u16();
    let refused = |message: &str| Fault::Refused {
        status,
        message: presentable(message, secrets),
    };
    let object = serde_json::from_slice::<Map<String, Value>>(response.body());
    let object = object.unwrap_or_default();
    if !response.status().is_success() {
        let words = ["message", "error_description", "error"];
        let words = words.iter().find_map(|name| object.get(*name)?.as_str());
        return Err(refused(words.unwrap_or("without a reason")));
    }
    let keys = object.get("credentials").and_then(Value::as_object);
    let keys = keys.unwrap_or(&object);
    let text = |names: &[&str]| {
        let text = names.iter().find_map(|name| keys.get(*name)?.as_str());
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    // What has no meaning is none, so that the template's life counts.
    let names = ["expiresAt", "expires_at", "expiration"];
    let expires_at = names.iter().find_map(|name| time(keys.get(*name)?));
    let keys = (
        text(&["accessKeyId", "access_key_id"]),
        text(&["secretAccessKey", "secret_access_key"]),
        text(&["sessionToken", "session_token"]),
    );
    let (Some(access_key), Some(secret_key), Some(session_token)) = keys else {
        let lacks = "the answer lacks accessKeyId, secretAccessKey or sessionToken";
        return Err(refused(lacks));
    };
    Ok(Keys {
        access_key,
        secret_key: secret_key.into(),
        session_token: Some(session_token.into()),
        expires_at,
    })
}

/// What stands between the first tags of this name.
fn between<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = after.split_once(&format!("</{name}>"))?;
    Some(inside)
}

/// The text of an element that is not empty.
fn element(text: &str, name: &str) -> Option<String> {
    let inside = between(text, name)?.trim();
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let plain = plain
        .iter()
        .fold(inside.to_owned(), |text, (from, to)| text.replace(from, to));
    (!plain.is_empty()).then_some(plain)
}
