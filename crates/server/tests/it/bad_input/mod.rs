//! What is refused: with the contract's code, at the path of the field that is
//! wrong, and so that nothing is stored.

mod bodies;
mod fields;
mod headers;
mod races;
mod texts;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};
use linkspan_testkit::{Reply, TestApp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

/// A route that takes a body, with one that it takes.
struct Taker {
    method: Method,
    /// As the table of routes has it.
    route: &'static str,
    path: String,
    headers: &'static [(&'static str, &'static str)],
    /// Every field that the body may have.
    good: Value,
    /// The fields that it must have.
    required: &'static [&'static str],
    /// Whether a field of any name and type will do.
    is_open: bool,
}

/// An app with integrations `bearer` and `basic`, and connection `c1` of the
/// first.
async fn start(settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::start_with(settings).await;
    for (key, provider) in [
        ("bearer", "private-api-bearer"),
        ("basic", "private-api-basic"),
        ("open", "unauthenticated"),
    ] {
        let body = json!({ "unique_key": key, "provider": provider });
        assert_eq!(app.post("/integrations", body).await.status, 200);
    }
    let made = app.post("/connections", import("c1")).await;
    assert_eq!(made.status, 200, "{made:?}");
    app
}

fn import(connection_id: &str) -> Value {
    json!({
        "provider_config_key": "bearer",
        "connection_id": connection_id,
        "credentials": { "type": "API_KEY", "apiKey": "k" },
    })
}

fn end_user() -> Value {
    json!({ "id": "u1", "email": "u1@example.com", "display_name": "U", "tags": { "a": "b" } })
}

fn session(more: Value) -> Value {
    let mut body = json!({
        "end_user": end_user(),
        "organization": { "id": "o1", "display_name": "O" },
        "integrations_config_defaults": { "bearer": {
            "user_scopes": "a",
            "authorization_params": { "prompt": "consent" },
            "connection_config": { "subdomain": "ours" },
        } },
        "tags": { "team": "blue" },
        "overrides": { "bearer": { "docs_connect": "https://example.com/docs" } },
        "webhook_url_override": "https://example.com/hook",
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body
}

/// Every route that reads a body. Those of `/connection` are the same handlers
/// as those of `/connections`.
async fn takers(app: &TestApp) -> Vec<Taker> {
    let session_token = app.connect_session().await;
    let by_browser = |path: &str| format!("{path}?connect_session_token={session_token}");
    let environment = app.dev.environment.number;
    let client = json!({ "type": "OAUTH2", "client_id": "i", "client_secret": "s",
        "scopes": "a,b", "webhook_secret": "w" });
    let metadata = json!({ "provider_config_key": "bearer", "connection_id": "c1",
        "metadata": { "a": { "b": "c" } } });
    let mut connection = import("c2");
    connection.as_object_mut().unwrap().extend(
        json!({ "metadata": { "a": "b" }, "connection_config": { "subdomain": "ours" },
            "tags": { "a": "b" }, "end_user": end_user(),
            "webhook_url_override": "https://example.com/hook" })
        .as_object()
        .unwrap()
        .clone(),
    );
    let new = json!({ "unique_key": "new", "provider": "demo", "display_name": "New",
        "forward_webhooks": true, "credentials": client,
        "integration_config": { "baseUrl": "https://example.com" },
        "custom": { "baseUrl": "https://example.com" } });
    let quick = json!({ "unique_key": "new", "provider": "private-api-bearer",
        "display_name": "New", "forward_webhooks": true });
    let change = json!({ "unique_key": "newer", "display_name": "New",
        "forward_webhooks": true, "credentials": client, "integration_config": {}, "custom": {} });
    let update = json!({ "tags": { "a": "b" }, "end_user": end_user(),
        "webhook_url_override": "https://example.com/hook" });
    let by_provider: &[_] = &[("Provider-Config-Key", "bearer")];
    let (post, patch) = (Method::POST, Method::PATCH);
    let mut takers = Vec::new();
    let mut takes = |method: &Method, route: &'static str, good, required| {
        takers.push(Taker {
            method: method.clone(),
            route,
            path: route
                .replace("{unique_key}", "bearer")
                .replace("{connection_id}", "c1"),
            headers: &[],
            good,
            required,
            is_open: false,
        });
        takers.len() - 1
    };
    let (named, key) = (&["unique_key", "provider"][..], &["environment_id"][..]);
    takes(&post, "/integrations", new, named);
    takes(&post, "/integrations/quickstart", quick, named);
    takes(&patch, "/integrations/{unique_key}", change, &[]);
    let imported = &["provider_config_key", "credentials"];
    takes(&post, "/connections", connection.clone(), imported);
    // Its credentials may stand beside the other fields.
    takes(&post, "/connection", connection, &["provider_config_key"]);
    let updated = takes(&patch, "/connections/{connection_id}", update, &[]);
    for path in ["/connections/metadata", "/connection/metadata"] {
        for method in [&post, &patch] {
            let required = &["connection_id", "provider_config_key", "metadata"];
            takes(method, path, metadata.clone(), required);
        }
    }
    let one = [&post, &patch].map(|method| {
        takes(
            method,
            "/connection/{connection_id}/metadata",
            json!({ "a": "b" }),
            &[],
        )
    });
    let allowed = session(json!({ "allowed_integrations": ["bearer"] }));
    takes(&post, "/connect/sessions", allowed, &[]);
    let again = session(json!({ "connection_id": "c1", "integration_id": "bearer" }));
    takes(
        &post,
        "/connect/sessions/reconnect",
        again,
        &["connection_id", "integration_id"],
    );
    takes(
        &post,
        "/environments",
        json!({ "name": "new", "is_production": false }),
        &["name"],
    );
    let new_key = json!({ "environment_id": environment, "display_name": "new",
        "scopes": ["environment:proxy"] });
    takes(&post, "/environment/api-keys", new_key, key);
    let old_key = json!({ "environment_id": environment, "key_id": 999_999 });
    takes(&Method::DELETE, "/environment/api-keys", old_key, key);
    let by_key = takes(
        &post,
        "/api-auth/api-key/{unique_key}",
        json!({ "apiKey": "k" }),
        &["apiKey"],
    );
    let basic = json!({ "username": "u", "password": "p" });
    let by_password = takes(&post, "/api-auth/basic/{unique_key}", basic, &[]);
    takers[updated].path += "?provider_config_key=bearer";
    takers[by_key].path = by_browser("/api-auth/api-key/bearer");
    takers[by_password].path = by_browser("/api-auth/basic/basic");
    for at in one {
        takers[at].headers = by_provider;
        takers[at].is_open = true;
    }
    takers
}

impl Taker {
    async fn send(&self, app: &TestApp, body: impl Into<Bytes>) -> Reply {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(app.url(&self.path))
            .header("content-type", "application/json")
            .header(
                "authorization",
                format!("Bearer {}", app.dev.api_key.expose_secret()),
            );
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        app.send(request.body(body.into()).unwrap()).await
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

fn refused(reply: &Reply, status: u16, code: &str, what: &str) {
    assert_eq!(reply.status.as_u16(), status, "{what}: {reply:?}");
    assert_eq!(reply.code(), code, "{what}: {reply:?}");
}

/// The path of the first field that an error names, and how it begins.
fn first_path(reply: &Reply) -> Vec<String> {
    let error = &reply.json()["error"]["errors"][0]["path"];
    serde_json::from_value(error.clone()).unwrap_or_else(|_| panic!("no path: {reply:?}"))
}

/// Every row of the control plane, to see that nothing came or changed.
async fn rows(app: &TestApp) -> BTreeMap<String, Vec<String>> {
    let url = app.database.direct_url();
    let (client, connection) = tokio_postgres::connect(url.expose_secret(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let query = format!("SELECT row_to_json(t)::text FROM {table} t ORDER BY 1");
        let rows = client.query(&query, &[]).await.unwrap();
        found.insert(table, rows.iter().map(|row| row.get(0)).collect());
    }
    assert!(found["integrations"].len() >= 3, "{found:?}");
    found
}
