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
