//! A strict provider of TWO_STEP: three logins as three providers have them. One
//! takes a form, with a refresh token that is good once; one takes JSON at an
//! address that another answer gives; one takes XML and answers with a session.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Answer, Refused, Strict};
use crate::journal::SeenRequest;

/// The one user of them all.
pub const USER: &str = "ann@example.com";
/// The user's password.
pub const PASSWORD: &str = "two-step-planted&<>";

#[derive(Default)]
struct State {
    access: Option<String>,
    refresh: Option<String>,
}

/// Serves it. Whatever is no login is an API behind the token that was given out
/// last.
///
/// # Errors
/// There is no free port.
pub async fn start() -> io::Result<Strict> {
    let state = Arc::<Mutex<State>>::default();
    // The answer of a first step gives the address of the second.
    let own = Arc::<Mutex<String>>::default();
    let rules = {
        let own = Arc::clone(&own);
        move |request: &SeenRequest| {
            let own = own.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            answer(&own, &mut state, request)
        }
    };
    let strict = Strict::start(rules).await?;
    *own.lock().unwrap_or_else(PoisonError::into_inner) = strict.url();
    Ok(strict)
}

fn answer(own: &str, state: &mut State, request: &SeenRequest) -> Result<Answer, Refused> {
    let path = request.path.as_str();
    if path.ends_with("/v1/auth/get-token") {
        let body = body(request)?;
        expect(&body, &json!({ "email": USER, "password": PASSWORD }))?;
        return Ok(Answer::json(&state.issue(true)));
    }
    if path.ends_with("/v1/auth/refresh-token") {
        let body = body(request)?;
        let spent = state.refresh.take();
        expect(&body, &json!({ "refresh_token": spent }))?;
        return Ok(Answer::json(&state.issue(true)));
    }
    if path.ends_with("/api/server-by-team/") {
        let team = [("team".to_owned(), "t 1".to_owned())];
        if request.method != "GET" || request.query != team {
            return Err(Refused::request("the team is unknown"));
        }
        let api = format!("{own}/second.example/rest");
        return Ok(Answer::json(&json!({ "restApiEndpoint": api })));
    }
    if path == "/second.example/rest/api/token" {
        let body = body(request)?;
        expect(&body, &json!({ "Username": USER, "Password": PASSWORD }))?;
        return Ok(Answer::json(&state.issue(false)));
    }
    if path.ends_with("/ia/xml/xmlgw.phtml") && request.header("authorization").is_none() {
        return xml(state, request);
    }
    let expected = state.access.as_ref().map(|token| format!("Bearer {token}"));
    match request.header("authorization") {
        Some(given) if expected.as_deref() == Some(given) => Ok(Answer::json(&json!({ "ok": 1 }))),
        _ => Err(Refused::call("the token is not good")),
    }
}

impl State {
    fn issue(&mut self, refreshes: bool) -> Value {
        let access = format!("two-{}", uuid::Uuid::new_v4());
        self.access = Some(access.clone());
        let mut answer = json!({ "access_token": access, "expires_in": 3600 });
        if refreshes {
            let refresh = format!("again-{}", uuid::Uuid::new_v4());
            self.refresh = Some(refresh.clone());
            answer["refresh_token"] = refresh.into();
        }
        answer
    }
}

fn body(request: &SeenRequest) -> Result<Value, Refused> {
    if request.method != "POST" || request.header("content-type") != Some("application/json") {
        return Err(Refused::request("a login is a POST of JSON"));
    }
    serde_json::from_slice(&request.body).map_err(|_| Refused::request("the body is not JSON"))
}

fn expect(body: &Value, expected: &Value) -> Result<(), Refused> {
    match body == expected {
        true => Ok(()),
        false => Err(Refused::client("no such user")),
    }
}

/// The parts of the request in the order of the API's document type.
fn xml(state: &mut State, request: &SeenRequest) -> Result<Answer, Refused> {
    if request.header("content-type") != Some("application/xml") {
        return Err(Refused::request("the content type is not XML's"));
    }
    let text = String::from_utf8_lossy(&request.body);
    let parts = [
        "<?xml ",
        "<request><control><senderid>s</senderid>",
        "<controlid>",
        "<uniqueid>false</uniqueid><dtdversion>3.0</dtdversion>",
        "<operation><authentication><login><userid>ann@example.com</userid>",
        "<companyid>c</companyid><password>two-step-planted&amp;&lt;&gt;</password></login>",
        "<content><function controlid=\"",
        "<getAPISession></getAPISession></function></content></operation></request>",
    ];
    let mut rest = &*text;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return Err(Refused::client("the sign-in information is incorrect"));
        };
        rest = &rest[at + part.len()..];
    }
    let session = format!("xml-{}", uuid::Uuid::new_v4());
    state.access = Some(session.clone());
    let ends = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let answer = format!(
        "<?xml version=\"1.0\"?><response><operation><authentication><sessiontimeout>{ends}\
         </sessiontimeout></authentication><result><data><api><sessionid>{session}</sessionid>\
         </api></data></result></operation></response>"
    );
    Ok(Answer::new(200, "text/xml", answer))
}
