//! Connections of any age.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use linkspan_shared::connections::live::{self, LiveKey};
use linkspan_shared::events::of_connection;
use linkspan_shared::{connections, integrations};
use linkspan_simulator::Fault;
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

pub(super) async fn force(app: &TestApp, connection: &str) -> Reply {
    let path = format!("/connections/{connection}?provider_config_key=demo&force_refresh=true");
    app.get(&path).await
}

pub(super) async fn get(app: &TestApp, connection: &str) -> Reply {
    let path = format!("/connections/{connection}?provider_config_key=demo");
    app.get(&path).await
}

pub(super) fn tokens(reply: &Reply) -> (Value, Value) {
    let credentials = &reply.json()["credentials"];
    (
        credentials["access_token"].clone(),
        credentials["refresh_token"].clone(),
    )
}

/// An app that caches nothing, with an integration `demo`.
pub(super) async fn app() -> TestApp {
    let app = TestApp::start_with(&[("LINKSPAN_CACHE_TTL_MS", "0")]).await;
    app.create_demo("demo").await;
    app
}

/// A connection whose access token expires in so long; its tokens.
pub(super) async fn connect(app: &TestApp, id: &str, expires_in: TimeDelta) -> (Value, Value) {
    let minted = app.provider.control().mint();
    let expires_at: DateTime<Utc> = Utc::now() + expires_in;
    let reply = app
        .post(
            "/connections",
            json!({
                "provider_config_key": "demo",
                "connection_id": id,
                "credentials": {
                    "type": "OAUTH2",
                    "access_token": minted.access_token,
                    "refresh_token": minted.refresh_token,
                    "expires_at": expires_at.to_rfc3339(),
                },
            }),
        )
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    (minted.access_token.into(), minted.refresh_token.into())
}

pub(crate) const EXPIRED: TimeDelta = TimeDelta::hours(-1);

/// The next token request is answered by an error.
pub(super) fn refuse_next(app: &TestApp) {
    app.provider.control().fail_next(Fault::TokenError {
        status: 400,
        body: r#"{"error":"invalid_grant","error_description":"no longer"}"#.into(),
    });
}

/// Changes a connection in the database, as time would.
pub(crate) async fn age(app: &TestApp, connection: &str, set: &str) {
    let mut conn = app.core.db.conn().await.unwrap();
    let changed = diesel::sql_query(format!(
        "UPDATE connections SET {set} WHERE connection_id = $1"
    ))
    .bind::<Text, _>(connection)
    .execute(&mut conn)
    .await
    .unwrap();
    assert_eq!(changed, 1);
}

/// As if the connection's token had so long left, of ten minutes.
pub(crate) async fn shift(app: &TestApp, key: &str, connection: &str, left: TimeDelta) {
    let environment = app.dev.environment.id;
    let keys = app.core.vault.environment(environment).await.unwrap();
    let mut conn = app.core.db.conn().await.unwrap();
    let integration = integrations::get(&mut conn, &keys, environment, key)
        .await
        .unwrap();
    let stored = connections::get(&mut conn, &keys, &integration, connection)
        .await
        .unwrap();
    let mut credentials = serde_json::to_value(&stored.credentials).unwrap();
    set_life(&mut credentials, Utc::now() + left);
    let new = connections::NewConnection {
        connection_id: stored.connection_id,
        credentials: serde_json::from_value(credentials).unwrap(),
        connection_config: stored.connection_config,
        tags: stored.tags,
        end_user: stored.end_user,
        webhook_url_override: None,
    };
    let template = app.core.template(&integration.provider).unwrap();
    connections::upsert(&mut conn, &keys, &integration, &template, &new)
        .await
        .unwrap();
    live::forget(&app.core, &LiveKey::new(environment, key, connection)).await;
}

/// Sets the times of all tokens in stored credentials of any mode.
fn set_life(credentials: &mut Value, expires_at: DateTime<Utc>) {
    let Value::Object(fields) = credentials else {
        return;
    };
    if fields.contains_key("issued_at") {
        let issued_at = expires_at - TimeDelta::seconds(600);
        fields.insert("expires_at".to_owned(), json!(expires_at));
        fields.insert("issued_at".to_owned(), json!(issued_at));
    }
    for (_, inner) in fields.iter_mut().filter(|(name, _)| *name != "raw") {
        set_life(inner, expires_at);
    }
}

/// The kinds of what happened to a connection, in order.
pub(crate) async fn events(app: &TestApp, connection: &str) -> Vec<String> {
    let mut conn = app.core.db.conn().await.unwrap();
    let environment = app.dev.environment.id;
    let events = of_connection(&mut conn, environment, connection).await;
    events
        .unwrap()
        .into_iter()
        .map(|event| event.kind)
        .collect()
}

/// As if the last failure were half a minute ago.
pub(super) const BACKOFF_OVER: &str =
    "last_refresh_failure_at = last_refresh_failure_at - interval '31 seconds'";
/// As if it were a day ago.
pub(super) const A_DAY_LATER: &str = "last_refresh_failure_at = last_refresh_failure_at \
     - interval '1 day', refresh_failure_counted_on = refresh_failure_counted_on - 1";
