//! Bodies that are no JSON, have other fields or types, or are too large: on
//! every route that takes one.

use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use super::table::{Taker, takers};
use super::{first_path, refused, rows, start};
use crate::routes::ROUTES;

/// Routes whose method has a body and that read none.
const READ_NONE: &[&str] = &[
    "POST /connect/telemetry",
    "POST /cli/telemetry",
    "POST /auth/oauth-outbound/{unique_key}",
    "POST /auth/unauthenticated/{unique_key}",
    "POST /environment/webhook-signing-key/rotate",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_table_has_every_route_that_takes_a_body() {
    let app = start(&[]).await;
    let mut listed: Vec<_> = takers(&app).await.iter().map(Taker::name).collect();
    listed.extend(READ_NONE.iter().map(ToString::to_string));
    listed.retain(|route| !route.starts_with("DELETE "));
    let mut with_body: Vec<_> = ROUTES
        .iter()
        .filter(|route| ["POST", "PUT", "PATCH"].contains(&route.method().as_str()))
        .filter(|route| !route.path.starts_with("/proxy/"))
        .map(|route| format!("{} {}", route.method(), route.path))
        .collect();
    listed.sort();
    with_body.sort();
    assert_eq!(listed, with_body);
}

/// Calls every route with a body, and finds everything as it was.
async fn each_refuses(app: &TestApp, body: &[u8], status: u16, code: &str) {
    for taker in takers(app).await {
        let before = rows(app).await;
        let reply = taker.send(app, body.to_vec()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        refused(&reply, status, code, &format!("{} {shown}", taker.name()));
        assert_eq!(rows(app).await, before, "{}", taker.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_said_to_be_none() {
    let app = start(&[]).await;
    let deep = [b'['].repeat(100_000);
    for body in [
        &b""[..],
        b"{",
        b"{\"a\":}",
        b"{'a':1}",
        b"nul",
        b"{} {}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\x00\"}",
        b"\xef\xbb\xbf{}",
        &deep,
    ] {
        // A field that is unknown is found before the body ends.
        for taker in takers(&app).await {
            let reply = taker.send(&app, body.to_vec()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]);
            let what = format!("{} {shown}", taker.name());
            assert_eq!(reply.status, 400, "{what}: {reply:?}");
            let code = reply.code();
            let is_named = code == "invalid_body" && shown.contains("\"a\"");
            let is_early = code == "invalid_body" && shown.starts_with(['[', '{']);
            assert!(
                code == "invalid_json" || is_named || is_early,
                "{what}: {code}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_object_is_refused() {
    let app = start(&[]).await;
    for body in ["7", "\"text\"", "true", "null", "[7]"] {
        each_refuses(&app, body.as_bytes(), 400, "invalid_body").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_not_known_is_named() {
    let app = start(&[]).await;
    for taker in takers(&app).await.iter().filter(|taker| !taker.is_open) {
        let before = rows(&app).await;
        let mut body = taker.good.clone();
        body["surprise"] = json!(1);
        let reply = taker.send(&app, body.to_string()).await;
        refused(&reply, 400, "invalid_body", &taker.name());
        assert_eq!(first_path(&reply), ["surprise"], "{}", taker.name());
        let code = &reply.json()["error"]["errors"][0]["code"];
        assert_eq!(code, "unrecognized_keys", "{}", taker.name());
        assert_eq!(rows(&app).await, before, "{}", taker.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_another_type_is_named() {
    let app = start(&[]).await;
    for taker in takers(&app).await.iter().filter(|taker| !taker.is_open) {
        let before = rows(&app).await;
        for name in taker.good.as_object().unwrap().keys() {
            for wrong in [json!([[7]]), json!([{ "a": [] }])] {
                let mut body = taker.good.clone();
                body[name] = wrong;
                let reply = taker.send(&app, body.to_string()).await;
                let what = format!("{} {name}", taker.name());
                refused(&reply, 400, "invalid_body", &what);
                assert_eq!(first_path(&reply)[0], *name, "{what}: {reply:?}");
            }
        }
        assert_eq!(rows(&app).await, before, "{}", taker.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_missing_is_named() {
    let app = start(&[]).await;
    for taker in takers(&app).await {
        let before = rows(&app).await;
        for name in taker.required {
            for missing in [None, Some(Value::Null)] {
                let mut body = taker.good.clone();
                let fields = body.as_object_mut().unwrap();
                fields.remove(*name);
                fields.extend(missing.map(|null| ((*name).to_owned(), null)));
                let reply = taker.send(&app, body.to_string()).await;
                let what = format!("{} {name}", taker.name());
                refused(&reply, 400, "invalid_body", &what);
                assert_eq!(first_path(&reply), [*name], "{what}: {reply:?}");
            }
        }
        assert_eq!(rows(&app).await, before, "{}", taker.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_comes_twice_is_refused() {
    let app = start(&[]).await;
    for taker in takers(&app).await.iter().filter(|taker| !taker.is_open) {
        let body = taker.good.to_string();
        let (name, value) = taker.good.as_object().unwrap().iter().next().unwrap();
        let twice = format!("{{\"{name}\":{value},{}", &body[1..]);
        let reply = taker.send(&app, twice).await;
        refused(&reply, 400, "invalid_body", &taker.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused() {
    let app = start(&[("LINKSPAN_SERVER_REQUEST_BODY_LIMIT", "4096")]).await;
    let body = json!({ "display_name": "x".repeat(5000) }).to_string();
    each_refuses(&app, body.as_bytes(), 413, "payload_too_large").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_labels_are_refused() {
    let app = start(&[]).await;
    let labels = |count: usize| {
        let each = (0..count).map(|n| (format!("label-{n}"), json!("x")));
        Value::Object(each.collect())
    };
    for taker in takers(&app).await {
        let spots = ["/tags", "/end_user/tags"];
        for spot in spots
            .iter()
            .filter(|spot| taker.good.pointer(spot).is_some())
        {
            for count in [11, 10_000] {
                let before = rows(&app).await;
                let mut body = taker.good.clone();
                *body.pointer_mut(spot).unwrap() = labels(count);
                let reply = taker.send(&app, body.to_string()).await;
                let what = format!("{} {spot} {count}", taker.name());
                refused(&reply, 400, "invalid_body", &what);
                assert_eq!(
                    format!("/{}", first_path(&reply).join("/")),
                    *spot,
                    "{what}"
                );
                assert_eq!(
                    reply.json()["error"]["errors"][0]["code"],
                    "too_big",
                    "{what}"
                );
                assert_eq!(rows(&app).await, before, "{what}");
            }
        }
    }
    let ten = json!({ "tags": labels(10) });
    assert_eq!(app.post("/connect/sessions", ten).await.status, 201);
}
