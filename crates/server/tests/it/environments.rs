//! `/environments` and `/environment/…`: what a key may do over its account.

use http::Method;
use linkspan_api::{Scope, Scopes};
use linkspan_shared::tenancy::signing_keys;
use linkspan_testkit::TestApp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::access::key;

async fn create(app: &TestApp, name: &str) -> i64 {
    let reply = app.post("/environments", json!({ "name": name })).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["data"]["name"], name);
    reply.json()["data"]["id"].as_i64().unwrap()
}

async fn issue(app: &TestApp, environment: i64, name: &str) -> (i64, SecretString) {
    let body = json!({ "environment_id": environment, "display_name": name });
    let reply = app.post("/environment/api-keys", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let data = reply.json()["data"].clone();
    (
        data["id"].as_i64().unwrap(),
        data["secret"].as_str().unwrap().into(),
    )
}

async fn list(app: &TestApp, key: &SecretString) -> u16 {
    app.call_as(key, Method::GET, "/integrations", &[], Value::Null)
        .await
        .status
        .as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_lives_from_its_creation_to_its_deletion() {
    let app = TestApp::start().await;
    let number = create(&app, "staging").await;
    let (_, theirs) = issue(&app, number, "main").await;
    let body = json!({ "unique_key": "a", "provider": "private-api-bearer" });
    let made = app
        .call_as(&theirs, Method::POST, "/integrations", &[], body)
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    let import = json!({ "provider_config_key": "a",
        "credentials": { "type": "API_KEY", "apiKey": "k" } });
    let made = app
        .call_as(&theirs, Method::POST, "/connections", &[], import)
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    let session = json!({ "end_user": { "id": "u" } });
    let made = app
        .call_as(&theirs, Method::POST, "/connect/sessions", &[], session)
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let rotate = "/environment/webhook-signing-key/rotate";
    let made = app
        .call_as(&theirs, Method::POST, rotate, &[], Value::Null)
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(
        app.get("/integrations").await.json(),
        json!({ "data": [] }),
        "not in `dev`"
    );

    let path = format!("/environments/{number}");
    let deleted = app.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    assert_eq!(list(&app, &theirs).await, 401, "its keys stop at once");
    assert_eq!(
        left(&app).await,
        ["2 environments"],
        "nothing of it is left"
    );
    let again = app.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(
        (again.status.as_u16(), again.code().as_str()),
        (404, "unknown_environment")
    );
    create(&app, "staging").await;
}

/// What the tables of the control plane hold besides the two first
/// environments with a data key and an API key each.
async fn left(app: &TestApp) -> Vec<String> {
    let url = app.database.direct_url();
    let (client, connection) = tokio_postgres::connect(url.expose_secret(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let tables = "SELECT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = 'environment_id'";
    let mut left = Vec::new();
    let environments = "SELECT count(*) FROM environments";
    let count: i64 = client.query_one(environments, &[]).await.unwrap().get(0);
    left.push(format!("{count} environments"));
    for row in client.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let sql = format!(
            "SELECT count(*) FROM \"{table}\"
             WHERE environment_id NOT IN (SELECT id FROM environments)"
        );
        let count: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        if count > 0 {
            left.push(format!("{count} {table}"));
        }
    }
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_checked_and_unique() {
    let app = TestApp::start().await;
    for name in ["", "Staging", "a b", "a\u{0}", &"x".repeat(256)] {
        let reply = app.post("/environments", json!({ "name": name })).await;
        assert_eq!(reply.code(), "invalid_body", "{name}");
        assert_eq!(reply.json()["error"]["errors"][0]["path"], json!(["name"]));
    }
    let body = json!({ "name": "staging" });
    let tries = (0..4).map(|_| app.post("/environments", body.clone()));
    let replies = futures_util::future::join_all(tries).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
    let taken = app.post("/environments", json!({ "name": "dev" })).await;
    assert_eq!(
        (taken.status.as_u16(), taken.code().as_str()),
        (409, "conflict")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prod_stays_and_so_does_what_is_not_there() {
    let app = TestApp::start().await;
    let prod = format!("/environments/{}", app.prod.environment.number);
    let reply = app.call(Method::DELETE, &prod, Value::Null).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.code(), "cannot_delete_prod_environment");
    for path in ["/environments/0", "/environments/x", "/environments/-1"] {
        let reply = app.call(Method::DELETE, path, Value::Null).await;
        assert_eq!(reply.code(), "invalid_uri_params", "{path}");
    }
    let reply = app
        .call(Method::DELETE, "/environments/999999", Value::Null)
        .await;
    assert_eq!(reply.code(), "unknown_environment");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_does_not_reach_another() {
    let app = TestApp::start().await;
    let url = app.database.direct_url();
    let (client, connection) = tokio_postgres::connect(url.expose_secret(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let insert =
        "WITH a AS (INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'b') RETURNING id)
         INSERT INTO environments (id, account_id, name, is_production, public_key)
         SELECT gen_random_uuid(), id, 'dev', false, gen_random_uuid() FROM a RETURNING number";
    let number: i64 = client.query_one(insert, &[]).await.unwrap().get(0);
    let path = format!("/environments/{number}");
    let reply = app.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(reply.code(), "unknown_environment");
    let body = json!({ "environment_id": number, "display_name": "x" });
    let reply = app.post("/environment/api-keys", body).await;
    assert_eq!(reply.code(), "unknown_environment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_ends_at_once() {
    let app = TestApp::start().await;
    let number = app.dev.environment.number;
    let (id, secret) = issue(&app, number, "ci").await;
    assert_eq!(list(&app, &secret).await, 200);
    let body = json!({ "environment_id": number, "display_name": "ci" });
    let again = app.post("/environment/api-keys", body).await;
    assert_eq!(
        (again.status.as_u16(), again.code().as_str()),
        (409, "conflict")
    );
    let wrong = json!({ "environment_id": app.prod.environment.number, "key_id": id });
    let reply = app
        .call(Method::DELETE, "/environment/api-keys", wrong)
        .await;
    assert_eq!(reply.status, 404, "the key is another environment's");
    let body = json!({ "environment_id": number, "key_id": id });
    let ended = app
        .call(Method::DELETE, "/environment/api-keys", body.clone())
        .await;
    assert_eq!(ended.json(), json!({ "success": true }));
    assert_eq!(list(&app, &secret).await, 401);
    let again = app
        .call(Method::DELETE, "/environment/api-keys", body)
        .await;
    assert_eq!(
        (again.status.as_u16(), again.code().as_str()),
        (404, "not_found")
    );
    issue(&app, number, "ci").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gives_out_no_power_over_the_account_that_it_lacks() {
    let app = TestApp::start().await;
    let scopes: Scopes = [Scope::AccountApiKeysCreate].into_iter().collect();
    let issuer = key(&app, scopes).await;
    let number = app.dev.environment.number;
    let make = async |wish: Value| {
        let mut body = json!({ "environment_id": number,
                               "display_name": uuid::Uuid::new_v4().to_string() });
        body.as_object_mut()
            .unwrap()
            .extend(wish.as_object().unwrap().clone());
        app.call_as(&issuer, Method::POST, "/environment/api-keys", &[], body)
            .await
    };
    let all = make(json!({})).await.json()["data"]["scopes"].clone();
    let all: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|scope| scope.as_str().unwrap())
        .collect();
    assert!(all.contains(&"environment:proxy"));
    assert!(
        all.iter().all(|scope| scope.starts_with("environment:")),
        "{all:?}"
    );
    let own = make(json!({ "scopes": ["account:environments:api_keys:create"] })).await;
    assert_eq!(own.status, 200, "{own:?}");
    let some = make(json!({ "scopes": ["environment:proxy"] })).await;
    assert_eq!(some.json()["data"]["scopes"], json!(["environment:proxy"]));
    for scope in ["account:environments:delete", "environment:everything"] {
        let refused = make(json!({ "scopes": ["environment:proxy", scope] })).await;
        assert_eq!(refused.code(), "invalid_body", "{scope}");
        assert_eq!(
            refused.json()["error"]["errors"][0]["path"],
            json!(["scopes", "1"])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signing_key_is_rotated_and_sealed() {
    let app = TestApp::start().await;
    let path = "/environment/webhook-signing-key/rotate";
    let rotate = async || {
        let reply = app.post(path, Value::Null).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["data"]["webhook_signing_key"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (first, second) = (rotate().await, rotate().await);
    assert_ne!(first, second);
    assert_eq!(second.len(), 64);
    let environment = app.dev.environment.id;
    let keys = app.core.vault.environment(environment).await.unwrap();
    let mut conn = app.core.db.conn().await.unwrap();
    let current = signing_keys::current(&mut conn, &keys, environment)
        .await
        .unwrap();
    assert_eq!(current.unwrap().expose_secret(), second);
    let prod = app.prod.environment.id;
    let keys = app.core.vault.environment(prod).await.unwrap();
    assert!(
        signing_keys::current(&mut conn, &keys, prod)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_none_and_telemetry_goes_nowhere() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/environment-variables").await.json(), json!([]));
    for path in ["/connect/telemetry", "/cli/telemetry"] {
        let request = http::Request::post(app.url(path))
            .body("{\"token\":\"x\"}".into())
            .unwrap();
        let reply = app.send(request).await;
        assert_eq!(
            (reply.status.as_u16(), reply.body.len()),
            (204, 0),
            "{path}"
        );
    }
}
