//! OAUTH2 with an outbound installation: there is one real template.

use linkspan_auth::{Client, TokenEndpoint, TransportError};
use linkspan_providers::Config;
use linkspan_simulator::strict::outbound::Provider;
use linkspan_simulator::strict::{Misbehaviour, Strict};
use linkspan_testkit::TestApp;
use serde_json::{Map, Value, json};

use super::{call, connect, count, delete, full, id, refreshed, set_up, start_at};

const SLUG: &str = "sentry-oauth";
const ROUTE: &str = "/auth/oauth-outbound/sentry-oauth";
const PARAMS: &str = "&params[hostname]=de.sentry.io&params[actor]=user-7";
const PATH: &str = "/sentry.io/api/0/sentry-app-installations/u-1/authorizations/";

async fn strict() -> Strict {
    let provider = Provider {
        path: PATH.to_owned(),
        client_id: "id".to_owned(),
        client_secret: "planted secret".to_owned(),
        code: "code-1".to_owned(),
    };
    Strict::start(move |request| provider.answer(request))
        .await
        .unwrap()
}

fn credentials() -> Value {
    json!({ "type": "OAUTH2", "client_id": "id", "client_secret": "planted secret" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_its_webhook() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    let made = connect(&app, ROUTE, PARAMS, json!({})).await;
    let id = id(&made);
    assert_eq!(made.json()["isPending"], true, "{made:?}");
    let shown = full(&app, SLUG, &id).await;
    assert_eq!(shown["credentials"], json!({}));
    let expected = json!({ "hostname": "de.sentry.io", "actor": "user-7", "pending": true });
    assert_eq!(shown["connection_config"], expected);
    let refused = call(&app, SLUG, &id, "/0/projects/", None).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "invalid_connection")
    );
    let forced = refreshed(&app, SLUG, &id).await;
    assert_eq!(forced.status, 200, "{forced:?}");
    assert!(strict.requests().is_empty());
    delete(&app, SLUG, &id).await;
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_webhook_will_need_is_asked_for() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    let body = json!({ "unique_key": SLUG, "provider": SLUG });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    assert_eq!(
        connect(&app, ROUTE, PARAMS, json!({})).await.code(),
        "missing_client_id"
    );
    let more = "&params[hostname]=de.sentry.io";
    let refused = connect(&app, ROUTE, more, json!({})).await;
    assert_eq!(refused.code(), "invalid_query_params");
    let page = app.begin(SLUG, &app.connect_session().await).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("auth_mode_err"), "{text}");
    // What only the platform writes is not taken from a browser.
    let change = json!({ "credentials": credentials() });
    let path = format!("/integrations/{SLUG}");
    app.call(http::Method::PATCH, &path, change).await;
    let more = format!("{PARAMS}&params[pending]=false&params[installation.uuid]=mine");
    let id = id(&connect(&app, ROUTE, &more, json!({})).await);
    let config = full(&app, SLUG, &id).await["connection_config"].clone();
    assert_eq!(config["pending"], true);
    assert_eq!(config.get("installation.uuid"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_does_not_become_pending() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    let import = json!({ "provider_config_key": SLUG, "connection_id": "mine",
        "connection_config": { "hostname": "de.sentry.io", "actor": "user-7" },
        "credentials": { "type": "OAUTH2", "access_token": "works",
            "expires_at": "2020-01-01T00:00:00Z" } });
    let made = app.post("/connections", import).await;
    assert_eq!(made.status, 200, "{made:?}");
    let body = json!({ "connection_id": "mine", "integration_id": SLUG });
    let session = app.post("/connect/sessions/reconnect", body).await.json();
    let token = session["data"]["token"].as_str().unwrap();
    let path = format!("{ROUTE}?connect_session_token={token}{PARAMS}");
    let refused = app.post(&path, json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "invalid_connection"),
        "{refused:?}"
    );
    let shown = full(&app, SLUG, "mine").await;
    assert_eq!(shown["credentials"]["access_token"], "works");
    assert_eq!(shown["connection_config"].get("pending"), None, "{shown}");
}

/// The way out of the app under test.
struct Http<'a>(&'a TestApp);

impl TokenEndpoint for Http<'_> {
    async fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, TransportError> {
        let reply = self.0.send(request.map(Into::into)).await;
        let mut response = http::Response::new(reply.body.to_vec());
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_a_webhook_is_exchanged() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    let template = app.core.template(SLUG).unwrap();
    let config = Config {
        template: &template,
        connection: &Map::new(),
        integration: &Map::new(),
    };
    let client = Client {
        client_id: "id".to_owned(),
        client_secret: Some("planted secret".into()),
        ..Client::default()
    };
    let complete = async |code: &str| {
        let installation = json!({ "uuid": "u-1", "code": code });
        let webhook = json!({ "action": "created", "actor": { "id": "user-7" },
            "installation": { "uuid": "u-1" }, "data": { "installation": installation } });
        let webhook = webhook.as_object().unwrap();
        linkspan_auth::complete_outbound(Some(&client), &config, webhook, &Http(&app)).await
    };
    let finished = complete("code-1").await.unwrap();
    assert_eq!(
        finished.credentials.to_wire()["access_token"],
        "at-outbound"
    );
    assert_eq!(finished.metadata["installation.uuid"], "u-1");
    let refused = complete("planted-code").await.unwrap_err();
    assert!(!refused.to_string().contains("planted"), "{refused}");
    strict.misbehave("/", Misbehaviour::Garbage);
    assert!(complete("code-1").await.is_err());
}
