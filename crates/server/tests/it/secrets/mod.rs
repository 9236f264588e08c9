//! Secrets are planted everywhere and searched for everywhere else.

use std::sync::{Arc, Mutex};

use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_testkit::TestApp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_postgres::NoTls;
use tracing_subscriber::fmt::format::FmtSpan;

use planted::Planted;

mod modes;
mod planted;
mod records;

const CLIENT_SECRET: &str = "planted-client-secret-4f1c";
const API_KEY: &str = "planted-api-key-9b2e";
const DEFAULT_SECRET: &str = "planted-default-secret-77aa";
const APP_KEY: &str = "planted-app-key-31d0";
const SESSION_APP_KEY: &str = "planted-session-app-key-e5b6";

/// A template whose connections have a secret in their configuration.
const TEMPLATE: &str = "display_name: Test
categories: [other]
auth_mode: API_KEY
credentials:
  apiKey: { type: string, title: K }
connection_config:
  appKey: { type: string, title: A, secret: true, pattern: '^planted' }
";

/// Every row of every table as text.
async fn dump(url: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let tables = "SELECT schemaname || '.' || tablename FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let mut text = String::new();
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let rows = client
            .query(&format!("SELECT row_to_json(t)::text FROM {table} t"), &[])
            .await
            .unwrap();
        for row in rows {
            let line: String = row.get(0);
            text += &format!("{table} {line}\n");
        }
    }
    text
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the logs API answers: the list, and each operation with its messages,
/// once the last call through the proxy is among them.
async fn operations(app: &TestApp, connection: &str) -> String {
    let mut tries = 0;
    let called = format!("/logs/operations?type=proxy&connection={connection}&limit=1");
    loop {
        let newest = app.get(&called).await.json();
        if let Some(id) = newest["data"][0]["id"].as_str() {
            let shown = app.get(&format!("/logs/operations/{id}")).await;
            if String::from_utf8_lossy(&shown.body).contains(planted::LAST) {
                break;
            }
        }
        tries += 1;
        assert!(tries < 200, "the call is not logged");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let list = app.get("/logs/operations?limit=100").await;
    let mut text = String::from_utf8_lossy(&list.body).into_owned();
    for operation in list.json()["data"].as_array().unwrap() {
        let path = format!("/logs/operations/{}", operation["id"].as_str().unwrap());
        text += &String::from_utf8_lossy(&app.get(&path).await.body);
    }
    assert!(
        text.contains("/api/echo"),
        "the call's address is there: {text}"
    );
    text
}

/// Hexadecimal, as Postgres shows the bytes of a text.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_readable_in_tables_logs_errors_or_debug_output() {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .init();
    let provider = modes::Provider::start().await;
    let folder = provider.templates();
    std::fs::write(folder.path().join("keyed.yaml"), TEMPLATE).unwrap();
    let setting = ("LINKSPAN_PROVIDERS_DIR", folder.path().to_str().unwrap());
    let app = TestApp::start_with(&[setting]).await;
    let keyed = json!({ "unique_key": "keyed", "provider": "keyed" });
    assert_eq!(app.post("/integrations", keyed).await.status, 200);
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let full = app.get(&path).await.json();
    let session = json!({
        "tags": { "a": "b" },
        "integrations_config_defaults": { "demo": { "connection_config": {
            "oauth_client_secret_override": DEFAULT_SECRET } },
            "keyed": { "connection_config": { "appKey": SESSION_APP_KEY } } },
    });
    let session = app.post("/connect/sessions", session).await.json();
    let token = session["data"]["token"].as_str().unwrap().to_owned();
    let view = app
        .call_as(
            &token.clone().into(),
            http::Method::GET,
            "/connect/session",
            &[],
            Value::Null,
        )
        .await;
    let bearer = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    app.post("/integrations", bearer).await;
    let form = format!("/api-auth/api-key/bearer?connect_session_token={token}");
    assert_eq!(
        app.post(&form, json!({ "apiKey": API_KEY })).await.status,
        200
    );
    let form_keyed = format!("/api-auth/api-key/keyed?connect_session_token={token}");
    let by_session = app.post(&form_keyed, json!({ "apiKey": API_KEY })).await;
    assert_eq!(by_session.status, 200, "{by_session:?}");
    let import = |key: &str| {
        json!({ "provider_config_key": "keyed", "connection_id": "imported",
            "connection_config": { "appKey": key },
            "credentials": { "type": "API_KEY", "apiKey": API_KEY } })
    };
    assert_eq!(app.post("/connections", import(APP_KEY)).await.status, 200);
    let other = json!({ "unique_key": "other", "provider": "demo", "credentials": {
        "type": "OAUTH2", "client_id": "x", "client_secret": CLIENT_SECRET } });
    app.post("/integrations", other.clone()).await;
    let headers = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection.as_str()),
    ];
    app.call_as(
        &app.dev.api_key,
        http::Method::GET,
        "/proxy/api/echo?api_key=planted-in-query",
        &headers,
        Value::Null,
    )
    .await;
    let mut planted = Planted::default();
    modes::all(&app, &provider, &mut planted).await;
    records::all(&app, &connection, &mut planted).await;
    planted::all(&app, &connection, &mut planted).await;
    let operations = operations(&app, &connection).await;
    let errors = [
        app.post("/integrations", other).await,
        app.post(&form, json!({ "apiKey": [API_KEY] })).await,
        app.post("/connections", import(&format!("x{APP_KEY}")))
            .await,
    ];
    let errors: String = errors
        .iter()
        .map(|reply| String::from_utf8_lossy(&reply.body).into_owned())
        .chain([planted.errors])
        .collect();
    let opened = LiveKey::new(app.dev.environment.id, "keyed", "imported");
    let opened = live::get(&app.core, opened, Freshness::Stored)
        .await
        .unwrap();
    let opened_key = &opened.connection.connection_config["appKey"];
    assert_eq!(opened_key, APP_KEY, "the secret is there to be shown");
    let debug = format!("{:?} {:?} {opened:?} {}", app.core, app.dev, planted.debug);

    let credentials = &full["credentials"];
    let mut secrets = vec![
        CLIENT_SECRET.to_owned(),
        API_KEY.to_owned(),
        DEFAULT_SECRET.to_owned(),
        APP_KEY.to_owned(),
        SESSION_APP_KEY.to_owned(),
        "planted-in-query".to_owned(),
        credentials["access_token"].as_str().unwrap().to_owned(),
        credentials["refresh_token"].as_str().unwrap().to_owned(),
        app.dev.api_key.expose_secret().to_owned(),
        token,
        app.provider.client().client_secret.clone(),
    ];
    secrets.extend(planted.secrets);
    let short = secrets.iter().find(|secret| secret.len() <= 8);
    assert_eq!(short, None, "it could be found by accident");
    let view = String::from_utf8_lossy(&view.body).into_owned();
    let (database, _provider) = app.stop().await;
    let tables = dump(database.direct_url().expose_secret()).await;
    for table in ["logs.operations_", "records.records "] {
        assert!(tables.contains(table), "there are rows of {table}");
    }
    let logs = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(logs.contains("TRACE"), "the logs are as long as they get");
    let mut found = Vec::new();
    for secret in &secrets {
        for (place, text) in [
            ("tables", &tables),
            ("process logs", &logs),
            ("errors", &errors),
            ("debug output", &debug),
            ("session view", &view),
            ("the logs API", &operations),
        ] {
            for form in [secret.clone(), hex(secret)] {
                let line = text.lines().find(|line| line.contains(&form));
                found.extend(line.map(|line| format!("{form} is in {place}: {line}")));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
