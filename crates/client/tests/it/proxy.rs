//! Calls through the proxy.

use std::io;

use futures_util::{TryStreamExt, stream};
use linkspan_client::{Bytes, ConnectionHandle, Error, ErrorCode, Method, StatusCode};
use linkspan_simulator::{Fault, Settings, Simulator};
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use crate::client;

async fn demo() -> (TestApp, ConnectionHandle) {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let handle = client(&app).connection("demo", id);
    (app, handle)
}

fn fail_next(provider: &Simulator, status: u16, body: &str) {
    provider.control().fail_next(Fault::Status {
        path: "/api/echo".to_owned(),
        status,
        headers: vec![("retry-after".to_owned(), "0".to_owned())],
        body: body.to_owned(),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_gets_what_was_put_together() {
    let (_app, handle) = demo().await;
    let answer = handle
        .proxy(Method::PATCH, "/api/echo/a%2Fb?first=1")
        .query("second", 2)
        .query("text", "a b&c")
        .header("X-One", "1")
        .header("X-One", "2")
        .json(&json!({ "a": 1 }))
        .decompress()
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().contains_key("content-type"));
    let echo: Value = answer
        .error_for_status()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(echo["method"], "PATCH");
    assert_eq!(echo["query"], "first=1&second=2&text=a+b%26c");
    assert_eq!(echo["body"], r#"{"a":1}"#);
    assert_eq!(echo["headers"]["content-type"], "application/json");
    assert_eq!(echo["headers"]["x-one"], "1, 2");
    let raw = handle
        .proxy(Method::POST, "api/echo")
        .header("Content-Type", "text/csv")
        .body("a,b");
    let echo: Value = raw.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&echo["body"], &echo["headers"]["content-type"]),
        (&json!("a,b"), &json!("text/csv"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams() {
    let (_app, handle) = demo().await;
    let call = handle
        .proxy(Method::GET, "/api/stream")
        .query("chunks", 100);
    let pieces: Vec<_> = call
        .send()
        .await
        .unwrap()
        .stream()
        .try_collect()
        .await
        .unwrap();
    let text = String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(text.lines().count(), 100);
    assert!(text.ends_with("chunk 100\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_made_where_they_are_asked_for() {
    let (app, handle) = demo().await;
    fail_next(&app.provider, 503, "later");
    let once = handle.proxy(Method::GET, "/api/echo").send().await.unwrap();
    assert_eq!(
        once.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "not asked for"
    );
    fail_next(&app.provider, 418, "later");
    let twice = handle
        .proxy(Method::GET, "/api/echo")
        .retries(1)
        .retry_on([418, 419]);
    // The wait is the demo template's, unless the API names one.
    assert_eq!(twice.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_s_errors_are_told_from_linkspan_s() {
    let (app, handle) = demo().await;
    fail_next(&app.provider, 422, "no such thing");
    let answer = handle.proxy(Method::GET, "/api/echo").send().await.unwrap();
    let error = answer.error_for_status().await.unwrap_err();
    let Error::Upstream { status, body } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((status.as_u16(), &body[..]), (422, &b"no such thing"[..]));
    assert!(!error.to_string().contains("no such thing"));
    let wrong = handle
        .proxy(Method::GET, "/api/echo")
        .base_url_override("nonsense");
    let error = wrong
        .send()
        .await
        .unwrap()
        .error_for_status()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidHeaders), "{error:?}");
    let gone = client(&app)
        .connection("demo", "none")
        .proxy(Method::GET, "/x");
    let error = gone
        .send()
        .await
        .unwrap()
        .error_for_status()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Api { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_made_is_not_made() {
    let (app, handle) = demo().await;
    let before = app.provider.control().requests().len();
    for call in [
        handle.proxy(Method::DELETE, "/../connections/x"),
        handle
            .proxy(Method::GET, "/api/echo")
            .header("X-One", "a\r\nX-Two: b"),
        handle.proxy(Method::GET, "/api/echo").header("X One", "a"),
    ] {
        assert!(matches!(call.send().await, Err(Error::Request(_))));
    }
    assert_eq!(app.provider.control().requests().len(), before);
    let elsewhere = handle
        .proxy(Method::GET, "/api/me")
        .base_url_override(app.provider.base_url());
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_follow_a_redirect_where_they_are_let() {
    let (app, handle) = demo().await;
    // The same address by another port: another host, of the same site.
    let other = Simulator::start(Settings::default()).await.unwrap();
    let moved = Fault::Status {
        path: "/api/me".to_owned(),
        status: 302,
        headers: vec![(
            "location".to_owned(),
            other.base_url().join("/api/echo").unwrap().into(),
        )],
        body: String::new(),
    };
    let call = || {
        app.provider.control().fail_next(moved.clone());
        fail_next(&other, 200, "here");
        handle
            .proxy(Method::GET, "/api/me")
            .header("X-Key", "a secret")
            .header("Accept", "text/plain")
    };
    for call in [call(), call().forward_headers_on_redirect()] {
        let answer = call.send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), "here");
    }
    let seen = other.control().requests();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        assert_eq!(request.header("accept"), Some("text/plain"));
    }
    assert_eq!(seen[0].header("x-key"), None);
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[1].header("x-key"), Some("a secret"));
    assert!(seen[1].header("authorization").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_streams_to_the_api() {
    let (_app, handle) = demo().await;
    let pieces = ["first,", "second,", "third"].map(|text| Ok::<_, io::Error>(Bytes::from(text)));
    let call = handle
        .proxy(Method::POST, "/api/echo")
        .header("Content-Type", "text/csv")
        .stream(stream::iter(pieces));
    let answer = call.send().await.unwrap().error_for_status().await.unwrap();
    let echo: Value = answer.json().await.unwrap();
    assert_eq!(echo["body"], "first,second,third");
    assert_eq!(echo["headers"]["content-type"], "text/csv");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_reaches_nobody_as_a_whole() {
    let (_app, handle) = demo().await;
    let pieces = [
        Ok(Bytes::from("half")),
        Err(io::Error::other("the disk is gone")),
    ];
    let call = handle
        .proxy(Method::POST, "/api/echo")
        .stream(stream::iter(pieces));
    match call.send().await {
        Err(Error::Transport(_)) => {}
        Ok(answer) => assert!(!answer.status().is_success(), "{answer:?}"),
        other => panic!("{other:?}"),
    }
}
