//! `/integrations`: what can be changed, and what a change reaches.

use http::Method;
use linkspan_api::Scope;
use linkspan_simulator::browser::Decision;
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use crate::access::key;

async fn patch(app: &TestApp, path: &str, body: Value) -> linkspan_testkit::Reply {
    app.call(Method::PATCH, path, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_leaves_what_it_does_not_name() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let path = "/integrations/demo?include=credentials&include=webhook";
    let before = app.get(path).await.json()["data"].clone();
    assert_eq!(before["webhook_url"], Value::Null);
    let changed = patch(
        &app,
        "/integrations/demo",
        json!({ "display_name": "Ours" }),
    )
    .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.json()["data"]["display_name"], "Ours");
    let after = app.get(path).await.json()["data"].clone();
    assert_eq!(after["credentials"], before["credentials"]);
    assert_eq!(after["forward_webhooks"], before["forward_webhooks"]);
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
    let page = app.authorise("demo", Decision::Allow).await;
    assert_eq!(
        page.status, 200,
        "its configuration is still there: {page:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_client_is_used_from_then_on() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let good = app.provider.client();
    let credentials = |id: &str, secret: &str| {
        json!({ "credentials": { "type": "OAUTH2", "client_id": id, "client_secret": secret,
                                 "scopes": "items.read,profile.read" } })
    };
    let wrong = credentials(&good.client_id, "another");
    assert_eq!(patch(&app, "/integrations/demo", wrong).await.status, 200);
    assert_eq!(app.authorise("demo", Decision::Allow).await.status, 400);
    let right = credentials(&good.client_id, &good.client_secret);
    assert_eq!(patch(&app, "/integrations/demo", right).await.status, 200);
    assert_eq!(app.authorise("demo", Decision::Allow).await.status, 200);

    let cleared = json!({ "credentials": { "type": "OAUTH2", "client_id": good.client_id,
        "client_secret": good.client_secret, "scopes": null } });
    let kept = json!({ "credentials": { "type": "OAUTH2", "client_id": good.client_id,
        "client_secret": good.client_secret } });
    let path = "/integrations/demo?include=credentials";
    assert_eq!(patch(&app, "/integrations/demo", kept).await.status, 200);
    let scopes = |reply: Value| reply["data"]["credentials"]["scopes"].clone();
    assert_eq!(
        scopes(app.get(path).await.json()),
        "items.read,profile.read"
    );
    assert_eq!(patch(&app, "/integrations/demo", cleared).await.status, 200);
    assert_eq!(scopes(app.get(path).await.json()), Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_change_until_connections_use_it() {
    let app = TestApp::start().await;
    app.create_demo("first").await;
    app.create_demo("second").await;
    let taken = patch(
        &app,
        "/integrations/first",
        json!({ "unique_key": "second" }),
    )
    .await;
    assert_eq!(
        (taken.status.as_u16(), taken.code().as_str()),
        (409, "duplicate_provider_config")
    );
    let moved = patch(&app, "/integrations/first", json!({ "unique_key": "demo" })).await;
    assert_eq!(moved.json()["data"]["unique_key"], "demo");
    assert_eq!(app.get("/integrations/first").await.status, 404);
    assert_eq!(app.authorise("demo", Decision::Allow).await.status, 200);
    let used = patch(&app, "/integrations/demo", json!({ "unique_key": "other" })).await;
    assert_eq!(used.code(), "invalid_body");
    assert_eq!(
        used.json()["error"]["errors"][0]["path"],
        json!(["unique_key"])
    );
    let same = patch(&app, "/integrations/demo", json!({ "unique_key": "demo" })).await;
    assert_eq!(same.status, 200, "the key it has is no change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_does_not_fit_changes_nothing() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let client = json!({ "type": "OAUTH2", "client_id": "a", "client_secret": "b" });
    let with = |name: &str, value: Value| {
        let mut client = client.clone();
        client[name] = value;
        json!({ "display_name": "changed", "credentials": client })
    };
    for (key, body, path) in [
        ("demo", json!({ "surprise": 1 }), json!(["surprise"])),
        (
            "demo",
            json!({ "unique_key": "a/b" }),
            json!(["unique_key"]),
        ),
        (
            "demo",
            json!({ "display_name": "" }),
            json!(["display_name"]),
        ),
        (
            "demo",
            with("client_id", json!("")),
            json!(["credentials", "client_id"]),
        ),
        (
            "demo",
            with("client_id", json!("x".repeat(256))),
            json!(["credentials", "client_id"]),
        ),
        (
            "demo",
            with("client_secret", json!("")),
            json!(["credentials", "client_secret"]),
        ),
        (
            "demo",
            with("scopes", json!("a\nb")),
            json!(["credentials", "scopes"]),
        ),
        ("demo", with("type", json!("APP")), json!(["credentials"])),
        (
            "demo",
            json!({ "display_name": "changed", "integration_config": { "nope": "x" } }),
            json!(["integration_config", "nope"]),
        ),
        (
            "bearer",
            json!({ "display_name": "changed", "credentials": client }),
            json!(["credentials"]),
        ),
    ] {
        let reply = patch(&app, &format!("/integrations/{key}"), body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_body"),
            "{body}"
        );
        let found = reply.json()["error"]["errors"][0]["path"].clone();
        assert!(
            found.as_array().is_some_and(|found| {
                path.as_array()
                    .unwrap()
                    .iter()
                    .zip(found)
                    .all(|(a, b)| a == b)
            }),
            "{body}: {found}"
        );
    }
    for integration in app.get("/integrations").await.json()["data"]
        .as_array()
        .unwrap()
    {
        assert_ne!(integration["display_name"], "changed");
    }
    let reply = patch(&app, "/integrations/none", json!({})).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (404, "unknown_provider_config")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_are_all_kept() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let name = patch(
        &app,
        "/integrations/demo",
        json!({ "display_name": "Ours" }),
    );
    let forward = patch(
        &app,
        "/integrations/demo",
        json!({ "forward_webhooks": false }),
    );
    let (name, forward) = tokio::join!(name, forward);
    assert_eq!((name.status.as_u16(), forward.status.as_u16()), (200, 200));
    let after = app.get("/integrations/demo").await.json()["data"].clone();
    assert_eq!(
        (&after["display_name"], &after["forward_webhooks"]),
        (&json!("Ours"), &json!(false))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quickstart_needs_no_client_and_offers_none() {
    let app = TestApp::start().await;
    let body = json!({ "unique_key": "quick", "provider": "private-api-bearer" });
    let made = app.post("/integrations/quickstart", body).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.json()["data"]["unique_key"], "quick");
    let body = json!({ "unique_key": "demo", "provider": "demo" });
    let refused = app.post("/integrations/quickstart", body).await;
    assert_eq!(refused.status, 404);
    assert_eq!(refused.code(), "shared_credentials_provider_not_found");
    let body = json!({ "unique_key": "x", "provider": "demo", "credentials": {} });
    assert_eq!(
        app.post("/integrations/quickstart", body).await.code(),
        "invalid_body"
    );
    assert_eq!(
        app.get("/integrations").await.json()["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_form_shows_a_client_only_to_a_key_that_may_read_it() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let plain = app.get("/config/demo").await.json();
    assert_eq!(
        plain,
        json!({ "config":
        { "unique_key": "demo", "provider": "demo", "syncs": [], "actions": [] } })
    );
    let full = app.get("/config/demo?include_creds=true").await.json();
    assert_eq!(
        full["config"]["client_secret"],
        app.provider.client().client_secret
    );
    let reader = key(&app, [Scope::IntegrationsRead].into_iter().collect()).await;
    let path = "/config/demo?include_creds=true";
    let refused = app
        .call_as(&reader, Method::GET, path, &[], Value::Null)
        .await;
    assert_eq!(refused.code(), "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_integration_takes_its_connections_along_at_once() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    assert_eq!(
        app.get(&path).await.status,
        200,
        "and it is in the cache now"
    );
    assert_eq!(
        app.call(Method::DELETE, "/integrations/demo", Value::Null)
            .await
            .status,
        200
    );
    assert_eq!(app.get(&path).await.code(), "unknown_provider_config");
    assert_eq!(
        app.get("/connections").await.json(),
        json!({ "connections": [] })
    );
    app.create_demo("demo").await;
    assert_eq!(
        app.get(&path).await.code(),
        "not_found",
        "another one of the same key is empty"
    );
}

const KEY: &str = include_str!("modes/keys/app.pem");

#[tokio::test(flavor = "multi_thread")]
async fn credentials_have_the_form_of_the_providers_mode() {
    let app = TestApp::start().await;
    let client = |kind: &str| json!({ "type": kind, "client_id": "i", "client_secret": "s" });
    let an_app = json!({ "type": "APP", "app_id": "1", "app_link": "https://x.example/a",
        "private_key": KEY });
    let mut both = an_app.clone();
    both["type"] = "CUSTOM".into();
    both["client_id"] = "i".into();
    both["client_secret"] = "s".into();
    let plugin = json!({ "type": "INSTALL_PLUGIN", "app_link": "https://x.example/p",
        "username": "u", "password": "p" });
    for (provider, credentials) in [
        ("twitter", client("OAUTH1")),
        ("github", client("OAUTH2")),
        ("netsuite-tba", client("TBA")),
        ("github-app", an_app.clone()),
        ("github-app-oauth", both),
        ("crisp-plugin-install", plugin),
    ] {
        let body = json!({ "unique_key": provider, "provider": provider,
            "credentials": credentials });
        let made = app.post("/integrations", body).await;
        assert_eq!(made.status, 200, "{provider}: {made:?}");
        let path = format!("/integrations/{provider}?include=credentials");
        let mut shown = app.get(&path).await.json()["data"]["credentials"].clone();
        if shown["scopes"].is_null() {
            shown.as_object_mut().unwrap().remove("scopes");
        }
        assert_eq!(shown, credentials);
    }
    let with = |name: &str, value: &str| {
        let mut wrong = an_app.clone();
        wrong[name] = value.into();
        wrong
    };
    for (provider, credentials, path) in [
        ("github-app", client("OAUTH2"), "type"),
        ("twitter", client("OAUTH2"), "type"),
        ("github-app", with("private_key", "hush"), "private_key"),
        (
            "github-app",
            with("app_link", "javascript:hush"),
            "app_link",
        ),
        ("github-app", with("app_id", ""), "app_id"),
    ] {
        let body = json!({ "unique_key": "wrong", "provider": provider,
            "credentials": credentials });
        let refused = app.post("/integrations", body).await;
        let error = refused.json()["error"].clone();
        assert_eq!(refused.status, 400, "{error}");
        let expected = json!(["credentials", path]);
        assert_eq!(error["errors"][0]["path"], expected, "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
