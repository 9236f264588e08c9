//! Fields and parameters whose values do not fit.

use linkspan_testkit::TestApp;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_that_does_not_fit_is_refused_by_field() {
    let app = TestApp::start().await;
    let good = json!({ "unique_key": "a", "provider": "private-api-bearer" });
    for (change, path) in [
        (json!({ "unique_key": "" }), json!(["unique_key"])),
        (json!({ "unique_key": "a/b" }), json!(["unique_key"])),
        (json!({ "unique_key": "a\u{0}b" }), json!(["unique_key"])),
        (
            json!({ "unique_key": "x".repeat(256) }),
            json!(["unique_key"]),
        ),
        (json!({ "unique_key": 7 }), json!(["unique_key"])),
        (json!({ "provider": "no-such" }), json!(["provider"])),
        (json!({ "surprise": 1 }), json!(["surprise"])),
        (
            json!({ "integration_config": { "nope": "x" } }),
            json!(["integration_config", "nope"]),
        ),
        (
            json!({ "credentials": { "type": "OAUTH2", "client_id": "a", "client_secret": "b" } }),
            json!(["credentials"]),
        ),
    ] {
        let mut body = good.clone();
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let reply = app.post("/integrations", body).await;
        assert_eq!(reply.status, 400, "{change}: {reply:?}");
        assert_eq!(reply.code(), "invalid_body", "{change}");
        assert_eq!(reply.json()["error"]["errors"][0]["path"], path, "{change}");
    }
    assert_eq!(app.get("/integrations").await.json(), json!({ "data": [] }));
    assert_eq!(app.post("/integrations", good.clone()).await.status, 200);
    let again = app.post("/integrations", good).await;
    assert_eq!(
        (again.status.as_u16(), again.code().as_str()),
        (409, "duplicate_provider_config")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_for_nobody_or_for_nothing_is_refused() {
    let app = TestApp::start().await;
    let tags: serde_json::Map<_, _> = (0..11).map(|n| (n.to_string(), json!("x"))).collect();
    for (body, path) in [
        (json!({}), json!(["end_user"])),
        (json!({ "tags": tags }), json!(["tags"])),
        (
            json!({ "tags": { "a": "b" }, "allowed_integrations": ["none"] }),
            json!(["allowed_integrations", "0"]),
        ),
        (
            json!({ "tags": { "a": "b" }, "integrations_config_defaults": { "none": {} } }),
            json!(["integrations_config_defaults", "none"]),
        ),
    ] {
        let reply = app.post("/connect/sessions", body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_body"),
            "{body}"
        );
        assert_eq!(reply.json()["error"]["errors"][0]["path"], path, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_malformed_parameters_are_named() {
    let app = TestApp::start().await;
    for (path, name) in [
        ("/connections?limit=0", "limit"),
        ("/connections?limit=x", "limit"),
        ("/connections?page=-1", "page"),
        ("/connections?surprise=1", "surprise"),
        ("/connections/x", "provider_config_key"),
        (
            "/connections/x?provider_config_key=a&force_refresh=perhaps",
            "force_refresh",
        ),
        ("/integrations/x?include=everything", "include"),
        ("/providers?surprise=1", "surprise"),
    ] {
        let reply = app.get(path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_query_params"),
            "{path}"
        );
        assert_eq!(
            reply.json()["error"]["errors"][0]["path"],
            json!([name]),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_to_be_not_there() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    for (path, status, code) in [
        ("/nowhere", 404, "not_found"),
        ("/providers/none", 404, "unknown_provider_template"),
        ("/integrations/none", 404, "unknown_provider_config"),
        (
            "/connections/none?provider_config_key=demo",
            404,
            "not_found",
        ),
        (
            "/connections/none?provider_config_key=none",
            400,
            "unknown_provider_config",
        ),
    ] {
        let reply = app.get(path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    let body = app
        .call(
            http::Method::DELETE,
            "/connections/none?provider_config_key=demo",
            Value::Null,
        )
        .await;
    assert_eq!(
        (body.status.as_u16(), body.code().as_str()),
        (400, "unknown_connection")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_the_path_names_nothing() {
    let app = TestApp::start().await;
    for path in [
        "/integrations/a%00b",
        "/connections/a%00b?provider_config_key=x",
        "/providers/%00",
        "/oauth/connect/%00",
    ] {
        let reply = app.get(path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_uri_params"),
            "{path}"
        );
    }
}
