//! OAUTH2, beside what the tests of flows show.

use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

use super::{count, full, start, templates};

/// An integration with the demo provider whose client the provider does not know.
async fn integrate_unknown_client(app: &TestApp) {
    let body = json!({
        "unique_key": "demo",
        "provider": "demo",
        "credentials": { "type": "OAUTH2", "client_id": "unknown", "client_secret": "unknown" },
        "integration_config": { "baseUrl": app.provider.base_url().as_str().trim_end_matches('/') },
    });
    assert_eq!(app.post("/integrations", body).await.status, 200);
}

/// An integration with the demo provider that has no client at all.
async fn integrate_without_client(app: &TestApp) {
    let body = json!({
        "unique_key": "demo",
        "provider": "demo",
        "integration_config": { "baseUrl": app.provider.base_url().as_str().trim_end_matches('/') },
    });
    assert_eq!(app.post("/integrations", body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_brings_its_own_client_which_stays_sealed() {
    let app = TestApp::start().await;
    integrate_unknown_client(&app).await;
    own_client_authorises_and_refreshes(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connections_own_client_needs_none_of_the_integration() {
    let app = TestApp::start().await;
    integrate_without_client(&app).await;
    let refused = app.begin("demo", &app.connect_session().await).await;
    let page = String::from_utf8(refused.body.to_vec()).unwrap();
    assert!(page.contains("provider_config_err"), "{page}");
    own_client_authorises_and_refreshes(&app).await;
}

async fn own_client_authorises_and_refreshes(app: &TestApp) {
    let client = app.provider.client();
    let config = json!({
        "oauth_client_id_override": client.client_id,
        "oauth_client_secret_override": client.client_secret,
        "oauth_scopes_override": "items.read",
    });
    let session = json!({
        "end_user": { "id": "user-1" },
        "integrations_config_defaults": { "demo": { "connection_config": config } },
    });
    let token = app.post("/connect/sessions", session).await.json()["data"]["token"].clone();
    let start = app.begin("demo", token.as_str().unwrap()).await;
    let user = linkspan_simulator::Settings::default().user;
    let back = browser::authorize(start.header("location").unwrap(), &user, Decision::Allow)
        .await
        .unwrap();
    let page = app.come_back(&back, start.header("set-cookie")).await;
    assert_eq!(page.status, 200, "{page:?}");

    let listed = app.get("/connections").await.json();
    let connection = listed["connections"][0]["connection_id"].as_str().unwrap();
    let before = full(app, "demo", connection).await;
    assert_eq!(
        before["connection_config"]["oauth_granted_scopes"],
        json!(["items.read"])
    );
    assert_eq!(
        before["connection_config"].get("oauth_missing_scopes"),
        None
    );
    assert_eq!(
        before["connection_config"]["oauth_client_id_override"],
        client.client_id
    );
    assert!(
        !before.to_string().contains(&client.client_secret),
        "{before}"
    );

    let path = format!("/connections/{connection}?provider_config_key=demo&force_refresh=true");
    let after = app.get(&path).await.json();
    let token = |connection: &Value| connection["credentials"]["access_token"].clone();
    assert!(
        token(&after).is_string() && token(&after) != token(&before),
        "{after}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_brings_a_client_by_its_own_parameters_only() {
    let app = TestApp::start().await;
    integrate_unknown_client(&app).await;
    let begin = |query: &'static str| {
        let app = &app;
        async move {
            let token = app.connect_session().await;
            app.begin("demo", &format!("{token}&{query}")).await
        }
    };
    let own = begin("credentials[oauth_client_id_override]=own&user_scope=x").await;
    let location = own.header("location").unwrap();
    assert!(
        location.contains("client_id=own") && !location.contains("user_scope"),
        "{location}"
    );
    let other = begin("credentials[password]=x").await;
    assert_eq!(other.status, 400);
}

/// Authorises with a provider that gives the code under another name, and
/// answers the callback's page.
async fn authorise_odd(app: &TestApp, key: &str) -> Reply {
    let client = app.provider.client();
    let body = json!({
        "unique_key": key,
        "provider": key,
        "credentials": {
            "type": "OAUTH2",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
        },
        "integration_config": { "baseUrl": app.provider.base_url().as_str().trim_end_matches('/') },
    });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let token = app.connect_session().await;
    let start = app
        .begin(key, &format!("{token}&params[realm]=evil&params[org]=o"))
        .await;
    let user = linkspan_simulator::Settings::default().user;
    let back = browser::authorize(start.header("location").unwrap(), &user, Decision::Allow).await;
    let back = back.unwrap().replace("code=", "odd_code=") + "&realm=r7";
    app.come_back(&back, start.header("set-cookie")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_reads_the_callback_as_the_template_says() {
    let folder = templates();
    let app = start(&folder).await;
    let page = authorise_odd(&app, "oauth-odd").await;
    assert_eq!(page.status, 200, "{page:?}");
    let listed = app.get("/connections").await.json();
    let connection = listed["connections"][0]["connection_id"].as_str().unwrap();
    let config = full(&app, "oauth-odd", connection).await["connection_config"].clone();
    // What only the provider knows is not taken from the browser.
    assert_eq!(config["realm"], "r7");
    assert_eq!(config["org"], "o");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_the_api_does_not_take_are_not_stored() {
    let folder = templates();
    let app = start(&folder).await;
    let page = authorise_odd(&app, "oauth-bad").await;
    assert_eq!(page.status, 400, "{page:?}");
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(
        page.contains("token_err") && page.contains("status 404"),
        "{page}"
    );
    assert_eq!(app.provider.control().token_requests(), 1);
    assert_eq!(count(&app).await, 0);
}
