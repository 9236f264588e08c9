//! An authorisation from end to end, and the ways in which it fails.

use std::time::Duration;

use linkspan_simulator::Fault;
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

async fn connections(app: &TestApp) -> Value {
    app.get("/connections").await.json()["connections"].clone()
}

fn page(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_connected_and_its_credentials_work() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let listed = connections(&app).await;
    assert_eq!(listed[0]["provider_config_key"], "demo");
    assert_eq!(listed[0]["end_user"]["id"], "user-1");
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let full = app.get(&path).await.json();
    assert_eq!(full["credentials"]["type"], "OAUTH2");
    assert_eq!(full["metadata"], json!({}));
    assert!(full["credentials"]["refresh_token"].is_string());
    assert!(full["credentials"]["expires_at"].is_string());
    let headers = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection.as_str()),
    ];
    let called = app
        .call_as(
            &app.dev.api_key,
            http::Method::GET,
            "/proxy/api/me",
            &headers,
            Value::Null,
        )
        .await;
    assert_eq!(called.status, 200, "{called:?}");
    let removed = app.call(http::Method::DELETE, &path, Value::Null).await;
    assert_eq!(removed.json(), json!({ "success": true }));
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(app.provider.control().refusals().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_consent_leaves_nothing() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let reply = app.authorise("demo", Decision::Deny).await;
    assert_eq!(reply.status, 400);
    assert!(page(&reply).contains("callback_err") && page(&reply).contains("access_denied"));
    assert_eq!(connections(&app).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_gives_no_token_leaves_nothing() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    app.provider.control().fail_next(Fault::TokenError {
        status: 400,
        body: r#"{"error":"invalid_grant","error_description":"too late"}"#.into(),
    });
    let reply = app.authorise("demo", Decision::Allow).await;
    assert_eq!(reply.status, 400);
    assert!(
        page(&reply).contains("token_err") && page(&reply).contains("too late"),
        "{}",
        page(&reply)
    );
    assert_eq!(connections(&app).await, json!([]));
}

/// A flow as far as the provider's redirect: its location and the cookie.
async fn until_back(app: &TestApp) -> (String, String) {
    let token = app.connect_session().await;
    let start = app.begin("demo", &token).await;
    let user = linkspan_simulator::Settings::default().user;
    let location = start.header("location").unwrap();
    let back = linkspan_simulator::browser::authorize(location, &user, Decision::Allow)
        .await
        .unwrap();
    (back, start.header("set-cookie").unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_works_once() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let (back, cookie) = until_back(&app).await;
    assert_eq!(app.come_back(&back, Some(&cookie)).await.status, 200);
    let second = app.come_back(&back, Some(&cookie)).await;
    assert_eq!(second.status, 400);
    assert!(page(&second).contains("state_err"));
    assert_eq!(connections(&app).await.as_array().unwrap().len(), 1);
    assert_eq!(app.provider.control().token_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_in_another_browser_is_refused() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let (back, _) = until_back(&app).await;
    let elsewhere = app.come_back(&back, None).await;
    assert_eq!(elsewhere.status, 400);
    assert!(page(&elsewhere).contains("state_cookie_err"));
    assert_eq!(connections(&app).await, json!([]));
    assert_eq!(
        app.provider.control().token_requests(),
        0,
        "the code is not spent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_without_a_state_we_know_is_refused() {
    let app = TestApp::start().await;
    for query in ["", "?code=x", "?state=", "?state=unknown&code=x"] {
        let reply = app
            .come_back(&format!("http://x/oauth/callback{query}"), None)
            .await;
        assert_eq!(reply.status, 400, "{query}");
        assert!(page(&reply).contains("state_err"), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_connected_by_form() {
    let app = TestApp::start().await;
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    app.post("/integrations", body).await;
    app.create_demo("demo").await;
    let token = app.connect_session().await;
    let send = |key: &str, body: Value| {
        let path = format!("/api-auth/api-key/{key}?connect_session_token={token}");
        let app = &app;
        async move { app.post(&path, body).await }
    };
    let empty = send("bearer", json!({ "apiKey": " " })).await;
    assert_eq!(
        (empty.status.as_u16(), empty.code().as_str()),
        (400, "invalid_body")
    );
    let unknown = send("bearer", json!({ "apiKey": "k", "more": 1 })).await;
    assert_eq!(unknown.code(), "invalid_body");
    let wrong = send("demo", json!({ "apiKey": "k" })).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.code().as_str()),
        (400, "invalid_auth_mode")
    );
    assert_eq!(connections(&app).await, json!([]));
    let made = send("bearer", json!({ "apiKey": "demo-api-key" })).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.json()["providerConfigKey"], "bearer");
    let id = made.json()["connectionId"].as_str().unwrap().to_owned();
    let full = app
        .get(&format!("/connections/{id}?provider_config_key=bearer"))
        .await
        .json();
    assert_eq!(
        full["credentials"],
        json!({ "type": "API_KEY", "apiKey": "demo-api-key" })
    );
}

/// After an installation that was begun on the provider's own pages.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_nobody_waits_for_leads_back_to_where_it_began() {
    let app = TestApp::start().await;
    let come = |query: &'static str, referer: Option<&'static str>| {
        let app = &app;
        async move {
            let mut request = http::Request::get(app.url(&format!("/oauth/callback?{query}")));
            if let Some(referer) = referer {
                request = request.header("referer", referer);
            }
            app.send(request.body(bytes::Bytes::new()).unwrap()).await
        }
    };
    let installed = "installation_id=7&setup_action=install&code=x";
    let from = "https://git.acme.example/apps";
    for (referer, leads_to) in [
        (Some(from), from),
        (None, "https://github.com"),
        (Some("javascript:alert(1)"), "https://github.com"),
    ] {
        let reply = come(installed, referer).await;
        assert_eq!(reply.status, 302, "{referer:?}");
        assert_eq!(reply.header("location"), Some(leads_to));
    }
    for query in [
        "installation_id=7",
        "setup_action=install",
        "state=&installation_id=7",
    ] {
        assert_eq!(come(query, None).await.status, 400, "{query}");
    }
    let unknown = come("state=unknown&installation_id=7&setup_action=install", None).await;
    assert!(
        page(&unknown).contains("state_err"),
        "a state is asked about"
    );
}

/// Without this header a proxy in front that adds a policy would cut the popup
/// off from the page that opened it.
#[tokio::test(flavor = "multi_thread")]
async fn pages_say_who_may_keep_hold_of_their_window() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let policy = "cross-origin-opener-policy";
    let succeeded = app.authorise("demo", Decision::Allow).await;
    let failed = app.authorise("demo", Decision::Deny).await;
    let refused = app.begin("none", "none").await;
    for reply in [succeeded, failed, refused] {
        assert_eq!(reply.header(policy), Some("unsafe-none"), "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let connect = http::Request::get(app.url("/connect")).body(bytes::Bytes::new());
    let connect = app.send(connect.unwrap()).await;
    assert_eq!(connect.header(policy), Some("same-origin-allow-popups"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_instead_of_tokens_is_told_and_nothing_stored() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    for (status, body, said) in [
        (502, "<html><h1>Bad gateway</h1></html>", "status 502"),
        (
            200,
            "{\"ok\":false,\"error\":\"team_not_found\"}",
            "team_not_found",
        ),
        (200, "{}", "no access token"),
        (500, "", "status 500"),
    ] {
        let body = body.to_owned();
        app.provider
            .control()
            .fail_next(Fault::TokenError { status, body });
        let reply = app.authorise("demo", Decision::Allow).await;
        assert_eq!(reply.status, 400, "{said}");
        let page = page(&reply);
        assert!(page.contains("token_err") && page.contains(said), "{page}");
        assert!(!page.contains("<h1>Bad"), "{page}");
    }
    assert_eq!(connections(&app).await, json!([]));
}

/// Who closes the window while the code is exchanged has authorised all the
/// same: the code is spent, and what it bought is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_closes_during_the_exchange_costs_nothing() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let token = app.connect_session().await;
    let start = app.begin("demo", &token).await;
    let location = start.header("location").unwrap();
    let user = linkspan_simulator::Settings::default().user;
    let back = browser::authorize(location, &user, Decision::Allow).await;
    let back = url::Url::parse(&back.unwrap()).unwrap();
    let control = app.provider.control();
    control.fail_next(Fault::SlowToken(Duration::from_millis(500)));
    let cookie = start.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let server = url::Url::parse(&app.url("/")).unwrap();
    let address = (server.host_str().unwrap(), server.port().unwrap());
    let mut window = TcpStream::connect(address).await.unwrap();
    let target = format!("{}?{}", back.path(), back.query().unwrap());
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    window.write_all(request.as_bytes()).await.unwrap();
    while control.token_requests() == 0 {
        tokio::task::yield_now().await;
    }
    drop(window);
    let stored = async {
        while connections(&app).await == json!([]) {
            tokio::task::yield_now().await;
        }
    };
    let stored = tokio::time::timeout(Duration::from_secs(30), stored).await;
    stored.expect("it is stored");
}
