//! A strict provider of BILL: a login for a session, and calls that need the
//! session and the developer's key.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Answer, Refused, Strict};
use crate::journal::SeenRequest;

/// The one account, by the names of its fields in a login.
pub const ACCOUNT: [(&str, &str); 4] = [
    ("username", "ann@example.com"),
    ("password", "bill-password-planted"),
    ("organizationId", "org-1"),
    ("devKey", "bill-dev-key-planted"),
];

/// Serves it.
///
/// # Errors
/// There is no free port.
pub async fn start() -> io::Result<Strict> {
    let session = Arc::<Mutex<Option<String>>>::default();
    Strict::start(move |request| answer(&session, request)).await
}

fn answer(session: &Mutex<Option<String>>, request: &SeenRequest) -> Result<Answer, Refused> {
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    if request.path.ends_with("/connect/v3/login") {
        log_in(request)?;
        let new = format!("bill-{}", uuid::Uuid::new_v4());
        *session = Some(new.clone());
        return Ok(Answer::json(
            &json!({ "sessionId": new, "organizationId": "org-1", "userId": "006" }),
        ));
    }
    let is_good = session.is_some()
        && request.header("sessionid") == session.as_deref()
        && request.header("devkey") == Some(ACCOUNT[3].1);
    match is_good {
        true => Ok(Answer::json(&json!({ "ok": true }))),
        false => Err(Refused::call(
            "the session or the developer's key is not good",
        )),
    }
}

fn log_in(request: &SeenRequest) -> Result<(), Refused> {
    if request.method != "POST" || request.header("content-type") != Some("application/json") {
        return Err(Refused::request("a login is a POST of JSON"));
    }
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|_| Refused::request("the body is not JSON"))?;
    let expected = ACCOUNT.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let expected = Value::Object(expected.into_iter().collect());
    match body == expected {
        true => Ok(()),
        false => Err(Refused::client("no such account")),
    }
}
