//! Each mode connects, its calls carry what they should, and credentials that
//! the provider does not take leave nothing behind.

use http::Method;
use linkspan_simulator::strict::Strict;
use linkspan_testkit::{Reply, TestApp, relocated};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::openapi::assert_is_connection;

mod api;
mod app;
mod aws_sigv4;
mod bill;
mod client_certificate;
mod client_credentials;
mod custom;
mod entered;
mod entries;
mod expired;
mod install_plugin;
mod jwt;
mod mcp;
mod oauth1;
mod oauth2;
mod oauth2_real;
mod outbound;
mod recheck;
mod refused;
mod registration;
mod signature;
mod tba;
mod two_step;

/// The templates that these tests add.
fn templates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |slug: &str, yaml: &str| {
        let head = "display_name: Test\ncategories: [other]\nintegration_config:\n  \
                    baseUrl: { type: string, title: Address }\n";
        std::fs::write(
            folder.path().join(format!("{slug}.yaml")),
            format!("{head}{yaml}"),
        )
        .unwrap();
    };
    let verified = "connection_config:\n  org: { type: string, title: O, optional: true }\nproxy:\n  base_url: ${integrationConfig.baseUrl}\n  verification:\n    \
                    method: GET\n    endpoints: [/nowhere, '/me?org=${connectionConfig.org}']\n";
    write(
        "basic-verified",
        &format!(
            "auth_mode: BASIC\ncredentials:\n  username: {{ type: string, title: U }}\n  \
                  password: {{ type: string, title: P, secret: true }}\n{verified}"
        ),
    );
    for (slug, endpoint) in [("oauth-odd", "/api/me"), ("oauth-bad", "/api/nowhere")] {
        let yaml = "auth_mode: OAUTH2\nauthorization_url: ${integrationConfig.baseUrl}/oauth/authorize\n\
             token_url: ${integrationConfig.baseUrl}/oauth/token\ndefault_scopes: [items.read]\n\
             authorization_code_param_in_callback: odd_code\nredirect_uri_metadata: [realm]\n\
             connection_config:\n  realm: { type: string, title: R, automated: true }\n\
             proxy:\n  base_url: ${integrationConfig.baseUrl}\n  verification: { endpoints: [ENDPOINT] }\n";
        write(slug, &yaml.replace("ENDPOINT", endpoint));
    }
    write("demo-alias", "alias: demo\n");
    write(
        "key-verified",
        &format!(
            "auth_mode: API_KEY\ncredentials:\n  apiKey: {{ type: string, title: K }}\n\
                  {verified}  headers: {{ x-key: '${{apiKey}}' }}\n  query: {{ key: '${{apiKey}}' }}\n"
        ),
    );
    folder
}

async fn start(folder: &TempDir) -> TestApp {
    let folder = folder.path().to_str().unwrap();
    TestApp::start_with(&[("LINKSPAN_PROVIDERS_DIR", folder)]).await
}

/// An app whose built-in templates of these names call `provider` in place of
/// their own hosts, which are then the first segment of the path. `settings` are
/// by their names in the environment.
async fn start_at(
    provider: &Strict,
    slugs: &[&str],
    settings: &[(&str, &str)],
) -> (TempDir, TestApp) {
    let folder = relocated(slugs, &provider.url());
    let path = folder.path().to_str().unwrap();
    let settings = [&[("LINKSPAN_PROVIDERS_DIR", path)], settings].concat();
    let app = TestApp::start_with(&settings).await;
    (folder, app)
}

/// The setting of a server that soon gives a provider up.
const IMPATIENT: (&str, &str) = ("LINKSPAN_OAUTH_TOKEN_TIMEOUT_MS", "1500");

async fn integrate(app: &TestApp, provider: &str, base_url: &str) {
    let mut body = json!({ "unique_key": provider, "provider": provider });
    if !base_url.is_empty() {
        body["integration_config"] = json!({ "baseUrl": base_url });
    }
    let reply = app.post("/integrations", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn connect(app: &TestApp, route: &str, more: &str, body: Value) -> Reply {
    let token = app.connect_session().await;
    app.post(
        &format!("{route}?connect_session_token={token}{more}"),
        body,
    )
    .await
}

async fn call(app: &TestApp, key: &str, connection: &str, path: &str, base: Option<&str>) -> Reply {
    let mut headers = vec![("Provider-Config-Key", key), ("Connection-Id", connection)];
    headers.extend(base.map(|base| ("Base-Url-Override", base)));
    let path = format!("/proxy{path}");
    app.call_as(&app.dev.api_key, Method::GET, &path, &headers, Value::Null)
        .await
}

/// An integration with these credentials of its own, whose key is the provider's
/// slug.
async fn set_up(app: &TestApp, provider: &str, credentials: Value) {
    let body = json!({ "unique_key": provider, "provider": provider, "credentials": credentials });
    let reply = app.post("/integrations", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Goes where a browser is sent.
async fn follow(app: &TestApp, location: &str) -> Reply {
    let request = http::Request::get(location).body(bytes::Bytes::new());
    app.send(request.unwrap()).await
}

fn bearer(app: &TestApp) -> String {
    use secrecy::ExposeSecret as _;
    format!("Bearer {}", app.dev.api_key.expose_secret())
}

/// The connection after a refresh that was asked for.
async fn refreshed(app: &TestApp, key: &str, connection: &str) -> Reply {
    let query = format!("provider_config_key={key}&force_refresh=true");
    let reply = app.get(&format!("/connections/{connection}?{query}")).await;
    if reply.status.is_success() {
        assert_is_connection(&reply.json());
    }
    reply
}

/// Deletes the connection.
async fn delete(app: &TestApp, key: &str, connection: &str) {
    let path = format!("/connections/{connection}?provider_config_key={key}");
    let reply = app.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn count(app: &TestApp) -> usize {
    app.get("/connections").await.json()["connections"]
        .as_array()
        .unwrap()
        .len()
}

fn id(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["connectionId"].as_str().unwrap().to_owned()
}

/// The connection, in the form of our OpenAPI document.
async fn full(app: &TestApp, key: &str, connection: &str) -> Value {
    let path = format!("/connections/{connection}?provider_config_key={key}");
    let shown = app.get(&path).await.json();
    assert_is_connection(&shown);
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folders_template_may_build_on_a_built_in_one() {
    let folder = templates();
    let app = start(&folder).await;
    let shown = app.get("/providers/demo-alias").await.json();
    assert_eq!(shown["data"]["display_name"], "Test");
    assert_eq!(shown["data"]["auth_mode"], "OAUTH2");
}
