//! Modes whose credentials are what a person enters: API_KEY, BASIC, NONE.

use linkspan_testkit::TestApp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::api::Api;
use super::{call, connect, count, full, id, integrate, start, templates};

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
