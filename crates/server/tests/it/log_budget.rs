//! More successful calls than are stored: none of them is lost.

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, header};
use linkspan_testkit::TestApp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// Calls a path of the demo's API through one of several servers.
async fn call(app: &TestApp, server: &str, connection: &str, path: &str) -> u16 {
    let key = app.dev.api_key.expose_secret();
    let request = Request::get(format!("{server}/proxy{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header("Provider-Config-Key", "demo")
        .header("Connection-Id", connection)
        .body(bytes::Bytes::new());
    app.send(request.unwrap()).await.status.as_u16()
}

/// So many calls that succeed, and after each tenth one that fails.
async fn calls(app: &TestApp, server: &str, connection: &str, good: usize) {
    let each = stream::iter(0..good).map(async |n| {
        assert_eq!(call(app, server, connection, "/api/me").await, 200);
        if n % 10 == 0 {
            assert_eq!(call(app, server, connection, "/api/none").await, 404);
        }
    });
    each.buffer_unordered(16).collect::<()>().await;
}

async fn stored(app: &TestApp, status: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/logs/operations?type=proxy&status={status}&limit=100{cursor}");
        let page = app.get(&path).await.json();
        found.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn counted(app: &TestApp, query: &str) -> i64 {
    let reply = app.get(&format!("/logs/counted{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["successes"].as_i64().unwrap()
}

/// Waits until what is stored and what is counted are so many successes.
async fn until_all_told(app: &TestApp, successes: usize) -> (usize, usize) {
    for _ in 0..400 {
        let stored = stored(app, "success").await.len();
        let counted = usize::try_from(counted(app, "").await).unwrap();
        assert!(stored + counted <= successes, "{stored} and {counted}");
        if stored + counted == successes {
            return (stored, counted);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{successes} successes are never all told");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_successes_some_are_stored_and_the_others_counted() {
    let app = TestApp::start_with(&[("LINKSPAN_LOGS_OPERATIONS_PER_SECOND", "5")]).await;
    let connection = app.connect_demo().await;
    let begun = Utc::now();
    let here = app.url("");
    calls(&app, &here, &connection, 200).await;
    let (first_stored, first_counted) = until_all_told(&app, 200).await;
    assert!(first_stored >= 5, "{first_stored}");
    assert!(first_counted > 0, "{first_counted}");

    // Another process adds its own and stops, with which nothing is lost.
    let other = app.another_server().await;
    let there = other.base_url.clone();
    calls(&app, &there, &connection, 200).await;
    other.stop().await;
    let (stored_in_all, counted_in_all) = until_all_told(&app, 400).await;
    assert!(stored_in_all > first_stored && counted_in_all > first_counted);

    let failed = stored(&app, "failed").await;
    assert_eq!(failed.len(), 40, "every failure is stored");
    let all = i64::try_from(counted_in_all).unwrap();
    let one = json!([{ "provider_config_key": "demo", "provider": "demo", "successes": all }]);
    let reply = app.get("/logs/counted").await.json();
    assert_eq!(reply, json!({ "data": one, "successes": all }));
    let time = |at: chrono::DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    for (query, expected) in [
        ("?integration=demo".to_owned(), all),
        ("?integration=other".to_owned(), 0),
        ("?integration=other&integration=demo".to_owned(), all),
        (format!("?from={}", time(begun)), all),
        (format!("?to={}", time(Utc::now())), all),
        (format!("?to={}", time(begun - TimeDelta::minutes(1))), 0),
        (format!("?from={}", time(begun + TimeDelta::hours(1))), 0),
    ] {
        assert_eq!(counted(&app, &query).await, expected, "{query}");
    }
    let theirs = &app.prod.api_key;
    let theirs = app.call_as(theirs, Method::GET, "/logs/counted", &[], Value::Null);
    assert_eq!(theirs.await.json(), json!({ "data": [], "successes": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_usual_rates_nothing_is_left_out() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    calls(&app, &app.url(""), &connection, 200).await;
    assert_eq!(until_all_told(&app, 200).await, (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_counts_that_means_nothing_is_refused() {
    let app = TestApp::start().await;
    for (query, path) in [("from=now", "from"), ("to=", "to"), ("type=proxy", "type")] {
        let reply = app.get(&format!("/logs/counted?{query}")).await;
        assert_eq!(reply.code().as_str(), "invalid_query_params", "{query}");
        assert_eq!(reply.json()["error"]["errors"][0]["path"], json!([path]));
    }
}
