use chrono::DateTime;
use http::Response;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::Error;
use crate::oauth2::answer;

fn read(added: &str, status: u16, body: &str) -> Result<Finished, Error> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "text/html; charset=utf-8")
        .body(body.as_bytes().to_vec())
        .unwrap();
    answer::read(
        &template(added),
        &response,
        DateTime::UNIX_EPOCH,
        &["hush-code", "hush-secret"],
    )
}

#[test]
fn tokens_are_found_in_every_kind_of_answer() {
    let nested = "alternate_access_token_response_path: authed_user";
    for (added, status, body, refresh_token, expires_in) in [
        ("", 200, r#"{"access_token":"a"}"#, None, None),
        (
            "",
            200,
            " \n{\"access_token\":\"a\",\"token_type\":\"bearer\",\"expires_in\":60,\"refresh_token\":\"r\"}",
            Some("r"),
            Some(60),
        ),
        (
            "",
            201,
            r#"{"access_token":"a","expires_in":"60","refresh_token":""}"#,
            None,
            Some(60),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_in":59.5,"error":null,"ok":true}"#,
            None,
            Some(60),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_in":0}"#,
            None,
            None,
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_in":null}"#,
            None,
            None,
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_in":1e300}"#,
            None,
            None,
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_at":60}"#,
            None,
            Some(60),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_at":"200000000000"}"#,
            None,
            Some(200_000_000),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_at":"1970-01-01T01:01:00+01:00","expires_in":9}"#,
            None,
            Some(60),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_at":"1970-01-01 00:01:00"}"#,
            None,
            Some(60),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_at":"1970-01-01T00:00:00","expires_in":60}"#,
            None,
            Some(60),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_at":"1969-12-31T23:00:00Z"}"#,
            None,
            Some(55 * 60),
        ),
        (
            "",
            200,
            r#"{"access_token":"a","expires_at":"soon","expires_in":60}"#,
            None,
            Some(60),
        ),
        (
            "",
            200,
            "access_token=a&expires_in=60&refresh_token=r%201&scope=",
            Some("r 1"),
            Some(60),
        ),
        (
            nested,
            200,
            r#"{"ok":true,"authed_user":{"access_token":"a","refresh_token":"r"},"expires_in":60}"#,
            Some("r"),
            Some(60),
        ),
        (
            nested,
            200,
            r#"{"access_token":"a","authed_user":{"access_token":"b"}}"#,
            None,
            None,
        ),
    ] {
        let finished = read(added, status, body).unwrap_or_else(|error| panic!("{body}: {error}"));
        let tokens = tokens(&finished);
        assert_eq!(tokens.access_token.expose_secret(), "a", "{body}");
        assert_eq!(
            tokens
                .refresh_token
                .as_ref()
                .map(ExposeSecret::expose_secret),
            refresh_token,
            "{body}"
        );
        let life = tokens
            .expires_at
            .map(|at| (at - tokens.issued_at).as_seconds_f64().round());
        assert_eq!(life, expires_in.map(f64::from), "{body}");
    }
}

#[test]
fn metadata_scopes_and_the_whole_answer_are_kept() {
    let added = "token_response_metadata: [team.id, on, n, none]\nscope_separator: ','";
    let body = json!({ "access_token": "a", "team": { "id": "T1" }, "on": true, "n": 1, "scope": "x,y z" });
    let finished = read(added, 200, &body.to_string()).unwrap();
    assert_eq!(
        Value::Object(finished.metadata.clone()),
        json!({ "team.id": "T1", "on": true })
    );
    assert_eq!(
        finished.granted_scopes.as_deref(),
        Some(&["x".into(), "y".into(), "z".into()][..])
    );
    assert_eq!(tokens(&finished).raw, body);
    let list = read("", 200, r#"{"access_token":"a","scope":["x","y"]}"#).unwrap();
    assert_eq!(
        list.granted_scopes.as_deref(),
        Some(&["x".into(), "y".into()][..])
    );
    assert_eq!(
        read("", 200, "access_token=a").unwrap().granted_scopes,
        None
    );
}

#[test]
fn refusals_say_why_without_secrets() {
    let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(5000));
    for (status, body, message) in [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"code hush-code\nexpired"}"#,
            "invalid_grant: code [hidden] expired",
        ),
        (
            200,
            r#"{"error":"bad_verification_code"}"#,
            "bad_verification_code",
        ),
        (
            200,
            r#"{"ok":false,"error":"invalid_auth","access_token":"a"}"#,
            "invalid_auth",
        ),
        (
            401,
            r#"{"error":{"code":"X1","message":"hush-secret is wrong"}}"#,
            "X1: [hidden] is wrong",
        ),
        (403, r#"{"message":"no"}"#, "no"),
        (500, r#"{"access_token":"a"}"#, "without a reason"),
        (
            400,
            "error=invalid_client&error_description=who%20are%20you",
            "invalid_client: who are you",
        ),
        (400, &long, &"x".repeat(300)),
    ] {
        match read("", status, body) {
            Err(Error::Refused {
                status: seen,
                message: said,
                ..
            }) => {
                assert_eq!((seen, said.as_str()), (status, message), "{body}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    let error = read("", 400, r#"{"error":"invalid_grant"}"#)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the provider refused the token request (status 400): invalid_grant"
    );
}

#[test]
fn what_is_no_token_answer_is_named() {
    let page = "<html><a href=\"?access_token=x&y=1\">hush</a></html>";
    for (status, body) in [
        (502, page),
        (200, ""),
        (200, "\"text\""),
        (200, "[1]"),
        (200, "null"),
    ] {
        let error = read("", status, body).unwrap_err();
        let content_type = "text/html; charset=utf-8".to_owned();
        assert_eq!(
            error,
            Error::Unreadable {
                status,
                content_type
            },
            "{body}"
        );
    }
    for body in [
        "{}",
        r#"{"access_token":""}"#,
        r#"{"access_token":5}"#,
        r#"{"data":{"access_token":"a"}}"#,
    ] {
        assert_eq!(
            read("", 200, body).unwrap_err(),
            Error::NoAccessToken { status: 200 },
            "{body}"
        );
    }
}

#[test]
fn the_stored_form_is_complete_and_the_wire_form_is_the_contracts() {
    let body = r#"{"access_token":"a","refresh_token":"r","expires_in":60}"#;
    let credentials = read("", 200, body).unwrap().credentials;
    let raw: Value = serde_json::from_str(body).unwrap();
    let wire = json!({
        "type": "OAUTH2", "access_token": "a", "refresh_token": "r",
        "expires_at": "1970-01-01T00:01:00.000Z", "raw": raw,
    });
    assert_eq!(credentials.to_wire(), wire);
    let stored = serde_json::to_string(&credentials).unwrap();
    let restored: Credentials = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored.to_wire(), wire);
    assert_eq!(restored.issued_at(), Some(DateTime::UNIX_EPOCH));
    assert!(restored.can_refresh());

    let bare = read("", 200, "access_token=hush").unwrap().credentials;
    let raw = json!({ "access_token": "hush" });
    assert_eq!(
        bare.to_wire(),
        json!({ "type": "OAUTH2", "access_token": "hush", "raw": raw })
    );
    assert!(!format!("{bare:?}").contains("hush"));
}
