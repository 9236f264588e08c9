//! Who may call what.

use http::Method;
use linkspan_api::{Scope, Scopes};
use linkspan_shared::tenancy::api_keys;
use linkspan_testkit::{Reply, TestApp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::routes::{Opens, ROUTES, Route};

pub(crate) async fn key(app: &TestApp, scopes: Scopes) -> SecretString {
    let mut conn = app.core.db.conn().await.unwrap();
    api_keys::create(&mut conn, app.dev.environment.id, "test", scopes)
        .await
        .unwrap()
}

/// Calls a route with a bearer token, if there is one. What its path names does
/// not exist, except for the integration `demo`.
async fn call(app: &TestApp, route: &Route, query: &str, token: Option<&SecretString>) -> Reply {
    let path = route
        .path
        .replace("{unique_key}", "demo")
        .replace("{number}", "999999");
    let path = path.replace("{id}", "019ab000-0000-7000-8000-000000000000");
    let path = format!("{}{query}", path.replace(['{', '}'], ""));
    match token {
        Some(token) => {
            app.call_as(token, route.method(), &path, &[], Value::Null)
                .await
        }
        None => {
            let request = http::Request::builder()
                .method(route.method())
                .uri(app.url(&path));
            app.send(request.body(bytes::Bytes::new()).unwrap()).await
        }
    }
}

fn is_open(reply: &Reply) -> bool {
    ![401, 403].contains(&reply.status.as_u16())
}

fn says(reply: &Reply, status: u16, code: &str, route: &Route) {
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code),
        "{route:?}"
    );
}

async fn session(app: &TestApp) -> SecretString {
    app.connect_session().await.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_opens_to_each_of_its_scopes_and_to_no_other() {
    let app = TestApp::start().await;
    for route in ROUTES {
        let scopes = match route.opens {
            Opens::Key(scopes) | Opens::KeyOrSession(scopes) if !scopes.is_empty() => scopes,
            _ => continue,
        };
        let others = Scope::ALL
            .iter()
            .copied()
            .filter(|scope| !scopes.contains(scope));
        let wrong = key(&app, others.collect()).await;
        let refused = call(&app, route, "", Some(&wrong)).await;
        says(&refused, 403, "forbidden", route);
        let message = refused.json()["error"]["message"].to_string();
        for scope in scopes {
            assert!(message.contains(scope.as_str()), "{message}");
            let right = key(&app, [*scope].into_iter().collect()).await;
            let reply = call(&app, route, "", Some(&right)).await;
            assert!(is_open(&reply), "{route:?} with {scope:?}: {reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_opens_without_what_it_asks_for() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let unknown_key: SecretString = uuid::Uuid::new_v4().to_string().into();
    let unknown_session: SecretString = format!("nango_connect_session_{}", "0".repeat(64)).into();
    let nonsense: SecretString = "not-a-uuid".into();
    for route in ROUTES {
        let ask = async |token| call(&app, route, "", token).await;
        match route.opens {
            Opens::Key(_) => {
                says(&ask(None).await, 401, "missing_auth_header", route);
                says(
                    &ask(Some(&nonsense)).await,
                    401,
                    "invalid_secret_key_format",
                    route,
                );
                says(
                    &ask(Some(&unknown_key)).await,
                    401,
                    "unknown_account",
                    route,
                );
                let session = session(&app).await;
                says(
                    &ask(Some(&session)).await,
                    401,
                    "invalid_secret_key_format",
                    route,
                );
            }
            Opens::KeyOrSession(_) => {
                says(&ask(None).await, 401, "missing_auth_header", route);
                says(
                    &ask(Some(&nonsense)).await,
                    401,
                    "invalid_secret_key_format",
                    route,
                );
                says(
                    &ask(Some(&unknown_key)).await,
                    401,
                    "unknown_account",
                    route,
                );
                let code = "unknown_connect_session_token";
                says(&ask(Some(&unknown_session)).await, 401, code, route);
                let session = session(&app).await;
                assert!(is_open(&ask(Some(&session)).await), "{route:?}");
            }
            Opens::Session => {
                says(&ask(None).await, 401, "missing_auth_header", route);
                let code = "invalid_connect_session_token_format";
                says(&ask(Some(&app.dev.api_key)).await, 401, code, route);
                let code = "unknown_connect_session_token";
                says(&ask(Some(&unknown_session)).await, 401, code, route);
                let session = session(&app).await;
                assert!(is_open(&ask(Some(&session)).await), "{route:?}");
            }
            Opens::Browser => browser_route(&app, route, &unknown_session).await,
            Opens::Anybody => assert!(is_open(&ask(None).await), "{route:?}"),
        }
    }
}

/// A page cannot set headers on a navigation: these routes read the query, and
/// an API key in a header is nothing to them.
async fn browser_route(app: &TestApp, route: &Route, unknown: &SecretString) {
    let with = |token: &SecretString| format!("?connect_session_token={}", token.expose_secret());
    let without = [
        call(app, route, "", None).await,
        call(app, route, "", Some(&app.dev.api_key)).await,
        call(app, route, &with(unknown), None).await,
        call(app, route, &with(&app.dev.api_key), None).await,
    ];
    for reply in without {
        assert!(
            [400, 401].contains(&reply.status.as_u16()),
            "{route:?}: {reply:?}"
        );
    }
    let reply = call(app, route, &with(&session(app).await), None).await;
    let is_refused = || {
        let code = reply.code();
        code.contains("session") || code == "invalid_query_params"
    };
    assert!(
        is_open(&reply) && (reply.status == 302 || !is_refused()),
        "{route:?}: {reply:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_header_is_said_to_be_malformed() {
    let app = TestApp::start().await;
    for header in ["Bearer", "Basic eDp5", "Bearer "] {
        let request = http::Request::get(app.url("/integrations")).header("authorization", header);
        let reply = app.send(request.body(bytes::Bytes::new()).unwrap()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (401, "malformed_auth_header")
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
