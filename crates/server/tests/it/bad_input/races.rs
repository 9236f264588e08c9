//! The same thing created many times at once: one wins, and the others are told
//! that it is there.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use http::Method;
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

use super::{import, rows, start};

const AT_ONCE: usize = 8;

/// How often each status and code was answered.
fn tally(replies: &[Reply]) -> BTreeMap<(u16, String), usize> {
    let mut tally = BTreeMap::new();
    for reply in replies {
        let code = if reply.status.is_success() {
            String::new()
        } else {
            reply.code()
        };
        *tally.entry((reply.status.as_u16(), code)).or_default() += 1;
    }
    tally
}

async fn one_wins(app: &TestApp, path: &str, body: Value, code: &str, table: &str) {
    let before = rows(app).await[table].len();
    let replies = join_all((0..AT_ONCE).map(|_| app.post(path, body.clone()))).await;
    let expected = BTreeMap::from([
        ((200, String::new()), 1),
        ((409, code.to_owned()), AT_ONCE - 1),
    ]);
    assert_eq!(tally(&replies), expected, "{path}: {replies:?}");
    assert_eq!(rows(app).await[table].len(), before + 1, "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_create_the_same_one_wins() {
    let app = start(&[]).await;
    let integration = json!({ "unique_key": "raced", "provider": "private-api-bearer" });
    let code = "duplicate_provider_config";
    one_wins(&app, "/integrations", integration, code, "integrations").await;
    let quick = json!({ "unique_key": "quick", "provider": "private-api-bearer" });
    one_wins(
        &app,
        "/integrations/quickstart",
        quick,
        code,
        "integrations",
    )
    .await;
    let environment = json!({ "name": "raced" });
    one_wins(
        &app,
        "/environments",
        environment,
        "conflict",
        "environments",
    )
    .await;
    let number = app.dev.environment.number;
    let key = json!({ "environment_id": number, "display_name": "raced" });
    one_wins(&app, "/environment/api-keys", key, "conflict", "api_keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_lost_leaves_no_data_key() {
    let app = start(&[]).await;
    let tries = (0..AT_ONCE).map(|_| app.post("/environments", json!({ "name": "raced" })));
    join_all(tries).await;
    let rows = rows(&app).await;
    assert_eq!(rows["environments"].len(), 3);
    assert_eq!(rows["data_keys"].len(), 3, "{:?}", rows["data_keys"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_take_the_same_name_one_gets_it() {
    let app = start(&[]).await;
    let keys: Vec<_> = (0..AT_ONCE).map(|n| format!("i{n}")).collect();
    for key in &keys {
        let body = json!({ "unique_key": key, "provider": "private-api-bearer" });
        assert_eq!(app.post("/integrations", body).await.status, 200);
    }
    let renames = keys.iter().map(|key| {
        let path = format!("/integrations/{key}");
        let app = &app;
        async move {
            app.call(Method::PATCH, &path, json!({ "unique_key": "one" }))
                .await
        }
    });
    let code = "duplicate_provider_config".to_owned();
    let expected = BTreeMap::from([((200, String::new()), 1), ((409, code), AT_ONCE - 1)]);
    assert_eq!(tally(&join_all(renames).await), expected);
}

/// An import of a connection that is there replaces its credentials.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_imports_of_one_connection_one_connection_comes() {
    let app = start(&[]).await;
    let before = rows(&app).await["connections"].len();
    let tries = (0..AT_ONCE).map(|n| {
        let mut body = import("raced");
        body["credentials"]["apiKey"] = json!(format!("key-{n}"));
        app.post("/connections", body)
    });
    let replies = join_all(tries).await;
    for reply in &replies {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(rows(&app).await["connections"].len(), before + 1);
    let stored = app
        .get("/connections/raced?provider_config_key=bearer")
        .await
        .json();
    let numbers: Vec<_> = replies
        .iter()
        .map(|reply| reply.json()["id"].clone())
        .collect();
    assert!(
        numbers.iter().all(|number| *number == stored["id"]),
        "{numbers:?}"
    );
    let key = stored["credentials"]["apiKey"].as_str().unwrap();
    assert!(key.starts_with("key-"), "{key}");
}

/// With a public key nobody may replace.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_browsers_that_name_one_connection_one_makes_it() {
    let app = start(&[]).await;
    let key = app.dev.environment.public_key;
    let before = rows(&app).await["connections"].len();
    for path in ["/api-auth/api-key/bearer", "/auth/unauthenticated/open"] {
        let path = format!("{path}?public_key={key}&connection_id=raced");
        let tries = (0..AT_ONCE).map(|n| app.post(&path, json!({ "apiKey": format!("k{n}") })));
        let replies = join_all(tries).await;
        let lost = (400, "missing_hmac".to_owned());
        let expected = BTreeMap::from([((200, String::new()), 1), (lost, AT_ONCE - 1)]);
        assert_eq!(tally(&replies), expected, "{path}: {replies:?}");
    }
    assert_eq!(rows(&app).await["connections"].len(), before + 2);
}
