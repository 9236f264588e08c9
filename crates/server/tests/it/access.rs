//! Who may call what.

use http::Method;
use linkspan_api::{Scope, Scopes};
use linkspan_shared::tenancy::api_keys;
use linkspan_testkit::TestApp;
use secrecy::SecretString;
use serde_json::{Value, json};

/// Every route that takes an API key, with one scope that opens it (none: any
/// key does).
const ROUTES: [(Method, &str, Option<Scope>); 12] = [
    (Method::GET, "/providers", None),
    (Method::GET, "/providers/demo", None),
    (Method::GET, "/integrations", Some(Scope::IntegrationsList)),
    (
        Method::POST,
        "/integrations",
        Some(Scope::IntegrationsCreate),
    ),
    (
        Method::GET,
        "/integrations/x",
        Some(Scope::IntegrationsRead),
    ),
    (
        Method::DELETE,
        "/integrations/x",
        Some(Scope::IntegrationsDelete),
    ),
    (
        Method::POST,
        "/connect/sessions",
        Some(Scope::ConnectSessionsWrite),
    ),
    (Method::GET, "/connections", Some(Scope::ConnectionsList)),
    (Method::GET, "/connections/x", Some(Scope::ConnectionsRead)),
    (
        Method::DELETE,
        "/connections/x",
        Some(Scope::ConnectionsDelete),
    ),
    (Method::GET, "/proxy/x", Some(Scope::Proxy)),
    (Method::POST, "/proxy/x", Some(Scope::Proxy)),
];

pub(crate) async fn key(app: &TestApp, scopes: Scopes) -> SecretString {
    let mut conn = app.core.db.conn().await.unwrap();
    api_keys::create(&mut conn, app.dev.environment.id, "test", scopes)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_opens_to_its_scope_and_to_no_other() {
    let app = TestApp::start().await;
    for (method, path, scope) in ROUTES {
        let Some(scope) = scope else { continue };
        let right = key(&app, [scope].into_iter().collect()).await;
        let others = Scope::ALL.iter().copied().filter(|&other| {
            // Reading credentials includes reading.
            other != scope && other.as_str() != format!("{}_credentials", scope.as_str())
        });
        let wrong = key(&app, others.collect()).await;
        let refused = app
            .call_as(&wrong, method.clone(), path, &[], Value::Null)
            .await;
        assert_eq!(refused.status, 403, "{method} {path}");
        assert_eq!(refused.code(), "forbidden");
        let message = refused.json()["error"]["message"].to_string();
        assert!(message.contains(scope.as_str()), "{message}");
        let taken = app
            .call_as(&right, method.clone(), path, &[], Value::Null)
            .await;
        assert!(
            ![401, 403].contains(&taken.status.as_u16()),
            "{method} {path}: {taken:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_opens_without_a_valid_key() {
    let app = TestApp::start().await;
    let unknown: SecretString = uuid::Uuid::new_v4().to_string().into();
    for (method, path, _) in ROUTES {
        for (header, code) in [
            (None, "missing_auth_header"),
            (Some("Bearer"), "malformed_auth_header"),
            (Some("Basic eDp5"), "malformed_auth_header"),
            (Some("Bearer not-a-uuid"), "invalid_secret_key_format"),
        ] {
            let mut request = http::Request::builder()
                .method(method.clone())
                .uri(app.url(path));
            if let Some(value) = header {
                request = request.header("authorization", value);
            }
            let reply = app.send(request.body(bytes::Bytes::new()).unwrap()).await;
            assert_eq!(
                (reply.status.as_u16(), reply.code().as_str()),
                (401, code),
                "{path}"
            );
        }
        let reply = app.call_as(&unknown, method, path, &[], Value::Null).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (401, "unknown_account")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_environment_sees_nothing_of_another() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let theirs = |method: Method, path: String| {
        let key = &app.prod.api_key;
        let app = &app;
        async move { app.call_as(key, method, &path, &[], Value::Null).await }
    };
    assert_eq!(
        theirs(Method::GET, "/integrations".into()).await.json(),
        json!({ "data": [] })
    );
    let list = theirs(Method::GET, "/connections".into()).await.json();
    assert_eq!(list, json!({ "connections": [] }));
    for (method, path) in [
        (Method::GET, "/integrations/demo".to_owned()),
        (Method::DELETE, "/integrations/demo".to_owned()),
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
    ] {
        let reply = theirs(method.clone(), path.clone()).await;
        assert_eq!(reply.code(), "unknown_provider_config", "{method} {path}");
    }
    assert_eq!(app.get(&path).await.status, 200, "it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_show_only_to_a_key_that_may_read_them() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let reader = key(&app, [Scope::ConnectionsRead].into_iter().collect()).await;
    let seen = app
        .call_as(&reader, Method::GET, &path, &[], Value::Null)
        .await;
    assert_eq!(seen.status, 200);
    assert_eq!(seen.json()["credentials"], json!({}));
    let forced = format!("{path}&force_refresh=true");
    let refused = app
        .call_as(&reader, Method::GET, &forced, &[], Value::Null)
        .await;
    assert_eq!(refused.code(), "forbidden");
    assert_eq!(app.provider.control().refreshes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_only_what_it_allows() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    app.create_demo("other").await;
    let body = json!({ "tags": { "team": "blue" }, "allowed_integrations": ["demo"] });
    let session = app.post("/connect/sessions", body).await.json();
    let token: SecretString = session["data"]["token"].as_str().unwrap().into();
    let token_text = session["data"]["token"].as_str().unwrap();
    let listed = app
        .call_as(&token, Method::GET, "/integrations", &[], Value::Null)
        .await;
    let keys: Vec<_> = listed.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|integration| integration["unique_key"].clone())
        .collect();
    assert_eq!(keys, [json!("demo")]);
    assert_eq!(app.begin("demo", token_text).await.status, 302);
    let refused = app.begin("other", token_text).await;
    assert_eq!(refused.status, 400);
    for path in ["/connections", "/proxy/x", "/integrations/demo"] {
        let reply = app
            .call_as(&token, Method::GET, path, &[], Value::Null)
            .await;
        assert_eq!(reply.status, 401, "{path}");
    }
    let ended = app
        .call_as(&token, Method::DELETE, "/connect/session", &[], Value::Null)
        .await;
    assert_eq!(ended.status, 204);
    let after = app
        .call_as(&token, Method::GET, "/connect/session", &[], Value::Null)
        .await;
    assert_eq!(after.code(), "unknown_connect_session_token");
}
