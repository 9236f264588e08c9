//! Each mode connects, its calls carry what they should, and credentials that
//! the provider does not take leave nothing behind.

use http::Method;
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

mod api;
mod recheck;

use api::Api;

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
    let verified = "proxy:\n  base_url: ${integrationConfig.baseUrl}\n  verification:\n    \
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
    write("demo-alias", "alias: demo\ndisplay_name: Alias\n");
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

async fn full(app: &TestApp, key: &str, connection: &str) -> Value {
    app.get(&format!(
        "/connections/{connection}?provider_config_key={key}"
    ))
    .await
    .json()
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_is_verified_before_it_is_stored_and_then_sent_with_calls() {
    // "ann:p w"
    let api = Api::start(|head| {
        head.contains("authorization: Basic YW5uOnAgdw==") && !head.starts_with("GET /nowhere")
    })
    .await;
    let folder = templates();
    let app = start(&folder).await;
    integrate(&app, "basic-verified", &api.url()).await;

    let wrong = json!({ "username": "ann", "password": "planted-hush" });
    let refused = connect(
        &app,
        "/api-auth/basic/basic-verified",
        "&params[org]=a%26b",
        wrong,
    )
    .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "connection_test_failed")
    );
    let message = refused.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("401") && !message.contains("hush"),
        "{message}"
    );
    assert_eq!(count(&app).await, 0);
    let tried: Vec<_> = api
        .seen()
        .iter()
        .map(|head| head.lines().next().unwrap().to_owned())
        .collect();
    assert_eq!(
        tried,
        ["GET /nowhere HTTP/1.1", "GET /me?org=a%26b HTTP/1.1"]
    );

    let right = json!({ "username": "ann", "password": "p w" });
    let made = connect(
        &app,
        "/api-auth/basic/basic-verified",
        "&params[org]=a",
        right,
    )
    .await;
    let connection = id(&made);
    assert_eq!(made.json()["providerConfigKey"], "basic-verified");
    assert_eq!(
        api.seen().len(),
        2,
        "the first endpoint that answers with a 2xx is enough"
    );
    let full = full(&app, "basic-verified", &connection).await;
    assert_eq!(
        full["credentials"],
        json!({ "type": "BASIC", "username": "ann", "password": "p w" })
    );
    assert_eq!(full["connection_config"]["org"], "a");
    assert_eq!(
        call(&app, "basic-verified", &connection, "/things", None)
            .await
            .status,
        200
    );
    let seen = api.seen();
    assert!(seen[0].starts_with("GET /things HTTP/1.1\r\n"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_verified_where_the_template_puts_it() {
    let api = Api::start(|head| head.contains("x-key: good") && head.contains("key=good")).await;
    let folder = templates();
    let app = start(&folder).await;
    integrate(&app, "key-verified", &api.url()).await;
    let route = "/api-auth/api-key/key-verified";
    let refused = connect(&app, route, "&params[org]=a", json!({ "apiKey": "bad" })).await;
    assert_eq!(refused.code(), "connection_test_failed");
    let incomplete = connect(
        &app,
        "/api-auth/api-key/key-verified",
        "",
        json!({ "apiKey": "bad" }),
    )
    .await;
    assert_eq!(incomplete.code(), "missing_connection_config");
    assert_eq!(count(&app).await, 0);
    api.seen();
    let connection = id(&connect(&app, route, "&params[org]=a", json!({ "apiKey": "good" })).await);
    assert_eq!(api.seen().len(), 1);
    assert_eq!(
        call(&app, "key-verified", &connection, "/x", None)
            .await
            .status,
        200
    );
    assert!(api.seen()[0].starts_with("GET /x?key=good "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_cannot_be_asked_leaves_nothing() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let folder = templates();
    let app = start(&folder).await;
    integrate(&app, "basic-verified", &format!("http://{free}")).await;
    let entered = json!({ "username": "a", "password": "b" });
    let refused = connect(
        &app,
        "/api-auth/basic/basic-verified",
        "&params[org]=a",
        entered,
    )
    .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "connection_test_failed")
    );
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn either_half_of_basic_may_be_empty_but_not_both() {
    // "rk:"
    let api = Api::start(|head| head.contains("authorization: Basic cms6\r\n")).await;
    let app = TestApp::start().await;
    integrate(&app, "private-api-basic", "").await;
    let route = "/api-auth/basic/private-api-basic";
    for (body, code) in [
        (json!({}), "invalid_body"),
        (json!({ "username": " ", "password": "" }), "invalid_body"),
        (
            json!({ "username": "a", "password": "b", "more": 1 }),
            "invalid_body",
        ),
        (json!({ "username": 1 }), "invalid_body"),
        (json!({ "username": "a\nb" }), "invalid_body"),
    ] {
        let refused = connect(&app, route, "", body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, code),
            "{body}"
        );
    }
    let wrong_mode = connect(
        &app,
        "/api-auth/api-key/private-api-basic",
        "",
        json!({ "apiKey": "k" }),
    )
    .await;
    assert_eq!(wrong_mode.code(), "invalid_auth_mode");
    assert_eq!(count(&app).await, 0);
    let made = connect(&app, route, "", json!({ "username": "rk", "password": "" })).await;
    let answer = call(
        &app,
        "private-api-basic",
        &id(&made),
        "/x",
        Some(&api.url()),
    )
    .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_api_is_connected_without_credentials() {
    let api = Api::start(|head| !head.to_lowercase().contains("authorization")).await;
    let app = TestApp::start().await;
    integrate(&app, "unauthenticated", "").await;
    integrate(&app, "private-api-basic", "").await;
    let wrong_mode = connect(
        &app,
        "/auth/unauthenticated/private-api-basic",
        "",
        json!({}),
    )
    .await;
    assert_eq!(wrong_mode.code(), "invalid_auth_mode");
    let made = connect(
        &app,
        "/auth/unauthenticated/unauthenticated",
        "",
        Value::Null,
    )
    .await;
    let connection = id(&made);
    assert_eq!(
        full(&app, "unauthenticated", &connection).await["credentials"],
        json!({})
    );
    assert_eq!(
        call(&app, "unauthenticated", &connection, "/x", Some(&api.url()))
            .await
            .status,
        200
    );
    assert_eq!(api.seen().len(), 1);
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_folders_template_may_build_on_a_built_in_one() {
    let folder = templates();
    let app = start(&folder).await;
    let shown = app.get("/providers/demo-alias").await.json();
    assert_eq!(shown["data"]["display_name"], "Alias");
    assert_eq!(shown["data"]["auth_mode"], "OAUTH2");
}
