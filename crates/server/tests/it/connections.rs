//! `/connections`: finding, importing and changing them, and what the product
//! stores with them.

use http::Method;
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

async fn bearer(app: &TestApp, unique_key: &str) {
    let body = json!({ "unique_key": unique_key, "provider": "private-api-bearer" });
    let reply = app.post("/integrations", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Tokens that belong to another client than the integration's are refreshed by
/// that client.
#[tokio::test(flavor = "multi_thread")]
async fn imported_tokens_are_refreshed_by_the_client_that_they_came_with() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let path = format!("/connections/{id}?provider_config_key=demo");
    let theirs = app.get(&path).await.json()["credentials"].clone();
    let good = app.provider.client();
    let wrong = json!({ "credentials": { "type": "OAUTH2", "client_id": "another",
                                         "client_secret": "another" } });
    let reply = app.call(Method::PATCH, "/integrations/demo", wrong).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let import = json!({ "provider_config_key": "demo", "connection_id": "mine",
        "credentials": { "type": "OAUTH2", "access_token": theirs["access_token"],
            "refresh_token": theirs["refresh_token"],
            "config_override": { "client_id": good.client_id,
                                 "client_secret": good.client_secret } } });
    let made = app.post("/connections", import).await;
    assert_eq!(made.status, 200, "{made:?}");
    let forced = "/connections/mine?provider_config_key=demo&force_refresh=true";
    let fresh = app.get(forced).await;
    assert_eq!(fresh.status, 200, "{fresh:?}");
    assert_ne!(
        fresh.json()["credentials"]["access_token"],
        theirs["access_token"]
    );
}

/// Imports a connection of an integration `bearer`.
async fn import(app: &TestApp, id: &str, more: Value) -> Reply {
    let mut body = json!({
        "provider_config_key": "bearer",
        "connection_id": id,
        "connection_config": { "baseUrl": "http://127.0.0.1:1" },
        "credentials": { "type": "API_KEY", "apiKey": "secret" },
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    app.post("/connections", body).await
}

fn ids(list: &Value) -> Vec<String> {
    let connections = list["connections"].as_array().unwrap().iter();
    connections
        .map(|found| found["connection_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_what_they_name() {
    let app = TestApp::start().await;
    bearer(&app, "bearer").await;
    bearer(&app, "other").await;
    let ada = json!({ "tags": { "Team": "blue", "plan": "gold" },
        "end_user": { "id": "u1", "email": "ada@example.com", "display_name": "Ada L." } });
    assert_eq!(import(&app, "one", ada).await.status, 200);
    let bob = json!({ "tags": { "team": "blue" }, "end_user": { "id": "u2" } });
    assert_eq!(import(&app, "two_x", bob).await.status, 200);
    let elsewhere = json!({ "provider_config_key": "other", "connection_id": "three" });
    assert_eq!(import(&app, "three", elsewhere).await.status, 200);
    for (query, expected) in [
        ("", &["three", "two_x", "one"][..]),
        ("?connectionId=one", &["one"]),
        ("?endUserId=u2", &["two_x"]),
        ("?integrationId=other", &["three"]),
        ("?integrationId=other,bearer&limit=1", &["three"]),
        ("?limit=2&page=1", &["one"]),
        ("?search=ADA%40", &["one"]),
        ("?search=ada+l", &["one"]),
        ("?search=o_x", &["two_x"]),
        ("?search=o%25x", &[]),
        ("?search=NE", &["one"]),
        ("?tags[team]=blue", &["two_x", "one"]),
        ("?tags[TEAM]=blue&tags[plan]=gold", &["one"]),
        ("?tags[team]=red", &[]),
        ("?tags[end_user_email]=ada@example.com", &["one"]),
        ("?tags[end_user_display_name]=Ada+L.", &["one"]),
        ("?endUserOrganizationId=none", &[]),
    ] {
        let list = app.get(&format!("/connections{query}")).await;
        assert_eq!(list.status, 200, "{query}: {list:?}");
        assert_eq!(ids(&list.json()), expected, "{query}");
        let older = app.get(&format!("/connection{query}")).await;
        assert_eq!(older.json(), list.json(), "{query}");
    }
    for (query, name) in [
        ("limit=2001", "limit"),
        ("limit=0", "limit"),
        ("search=%00", "search"),
        ("tags[a]=%00", "tags"),
    ] {
        let reply = app.get(&format!("/connections?{query}")).await;
        assert_eq!(reply.code(), "invalid_query_params", "{query}");
        assert_eq!(
            reply.json()["error"]["errors"][0]["path"],
            json!([name]),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_found_by_its_id() {
    let app = TestApp::start().await;
    bearer(&app, "bearer").await;
    let session = json!({ "end_user": { "id": "u1" }, "organization": { "id": "o1" } });
    let session = app.post("/connect/sessions", session).await.json();
    let token = session["data"]["token"].as_str().unwrap();
    let path = format!("/api-auth/api-key/bearer?connect_session_token={token}");
    let made = app.post(&path, json!({ "apiKey": "k" })).await;
    assert_eq!(made.status, 200, "{made:?}");
    for query in ["endUserOrganizationId=o1", "tags[organization_id]=o1"] {
        let list = app.get(&format!("/connections?{query}")).await.json();
        assert_eq!(ids(&list).len(), 1, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_tokens_is_used_and_refreshed_like_any_other() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let body = json!({
        "provider_config_key": "demo",
        "connection_id": "mine",
        "metadata": { "a": 1 },
        "credentials": { "type": "OAUTH2", "access_token": "at", "refresh_token": "rt",
                         "expires_at": "2099-01-01T00:00:00.000Z" },
        "tags": { "team": "blue" },
        "end_user": { "id": "u1", "email": "a@example.com" },
        "webhook_url_override": "https://example.com/hook",
    });
    let made = app.post("/connections", body).await;
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    assert_eq!(made["credentials"]["access_token"], "at");
    assert_eq!(
        made["credentials"]["expires_at"],
        "2099-01-01T00:00:00.000Z"
    );
    assert_eq!(made["metadata"], json!({ "a": 1 }));
    assert_eq!(made["end_user"]["email"], "a@example.com");
    let read = app
        .get("/connections/mine?provider_config_key=demo")
        .await
        .json();
    assert_eq!(read["credentials"], made["credentials"]);
    assert_eq!(read["id"], made["id"]);
    let again = json!({ "provider_config_key": "demo", "connection_id": "mine",
        "credentials": { "type": "OAUTH2", "access_token": "newer" } });
    let again = app.post("/connections", again).await.json();
    assert_eq!(
        (&again["id"], &again["metadata"]),
        (&made["id"], &made["metadata"])
    );
    assert_eq!(again["credentials"]["access_token"], "newer");
    let unnamed = json!({ "provider_config_key": "demo",
        "credentials": { "type": "OAUTH2", "access_token": "x" } });
    let unnamed = app.post("/connection", unnamed).await.json();
    assert!(uuid::Uuid::parse_str(unnamed["connection_id"].as_str().unwrap()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_does_not_fit_is_refused_by_field() {
    let app = TestApp::start().await;
    bearer(&app, "bearer").await;
    app.create_demo("demo").await;
    let tags: serde_json::Map<_, _> = (0..10_000).map(|n| (n.to_string(), json!("x"))).collect();
    for (change, path) in [
        (
            json!({ "credentials": { "type": "API_KEY" } }),
            json!(["credentials", "apiKey"]),
        ),
        (
            json!({ "credentials": { "apiKey": "k" } }),
            json!(["credentials", "type"]),
        ),
        (
            json!({ "credentials": { "type": "WHAT" } }),
            json!(["credentials", "type"]),
        ),
        (
            json!({ "credentials": { "type": "OAUTH2", "access_token": "a" } }),
            json!(["credentials", "type"]),
        ),
        (
            json!({ "credentials": { "type": "OAUTH1", "oauth_token": "a" } }),
            json!(["credentials", "type"]),
        ),
        (
            json!({ "credentials": { "type": "API_KEY", "apiKey": 1 } }),
            json!(["credentials", "apiKey"]),
        ),
        (
            json!({ "credentials": { "type": "API_KEY", "apiKey": "k", "more": "x" } }),
            json!(["credentials", "more"]),
        ),
        (
            json!({ "provider_config_key": "demo",
                    "credentials": { "type": "OAUTH2", "access_token": "a", "expires_at": "soon" } }),
            json!(["credentials", "expires_at"]),
        ),
        (
            json!({ "provider_config_key": "demo", "credentials":
                { "type": "OAUTH2", "access_token": "a", "config_override": { "client_secret": "b" } } }),
            json!(["credentials", "config_override"]),
        ),
        (
            json!({ "connection_config": { "oauth_client_secret_override": "s" } }),
            json!(["connection_config", "oauth_client_secret_override"]),
        ),
        (
            json!({ "connection_id": "a\u{0}b" }),
            json!(["connection_id"]),
        ),
        (
            json!({ "connection_id": "a\r\nX: y" }),
            json!(["connection_id"]),
        ),
        (json!({ "connection_id": "" }), json!(["connection_id"])),
        (json!({ "tags": tags }), json!(["tags"])),
        (
            json!({ "tags": { "a": "x".repeat(256) } }),
            json!(["tags", "a"]),
        ),
        (json!({ "metadata": [] }), json!(["metadata"])),
        (
            json!({ "end_user": { "id": "" } }),
            json!(["end_user", "id"]),
        ),
        (
            json!({ "webhook_url_override": "ftp://x" }),
            json!(["webhook_url_override"]),
        ),
        (json!({ "surprise": 1 }), json!(["surprise"])),
    ] {
        let reply = import(&app, "x", change.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_body"),
            "{change}"
        );
        assert_eq!(reply.json()["error"]["errors"][0]["path"], path, "{change}");
    }
    let reply = import(&app, "x", json!({ "provider_config_key": "none" })).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, "unknown_provider_config")
    );
    assert_eq!(
        app.get("/connections").await.json(),
        json!({ "connections": [] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_changes_in_what_is_named() {
    let app = TestApp::start().await;
    bearer(&app, "bearer").await;
    let more = json!({ "tags": { "a": "1" }, "end_user": { "id": "u1" }, "metadata": { "m": 1 } });
    import(&app, "one", more).await;
    let path = "/connections/one?provider_config_key=bearer";
    let read = async || app.get(path).await.json();
    let before = read().await;
    let patch = async |body| app.call(Method::PATCH, path, body).await;
    let reply = patch(json!({ "tags": { "B": "2" } })).await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()),
        (200, json!({ "success": true }))
    );
    let after = read().await;
    assert_eq!(after["tags"], json!({ "b": "2" }));
    for same in ["end_user", "metadata", "credentials", "connection_config"] {
        assert_eq!(after[same], before[same]);
    }
    patch(json!({ "end_user": { "id": "u2", "display_name": "Bo" } })).await;
    let after = read().await;
    assert_eq!(
        (&after["end_user"]["id"], &after["tags"]),
        (&json!("u2"), &json!({ "b": "2" }))
    );
    patch(json!({ "end_user": null, "webhook_url_override": "https://example.com/" })).await;
    assert_eq!(read().await["end_user"], Value::Null);
    for (body, field) in [
        (json!({ "tags": { "a": 1 } }), "tags"),
        (json!({ "end_user": { "email": "x" } }), "end_user"),
        (
            json!({ "webhook_url_override": "nowhere" }),
            "webhook_url_override",
        ),
        (json!({ "metadata": {} }), "metadata"),
    ] {
        let reply = patch(body.clone()).await;
        assert_eq!(reply.code(), "invalid_body", "{body}");
        assert_eq!(
            reply.json()["error"]["errors"][0]["path"][0],
            field,
            "{body}"
        );
    }
    let none = "/connections/none?provider_config_key=bearer";
    let reply = app.call(Method::PATCH, none, json!({})).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (404, "not_found")
    );
}

async fn metadata(app: &TestApp, id: &str) -> Value {
    let path = format!("/connections/{id}?provider_config_key=bearer");
    app.get(&path).await.json()["metadata"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_replaced_or_merged_on_all_or_none() {
    let app = TestApp::start().await;
    bearer(&app, "bearer").await;
    import(
        &app,
        "one",
        json!({ "metadata": { "a": { "deep": 1 }, "b": 1 } }),
    )
    .await;
    import(&app, "two", json!({})).await;
    for (index, path) in ["/connections/metadata", "/connection/metadata"]
        .iter()
        .enumerate()
    {
        let body = json!({ "connection_id": ["one", "two"], "provider_config_key": "bearer",
                           "metadata": { "a": { "other": index }, "c": null } });
        let merged = app.call(Method::PATCH, path, body.clone()).await;
        assert_eq!((merged.status.as_u16(), merged.json()), (200, body));
        assert_eq!(
            metadata(&app, "one").await,
            json!({ "a": { "other": index }, "b": 1, "c": null })
        );
        assert_eq!(
            metadata(&app, "two").await,
            json!({ "a": { "other": index }, "c": null })
        );
    }
    let body = json!({ "connection_id": "one", "provider_config_key": "bearer", "metadata": {} });
    let replaced = app.post("/connections/metadata", body.clone()).await;
    assert_eq!((replaced.status.as_u16(), replaced.json()), (201, body));
    assert_eq!(metadata(&app, "one").await, json!({}));

    let body = json!({ "connection_id": ["one", "none"], "provider_config_key": "bearer",
                       "metadata": { "x": 1 } });
    let refused = app.post("/connections/metadata", body).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "unknown_connection")
    );
    assert!(
        refused.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("none")
    );
    assert_eq!(
        metadata(&app, "one").await,
        json!({}),
        "not a part of it was done"
    );
    for (id, field) in [(json!([]), "connection_id"), (json!(7), "connection_id")] {
        let body = json!({ "connection_id": id, "provider_config_key": "bearer", "metadata": {} });
        let reply = app.post("/connections/metadata", body).await;
        assert_eq!(reply.code(), "invalid_body");
        assert_eq!(reply.json()["error"]["errors"][0]["path"], json!([field]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_form_of_metadata_names_the_integration_in_a_header() {
    let app = TestApp::start().await;
    bearer(&app, "bearer").await;
    import(&app, "one", json!({ "metadata": { "a": 1 } })).await;
    let key = &app.dev.api_key;
    let header = [("Provider-Config-Key", "bearer")];
    let path = "/connection/one/metadata";
    let merged = app
        .call_as(key, Method::PATCH, path, &header, json!({ "b": 2 }))
        .await;
    assert_eq!(
        (merged.status.as_u16(), merged.json()),
        (200, json!({ "b": 2 }))
    );
    assert_eq!(metadata(&app, "one").await, json!({ "a": 1, "b": 2 }));
    let replaced = app
        .call_as(key, Method::POST, path, &header, json!({ "c": 3 }))
        .await;
    assert_eq!(replaced.status, 201);
    assert_eq!(metadata(&app, "one").await, json!({ "c": 3 }));
    let refused = app.call_as(key, Method::POST, path, &[], json!({})).await;
    assert_eq!(refused.code(), "invalid_headers");
    let older = app.get("/connection/one?provider_config_key=bearer").await;
    assert_eq!(older.json()["connection_id"], "one");
    let deleted = "/connection/one?provider_config_key=bearer";
    assert_eq!(
        app.call(Method::DELETE, deleted, Value::Null).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_at_once_lose_nothing() {
    let app = TestApp::start().await;
    bearer(&app, "bearer").await;
    import(&app, "one", json!({})).await;
    import(&app, "two", json!({})).await;
    let merges = (0..16).map(|n| {
        // Half of them name the two the other way round.
        let ids = if n % 2 == 0 {
            ["one", "two"]
        } else {
            ["two", "one"]
        };
        let body = json!({ "connection_id": ids, "provider_config_key": "bearer",
                           "metadata": { format!("k{n}"): n } });
        app.call(Method::PATCH, "/connections/metadata", body)
    });
    for reply in futures_util::future::join_all(merges).await {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let all: serde_json::Map<_, _> = (0..16).map(|n| (format!("k{n}"), json!(n))).collect();
    assert_eq!(metadata(&app, "one").await, Value::Object(all.clone()));
    assert_eq!(metadata(&app, "two").await, Value::Object(all));
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_credentials_are_tried_where_the_template_says_how() {
    let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    std::fs::create_dir(&folder).unwrap();
    let template = "display_name: Checked\ncategories: [other]\nauth_mode: API_KEY\n\
        integration_config:\n  baseUrl: { type: string, title: Address }\n\
        credentials:\n  apiKey: { type: string, title: Key }\n\
        proxy:\n  base_url: ${integrationConfig.baseUrl}\n  \
        headers: { authorization: 'Bearer ${apiKey}' }\n  \
        verification:\n    method: GET\n    endpoints: [/key-api/me]\n";
    std::fs::write(folder.join("checked.yaml"), template).unwrap();
    let app = TestApp::start_with(&[("LINKSPAN_PROVIDERS_DIR", folder.to_str().unwrap())]).await;
    std::fs::remove_dir_all(&folder).unwrap();
    let base_url = app
        .provider
        .base_url()
        .as_str()
        .trim_end_matches('/')
        .to_owned();
    let body = json!({ "unique_key": "bearer", "provider": "checked",
                       "integration_config": { "baseUrl": base_url } });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let with = |key: &str| json!({ "credentials": { "type": "API_KEY", "apiKey": key } });
    let refused = import(&app, "one", with("another")).await;
    assert_eq!(refused.code(), "connection_test_failed", "{refused:?}");
    assert_eq!(
        app.get("/connections").await.json(),
        json!({ "connections": [] })
    );
    let taken = import(&app, "one", with("demo-api-key")).await;
    assert_eq!(taken.status, 200, "{taken:?}");
}
