//! What is refused: with the contract's code, at the path of the field that is
//! wrong, and so that nothing is stored.

mod bodies;
mod fields;
mod headers;
mod races;
mod table;
mod texts;

use std::collections::BTreeMap;

use linkspan_testkit::{Reply, TestApp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

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
