//! Calls through the proxy that do not succeed at once, or at all.

use http::Method;
use serde_json::{Value, json};

use crate::proxy::Demo;

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_own_authorization_wins_and_is_the_callers_to_renew() {
    let demo = Demo::start().await;
    let own = [("Nango-Proxy-Authorization", "Bearer own")];
    let reply = demo.get("/api/me", &own).await;
    assert_eq!(reply.status, 401);
    let control = demo.app.provider.control();
    assert_eq!(control.take_refusals().len(), 1);
    assert_eq!(
        demo.seen("/api/me")[0].header("authorization"),
        Some("Bearer own")
    );
    assert_eq!(control.refreshes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_refreshed_once_and_the_call_made_again() {
    let demo = Demo::start().await;
    assert_eq!(demo.get("/api/me", &[]).await.status, 200);
    demo.app.provider.control().revoke_access_tokens();
    let body = json!({ "name": "new" });
    let made = demo.call(Method::POST, "/api/items", &[], body).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["name"], "new");
    assert_eq!(demo.get("/api/me", &[]).await.status, 200);
    let control = demo.app.provider.control();
    assert_eq!((control.refreshes(), control.refusals().len()), (1, 0));
    assert_eq!(demo.seen("/api/items").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_a_new_token_does_not_help_cost_one_refresh() {
    let demo = Demo::start().await;
    for call in 1..=3 {
        for _ in 0..2 {
            demo.answer_next("/api/me", 401, &[], "not you");
        }
        let reply = demo.get("/api/me", &[]).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.body[..]),
            (401, &b"not you"[..])
        );
        let control = demo.app.provider.control();
        assert_eq!(control.refreshes(), 1, "after call {call}");
    }
    assert_eq!(
        demo.seen("/api/me").len(),
        4,
        "one of the calls was made again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_stands_when_there_is_no_new_token() {
    let demo = Demo::start().await;
    let control = demo.app.provider.control();
    control.revoke_access_tokens();
    control.revoke_refresh_tokens();
    let reply = demo.get("/api/me", &[]).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    assert_eq!(demo.seen("/api/me").len(), 1);
    assert_eq!((control.token_requests(), control.refreshes()), (2, 0));
    // The next call does not ask for a token again at once.
    assert_eq!(demo.get("/api/me", &[]).await.status, 401);
    assert_eq!(control.token_requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_retried_as_often_as_the_caller_asks() {
    let demo = Demo::start().await;
    let now = [("retry-after", "0")];
    for status in [503, 429, 409] {
        demo.answer_next("/api/echo", status, &now, "later");
    }
    let more = [("Retries", "3"), ("Retry-On", "409")];
    let body = json!({ "a": 1 });
    let reply = demo
        .call(Method::POST, "/api/echo", &more, body.clone())
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["body"], body.to_string());
    assert_eq!(demo.seen("/api/echo").len(), 4);

    for _ in 0..2 {
        demo.answer_next("/api/me", 503, &now, "down");
    }
    let reply = demo.get("/api/me", &[("Retries", "1")]).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.body[..]),
        (503, &b"down"[..])
    );
    demo.answer_next("/api/me", 503, &now, "down");
    assert_eq!(demo.get("/api/me", &[]).await.status, 503);
    assert_eq!(demo.seen("/api/me").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_without_giving_credentials_away() {
    let demo = Demo::start().await;
    let secret = [
        ("Nango-Proxy-X-Key", "secret"),
        ("Nango-Proxy-Accept", "a/b"),
    ];
    demo.answer_next("/api/me", 302, &[("location", "/api/echo/here?b=2")], "");
    let same = demo.get("/api/me", &secret).await;
    assert_eq!(same.status, 200, "{same:?}");
    assert_eq!(same.json()["headers"]["x-key"], "secret");

    let port = demo.app.provider.base_url().port().unwrap();
    let other = format!("http://localhost:{port}/api/echo/there");
    demo.answer_next("/api/me", 302, &[("location", &other)], "");
    assert_eq!(demo.get("/api/me", &secret).await.status, 401);
    let arrived = &demo.seen("/api/echo/there")[0];
    assert_eq!(arrived.header("authorization"), None);
    assert_eq!(arrived.header("x-key"), None);
    assert_eq!(arrived.header("accept"), Some("a/b"));
    assert_eq!(demo.app.provider.control().refreshes(), 0);

    for location in [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "file:///etc/passwd",
    ] {
        demo.answer_next("/api/me", 307, &[("location", location)], "");
        let denied = demo.get("/api/me", &[]).await;
        assert_eq!(denied.status, 400, "{location}");
        assert_eq!(denied.code(), "proxy_redirect_to_denied_host");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_called_is_named_by_its_code() {
    let demo = Demo::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for (override_url, status, code) in [
        (closed.as_str(), 502, "upstream_unreachable"),
        ("http://169.254.169.254", 400, "upstream_address_denied"),
        ("http://10.1.2.3", 400, "upstream_address_denied"),
        ("ftp://example.com", 400, "invalid_headers"),
        ("http://user@example.com", 400, "invalid_headers"),
    ] {
        let reply = demo.get("/x", &[("Base-Url-Override", override_url)]).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (status, code)
        );
    }
    let key = &demo.app.dev.api_key;
    let id = demo.connection.as_str();
    for (headers, status, code, fields) in [
        (&[][..], 400, "invalid_headers", 2),
        (
            &[("Provider-Config-Key", "demo")],
            400,
            "invalid_headers",
            1,
        ),
        (
            &[("Provider-Config-Key", "none"), ("Connection-Id", id)],
            404,
            "unknown_provider_config",
            0,
        ),
        (
            &[("Provider-Config-Key", "demo"), ("Connection-Id", "none")],
            400,
            "server_error",
            0,
        ),
    ] {
        let reply = demo
            .app
            .call_as(key, Method::GET, "/proxy/x", headers, Value::Null)
            .await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (status, code)
        );
        let errors = reply.json()["error"]["errors"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(errors, fields, "{reply:?}");
    }
    let prod = demo.app.prod.api_key.clone();
    let headers = demo.headers(&[]);
    let reply = demo
        .app
        .call_as(&prod, Method::GET, "/proxy/x", &headers, Value::Null)
        .await;
    assert_eq!(
        reply.code(),
        "unknown_provider_config",
        "another environment's connection"
    );
}
