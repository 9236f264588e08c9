//! Keys that nobody uses are asked after once a day (CONTRACT 2.8).

use std::sync::atomic::{AtomicBool, Ordering};

use linkspan_shared::connections::keep_alive::keep_alive;
use serde_json::{Value, json};

use super::api::Api;
use super::{connect, integrate, start, templates};
use crate::refresh::{age, events};

static IS_TAKEN_BACK: AtomicBool = AtomicBool::new(false);

fn is_allowed(head: &str) -> bool {
    head.starts_with("GET /me?") && !IS_TAKEN_BACK.load(Ordering::SeqCst)
}

async fn looked_after(app: &linkspan_testkit::TestApp, connection: &str) -> (usize, usize) {
    let unused = "last_fetched_at = now() - interval '25 hours', keep_alive_at = now()";
    age(app, connection, unused).await;
    let report = keep_alive(&app.core).await.unwrap();
    (report.kept, report.failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_taken_back_is_found_out() {
    let folder = templates();
    let (app, api) = (start(&folder).await, Api::start(is_allowed).await);
    integrate(&app, "key-verified", &api.url()).await;
    let made = connect(
        &app,
        "/api-auth/api-key/key-verified",
        "&params[org]=o",
        json!({ "apiKey": "k" }),
    );
    let id = made.await.json()["connectionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let errors = async || {
        let path = format!("/connections/{id}?provider_config_key=key-verified");
        app.get(&path).await.json()["errors"].clone()
    };
    api.seen();
    assert_eq!(looked_after(&app, &id).await, (1, 0));
    assert!(api.seen().last().unwrap().contains("x-key: k"));
    assert_eq!(errors().await, json!([]));

    IS_TAKEN_BACK.store(true, Ordering::SeqCst);
    assert_eq!(looked_after(&app, &id).await, (0, 1));
    let found = errors().await;
    assert_eq!(found[0]["type"], "auth", "{found}");
    let log = format!("/logs/operations/{}", found[0]["log_id"].as_str().unwrap());
    let operation = loop {
        let reply = app.get(&log).await;
        if reply.status == 200 {
            break reply.json()["data"].clone();
        }
    };
    assert_eq!(operation["action"], "verify", "{operation}");
    assert_eq!(operation["status"], "failed", "{operation}");

    IS_TAKEN_BACK.store(false, Ordering::SeqCst);
    assert_eq!(looked_after(&app, &id).await, (1, 0));
    assert_eq!(errors().await, json!([]));
    let happened = [
        "connection.created",
        "credentials.failed",
        "credentials.recovered",
    ];
    assert_eq!(events(&app, &id).await, happened);
    let list: Value = app.get("/connections").await.json();
    assert_eq!(list["connections"][0]["errors"], json!([]));
}
