//! The table of routes that take a body, each with one that it takes.

use bytes::Bytes;
use http::{Method, Request};
use linkspan_testkit::{Reply, TestApp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::import;

/// A route that takes a body, with one that it takes.
pub(super) struct Taker {
    method: Method,
    /// As the table of routes has it.
    route: &'static str,
    path: String,
    headers: &'static [(&'static str, &'static str)],
    /// Every field that the body may have.
    pub(super) good: Value,
    /// The fields that it must have.
    pub(super) required: &'static [&'static str],
    /// Whether a field of any name and type will do.
    pub(super) is_open: bool,
}

impl Taker {
    /// Sends it a body.
    pub(super) async fn send(&self, app: &TestApp, body: impl Into<Bytes>) -> Reply {
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

    /// Its method and path.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

fn taker(
    method: Method,
    route: &'static str,
    required: &'static [&'static str],
    good: Value,
) -> Taker {
    Taker {
        method,
        route,
        path: route
            .replace("{unique_key}", "bearer")
            .replace("{connection_id}", "c1")
            .replace("{name}", "contacts")
            .replace("{variant}", "big"),
        headers: &[],
        good,
        required,
        is_open: false,
    }
}

/// Every route that reads a body.
pub(super) async fn takers(app: &TestApp) -> Vec<Taker> {
    let session = app.connect_session().await;
    [
        of_integrations(),
        of_connections(),
        of_metadata(),
        of_sessions(),
        of_records(),
        of_syncs(),
        of_environments(app.dev.environment.number),
        of_browsers(&session),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_integrations() -> Vec<Taker> {
    let client = json!({ "type": "OAUTH2", "client_id": "i", "client_secret": "s",
        "scopes": "a,b", "webhook_secret": "w" });
    let new = json!({ "unique_key": "new", "provider": "demo", "display_name": "New",
        "forward_webhooks": true, "credentials": client,
        "integration_config": { "baseUrl": "https://example.com" },
        "custom": { "baseUrl": "https://example.com" } });
    let quick = json!({ "unique_key": "new", "provider": "private-api-bearer",
        "display_name": "New", "forward_webhooks": true });
    let change = json!({ "unique_key": "newer", "display_name": "New",
        "forward_webhooks": true, "credentials": client, "integration_config": {}, "custom": {} });
    let named = &["unique_key", "provider"];
    vec![
        taker(Method::POST, "/integrations", named, new),
        taker(Method::POST, "/integrations/quickstart", named, quick),
        taker(Method::PATCH, "/integrations/{unique_key}", &[], change),
    ]
}

fn with(mut body: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut body, more) else {
        panic!("two objects");
    };
    fields.extend(more);
    body
}

fn end_user() -> Value {
    json!({ "id": "u1", "email": "u1@example.com", "display_name": "U", "tags": { "a": "b" } })
}

fn of_connections() -> Vec<Taker> {
    let update = json!({ "tags": { "a": "b" }, "end_user": end_user(),
        "webhook_url_override": "https://example.com/hook" });
    let more = json!({ "metadata": { "a": "b" }, "connection_config": { "subdomain": "ours" } });
    let new = with(with(import("c2"), more), update.clone());
    let mut flat = with(new.clone(), json!({ "api_key": "k" }));
    flat.as_object_mut().unwrap().remove("credentials");
    let path = "/connections/{connection_id}";
    let mut updated = taker(Method::PATCH, path, &[], update);
    updated.path += "?provider_config_key=bearer";
    let required = &["provider_config_key", "credentials"];
    vec![
        taker(Method::POST, "/connections", required, new),
        taker(Method::POST, "/connection", &["provider_config_key"], flat),
        updated,
    ]
}

fn of_metadata() -> Vec<Taker> {
    let metadata = json!({ "provider_config_key": "bearer", "connection_id": "c1",
        "metadata": { "a": { "b": "c" } } });
    let required = &["connection_id", "provider_config_key", "metadata"];
    let mut takers = Vec::new();
    for method in [Method::POST, Method::PATCH] {
        for path in ["/connections/metadata", "/connection/metadata"] {
            takers.push(taker(method.clone(), path, required, metadata.clone()));
        }
        let path = "/connection/{connection_id}/metadata";
        takers.push(Taker {
            headers: &[("Provider-Config-Key", "bearer")],
            is_open: true,
            ..taker(method, path, &[], json!({ "a": "b" }))
        });
    }
    takers
}

fn of_sessions() -> Vec<Taker> {
    let session = json!({
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
    let new = with(
        session.clone(),
        json!({ "allowed_integrations": ["bearer"] }),
    );
    let names = json!({ "connection_id": "c1", "integration_id": "bearer" });
    let again = with(session, names);
    let required = &["connection_id", "integration_id"];
    vec![
        taker(Method::POST, "/connect/sessions", &[], new),
        taker(Method::POST, "/connect/sessions/reconnect", required, again),
    ]
}

fn of_records() -> Vec<Taker> {
    let prune = json!({ "model": "Contact", "variant": "base", "until_cursor": "AQAAAAAAAAAA",
        "limit": 1 });
    vec![Taker {
        headers: &[("Provider-Config-Key", "bearer"), ("Connection-Id", "c1")],
        ..taker(
            Method::PATCH,
            "/records/prune",
            &["model", "until_cursor"],
            prune,
        )
    }]
}

fn of_syncs() -> Vec<Taker> {
    let syncs = json!(["contacts"]);
    let tell = json!({ "syncs": syncs, "provider_config_key": "bearer", "connection_id": "c1" });
    let trigger = with(
        tell.clone(),
        json!({ "opts": { "reset": true, "emptyCache": true } }),
    );
    let of = json!({ "provider_config_key": "bearer", "connection_id": "c1" });
    let frequency = with(
        of.clone(),
        json!({ "sync_name": "contacts", "sync_variant": "base", "frequency": "every hour" }),
    );
    let (named, both) = (
        &["syncs", "provider_config_key"],
        &["provider_config_key", "connection_id"],
    );
    // `frequency` must be there too, and may be null.
    let all = &["sync_name", "provider_config_key", "connection_id"];
    let path = "/sync/update-connection-frequency";
    let variant = "/sync/{name}/variant/{variant}";
    vec![
        taker(Method::POST, "/sync/trigger", &["syncs"], trigger),
        taker(Method::POST, "/sync/start", named, tell.clone()),
        taker(Method::POST, "/sync/pause", named, tell),
        taker(Method::PUT, path, all, frequency),
        taker(Method::POST, variant, both, of.clone()),
        taker(Method::DELETE, variant, both, of),
    ]
}

fn of_environments(number: i64) -> Vec<Taker> {
    let new = json!({ "name": "new", "is_production": false });
    let new_key = json!({ "environment_id": number, "display_name": "new",
        "scopes": ["environment:proxy"] });
    let old_key = json!({ "environment_id": number, "key_id": 999_999 });
    let path = "/environment/api-keys";
    let (named, numbered) = (
        &["environment_id", "display_name"],
        &["environment_id", "key_id"],
    );
    vec![
        taker(Method::POST, "/environments", &["name"], new),
        taker(Method::POST, path, named, new_key),
        taker(Method::DELETE, path, numbered, old_key),
    ]
}

/// Each route where a person's credentials come in. `bearer` takes those of the
/// first; the others refuse a body before they look who takes it.
fn of_browsers(session: &str) -> Vec<Taker> {
    let of = |route: &'static str, required: &'static [&'static str], good: Value| {
        let mut taker = taker(Method::POST, route, required, good);
        taker.path += &format!("?connect_session_token={session}");
        taker
    };
    let password = json!({ "username": "u", "password": "p" });
    let client = json!({ "client_id": "i", "client_secret": "s",
        "client_certificate": "c", "client_private_key": "k" });
    let token = json!({ "token_id": "i", "token_secret": "s",
        "oauth_client_id_override": "i", "oauth_client_secret_override": "s" });
    let bill = json!({ "username": "u", "password": "p",
        "organization_id": "o", "dev_key": "k" });
    let bill_required = &["username", "password", "organization_id", "dev_key"];
    let role = json!({ "role_arn": "arn:aws:iam::1:role/r", "region": "eu-west-1" });
    let of_template = |route: &'static str, good: Value| Taker {
        is_open: true,
        ..of(route, &[], good)
    };
    let two_step = json!({ "username": "u", "assertionOption": { "privateKey": "k" } });
    vec![
        of(
            "/api-auth/api-key/{unique_key}",
            &["apiKey"],
            json!({ "apiKey": "k" }),
        ),
        Taker {
            path: format!("/api-auth/basic/basic?connect_session_token={session}"),
            ..of("/api-auth/basic/{unique_key}", &[], password.clone())
        },
        of("/oauth2/auth/{unique_key}", &[], client),
        of(
            "/auth/tba/{unique_key}",
            &["token_id", "token_secret"],
            token,
        ),
        of("/auth/bill/{unique_key}", bill_required, bill),
        of(
            "/auth/signature/{unique_key}",
            &["username", "password"],
            with(password, json!({ "type": "SIGNATURE" })),
        ),
        of("/auth/aws-sigv4/{unique_key}", &["role_arn"], role),
        of_template("/auth/two-step/{unique_key}", two_step),
        of_template("/auth/jwt/{unique_key}", json!({ "privateKey": "k" })),
    ]
}
