//! Secrets that go in by the API, each used with success and in calls that are
//! refused, so that answers, logs and messages about it come to be.

use http::Method;
use linkspan_api::environments::CreateEnvironment;
use linkspan_api::integrations::CreateIntegration;
use linkspan_shared::public_key;
use linkspan_shared::tenancy::environments::Environment;
use linkspan_simulator::Fault;
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::{Reply, TestApp};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const HMAC_KEY: &str = "planted-hmac-key-5d1a";
const WRONG_KEY: &str = "planted-wrong-key-c07e";
const WEBHOOK_SECRETS: [&str; 2] = [
    "planted-webhook-secret-2b8f",
    "planted-webhook-secret-changed-91ce",
];
const PASSWORD: &str = "planted-basic-password-6c3d";
/// `planted-user` and the password, as BASIC sends them.
const PASSWORD_SENT: &str = "cGxhbnRlZC11c2VyOnBsYW50ZWQtYmFzaWMtcGFzc3dvcmQtNmMzZA==";
const METADATA: &str = "planted-metadata-a4e7";
const METADATA_NAME: &str = "planted-metadata-name-07bb";
const MERGED: &str = "planted-metadata-merged-e19d";
const AUTHORIZATION: &str = "planted-authorization-3f60";
const COOKIE: &str = "planted-cookie-8d24";
const OWN_COOKIE: &str = "planted-own-cookie-b1c9";
const HEADER: &str = "planted-header-70ae";
const QUERY: &str = "planted-query-15fd";
const BODY: &str = "planted-body-d6b3";
const LOCATION: &str = "planted-location-4ec8";
const USER_INFO: &str = "planted-user-info-9a07";

/// The last call through the proxy goes here.
pub(super) const LAST: &str = "/api/echo/last";

/// What was planted, and what was answered to calls that were refused.
#[derive(Default)]
pub(super) struct Planted {
    pub(super) secrets: Vec<String>,
    pub(super) errors: String,
    pub(super) debug: String,
}

impl Planted {
    pub(super) fn secret(&mut self, secret: impl Into<String>) {
        self.secrets.push(secret.into());
    }

    pub(super) fn refused(&mut self, reply: &Reply, status: u16) {
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status, status, "{text}");
        self.seen(reply);
    }

    /// An answer that says no secret, if it is not a success.
    pub(super) fn seen(&mut self, reply: &Reply) {
        if !reply.status.is_success() {
            let text = String::from_utf8_lossy(&reply.body);
            self.errors += &format!("{text} {:?}\n", reply.headers);
        }
    }

    /// How the body of a request shows itself.
    pub(super) fn shown<T: DeserializeOwned + std::fmt::Debug>(&mut self, body: Value) {
        let body: T = serde_json::from_value(body).unwrap();
        self.debug += &format!("{body:?}\n");
    }
}

/// Plants everything, with the connection that there is of `demo`.
pub(super) async fn all(app: &TestApp, connection: &str, planted: &mut Planted) {
    hmac_key(app, planted).await;
    signing_key(app, planted).await;
    webhook_secret(app, planted).await;
    password(app, planted).await;
    metadata(app, planted).await;
    code(app, planted).await;
    proxied(app, connection, planted).await;
    refresh(app, connection, planted).await;
    let headers = headers(connection, &[]);
    let path = format!("/proxy{LAST}");
    app.call_as(&app.dev.api_key, Method::GET, &path, &headers, Value::Null)
        .await;
}

/// An address where nobody listens.
fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn hmac_key(app: &TestApp, planted: &mut Planted) {
    planted.secret(HMAC_KEY);
    let good = json!({ "name": "planted", "hmac_key": HMAC_KEY, "hmac_enabled": true });
    planted.shown::<CreateEnvironment>(good.clone());
    let made = app.post("/environments", good.clone()).await;
    assert_eq!(made.status, 200, "{made:?}");
    let again = app.post("/environments", good).await;
    planted.refused(&again, 409);
    for wrong in [
        json!({ "name": "Not A Name", "hmac_key": HMAC_KEY }),
        json!({ "name": "other", "hmac_key": [HMAC_KEY] }),
        json!({ "name": "other", "hmac_key": HMAC_KEY.repeat(100) }),
        json!({ "name": "other", "hmac_enabled": HMAC_KEY }),
        json!(HMAC_KEY),
    ] {
        planted.refused(&app.post("/environments", wrong).await, 400);
    }
    let key = json!({ "environment_id": made.json()["data"]["id"], "display_name": "k" });
    let key = app.post("/environment/api-keys", key).await.json();
    let key = key["data"]["secret"].as_str().unwrap().to_owned();
    planted.secret(&key);
    signed(app, &key.into(), planted).await;
}

/// A connection that is made with the HMAC key.
async fn signed(app: &TestApp, api_key: &SecretString, planted: &mut Planted) {
    let bearer = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    let made = app
        .call_as(api_key, Method::POST, "/integrations", &[], bearer)
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    let environments = {
        let mut conn = app.core.db.conn().await.unwrap();
        Environment::all(&mut conn).await.unwrap()
    };
    let environment = environments.iter().find(|found| found.name == "planted");
    let public = environment.unwrap().public_key;
    for (key, status) in [(WRONG_KEY, 400), (HMAC_KEY, 200)] {
        let hmac = public_key::sign(&key.into(), "bearer", Some("c"));
        let query = format!("public_key={public}&connection_id=c&hmac={hmac}");
        let path = format!("/api-auth/api-key/bearer?{query}");
        let reply = app.post(&path, json!({ "apiKey": HEADER })).await;
        assert_eq!(reply.status, status, "{reply:?}");
        planted.seen(&reply);
        planted.secret(hmac);
    }
}

async fn signing_key(app: &TestApp, planted: &mut Planted) {
    let path = "/environment/webhook-signing-key/rotate";
    for _ in 0..2 {
        let key = app.post(path, Value::Null).await.json();
        planted.secret(key["data"]["webhook_signing_key"].as_str().unwrap());
    }
    planted.secret(WRONG_KEY);
    let stranger = SecretString::from(WRONG_KEY);
    let refused = app
        .call_as(&stranger, Method::POST, path, &[], Value::Null)
        .await;
    planted.refused(&refused, 401);
}

async fn webhook_secret(app: &TestApp, planted: &mut Planted) {
    let [first, changed] = WEBHOOK_SECRETS;
    planted.secret(first);
    planted.secret(changed);
    let with = |secret: Value| {
        json!({ "unique_key": "hooked", "provider": "demo", "credentials": { "type": "OAUTH2",
            "client_id": "x", "client_secret": changed, "webhook_secret": secret } })
    };
    planted.shown::<CreateIntegration>(with(first.into()));
    let made = app.post("/integrations", with(first.into())).await;
    assert_eq!(made.status, 200, "{made:?}");
    let again = app.post("/integrations", with(first.into())).await;
    planted.refused(&again, 409);
    for wrong in [
        with(json!([first])),
        json!({ "unique_key": "h", "provider": "demo", "credentials": first }),
        json!({ "unique_key": "h", "provider": "demo", "forward_webhooks": first }),
        json!({ "unique_key": "h", "provider": "demo", "credentials": { "type": first } }),
    ] {
        planted.refused(&app.post("/integrations", wrong).await, 400);
    }
    let path = "/integrations/hooked";
    let change =
        |credentials: Value| app.call(Method::PATCH, path, json!({ "credentials": credentials }));
    let changed_to = with(changed.into())["credentials"].clone();
    let reply = change(changed_to).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    planted.refused(&change(json!(changed)).await, 400);
    let read = app.get(&format!("{path}?include=credentials")).await.json();
    assert_eq!(read["data"]["credentials"]["webhook_secret"], changed);
}

async fn password(app: &TestApp, planted: &mut Planted) {
    planted.secret(PASSWORD);
    planted.secret(PASSWORD_SENT);
    let basic = json!({ "unique_key": "basic", "provider": "private-api-basic" });
    assert_eq!(app.post("/integrations", basic).await.status, 200);
    let token = app.connect_session().await;
    let path = format!("/api-auth/basic/basic?connect_session_token={token}");
    planted.secret(token);
    for wrong in [
        json!({ "username": "planted-user", "password": [PASSWORD] }),
        json!({ "username": "planted-user", "password": format!("{PASSWORD}\n{PASSWORD}") }),
        json!({ "username": { "planted-user": PASSWORD } }),
        json!({ "username": "planted-user", "password": PASSWORD, "more": PASSWORD }),
        json!(PASSWORD),
    ] {
        planted.refused(&app.post(&path, wrong).await, 400);
    }
    let right = json!({ "username": "planted-user", "password": PASSWORD });
    let made = app.post(&path, right).await;
    assert_eq!(made.status, 200, "{made:?}");
    let connection = made.json()["connectionId"].as_str().unwrap().to_owned();
    let provider = app.provider.base_url().as_str().trim_end_matches('/');
    let dead = closed();
    for (base, status) in [(provider, 401), (&dead, 502)] {
        let headers = [
            ("Provider-Config-Key", "basic"),
            ("Connection-Id", &connection),
            ("Base-Url-Override", base),
        ];
        let path = "/proxy/api/echo/basic";
        let reply = app
            .call_as(&app.dev.api_key, Method::GET, path, &headers, Value::Null)
            .await;
        planted.refused(&reply, status);
    }
    let seen = app.provider.control().requests();
    let sent = seen.iter().find(|seen| seen.path == "/api/echo/basic");
    let sent = sent.unwrap().header("authorization").unwrap();
    assert_eq!(sent, format!("Basic {PASSWORD_SENT}"), "it is this one");
}

async fn metadata(app: &TestApp, planted: &mut Planted) {
    for secret in [METADATA, METADATA_NAME, MERGED] {
        planted.secret(secret);
    }
    let import = |metadata: Value| {
        json!({ "provider_config_key": "keyed", "connection_id": "described",
            "metadata": metadata, "connection_config": { "appKey": "planted-x" },
            "credentials": { "type": "API_KEY", "apiKey": METADATA } })
    };
    let made = app
        .post("/connections", import(json!({ METADATA_NAME: METADATA })))
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    planted.refused(
        &app.post("/connections", import(json!(METADATA))).await,
        400,
    );
    let write = |id: &str, metadata: Value| json!({ "connection_id": id, "provider_config_key": "keyed", "metadata": metadata });
    let path = "/connections/metadata";
    planted.shown::<linkspan_api::connections::WriteMetadata>(write("x", json!({"a": METADATA})));
    for method in [Method::POST, Method::PATCH] {
        let good = json!({ METADATA_NAME: { "deep": [METADATA] }, "more": MERGED });
        let wrote = app
            .call(method.clone(), path, write("described", good.clone()))
            .await;
        assert!(wrote.status.is_success(), "{wrote:?}");
        let unknown = app.call(method.clone(), path, write("none", good)).await;
        planted.refused(&unknown, 400);
        let wrong = write("described", json!(METADATA));
        planted.refused(&app.call(method, path, wrong).await, 400);
    }
    let read = "/connections/described?provider_config_key=keyed";
    let read = app.get(read).await.json()["metadata"].clone();
    assert_eq!(
        read,
        json!({ METADATA_NAME: { "deep": [METADATA] }, "more": MERGED })
    );
}

/// A flow, and its callback once more.
async fn code(app: &TestApp, planted: &mut Planted) {
    let token = app.connect_session().await;
    let start = app.begin("demo", &token).await;
    let user = linkspan_simulator::Settings::default().user;
    let location = start.header("location").unwrap();
    let back = browser::authorize(location, &user, Decision::Allow)
        .await
        .unwrap();
    let cookie = start.header("set-cookie").unwrap();
    assert_eq!(app.come_back(&back, Some(cookie)).await.status, 200);
    let again = app.come_back(&back, Some(cookie)).await;
    planted.errors += &String::from_utf8_lossy(&again.body);
    let url: url::Url = back.parse().unwrap();
    for (name, value) in url.query_pairs() {
        if name == "code" || name == "state" {
            planted.secret(value);
        }
    }
    planted.secret(token);
}

fn headers<'a>(connection: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let ours = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection),
        ("Cookie", OWN_COOKIE),
        ("Nango-Proxy-Cookie", COOKIE),
        ("Nango-Proxy-X-Mine", HEADER),
    ];
    [&ours, more].concat()
}

async fn proxied(app: &TestApp, connection: &str, planted: &mut Planted) {
    for secret in [AUTHORIZATION, COOKIE, OWN_COOKIE, HEADER, QUERY, BODY] {
        planted.secret(secret);
    }
    planted.secret(LOCATION);
    planted.secret(USER_INFO);
    let own = format!("Bearer {AUTHORIZATION}");
    let dead = closed();
    let with_user = format!("http://{USER_INFO}:{USER_INFO}@127.0.0.1");
    let denied = format!("http://169.254.169.254/?token={LOCATION}");
    for (more, status) in [
        (&[][..], 200),
        (&[("Nango-Proxy-Authorization", own.as_str())][..], 401),
        (
            &[("Base-Url-Override", dead.as_str()), ("Retries", "1")],
            502,
        ),
        (&[("Base-Url-Override", &with_user)], 400),
        (&[("Base-Url-Override", &denied)], 400),
        (&[("Connection-Id", "twice")], 400),
        (&[("Decompress", HEADER)], 400),
        (&[("Retry-On", HEADER)], 400),
    ] {
        let headers = headers(connection, more);
        let path = format!("/proxy/api/echo/planted?token={QUERY}");
        let body = json!({ "secret": BODY });
        let reply = app
            .call_as(&app.dev.api_key, Method::POST, &path, &headers, body)
            .await;
        if status == 200 {
            let arrived = String::from_utf8_lossy(&reply.body).into_owned();
            for secret in [COOKIE, HEADER, QUERY, BODY] {
                assert!(arrived.contains(secret), "{secret} is sent: {arrived}");
            }
            assert!(!arrived.contains(OWN_COOKIE), "{arrived}");
        } else {
            planted.refused(&reply, status);
        }
    }
    redirected(app, connection, planted).await;
}

/// Answers that send the call elsewhere, with a secret in the address.
async fn redirected(app: &TestApp, connection: &str, planted: &mut Planted) {
    for (to, status) in [("/api/echo", 200), ("http://10.0.0.1/", 400)] {
        let location = format!("{to}?code={LOCATION}#{LOCATION}");
        app.provider.control().fail_next(Fault::Status {
            path: "/api/me".to_owned(),
            status: 302,
            headers: vec![("location".to_owned(), location)],
            body: String::new(),
        });
        let headers = headers(connection, &[]);
        let path = format!("/proxy/api/me?token={QUERY}");
        let reply = app
            .call_as(&app.dev.api_key, Method::GET, &path, &headers, Value::Null)
            .await;

        assert_eq!(reply.status, status, "{reply:?}");
        if status != 200 {
            planted.refused(&reply, status);
        }
    }
}

/// Tokens that were changed because somebody asked, because the API refused
/// one, and one that could not be changed.
async fn refresh(app: &TestApp, connection: &str, planted: &mut Planted) {
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let forced = format!("{path}&force_refresh=true");
    let mut tokens = Vec::new();
    for round in 0..2 {
        let asked = if round == 0 { &forced } else { &path };
        let read = app.get(asked).await.json();
        for name in ["access_token", "refresh_token"] {
            tokens.push(read["credentials"][name].as_str().unwrap().to_owned());
        }
        if round == 0 {
            app.provider.control().revoke_access_tokens();
            let headers = headers(connection, &[]);
            let key = &app.dev.api_key;
            let called = app
                .call_as(key, Method::GET, "/proxy/api/me", &headers, Value::Null)
                .await;
            assert_eq!(called.status, 200, "{called:?}");
        }
    }
    assert_ne!(tokens[..2], tokens[2..], "they have changed twice");
    let said = format!("{} is no longer good", tokens[3]);
    let body = json!({ "error": "invalid_grant", "error_description": said });
    app.provider.control().fail_next(Fault::TokenError {
        status: 400,
        body: body.to_string(),
    });
    planted.refused(&app.get(&forced).await, 400);
    planted.secrets.append(&mut tokens);
}
