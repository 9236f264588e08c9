//! Sessions that give one connection new credentials.

use http::Method;
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use crate::refresh::age;

fn key(app: &TestApp, id: &str) -> LiveKey {
    LiveKey::new(app.dev.environment.id, "demo", id)
}

async fn reconnect(app: &TestApp, body: Value) -> String {
    let reply = app.post("/connect/sessions/reconnect", body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()["data"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_replaces_the_credentials_and_keeps_the_rest() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let path = format!("/connections/{id}?provider_config_key=demo");
    let tags = json!({ "tags": { "team": "blue" } });
    assert_eq!(app.call(Method::PATCH, &path, tags).await.status, 200);
    let metadata = json!({ "connection_id": id, "provider_config_key": "demo",
                           "metadata": { "a": 1 } });
    assert_eq!(
        app.post("/connections/metadata", metadata).await.status,
        201
    );
    let failed = "refresh_failure_days = 4, last_refresh_failure_at = now(), \
                  refresh_error_log_id = gen_random_uuid()";
    age(&app, &id, failed).await;
    let before = app.get(&path).await.json();
    assert_eq!(before["errors"][0]["type"], "auth", "{before}");

    let body = json!({ "connection_id": id, "integration_id": "demo" });
    let token = reconnect(&app, body).await;
    let as_session = token.as_str().into();
    let view = app
        .call_as(
            &as_session,
            Method::GET,
            "/connect/session",
            &[],
            Value::Null,
        )
        .await;
    assert_eq!(view.json()["data"]["isReconnecting"], true);
    assert_eq!(view.json()["data"]["allowed_integrations"], json!(["demo"]));
    let start = app.begin("demo", &token).await;
    assert_eq!(start.status, 302, "{start:?}");
    let user = linkspan_simulator::Settings::default().user;
    let location = start.header("location").unwrap();
    let back = browser::authorize(location, &user, Decision::Allow)
        .await
        .unwrap();
    let page = app.come_back(&back, start.header("set-cookie")).await;
    assert_eq!(page.status, 200, "{page:?}");

    let after = app.get(&path).await.json();
    assert_eq!(after["errors"], json!([]), "{after}");
    let stored = live::get(&app.core, key(&app, &id), Freshness::Stored)
        .await
        .unwrap();
    assert_eq!(stored.connection.refresh_failure_days, 0);
    for same in [
        "id",
        "connection_id",
        "metadata",
        "tags",
        "end_user",
        "created_at",
    ] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_ne!(
        after["credentials"]["access_token"],
        before["credentials"]["access_token"]
    );
    let list = app.get("/connections").await.json();
    assert_eq!(list["connections"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_replaces_the_credentials_too() {
    let app = TestApp::start().await;
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    app.post("/integrations", body).await;
    let import = json!({ "provider_config_key": "bearer", "connection_id": "mine",
        "connection_config": { "keep": "me" }, "tags": { "a": "1" },
        "credentials": { "type": "API_KEY", "apiKey": "old" } });
    assert_eq!(app.post("/connections", import).await.status, 200);
    let body = json!({ "connection_id": "mine", "integration_id": "bearer",
                       "end_user": { "id": "u2" }, "tags": { "b": "2" } });
    let token = reconnect(&app, body).await;
    let path = format!("/api-auth/api-key/bearer?connect_session_token={token}");
    let reply = app.post(&path, json!({ "apiKey": "new" })).await;
    assert_eq!(reply.json()["connectionId"], "mine", "{reply:?}");
    let after = app
        .get("/connections/mine?provider_config_key=bearer")
        .await
        .json();
    assert_eq!(after["credentials"]["apiKey"], "new");
    assert_eq!(after["connection_config"]["keep"], "me");
    assert_eq!(after["tags"], json!({ "b": "2" }));
    assert_eq!(after["end_user"]["id"], "u2");

    let gone = "/connections/mine?provider_config_key=bearer";
    assert_eq!(
        app.call(Method::DELETE, gone, Value::Null).await.status,
        200
    );
    let reply = app.post(&path, json!({ "apiKey": "newer" })).await;
    assert_eq!(
        reply.code(),
        "not_found",
        "the session makes no other connection"
    );
    assert_eq!(
        app.get("/connections").await.json(),
        json!({ "connections": [] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_connection_that_there_is_can_be_reconnected() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    for (body, path) in [
        (
            json!({ "connection_id": "none", "integration_id": "demo" }),
            json!(["connection_id"]),
        ),
        (
            json!({ "connection_id": id, "integration_id": "none" }),
            json!(["integration_id"]),
        ),
        (
            json!({ "connection_id": id, "integration_id": "demo", "allowed_integrations": [] }),
            json!(["allowed_integrations"]),
        ),
        (
            json!({ "connection_id": id, "integration_id": "demo", "overrides": { "none": {} } }),
            json!(["overrides", "none"]),
        ),
    ] {
        let reply = app.post("/connect/sessions/reconnect", body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_body"),
            "{body}"
        );
        assert_eq!(reply.json()["error"]["errors"][0]["path"], path, "{body}");
    }
    let theirs = json!({ "connection_id": id, "integration_id": "demo" });
    let path = "/connect/sessions/reconnect";
    let reply = app
        .call_as(&app.prod.api_key, Method::POST, path, &[], theirs)
        .await;
    assert_eq!(reply.code(), "invalid_body", "not from another environment");
}
