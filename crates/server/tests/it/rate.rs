//! How often one environment may call.

use http::Method;
use linkspan_testkit::{Reply, TestApp};
use serde_json::Value;

fn number(reply: &Reply, name: &str) -> i64 {
    let text = reply
        .header(name)
        .unwrap_or_else(|| panic!("no {name}: {reply:?}"));
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_over_the_limit_is_told_when_to_come_back() {
    let app = TestApp::start_with(&[("LINKSPAN_LIMITS_REQUESTS_PER_MINUTE", "3")]).await;
    for remaining in [2, 1, 0] {
        let reply = app.get("/integrations").await;
        assert_eq!(reply.status, 200);
        assert_eq!(number(&reply, "x-ratelimit-limit"), 3);
        assert_eq!(number(&reply, "x-ratelimit-remaining"), remaining);
        let ahead = number(&reply, "x-ratelimit-reset") - chrono::Utc::now().timestamp();
        assert!((0..=60).contains(&ahead), "{ahead}");
        assert_eq!(reply.header("retry-after"), None);
    }
    for path in ["/integrations", "/connections", "/proxy/anything"] {
        let reply = app.get(path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (429, "too_many_request")
        );
        assert_eq!(number(&reply, "x-ratelimit-remaining"), 0);
        let wait = number(&reply, "retry-after");
        assert!((1..=20).contains(&wait), "{wait}");
    }
    let other = app
        .call_as(
            &app.prod.api_key,
            Method::GET,
            "/integrations",
            &[],
            Value::Null,
        )
        .await;
    assert_eq!(other.status, 200, "each environment has its own allowance");
}

fn assert_refused(reply: &Reply) {
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (429, "too_many_request"),
        "{reply:?}"
    );
    assert_eq!(number(reply, "x-ratelimit-remaining"), 0);
    let wait = number(reply, "retry-after");
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_connect_session_has_an_allowance_of_its_own() {
    let limit = ("LINKSPAN_LIMITS_BROWSER_REQUESTS_PER_MINUTE", "3");
    let app = TestApp::start_with(&[limit]).await;
    app.create_demo("demo").await;
    let (first, second) = (app.connect_session().await, app.connect_session().await);
    let view = async |token: &str| {
        let (token, path) = (token.to_owned().into(), "/connect/session");
        app.call_as(&token, Method::GET, path, &[], Value::Null)
            .await
    };
    for remaining in [2, 1] {
        let reply = view(&first).await;
        assert_eq!(reply.status, 200);
        assert_eq!(number(&reply, "x-ratelimit-limit"), 3);
        assert_eq!(number(&reply, "x-ratelimit-remaining"), remaining);
        let ahead = number(&reply, "x-ratelimit-reset") - chrono::Utc::now().timestamp();
        assert!((0..=60).contains(&ahead), "{ahead}");
    }
    assert_eq!(
        app.begin("demo", &first).await.status,
        302,
        "in the query too"
    );
    assert_refused(&view(&first).await);
    let page = app.begin("demo", &first).await;
    assert_eq!(page.status, 400, "the popup shows a page that says why");
    assert!(number(&page, "retry-after") >= 1);
    assert!(String::from_utf8_lossy(&page.body).contains("more often"));

    assert_eq!(view(&second).await.status, 200, "another session");
    assert_eq!(app.get("/integrations").await.status, 200, "the backend");
}

/// Connects `bearer` with a public key, from an address by what a proxy says.
async fn connect_from(app: &TestApp, public_key: &str, address: &str) -> Reply {
    let path = format!("/api-auth/api-key/bearer?public_key={public_key}");
    let request = http::Request::post(app.url(&path))
        .header("content-type", "application/json")
        .header("x-forwarded-for", address)
        .body(r#"{"apiKey":"k"}"#.into());
    app.send(request.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_public_key_each_address_has_an_allowance_of_its_own() {
    let app = TestApp::start_with(&[
        ("LINKSPAN_LIMITS_BROWSER_REQUESTS_PER_MINUTE", "2"),
        ("LINKSPAN_SERVER_TRUSTED_PROXIES", "127.0.0.1"),
    ])
    .await;
    let body = serde_json::json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    app.post("/integrations", body).await;
    let key = app.dev.environment.public_key.to_string();
    for _ in 0..2 {
        let reply = connect_from(&app, &key, "192.0.2.1").await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_refused(&connect_from(&app, &key, "192.0.2.1").await);
    let other = connect_from(&app, &key, "192.0.2.2").await;
    assert_eq!(other.status, 200, "{other:?}");

    // Whoever tries keys is counted before the database is asked.
    let guess = uuid::Uuid::new_v4().to_string();
    for _ in 0..2 {
        let reply = connect_from(&app, &guess, "2001:db8::1").await;
        assert_eq!(reply.code(), "invalid_public_key");
    }
    assert_refused(&connect_from(&app, &guess, "2001:db8::2").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_browsers_together_cannot_use_up_what_the_backend_has() {
    let app = TestApp::start_with(&[("LINKSPAN_LIMITS_REQUESTS_PER_MINUTE", "3")]).await;
    let (first, second) = (app.connect_session().await, app.connect_session().await);
    let view = async |token: &str| {
        let (token, path) = (token.to_owned().into(), "/connect/session");
        app.call_as(&token, Method::GET, path, &[], Value::Null)
            .await
    };
    for token in [&first, &second, &first] {
        assert_eq!(view(token).await.status, 200);
    }
    let refused = view(&second).await;
    assert_refused(&refused);
    assert_eq!(number(&refused, "x-ratelimit-limit"), 3);
    assert_eq!(
        app.get("/integrations").await.status,
        200,
        "the third call by key"
    );
    assert_refused(&app.get("/integrations").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_may_read_what_is_left() {
    let app = TestApp::start().await;
    let token = app.connect_session().await.into();
    let origin = [("Origin", "https://product.example")];
    let reply = app
        .call_as(
            &token,
            Method::GET,
            "/connect/session",
            &origin,
            Value::Null,
        )
        .await;
    let shown = reply.header("access-control-expose-headers").unwrap();
    for name in ["x-ratelimit-remaining", "retry-after"] {
        assert!(shown.to_lowercase().contains(name), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxied_calls_count_and_say_so() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let headers = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", id.as_str()),
    ];
    let call = async || {
        app.call_as(
            &app.dev.api_key,
            Method::GET,
            "/proxy/api/items",
            &headers,
            Value::Null,
        )
        .await
    };
    let (first, second) = (call().await, call().await);
    let left = |reply: &Reply| number(reply, "x-ratelimit-remaining");
    assert!(
        left(&second) <= left(&first),
        "{} {}",
        left(&first),
        left(&second)
    );
    assert_eq!(number(&first, "x-ratelimit-limit"), 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_nothing_is_said_of_one() {
    let app = TestApp::start_with(&[("LINKSPAN_LIMITS_REQUESTS_PER_MINUTE", "0")]).await;
    let reply = app.get("/integrations").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("x-ratelimit-limit")),
        (200, None)
    );
}
