//! Forms of calls that older clients use.

use linkspan_testkit::TestApp;
use serde_json::{Value, json};

/// The deprecated `POST /connection` has the credentials beside the other fields.
#[tokio::test(flavor = "multi_thread")]
async fn older_clients_import_flat_credentials() {
    let app = TestApp::start().await;
    let bearer = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    assert_eq!(app.post("/integrations", bearer).await.status, 200);
    let flat = |more: Value| {
        let mut body = json!({ "provider_config_key": "bearer", "connection_id": "flat",
                               "connection_config": { "baseUrl": "http://127.0.0.1:1" } });
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        body
    };
    let wrong = json!({ "username": "u", "password": "p" });
    let reply = app.post("/connection", flat(wrong)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, "invalid_body")
    );
    let path = "/connection/flat?provider_config_key=bearer";
    assert_eq!(app.get(path).await.status, 404);
    let reply = app
        .post("/connection", flat(json!({ "api_key": "secret" })))
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let found = app.get(path).await.json();
    assert_eq!(
        found["credentials"],
        json!({ "type": "API_KEY", "apiKey": "secret" })
    );
}
