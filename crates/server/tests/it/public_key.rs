//! The older browser flow: a public key, and an HMAC by the backend.

use http::Method;
use linkspan_shared::tenancy::environments::Environment;
use linkspan_shared::{connect_sessions, public_key};
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::{Reply, TestApp};
use secrecy::SecretString;
use serde_json::{Value, json};

/// An app whose environment `dev` has integrations `bearer` (by form) and
/// `demo` (by popup).
async fn start() -> (TestApp, String) {
    let app = TestApp::start().await;
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    app.create_demo("demo").await;
    let public_key = app.dev.environment.public_key.to_string();
    (app, public_key)
}

/// Connects `bearer` with an API key, as a browser that shows these parameters.
async fn connect(app: &TestApp, query: &str, api_key: &str) -> Reply {
    let path = format!("/api-auth/api-key/bearer?{query}");
    let request = http::Request::post(app.url(&path))
        .header("content-type", "application/json")
        .body(json!({ "apiKey": api_key }).to_string().into());
    app.send(request.unwrap()).await
}

fn assert_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (status, code),
        "{reply:?}"
    );
}

async fn stored(app: &TestApp, connection: &str) -> Value {
    let path = format!("/connections/{connection}?provider_config_key=bearer");
    app.get(&path).await.json()["credentials"]["apiKey"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_creates_and_never_replaces() {
    let (app, key) = start().await;
    let query = format!("public_key={key}&connection_id=user-1");
    let made = connect(&app, &query, "first").await;
    assert_eq!(made.status, 200, "{made:?}");
    let answer = json!({ "providerConfigKey": "bearer", "connectionId": "user-1" });
    assert_eq!(made.json(), answer);
    assert_refused(&connect(&app, &query, "second").await, 400, "missing_hmac");
    assert_eq!(stored(&app, "user-1").await, "first");

    let unnamed = connect(&app, &format!("public_key={key}"), "third").await;
    let id = unnamed.json()["connectionId"].as_str().unwrap().to_owned();
    assert!(uuid::Uuid::try_parse(&id).is_ok(), "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_create_a_connection_at_once_one_does() {
    let (app, key) = start().await;
    for round in 0..5 {
        let query = format!("public_key={key}&connection_id=race-{round}");
        let (a, b) = tokio::join!(connect(&app, &query, "a"), connect(&app, &query, "b"));
        let winner = match (a.status.as_u16(), b.status.as_u16()) {
            (200, 400) => "a",
            (400, 200) => "b",
            other => panic!("{other:?}"),
        };
        assert_eq!(stored(&app, &format!("race-{round}")).await, winner);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hmac_lets_a_connection_be_replaced() {
    let (app, key) = start().await;
    let hmac_key = public_key::rotate(&app.core.db, &app.core.vault, app.dev.environment.id)
        .await
        .unwrap();
    let hmac = public_key::sign(&hmac_key, "bearer", Some("user-1"));
    let query = format!("public_key={key}&connection_id=user-1");
    assert_eq!(connect(&app, &query, "first").await.status, 200);
    let replaced = connect(&app, &format!("{query}&hmac={hmac}"), "second").await;
    assert_eq!(replaced.status, 200, "{replaced:?}");
    assert_eq!(stored(&app, "user-1").await, "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_hmac_is_refused_where_none_is_needed_too() {
    let (app, key) = start().await;
    let query = format!("public_key={key}&connection_id=user-1");
    let environment = app.dev.environment.id;
    let guessed = public_key::sign(&"guess".into(), "bearer", Some("user-1"));
    let before = connect(&app, &format!("{query}&hmac={guessed}"), "x").await;
    assert_refused(&before, 400, "invalid_hmac");
    let old = public_key::rotate(&app.core.db, &app.core.vault, environment)
        .await
        .unwrap();
    let current = public_key::rotate(&app.core.db, &app.core.vault, environment)
        .await
        .unwrap();
    let read = public_key::key(&app.core.db, &app.core.vault, environment)
        .await
        .unwrap()
        .unwrap();
    let right = public_key::sign(&read, "bearer", Some("user-1"));
    for wrong in [
        guessed,
        public_key::sign(&old, "bearer", Some("user-1")),
        public_key::sign(&current, "bearer", Some("user-2")),
        public_key::sign(&current, "demo", Some("user-1")),
        public_key::sign(&current, "bearer", None),
        right[..62].to_owned(),
        String::new(),
    ] {
        let reply = connect(&app, &format!("{query}&hmac={wrong}"), "x").await;
        assert_refused(&reply, 400, "invalid_hmac");
    }
    let moved = format!("public_key={key}&hmac={right}");
    assert_refused(&connect(&app, &moved, "x").await, 400, "invalid_hmac");
    assert_eq!(
        app.get("/connections").await.json()["connections"],
        json!([])
    );
    assert_eq!(
        connect(&app, &format!("{query}&hmac={right}"), "x")
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn production_asks_for_the_hmac_from_its_first_day() {
    let (app, _) = start().await;
    let prod = app.prod.environment.clone();
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    app.call_as(&app.prod.api_key, Method::POST, "/integrations", &[], body)
        .await;
    let query = format!("public_key={}&connection_id=user-1", prod.public_key);
    assert_refused(&connect(&app, &query, "x").await, 400, "missing_hmac");
    let hmac_key: SecretString = public_key::rotate(&app.core.db, &app.core.vault, prod.id)
        .await
        .unwrap();
    assert_refused(&connect(&app, &query, "x").await, 400, "missing_hmac");
    let hmac = public_key::sign(&hmac_key, "bearer", Some("user-1"));
    assert_eq!(
        connect(&app, &format!("{query}&hmac={hmac}"), "x")
            .await
            .status,
        200
    );
    public_key::require_hmac(&app.core.db, prod.id, false)
        .await
        .unwrap();
    let query = format!("public_key={}&connection_id=user-2", prod.public_key);
    assert_eq!(connect(&app, &query, "x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_shows_is_read_strictly() {
    let (app, key) = start().await;
    for unknown in ["", "x", "00000000-0000-0000-0000-000000000000"] {
        let reply = connect(&app, &format!("public_key={unknown}"), "x").await;
        assert_refused(&reply, 401, "invalid_public_key");
    }
    let long = "x".repeat(256);
    for id in ["", "a%00b", "a%0Ab", long.as_str()] {
        let reply = connect(&app, &format!("public_key={key}&connection_id={id}"), "x").await;
        assert_refused(&reply, 400, "invalid_query_params");
        assert_eq!(
            reply.json()["error"]["errors"][0]["path"],
            json!(["connection_id"]),
            "{id}"
        );
    }
    for query in ["", "connection_id=user-1", "hmac=00"] {
        assert_refused(
            &connect(&app, query, "x").await,
            400,
            "invalid_query_params",
        );
    }
    let token = app.connect_session().await;
    assert!(connect_sessions::is_token(&token));
    let named = format!("connect_session_token={token}&connection_id=user-1");
    assert_refused(
        &connect(&app, &named, "x").await,
        400,
        "invalid_query_params",
    );
    assert_eq!(
        app.get("/connections").await.json()["connections"],
        json!([])
    );
}

/// Goes as far as the provider's redirect back, and gives it with the cookie.
async fn authorise(app: &TestApp, query: &str) -> (String, String) {
    let path = format!("/oauth/connect/demo?{query}");
    let request = http::Request::get(app.url(&path)).body(bytes::Bytes::new());
    let start = app.send(request.unwrap()).await;
    assert_eq!(start.status, 302, "{start:?}");
    let user = linkspan_simulator::Settings::default().user;
    let location = start.header("location").unwrap();
    let back = browser::authorize(location, &user, Decision::Allow)
        .await
        .unwrap();
    (back, start.header("set-cookie").unwrap().to_owned())
}

fn page(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_popup_flow_keeps_the_id_and_the_rule() {
    let (app, key) = start().await;
    let query = format!("public_key={key}&connection_id=user-1");
    // Both begin while the id is free.
    let (first, second) = (authorise(&app, &query).await, authorise(&app, &query).await);
    assert_eq!(app.come_back(&first.0, Some(&first.1)).await.status, 200);
    let path = "/connections/user-1?provider_config_key=demo";
    let stored = app.get(path).await.json()["credentials"].clone();
    let late = app.come_back(&second.0, Some(&second.1)).await;
    assert_eq!(late.status, 400);
    assert!(page(&late).contains("missing_hmac"), "{}", page(&late));
    assert_eq!(app.get(path).await.json()["credentials"], stored);

    let request = |query: &str| {
        let path = format!("/oauth/connect/demo?{query}");
        http::Request::get(app.url(&path))
            .body(bytes::Bytes::new())
            .unwrap()
    };
    let taken = app.send(request(&query)).await;
    assert!(page(&taken).contains("missing_hmac"), "{}", page(&taken));
    let wrong = app.send(request(&format!("{query}&hmac=00"))).await;
    assert!(page(&wrong).contains("invalid_hmac"), "{}", page(&wrong));
    let unknown = app.send(request("public_key=x")).await;
    assert!(page(&unknown).contains("account_or_environment_retrieval_err"));

    let hmac_key = public_key::rotate(&app.core.db, &app.core.vault, app.dev.environment.id)
        .await
        .unwrap();
    let hmac = public_key::sign(&hmac_key, "demo", Some("user-1"));
    let (back, cookie) = authorise(&app, &format!("{query}&hmac={hmac}")).await;
    assert_eq!(app.come_back(&back, Some(&cookie)).await.status, 200);
    assert_ne!(app.get(path).await.json()["credentials"], stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_can_be_created_with_its_hmac_key() {
    let (app, _) = start().await;
    let environment = |more: Value| {
        let mut body = json!({ "name": "staging", "hmac_key": "what the backend has" });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        app.post("/environments", body)
    };
    let reply = environment(json!({ "hmac_key": "" })).await;
    assert_refused(&reply, 400, "invalid_body");
    let reply = environment(json!({ "hmac_enabled": true })).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let number = &reply.json()["data"]["id"];
    let body = json!({ "environment_id": number, "display_name": "k" });
    let key = app.post("/environment/api-keys", body).await.json();
    let key = SecretString::from(key["data"]["secret"].as_str().unwrap());
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    let made = app
        .call_as(&key, Method::POST, "/integrations", &[], body)
        .await;
    assert_eq!(made.status, 200, "{made:?}");

    let environments = {
        let mut conn = app.core.db.conn().await.unwrap();
        Environment::all(&mut conn).await.unwrap()
    };
    let mut environments = environments.iter();
    let staging = environments.find(|environment| environment.name == "staging");
    let public = staging.unwrap().public_key;
    let query = format!("public_key={public}&connection_id=c");
    assert_refused(&connect(&app, &query, "k").await, 400, "missing_hmac");
    let hmac = public_key::sign(&"what the backend has".into(), "bearer", Some("c"));
    let made = connect(&app, &format!("{query}&hmac={hmac}"), "k").await;
    assert_eq!(made.status, 200, "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_paths_key_is_read_as_it_was_meant() {
    let (app, key) = start().await;
    let spaced = "a key: ~.@";
    let body = json!({ "unique_key": spaced, "provider": "private-api-bearer" });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let path = "/api-auth/api-key/a%20key%3A%20%7E.%40";
    let path = format!("{path}?public_key={key}&connection_id=user-1");
    let request = http::Request::post(app.url(&path))
        .header("content-type", "application/json")
        .body(json!({ "apiKey": "k" }).to_string().into());
    let reply = app.send(request.unwrap()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["providerConfigKey"], spaced);
}
