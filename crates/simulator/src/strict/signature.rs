//! A strict provider of SIGNATURE: WSSE as Emarsys takes it.

use std::collections::BTreeMap;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::json;

use super::{Answer, Refused, Strict};
use crate::journal::SeenRequest;

/// How long a token is taken, and how far a clock may be ahead.
const LIFE: TimeDelta = TimeDelta::minutes(5);
const AHEAD: TimeDelta = TimeDelta::seconds(5);

/// Starts one that knows this user.
///
/// # Errors
/// There is no free port.
pub async fn start(username: &str, password: &str) -> io::Result<Strict> {
    let (username, password) = (username.to_owned(), password.to_owned());
    Strict::start(move |request| {
        check(request, &username, &password)?;
        Ok(Answer::json(&json!({ "ok": true })))
    })
    .await
}

fn check(request: &SeenRequest, username: &str, password: &str) -> Result<(), Refused> {
    if request.header("authorization").is_some() {
        return Err(Refused::call("there is an authorization header"));
    }
    let header = request.header("x-wsse");
    let header = header.ok_or_else(|| Refused::call("x-wsse is missing"))?;
    let fields = fields(header).ok_or_else(|| Refused::call("x-wsse is malformed"))?;
    let get = |name: &str| fields.get(name).copied().unwrap_or_default();
    if get("Username") != username {
        return Err(Refused::call("Username is unknown"));
    }
    let (nonce, created) = (get("Nonce"), get("Created"));
    if nonce.len() < 16 {
        return Err(Refused::call("Nonce is too short"));
    }
    let text = [nonce, created, password].concat();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let digits: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if get("PasswordDigest") != STANDARD.encode(digits) {
        return Err(Refused::call("PasswordDigest is wrong"));
    }
    let created = DateTime::parse_from_rfc3339(created);
    let created = created
        .map_err(|_| Refused::call("Created is not a time"))?
        .to_utc();
    let now = Utc::now();
    if created > now + AHEAD || created + LIFE < now {
        return Err(Refused::call("Created is too old, or in the future"));
    }
    Ok(())
}

fn fields(header: &str) -> Option<BTreeMap<&str, &str>> {
    let fields = header.strip_prefix("UsernameToken ")?.split(", ");
    fields
        .map(|field| {
            let (name, value) = field.split_once('=')?;
            Some((name, value.strip_prefix('"')?.strip_suffix('"')?))
        })
        .collect()
}
