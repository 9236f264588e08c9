//! A connection's configuration: checked wherever it comes from, and what is
//! secret of it sealed.

use diesel_async::RunQueryDsl;
use http::Method;
use linkspan_shared::connections::seal;
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::{Reply, TestApp};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

const HEAD: &str = "display_name: Test\ncategories: [other]\n";
const KEY: &str = "auth_mode: API_KEY
credentials:
  apiKey: { type: string, title: K }
proxy:
  base_url: https://unused.example
  headers: { x-app: '${connectionConfig.appKey}', x-region: '${connectionConfig.region}' }
connection_config:
  subdomain: { type: string, title: S, pattern: '^[a-z]+$' }
  region: { type: string, title: R, enum: [eu, us], default_value: eu }
  appKey: { type: string, title: A, secret: true, optional: true }
  base: { type: string, title: B, automated: true, format: uri }
";
const OAUTH: &str = "auth_mode: OAUTH2
authorization_url: ${integrationConfig.baseUrl}/oauth/authorize
token_url: ${integrationConfig.baseUrl}/oauth/token
redirect_uri_metadata: [realm]
integration_config:
  baseUrl: { type: string, title: Address }
connection_config:
  realm: { type: string, title: R, pattern: '^[a-z0-9]+$' }
  team: { type: string, title: T, pattern: '^[a-z]+$' }
";

/// A server that knows `keyed` and `oauth-realm`, with an integration of the first.
async fn start() -> (TestApp, TempDir) {
    start_with(&[]).await
}

async fn start_with(more: &[(&str, &str)]) -> (TestApp, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let write = |slug: &str, yaml: &str| {
        let path = folder.path().join(format!("{slug}.yaml"));
        std::fs::write(path, format!("{HEAD}{yaml}")).unwrap();
    };
    write("keyed", KEY);
    write("oauth-realm", OAUTH);
    let setting = ("LINKSPAN_PROVIDERS_DIR", folder.path().to_str().unwrap());
    let app = TestApp::start_with(&[&[setting], more].concat()).await;
    let keyed = json!({ "unique_key": "keyed", "provider": "keyed" });
    assert_eq!(app.post("/integrations", keyed).await.status, 200);
    (app, folder)
}

async fn session(app: &TestApp, config: Value) -> Reply {
    let body = json!({ "end_user": { "id": "user-1" },
        "integrations_config_defaults": { "keyed": { "connection_config": config } } });
    app.post("/connect/sessions", body).await
}

async fn connect(app: &TestApp, config: Value, params: &str) -> Reply {
    let opened = session(app, config).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    let token = opened.json()["data"]["token"].as_str().unwrap().to_owned();
    let path = format!("/api-auth/api-key/keyed?connect_session_token={token}{params}");
    app.post(&path, json!({ "apiKey": "k" })).await
}

fn id(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["connectionId"].as_str().unwrap().to_owned()
}

async fn config(app: &TestApp, connection: &str) -> Value {
    let path = format!("/connections/{connection}?provider_config_key=keyed");
    app.get(&path).await.json()["connection_config"].clone()
}

/// What an `invalid_…` answer names.
fn refused(reply: &Reply, code: &str) -> Vec<Value> {
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, code),
        "{reply:?}"
    );
    let errors = reply.json()["error"]["errors"].clone();
    let errors = errors.as_array().unwrap().iter();
    errors.map(|error| error["path"].clone()).collect()
}

async fn none_is_stored(app: &TestApp) {
    let listed = app.get("/connections").await.json();
    assert_eq!(listed, json!({ "connections": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browsers_values_are_checked() {
    let (app, _folder) = start().await;
    let path = |name: &str| vec![json!(["params", name])];
    for (params, name) in [
        ("", "subdomain"),
        ("&params[subdomain]=", "subdomain"),
        ("&params[subdomain]=NO", "subdomain"),
        ("&params[subdomain]=a&params[region]=mars", "region"),
    ] {
        let reply = connect(&app, json!({}), params).await;
        assert_eq!(
            refused(&reply, "invalid_query_params"),
            path(name),
            "{params}"
        );
    }
    none_is_stored(&app).await;
    // What the platform finds out is dropped, what nobody knows is kept.
    let good = "&params[connectionConfig.subdomain]=acme&params[base]=https://evil.example\
                &params[connectionConfig.base]=https://evil.example\
                &params[oauth_granted_scopes]=all&params[connectionConfig.oauth_missing_scopes]=b\
                &params[own]=1&params[region]=";
    let made = connect(&app, json!({}), good).await;
    let stored = config(&app, &id(&made)).await;
    assert_eq!(stored, json!({ "subdomain": "acme", "own": "1" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_values_are_checked_and_hold() {
    let (app, _folder) = start().await;
    for (wrong, name) in [
        (json!({ "subdomain": "NO" }), "subdomain"),
        (json!({ "subdomain": 7 }), "subdomain"),
        (json!({ "base": "nowhere" }), "base"),
        (
            json!({ "oauth_scopes_override": ["a"] }),
            "oauth_scopes_override",
        ),
    ] {
        let reply = session(&app, wrong.clone()).await;
        let path = json!([
            "integrations_config_defaults",
            "keyed",
            "connection_config",
            name
        ]);
        assert_eq!(refused(&reply, "invalid_body"), [path], "{wrong}");
    }
    let set = json!({ "subdomain": "acme", "base": "https://acme.example", "deep": { "a": 1 } });
    // What a session says is not asked of the browser, whatever that sends.
    let made = connect(&app, set.clone(), "&params[subdomain]=%2A").await;
    assert_eq!(config(&app, &id(&made)).await, set);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imports_values_are_checked() {
    let (app, _folder) = start().await;
    let import = |config: Value| {
        let body = json!({ "provider_config_key": "keyed", "connection_config": config,
            "credentials": { "type": "API_KEY", "apiKey": "k" } });
        app.post("/connections", body)
    };
    let wrong = json!({ "region": "mars", "subdomain": "NO", "base": 7 });
    let reply = import(wrong).await;
    let path = |name: &str| json!(["connection_config", name]);
    let paths = ["base", "region", "subdomain"].map(path);
    assert_eq!(refused(&reply, "invalid_body"), paths);
    assert_eq!(
        refused(&import(json!({})).await, "invalid_body"),
        [path("subdomain")]
    );
    let nul = import(json!({ "subdomain": "a", "own": ["\u{0}"] })).await;
    assert_eq!(
        refused(&nul, "invalid_body"),
        [json!(["connection_config", "own", "0"])]
    );
    none_is_stored(&app).await;
    let made = import(json!({ "subdomain": "a", "base": "https://a.example" })).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(
        made.json()["connection_config"]["base"],
        "https://a.example"
    );
}

/// A key that reads connections and no credentials.
async fn reader(app: &TestApp) -> SecretString {
    let body = json!({ "environment_id": 1, "display_name": "reader",
        "scopes": ["environment:connections:read"] });
    let reply = app.post("/environment/api-keys", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let key = reply.json()["data"]["secret"].as_str().unwrap().to_owned();
    key.into()
}

/// The plain column, and whether there is a sealed one.
async fn stored(app: &TestApp) -> (Value, bool) {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        plain: String,
        #[diesel(sql_type = diesel::sql_types::Bool)]
        is_sealed: bool,
    }
    let sql = "SELECT connection_config::text AS plain, config_secrets IS NOT NULL AS is_sealed \
               FROM connections";
    let mut conn = app.core.db.conn().await.unwrap();
    let row: Row = diesel::sql_query(sql).get_result(&mut conn).await.unwrap();
    (serde_json::from_str(&row.plain).unwrap(), row.is_sealed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_sealed_used_and_shown_to_those_who_may_read_credentials() {
    let (app, _folder) = start().await;
    let params = "&params[subdomain]=acme&params[appKey]=planted";
    let connection = id(&connect(&app, json!({}), params).await);
    assert_eq!(stored(&app).await, (json!({ "subdomain": "acme" }), true));
    let all = json!({ "subdomain": "acme", "appKey": "planted" });
    assert_eq!(config(&app, &connection).await, all);

    let path = format!("/connections/{connection}?provider_config_key=keyed");
    let seen = app
        .call_as(&reader(&app).await, Method::GET, &path, &[], Value::Null)
        .await
        .json();
    assert_eq!(seen["connection_config"], json!({ "subdomain": "acme" }));
    let echo = app.provider.base_url().to_string();
    let headers = [
        ("Provider-Config-Key", "keyed"),
        ("Connection-Id", connection.as_str()),
        ("Base-Url-Override", echo.trim_end_matches('/')),
    ];
    app.call_as(
        &app.dev.api_key,
        Method::GET,
        "/proxy/api/echo",
        &headers,
        Value::Null,
    )
    .await;
    let requests = app.provider.control().requests();
    let sent = format!("{:?}", requests.last().unwrap().headers);
    assert!(sent.contains("planted") && sent.contains("eu"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_hides_its_secrets_from_the_browser_that_has_it() {
    let (app, _folder) = start().await;
    let opened = session(&app, json!({ "appKey": "planted", "subdomain": "acme" })).await;
    let token: SecretString = opened.json()["data"]["token"].as_str().unwrap().into();
    let view = app
        .call_as(&token, Method::GET, "/connect/session", &[], Value::Null)
        .await
        .json();
    let shown = &view["data"]["integrations_config_defaults"]["keyed"]["connection_config"];
    assert_eq!(shown, &json!({ "appKey": "********", "subdomain": "acme" }));
    // A form that sends back what it saw changes nothing.
    let mask = "&params[appKey]=********";
    let secret = json!({ "appKey": "planted", "subdomain": "acme" });
    let made = connect(&app, secret, mask).await;
    assert_eq!(config(&app, &id(&made)).await["appKey"], "planted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnected_connection_keeps_its_secret_sealed() {
    let (app, _folder) = start().await;
    let params = "&params[subdomain]=acme&params[appKey]=planted";
    let connection = id(&connect(&app, json!({}), params).await);
    let again = |params: &'static str| {
        let body = json!({ "connection_id": connection, "integration_id": "keyed" });
        let app = &app;
        async move {
            let opened = app.post("/connect/sessions/reconnect", body).await.json();
            let token = opened["data"]["token"].as_str().unwrap();
            let path = format!("/api-auth/api-key/keyed?connect_session_token={token}{params}");
            app.post(&path, json!({ "apiKey": "new" })).await
        }
    };
    let kept = again("&params[subdomain]=").await;
    assert_eq!(id(&kept), connection);
    let all = json!({ "subdomain": "acme", "appKey": "planted" });
    assert_eq!(config(&app, &connection).await, all);
    let wrong = again("&params[subdomain]=NO").await;
    assert_eq!(refused(&wrong, "invalid_query_params").len(), 1);
    id(&again("&params[appKey]=other").await);
    assert_eq!(config(&app, &connection).await["appKey"], "other");
    assert_eq!(stored(&app).await, (json!({ "subdomain": "acme" }), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_in_plain_sight_works_and_is_sealed_once() {
    let (app, _folder) = start().await;
    let connection = id(&connect(&app, json!({}), "&params[subdomain]=acme").await);
    let older = "UPDATE connections SET connection_config = \
                 connection_config || '{\"appKey\": \"planted\"}'";
    let mut conn = app.core.db.conn().await.unwrap();
    diesel::sql_query(older).execute(&mut conn).await.unwrap();
    drop(conn);
    let all = json!({ "subdomain": "acme", "appKey": "planted" });
    assert_eq!(config(&app, &connection).await, all);
    let path = format!("/connections/{connection}?provider_config_key=keyed");
    let seen = app
        .call_as(&reader(&app).await, Method::GET, &path, &[], Value::Null)
        .await
        .json();
    assert_eq!(seen["connection_config"], json!({ "subdomain": "acme" }));

    assert_eq!(seal::secrets(&app.core).await.unwrap(), 1);
    assert_eq!(stored(&app).await, (json!({ "subdomain": "acme" }), true));
    assert_eq!(config(&app, &connection).await, all);
    assert_eq!(seal::secrets(&app.core).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_data_key_seals_it_again() {
    let (app, _folder) = start_with(&[("LINKSPAN_CACHE_TTL_MS", "0")]).await;
    let params = "&params[subdomain]=acme&params[appKey]=planted";
    let connection = id(&connect(&app, json!({}), params).await);
    let before = sealed(&app).await;
    let report = app.core.vault.rotate_data(|_| {}).await.unwrap();
    assert_eq!(report.unreadable, 0);
    assert_ne!(sealed(&app).await, before);
    assert_eq!(config(&app, &connection).await["appKey"], "planted");
}

/// The key's version in the sealed column, as Postgres shows its bytes.
async fn sealed(app: &TestApp) -> String {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        version: String,
    }
    let sql = "SELECT substring(config_secrets FROM 2 FOR 4)::text AS version FROM connections";
    let mut conn = app.core.db.conn().await.unwrap();
    let row: Row = diesel::sql_query(sql).get_result(&mut conn).await.unwrap();
    row.version
}

/// Creates an integration with the provider that names a realm in its callback.
async fn integrate_realm(app: &TestApp) {
    let client = app.provider.client();
    let base = app.provider.base_url().to_string();
    let body = json!({ "unique_key": "oauth-realm", "provider": "oauth-realm",
        "credentials": { "type": "OAUTH2", "client_id": client.client_id,
            "client_secret": client.client_secret, "scopes": "items.read" },
        "integration_config": { "baseUrl": base.trim_end_matches('/') } });
    assert_eq!(app.post("/integrations", body).await.status, 200);
}

/// Goes to the provider and comes back with `more` in the callback.
async fn authorise(app: &TestApp, more: &str) -> Reply {
    let token = app.connect_session().await;
    let start = app
        .begin("oauth-realm", &format!("{token}&params[team]=a"))
        .await;
    assert_eq!(start.status, 302, "{start:?}");
    let user = linkspan_simulator::Settings::default().user;
    let location = start.header("location").unwrap();
    let back = browser::authorize(location, &user, Decision::Allow).await;
    let back = format!("{}{more}", back.unwrap());
    app.come_back(&back, start.header("set-cookie")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_asks_for_what_the_provider_does_not_say_and_checks_what_it_says() {
    let (app, _folder) = start().await;
    integrate_realm(&app).await;
    let text = |reply: &Reply| String::from_utf8(reply.body.to_vec()).unwrap();
    for (params, said) in [
        ("", "params.team: `team` is required"),
        ("&params[team]=7", "params.team: `team` does not have"),
    ] {
        let token = app.connect_session().await;
        let page = app.begin("oauth-realm", &format!("{token}{params}")).await;
        assert_eq!(page.status, 400, "{params}");
        assert!(text(&page).contains("url_param_err"), "{}", text(&page));
        assert!(text(&page).contains(said), "{}", text(&page));
    }
    // The realm is a host name's part later on: not whatever the browser brings.
    for (more, said) in [
        (
            "&realm=evil.example%2F",
            "`realm` does not have the expected form",
        ),
        ("", "`realm` is required"),
    ] {
        let page = authorise(&app, more).await;
        assert_eq!(page.status, 400, "{more}");
        assert!(text(&page).contains("token_err"), "{}", text(&page));
        assert!(text(&page).contains(said), "{}", text(&page));
    }
    none_is_stored(&app).await;
    assert_eq!(authorise(&app, "&realm=r7").await.status, 200);
    let listed = app.get("/connections").await.json();
    assert_eq!(listed["connections"].as_array().unwrap().len(), 1);
}
